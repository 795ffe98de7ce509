//! Who may download next: a queue with a limit for each host.

use reqwest::Url;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue and the number of running downloads by host.
#[derive(Debug)]
pub(super) struct Slots {
    per_host: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Index of a request and the host that it asks first.
    waiting: VecDeque<(usize, String)>,
    busy: HashMap<String, usize>,
}

/// The right to talk to one host, until dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    host: String,
}

impl Slots {
    pub(super) fn new(
        per_host: usize,
        waiting: impl IntoIterator<Item = (usize, String)>,
    ) -> Slots {
        Slots {
            per_host: per_host.max(1),
            state: Mutex::new(State {
                waiting: waiting.into_iter().collect(),
                busy: HashMap::new(),
            }),
            freed: Condvar::new(),
        }
    }

    /// The first request whose host has room; waits for one; `None` when the
    /// queue is empty.
    pub(super) fn next(&self) -> Option<(usize, Slot<'_>)> {
        let mut state = self.lock();
        while !state.waiting.is_empty() {
            let free = |(_, host): &(usize, String)| self.has_room(&state, host);
            let found = state.waiting.iter().position(free);
            if let Some((index, host)) = found.and_then(|at| state.waiting.remove(at)) {
                return Some((index, self.take(&mut state, host)));
            }
            state = self.wait(state);
        }
        None
    }

    /// A slot at another host, for a second candidate.
    pub(super) fn enter(&self, host: String) -> Slot<'_> {
        let mut state = self.lock();
        while !self.has_room(&state, &host) {
            state = self.wait(state);
        }
        self.take(&mut state, host)
    }

    fn has_room(&self, state: &State, host: &str) -> bool {
        state.busy.get(host).is_none_or(|&n| n < self.per_host)
    }

    fn take(&self, state: &mut State, host: String) -> Slot<'_> {
        *state.busy.entry(host.clone()).or_default() += 1;
        Slot { slots: self, host }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.freed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<'_> {
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(n) = self.slots.lock().busy.get_mut(&self.host) {
            *n -= 1;
        }
        self.slots.freed.notify_all();
    }
}

/// What the limit of concurrent downloads counts by.
pub(super) fn host(url: &str) -> String {
    Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What answers or is silent as one: `HOST:PORT`.
pub(super) fn server(url: &str) -> String {
    let port = |url: &Url| {
        let port = url.port_or_known_default();
        port.map_or_else(String::new, |port| format!(":{port}"))
    };
    let url = Url::parse(url).ok();
    let host = url.and_then(|url| Some(format!("{}{}", url.host_str()?, port(&url))));
    host.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_port() {
        for (url, wanted) in [
            ("https://h/x", "h:443"),
            ("http://h:81/x", "h:81"),
            ("file:///x", ""),
            ("x", ""),
        ] {
            assert_eq!(server(url), wanted, "{url}");
        }
    }

    #[test]
    fn a_full_host_lets_another_one_pass() {
        let waiting = [(0, "a"), (1, "a"), (2, "b")].map(|(i, h)| (i, h.to_owned()));
        let slots = Slots::new(1, waiting);
        let first = slots.next();
        let second = slots.next();
        assert_eq!(first.as_ref().map(|(i, _)| *i), Some(0));
        assert_eq!(second.as_ref().map(|(i, _)| *i), Some(2));
        drop(first);
        assert_eq!(slots.next().map(|(i, _)| i), Some(1));
        assert!(slots.next().is_none());
    }
}
