//! Downloads side by side, and work on those that have arrived, which need not wait for the
//! others.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use anyhow::Result;
use nodeimg_values::parallel::decoders;

use super::mirrors::Candidate;
use super::outcomes::all_or_every_error;
use super::slots::{Slots, host};
use super::transfer::Outcome;
use super::{Fetcher, Request};
use crate::store::VerifiedBlob;

/// What is done with each that arrives, on a thread that downloads nothing.
pub type Arrived<'a> = &'a (dyn Fn(&Request, &VerifiedBlob) + Sync);

impl Fetcher<'_> {
    /// The blobs of `jobs`, in their order.
    pub(super) fn transfer_all(
        &self,
        requests: &[Request],
        jobs: &[(usize, Vec<Candidate>)],
        arrived: Option<Arrived<'_>>,
    ) -> Result<Vec<VerifiedBlob>> {
        all_or_every_error(self.transfer_each(requests, jobs, arrived)?.into_iter())
    }

    /// What each of `jobs` came to, in their order.
    pub(super) fn transfer_each(
        &self,
        requests: &[Request],
        jobs: &[(usize, Vec<Candidate>)],
        arrived: Option<Arrived<'_>>,
    ) -> Result<Vec<Result<Outcome>>> {
        let first_host = |(n, (_, candidates)): (usize, &(usize, Vec<Candidate>))| {
            (
                n,
                candidates.first().map(|c| host(&c.url)).unwrap_or_default(),
            )
        };
        let slots = Slots::new(
            self.options.per_host,
            jobs.iter().enumerate().map(first_host),
        );
        self.connect(jobs)?;
        let sizes = jobs.iter().filter_map(|(i, _)| requests[*i].want.size);
        self.progress.plan(jobs.len(), sizes.sum());
        let (arrivals, sender) = Arrivals::of(jobs.len());
        let bring = |sender: Sender<usize>| {
            while let Some((n, slot)) = slots.next() {
                let (i, candidates) = &jobs[n];
                let request = &requests[*i];
                let extra = request.want.extra_algorithms();
                arrivals.put(n, self.transfer(request, candidates, &extra, &slots, slot));
                // Nobody listens if nothing is to be done with it.
                let _ = sender.send(n);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.options.jobs.clamp(1, jobs.len().max(1)) {
                let (bring, sender) = (&bring, sender.clone());
                scope.spawn(move || bring(sender));
            }
            drop(sender);
            let Some(arrived) = arrived else { return };
            for _ in 0..decoders().min(jobs.len()) {
                scope.spawn(|| {
                    while let Some((n, blob)) = arrivals.next() {
                        arrived(&requests[jobs[n].0], blob);
                    }
                });
            }
        });
        Ok(arrivals.into_results())
    }
}

/// What each download came to, by its place, and the places of those that nobody has looked at.
struct Arrivals {
    results: Vec<OnceLock<Result<Outcome>>>,
    waiting: Mutex<Receiver<usize>>,
}

impl Arrivals {
    /// Of so many; each that sends puts its result in first.
    fn of(count: usize) -> (Arrivals, Sender<usize>) {
        let (sender, waiting) = channel();
        let arrivals = Arrivals {
            results: (0..count).map(|_| OnceLock::new()).collect(),
            waiting: Mutex::new(waiting),
        };
        (arrivals, sender)
    }

    fn put(&self, at: usize, result: Result<Outcome>) {
        // A place is taken once.
        let _ = self.results[at].set(result);
    }

    /// The next whose bytes are there, and its place; `None` once every sender has ended.
    fn next(&self) -> Option<(usize, &VerifiedBlob)> {
        loop {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let at = waiting.recv().ok()?;
            drop(waiting);
            if let Some(Ok(Outcome::Fetched(blob, _) | Outcome::Found(blob))) =
                self.results.get(at).and_then(OnceLock::get)
            {
                return Some((at, blob));
            }
        }
    }

    /// In the order of their places.
    fn into_results(self) -> Vec<Result<Outcome>> {
        let results = self.results.into_iter();
        results.filter_map(OnceLock::into_inner).collect()
    }
}
