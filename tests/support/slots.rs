//! How many machines run at a time: each is a processor's work.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::available_parallelism;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to run some machines; given back when it is dropped.
pub struct Slots(usize);

/// As many as there are processors, and two at least: tests of two nodes need them.
fn all() -> usize {
    available_parallelism().map_or(2, |count| count.get().max(2))
}

/// Waits until `count` more machines may run.
pub fn take(count: usize) -> Slots {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = GIVEN_BACK
        .wait_while(taken, |taken| *taken + count > all())
        .unwrap_or_else(PoisonError::into_inner);
    *taken += count;
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
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}
