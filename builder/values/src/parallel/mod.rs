//! Work for all cores, results in order: all of them at the end ([`in_parallel`]), or
//! one after the other as they are needed ([`in_order()`]).

mod in_order;

pub use in_order::in_order;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

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
