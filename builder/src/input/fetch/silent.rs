//! Servers that are not worth waiting for.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Servers that did not answer, however often they were asked. What a mirror says
/// that it has not is not waited for there again: the next mirror in line is
/// often one that this machine cannot reach at all.
#[derive(Default)]
pub(super) struct Silent(Mutex<BTreeSet<String>>);

impl Silent {
    /// Whether it is new here.
    pub(super) fn add(&self, host: String) -> bool {
        self.hosts().insert(host)
    }

    pub(super) fn has(&self, host: &str) -> bool {
        self.hosts().contains(host)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
