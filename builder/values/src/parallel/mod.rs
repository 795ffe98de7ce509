//! Work for all cores, results in order: all of them at the end ([`in_parallel`]), or
//! one after the other as they are needed ([`in_order()`]). [`beside`] is for one that keeps a
//! single core busy.

mod in_order;

pub use in_order::in_order;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{panic, thread};

/// What was asked for instead of [`cores`]; 0 if nothing was.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// From now on, [`cores`] is this many.
pub fn set_cores(count: NonZeroUsize) {
    ASKED.store(count.get(), Ordering::Relaxed);
}

/// As many threads as this machine runs at a time, if nobody has asked for others.
pub fn cores() -> usize {
    match ASKED.load(Ordering::Relaxed) {
        0 => thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

/// More decoders than this at a time would take more memory than a build should, some 10 MiB
/// each.
const MAX_DECODERS: usize = 16;

/// The same for work that needs memory of its own, as decoders of xz do.
pub fn decoders() -> usize {
    cores().min(MAX_DECODERS)
}

/// Both results. `aside` runs on a thread of its own meanwhile, or first where there is one core.
pub fn beside<A: Send, B>(aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    if cores() == 1 {
        return (aside(), here());
    }
    thread::scope(|scope| {
        let running = scope.spawn(aside);
        let done = here();
        let aside = running.join();
        (
            aside.unwrap_or_else(|panic| panic::resume_unwind(panic)),
            done,
        )
    })
}

/// `work(0)` to `work(count - 1)` on so many threads, results in order.
pub fn in_parallel<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    let result = work(i);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((i, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_run_at_the_same_time_where_there_are_cores() {
        set_cores(NonZeroUsize::new(2).unwrap());
        let (send, receive) = channel();
        // Each waits for what the other does meanwhile.
        let (there, back) = channel();
        let aside = move || {
            send.send(1).unwrap();
            back.recv_timeout(Duration::from_secs(60)).unwrap()
        };
        let here = || {
            let first: i32 = receive.recv_timeout(Duration::from_secs(60)).unwrap();
            there.send(first + 1).unwrap();
            first
        };
        assert_eq!(beside(aside, here), (2, 1));
    }

    #[test]
    fn a_panic_aside_is_not_lost() {
        let panicked = panic::catch_unwind(|| beside(|| panic!("aside"), || 1));
        assert!(panicked.is_err());
    }
}
