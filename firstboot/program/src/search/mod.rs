//! The search for a seed: how long it takes, and what is reported if there is none.
//!
//! # Rules
//! - A seed made for this very machine is used at once: a labelled volume, a
//!   credential, a word of the command line.
//! - For all others, udev finishes its queue first, so that a slow device does not lose
//!   to a source further down that happens to be ready already.
//! - Then all sources are tried in order, and again whenever a device appears, until
//!   one has a seed or the time is up.
//! - A server is asked for some seconds after this machine has its first address,
//!   even if the time is up by then.
//! - A node that is set up does not wait: it is normal that its volume has been
//!   removed.
//! - Waiting is announced once, and so is what is waited for.
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nodeimg_seed::contract::report::Report;
use nodeimg_seed::contract::settings::MetadataService;
use nodeimg_seed::text::problem::{Place, Problems};

use crate::machine::Machine;
use crate::media::{self, Medium, Patience, System};
use crate::root::gate::Open;
use crate::root::{Access, Root};
use crate::source::{self, Found, Guard, Search, Sought};

/// When the first search of this boot began, in milliseconds of its uptime.
const BEGAN: &str = "/run/nodeimg/search-began";

const POLL: Duration = Duration::from_millis(200);

/// All requests to a server in one pass; one that answers drop by drop is as good as absent.
const ATTEMPT: Duration = Duration::from_secs(20);

/// How long a node that is set up waits for udev.
const SETTLE_AGAIN: Duration = Duration::from_secs(20);

/// How long any node asks a server once there is an address.
const RECHECK: Duration = Duration::from_secs(10);

/// How long a node that is set up asks a server who it is now, all passes together: 10
/// seconds with what is around it.
const ASK_AGAIN: Duration = Duration::from_secs(9);

/// The places to search, and for how long.
pub(crate) struct Seek<'a> {
    pub(crate) root: &'a Root,
    /// `--seed`
    pub(crate) seed: Option<&'a Path>,
    /// Whether an earlier boot has set this node up.
    pub(crate) finished: bool,
    pub(crate) wait: Duration,
    /// The devices of this machine; none for a copy of a root, to which they do not belong.
    pub(crate) system: Option<&'a System>,
    /// Services that the image's recipe asks for.
    pub(crate) metadata: &'a [MetadataService],
    /// What this node refuses, since it is set up.
    pub(crate) guard: &'a Guard,
    /// Before the network is up: a source that needs it ends the search for now.
    pub(crate) early: bool,
}

/// The seed and where it is. Without one, the report and the problems say why; a node
/// that is set up needs none.
pub(crate) fn seek(
    seek: &Seek<'_>,
    report: &mut Report,
    problems: &mut Problems,
) -> Option<Box<Sought>> {
    let (found, media) = wait(seek);
    match found {
        Found::Seed(sought) if seek.seed.is_none() && seek.guard.bars(&sought) => None,
        Found::Seed(sought) => Some(sought),
        Found::Broken {
            place,
            problems: found,
        } => {
            report.source = Some(place);
            problems.append(found);
            None
        }
        // The next step of the boot tries again.
        Found::Pending { .. } if seek.early => None,
        // One that was asked for by name must exist.
        Found::Absent(_) | Found::Pending { .. } if seek.finished && seek.seed.is_none() => None,
        Found::Pending { place, reason } => {
            report.seen = media.iter().map(Medium::shown).collect();
            problems.append(near_misses(seek, &media));
            let reason = format!(
                "cannot be reached: {reason} (waited {} s)",
                seek.wait.as_secs()
            );
            let remedy = "check the machine's network, or use a seed source that needs no network";
            problems.error(&Place::file(place), reason, remedy);
            None
        }
        Found::Absent(seen) => {
            report.seen = media.iter().map(Medium::shown).collect();
            report.seen.extend(seen);
            problems.append(near_misses(seek, &media));
            let mut reason =
                "there is none: nothing tells this machine which node it is".to_owned();
            if seek.system.is_some() && !seek.wait.is_zero() {
                reason.push_str(&format!(" (waited {} s)", seek.wait.as_secs()));
            }
            let remedy = if seek.system.is_some() {
                "attach a volume with the label `cidata` that holds `meta-data` and `user-data`"
            } else {
                "name a directory that holds `meta-data` and `user-data`"
            };
            problems.error(&Place::file("seed"), reason, remedy);
            None
        }
    }
}

/// What is nearly a seed. It opens volumes, which a node that is set up leaves alone.
fn near_misses(seek: &Seek<'_>, media: &[Medium]) -> Problems {
    match seek.guard.is_on() {
        true => Problems::new(),
        false => source::near_misses(media),
    }
}

/// One wait for all steps of a boot: the second step does not repeat the wait of the first.
fn deadline(seek: &Seek<'_>) -> Instant {
    let now = Instant::now();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok());
    let Some(Ok(uptime)) = seconds.map(Duration::try_from_secs_f64) else {
        return now + seek.wait;
    };
    let noted = seek.root.read(BEGAN, 64).ok().flatten();
    let began = noted.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
    let began = match began {
        Some(began) => Duration::from_millis(began),
        None => {
            let text = uptime.as_millis().to_string();
            // Without the note, the next step starts its wait again.
            let _best_effort = seek
                .root
                .replace(BEGAN, text.as_bytes(), Access::PUBLIC, &mut Open);
            uptime
        }
    };
    now + seek.wait.saturating_sub(uptime.saturating_sub(began))
}

/// A server cannot be asked before this machine has an address, and networkd may start
/// late on a slow one: the wait for a seed does not end before that.
struct Network<'a> {
    /// `None` if the root is another machine's.
    machine: Option<(Machine, Patience<'a>)>,
    /// The time at which an address was first seen.
    since: Option<Instant>,
}

impl<'a> Network<'a> {
    fn of(machine: Option<Machine>, system: &'a System) -> Self {
        Self {
            machine: machine.map(|machine| (machine, Patience::new(system))),
            since: None,
        }
    }

    /// The time until which a server is asked, at least `deadline`.
    fn limit(&mut self, deadline: Instant) -> Instant {
        let Some((machine, patience)) = &mut self.machine else {
            return deadline;
        };
        if self.since.is_none() && !machine.addresses().is_empty() {
            self.since = Some(Instant::now());
        }
        match self.since {
            Some(since) => deadline.max(since + RECHECK),
            None if patience.is_over() => deadline,
            None => deadline.max(Instant::now() + RECHECK),
        }
    }
}

fn wait(seek: &Seek<'_>) -> (Found, Vec<Medium>) {
    let mut left = match seek.finished {
        true => ASK_AGAIN,
        false => Duration::MAX,
    };
    let mut search = |media: &[Medium]| {
        let began = Instant::now();
        let found = source::find(&Search {
            root: seek.root,
            seed: seek.seed,
            system: seek.system,
            media,
            metadata: seek.metadata,
            early: seek.early,
            guard: seek.guard,
            deadline: began + ATTEMPT.min(left),
        });
        // Only a server takes long and leaves nothing.
        if matches!(found, (Found::Pending { .. }, _)) {
            left = left.saturating_sub(began.elapsed());
        }
        (found, left)
    };
    let Some(system) = seek.system else {
        return (search(&[]).0.0, Vec::new());
    };
    let deadline = deadline(seek);
    let mut media = media::look(system);
    let ((mut found, firm), mut left) = search(&media);
    if !firm {
        let limit = match seek.finished {
            true => deadline.min(Instant::now() + SETTLE_AGAIN),
            false => deadline,
        };
        media::wait_for_udev(system, limit);
        media = media::look(system);
        ((found, _), left) = search(&media);
    }
    let mut network = Network::of(Machine::of(seek.root), system);
    let mut said = false;
    loop {
        let limit = match &found {
            Found::Absent(_) if !seek.finished => deadline,
            Found::Pending { .. } if seek.early => break,
            // A metadata service, if there is one, tells a clone from its original.
            Found::Pending { .. } if seek.finished => deadline.min(Instant::now() + left),
            Found::Pending { .. } => network.limit(deadline),
            _ => break,
        };
        if Instant::now() >= limit {
            break;
        }
        if !said {
            println!(
                "nodeimg-firstboot: no seed yet; waiting up to {} s for one",
                seek.wait.as_secs()
            );
            said = true;
        }
        sleep(POLL);
        let now = media::look(system);
        let shown = |media: &[Medium]| -> Vec<String> { media.iter().map(Medium::shown).collect() };
        if matches!(found, Found::Pending { .. }) || shown(&now) != shown(&media) {
            media = now;
            ((found, _), left) = search(&media);
        }
    }
    (found, media)
}

#[cfg(test)]
mod guarded;
#[cfg(test)]
mod tests;
