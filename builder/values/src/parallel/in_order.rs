//! Work on many threads whose results are taken one after the other, so that few of them
//! are in memory.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use anyhow::{Context, Result};

/// Results that a thread may be ahead of the one that is taken next.
const AHEAD: usize = 4;

/// Does `work` on every job and gives the results to `take` in the jobs'
/// order, however many threads there are. Each thread has one `S`. At most
/// four jobs a thread are under way or wait to be taken.
pub fn in_order<J: Sync, S, R: Send>(
    jobs: &[J],
    threads: NonZeroUsize,
    start: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &J) -> Result<R> + Sync,
    mut take: impl FnMut(&J, R) -> Result<()>,
) -> Result<()> {
    let threads = threads.get().min(jobs.len());
    let (give, asked) = mpsc::channel();
    let (done, finished) = mpsc::channel();
    let asked = Mutex::new(asked);
    let worker = |done: mpsc::Sender<_>| {
        let mut state = None;
        while let Some(next) = take_next(&asked) {
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                let state = match &mut state {
                    Some(state) => state,
                    none => none.insert(start()?),
                };
                work(state, &jobs[next])
            }));
            if done.send((next, result)).is_err() {
                break;
            }
        }
    };
    thread::scope(|scope| {
        // Dropped at the end, however it comes: the threads end then.
        let give = give;
        for _ in 0..threads {
            let (worker, done) = (&worker, done.clone());
            scope.spawn(move || worker(done));
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut given = 0;
        for (next, job) in jobs.iter().enumerate() {
            while given < jobs.len().min(next + threads * AHEAD) {
                give.send(given).context(GONE)?;
                given += 1;
            }
            let result = loop {
                if let Some(result) = waiting.remove(&next) {
                    break result;
                }
                let (which, result) = finished.recv().context(GONE)?;
                waiting.insert(which, result);
            };
            let result = result.unwrap_or_else(|panic| panic::resume_unwind(panic));
            take(job, result?)?;
        }
        Ok(())
    })
}

const GONE: &str = "the threads have ended";

fn take_next(asked: &Mutex<mpsc::Receiver<usize>>) -> Option<usize> {
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.recv().ok()
}
