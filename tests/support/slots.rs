//! How many machines run at a time. Each is a processor's work but for what it
//! waits (for a medium, for a lease, for a kubelet's next try), so that there is
//! one more than there are processors. Who waits longest is next: a test of two
//! machines is not passed over by those of one.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

struct Queue {
    taken: usize,
    /// The number of who comes next, and of those who wait.
    next: u64,
    waiting: BTreeSet<u64>,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    taken: 0,
    next: 0,
    waiting: BTreeSet::new(),
});
static CHANGED: Condvar = Condvar::new();

/// The right to run some machines; given back when it is dropped.
pub struct Slots(usize);

/// Two at least, which tests of two nodes need.
fn all() -> usize {
    available_parallelism().map_or(2, |count| count.get() + 1)
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `count` more machines may run.
pub fn take(count: usize) -> Slots {
    let mut queue = queue();
    let number = queue.next;
    queue.next += 1;
    queue.waiting.insert(number);
    let mut queue = CHANGED
        .wait_while(queue, |queue| {
            queue.waiting.first() != Some(&number) || queue.taken + count > all()
        })
        .unwrap_or_else(PoisonError::into_inner);
    queue.waiting.remove(&number);
    queue.taken += count;
    CHANGED.notify_all();
    Slots(count)
}

impl Slots {
    /// The same right in two parts, of `count` and of the rest.
    pub fn split(mut self, count: usize) -> (Slots, Slots) {
        assert!(count <= self.0);
        let rest = self.0 - count;
        self.0 = count;
        (self, Slots(rest))
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        queue().taken -= self.0;
        CHANGED.notify_all();
    }
}
