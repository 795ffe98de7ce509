//! How often and after what wait something transient is tried again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::failure::Failure;

/// The limits of trying again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries in all that bring nothing new; progress sets the count back.
    pub attempts: u32,
    /// Before the second try; it doubles from try to try.
    pub first_wait: Duration,
    /// No wait is longer, whatever the server asks for.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// The state of trying one thing.
#[derive(Debug)]
pub(super) struct Backoff<'a> {
    retry: &'a Retry,
    failed: u32,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(retry: &'a Retry) -> Backoff<'a> {
        Backoff { retry, failed: 0 }
    }

    /// Progress was made: start counting again.
    pub(super) fn reset(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next try, or that there should be none.
    pub(super) fn wait(&mut self, failure: &Failure) -> Option<Duration> {
        self.failed += 1;
        if !failure.is_transient() || self.failed >= self.retry.attempts {
            return None;
        }
        let doubled = self
            .retry
            .first_wait
            .saturating_mul(1 << (self.failed - 1).min(16));
        let ours = doubled.min(self.retry.longest_wait).mul_f64(jitter());
        let asked = failure.retry_after().unwrap_or_default();
        Some(ours.max(asked.min(self.retry.longest_wait)))
    }
}

/// Between one half and one, so that many machines do not come back at once.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish() >> 32;
    0.5 + f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX) / 2.0
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn waits_double_within_bounds_and_end() {
        let retry = Retry {
            attempts: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(3),
        };
        let mut backoff = Backoff::new(&retry);
        for most in [1.0, 2.0, 3.0, 3.0] {
            let wait = backoff.wait(&Failure::Timeout).unwrap_or_default();
            assert!(
                wait.as_secs_f64() >= most / 2.0 && wait.as_secs_f64() <= most,
                "{wait:?}"
            );
        }
        assert_eq!(backoff.wait(&Failure::Timeout), None);
        backoff.reset();
        assert!(backoff.wait(&Failure::Timeout).is_some());
    }

    #[test]
    fn a_server_may_ask_for_more_but_not_for_ever() {
        let retry = Retry::default();
        for (asked, wanted) in [(7, 7), (3600, 30)] {
            let failure = Failure::Status {
                code: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(Duration::from_secs(asked)),
                note: None,
            };
            let wait = Backoff::new(&retry).wait(&failure);
            assert_eq!(wait, Some(Duration::from_secs(wanted)));
        }
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        let retry = Retry::default();
        let status = |code| Failure::Status {
            code,
            retry_after: None,
            note: None,
        };
        for failure in [
            status(StatusCode::NOT_FOUND),
            status(StatusCode::FORBIDDEN),
            Failure::Tls(String::new()),
            Failure::Refused(String::new()),
        ] {
            assert_eq!(Backoff::new(&retry).wait(&failure), None, "{failure:?}");
        }
        for failure in [status(StatusCode::BAD_GATEWAY), Failure::Timeout] {
            assert!(Backoff::new(&retry).wait(&failure).is_some(), "{failure:?}");
        }
    }
}
