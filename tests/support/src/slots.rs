//! How many machines run at a time.
//!
//! A machine keeps a processor busy while it boots and leaves it idle while it waits
//! (for a medium, a lease, a kubelet's next try). So one more than there are
//! processors may always run, and yet another whenever half a processor has been
//! idle for some seconds: a test that waits gives its processor up without a word.
//!
//! Next is a test that has machines already, so that it can end; then the one that
//! takes longest from here on, so that no long one begins when all others are done;
//! among those alike, the one that has waited longest. Nobody is let in before all tests
//! have had the time to ask. A test of two machines is not overtaken by those of one.
//!
//! How long each test had machines, the processor's seconds that these took ([`ended`]), and how
//! long it waited for them, is in `slots.txt` of the build directory's tmp, longest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::place;

/// Over so long a time a processor must have been idle.
const WINDOW: Duration = Duration::from_secs(6);
/// A machine that has just started does not keep its processor busy yet.
const START: Duration = Duration::from_secs(15);
/// For every test to ask for its first machine.
const GATHERING: Duration = Duration::from_secs(3);
/// Room for every test that takes one machine after another to have all of them.
const LEAST: usize = 8;

struct Queue {
    taken: usize,
    /// When the first test asked.
    opened: Option<Instant>,
    /// When the last machine was let in.
    last: Option<Instant>,
    /// The number of the next one in the queue.
    next: u64,
    waiting: BTreeSet<Place>,
    idle: Idle,
    used: BTreeMap<String, Used>,
}

/// What a test has had, in seconds.
#[derive(Default)]
struct Used {
    /// With a machine, times machines.
    machines: u64,
    /// Of waiting for one.
    waited: u64,
    /// Of processors, by machines that have ended.
    processors: f64,
}

/// Has machines already, how much the test has left, and its number.
type Place = (Reverse<bool>, Reverse<u32>, u64);

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    taken: 0,
    opened: None,
    last: None,
    next: 0,
    waiting: BTreeSet::new(),
    idle: Idle { last: None },
    used: BTreeMap::new(),
});
static CHANGED: Condvar = Condvar::new();

/// The right to run some machines; given back when it is dropped.
pub struct Slots {
    count: usize,
    test: String,
    since: Instant,
}

fn processors() -> usize {
    available_parallelism().map_or(1, |count| count.get())
}

/// However idle the processors are.
fn most() -> usize {
    (3 * processors()).max(LEAST)
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `count` machines may run. `left` is how many boots the test has before
/// it, with these, or other work that takes as long.
pub fn take(count: usize, left: u32) -> Slots {
    wait(count, left, false);
    Slots {
        count,
        test: this_test(),
        since: Instant::now(),
    }
}

/// A test's thread has its name.
fn this_test() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}

/// How a machine's process has ended, if it has; the seconds that it and its children took of
/// the processors are added to this test's.
///
/// # Errors
///
/// As [`Child::try_wait`].
pub fn ended(machine: &mut Child) -> io::Result<Option<ExitStatus>> {
    count(machine, WaitPidFlag::WNOHANG);
    machine.try_wait()
}

/// The same once it has ended.
///
/// # Errors
///
/// As [`Child::wait`].
pub fn end(machine: &mut Child) -> io::Result<ExitStatus> {
    count(machine, WaitPidFlag::empty());
    machine.wait()
}

fn count(machine: &Child, more: WaitPidFlag) {
    let id = Pid::from_raw(i32::try_from(machine.id()).unwrap_or_default());
    // Until it is reaped, the kernel still tells of it. One that has been reaped is an error here.
    let waited = waitid(
        Id::Pid(id),
        WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | more,
    );
    if waited.is_ok_and(|status| status != WaitStatus::StillAlive) {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let mut queue = queue();
        queue.used.entry(this_test()).or_default().processors += processor_seconds(&stat);
        queue.tell();
    }
}

/// Of a process and its children that have ended, by its line of [proc_pid_stat(5)]: fields 14 to
/// 17.
///
/// [proc_pid_stat(5)]: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
fn processor_seconds(stat: &str) -> f64 {
    // The second field is a name in brackets, which may have anything in it.
    let behind_the_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields = behind_the_name.split_whitespace().skip(11).take(4);
    let ticks = fields.filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / TICKS
}

fn wait(count: usize, left: u32, has_some: bool) {
    let begun = Instant::now();
    let mut queue = queue();
    let own = (Reverse(has_some), Reverse(left), queue.next);
    queue.next += 1;
    queue.waiting.insert(own);
    while !queue.admits(own, count) {
        let waited = CHANGED.wait_timeout(queue, Duration::from_secs(1));
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    queue.waiting.remove(&own);
    queue.taken += count;
    queue.last = Some(Instant::now());
    queue.used.entry(this_test()).or_default().waited += begun.elapsed().as_secs();
    CHANGED.notify_all();
}

impl Queue {
    fn admits(&mut self, own: Place, count: usize) -> bool {
        let is_idle = self.idle.look();
        let opened = *self.opened.get_or_insert_with(Instant::now);
        if opened.elapsed() < GATHERING || self.waiting.first() != Some(&own) {
            return false;
        }
        let after = self.taken + count;
        let has_settled = self.last.is_none_or(|last| last.elapsed() >= START);
        after <= (processors() + 1).max(count) || (after <= most() && is_idle && has_settled)
    }

    fn tell(&self) {
        let mut rows: Vec<_> = self.used.iter().collect();
        rows.sort_by_key(|(_, used)| Reverse(used.machines));
        let mut table = format!(
            "{:>8} {:>10} {:>8}  test\n",
            "machines", "processors", "waited"
        );
        for (test, used) in rows {
            let Used {
                machines,
                waited,
                processors,
            } = used;
            table.push_str(&format!(
                "{machines:>6} s {processors:>8.0} s {waited:>6} s  {test}\n"
            ));
        }
        let _ = fs::write(place::tmp().join("slots.txt"), table);
    }
}

impl Slots {
    /// Waits for `count` more.
    pub fn more(&mut self, count: usize, left: u32) {
        wait(count, left, true);
        self.note();
        self.count += count;
    }

    /// Gives `count` of them back.
    pub fn less(&mut self, count: usize) {
        assert!(count < self.count, "{} of {}", count, self.count);
        self.note();
        self.count -= count;
        queue().taken -= count;
        CHANGED.notify_all();
    }

    /// Adds up the time used so far.
    fn note(&mut self) {
        let seconds = self.since.elapsed().as_secs() * self.count as u64;
        self.since = Instant::now();
        let mut queue = queue();
        queue.used.entry(self.test.clone()).or_default().machines += seconds;
        queue.tell();
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.note();
        queue().taken -= self.count;
        CHANGED.notify_all();
    }
}

/// What the processors of this machine did of late.
struct Idle {
    /// When somebody looked, the idle time until then in ticks, and the verdict.
    last: Option<(Instant, u64, bool)>,
}

/// The kernel counts in hundredths of a second ([proc_stat(5)]).
///
/// [proc_stat(5)]: https://man7.org/linux/man-pages/man5/proc_stat.5.html
const TICKS: f64 = 100.0;

impl Idle {
    /// Whether half a processor was idle in the last window.
    fn look(&mut self) -> bool {
        let now = Instant::now();
        let verdict = match self.last {
            Some((then, _, verdict)) if now - then < WINDOW => return verdict,
            // Nobody has looked for long: that time tells nothing of now.
            Some((then, before, _)) if now - then < 2 * WINDOW => {
                let idle = ticks().saturating_sub(before) as f64 / TICKS;
                idle / (now - then).as_secs_f64() >= 0.5
            }
            _ => false,
        };
        self.last = Some((now, ticks(), verdict));
        verdict
    }
}

/// Idle time of all processors, that in which they wait for a disk included.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let fields = first.split_whitespace().skip(4).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}
