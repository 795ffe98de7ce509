//! How many machines run at a time. Each is a processor's work but for what it
//! waits (for a medium, for a lease, for a kubelet's next try), so that there is
//! one more than there are processors.
//!
//! Next is whose test takes longest from here on, so that no long one is begun
//! when all others are done and a processor is idle; among those alike, who waits
//! longest. A test of two machines is not passed over by those of one.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

struct Queue {
    taken: usize,
    /// The number of who comes next.
    next: u64,
    /// What their tests have left, and their numbers.
    waiting: BTreeSet<(Reverse<u32>, u64)>,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    taken: 0,
    next: 0,
    waiting: BTreeSet::new(),
});
static CHANGED: Condvar = Condvar::new();

/// The right to run some machines; given back when it is dropped. Who takes more
/// while it has some waits for others alone, so that no more than one test
/// may (tests/cluster/hard_way.rs).
pub struct Slots(usize);

/// Three at least: beside a test that has one place and waits for its second there
/// is room for one that takes two at once.
fn all() -> usize {
    available_parallelism().map_or(3, |count| (count.get() + 1).max(3))
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `count` more machines may run. `left` is how many boots the test
/// has before it, with these, or other work that takes as long.
pub fn take(count: usize, left: u32) -> Slots {
    let mut queue = queue();
    let own = (Reverse(left), queue.next);
    queue.next += 1;
    queue.waiting.insert(own);
    let mut queue = CHANGED
        .wait_while(queue, |queue| {
            queue.waiting.first() != Some(&own) || queue.taken + count > all()
        })
        .unwrap_or_else(PoisonError::into_inner);
    queue.waiting.remove(&own);
    queue.taken += count;
    CHANGED.notify_all();
    Slots(count)
}

impl Drop for Slots {
    fn drop(&mut self) {
        queue().taken -= self.0;
        CHANGED.notify_all();
    }
}
