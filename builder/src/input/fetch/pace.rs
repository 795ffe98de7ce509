//! Whether a body comes fast enough.
//!
//! A server that sends a byte now and then never is silent, and holds a download
//! for days while other mirrors have the file. As with curl's
//! [`--speed-limit`](https://curl.se/docs/manpage.html#-Y), what brings less than a
//! least amount in a window of time has failed.
//!
//! Only the time in which the network is waited for counts, not the time in which this
//! machine hashes and writes.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::failure::Failure;

/// The least rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Least {
    pub bytes: u64,
    /// In which they have to come.
    pub window: Duration,
}

impl Default for Least {
    /// A kibibyte a second: slower than any modem that is still in use.
    fn default() -> Least {
        Least {
            bytes: 60 * 1024,
            window: Duration::from_secs(60),
        }
    }
}

/// Of a piece of a body, in bytes.
pub(super) fn length(piece: &reqwest::Result<Option<Bytes>>) -> usize {
    match piece {
        Ok(Some(bytes)) => bytes.len(),
        _ => 0,
    }
}

/// The state of one body.
#[derive(Debug)]
pub(super) struct Pace {
    least: Least,
    came: u64,
    waited: Duration,
}

impl Pace {
    pub(super) fn new(least: Least) -> Pace {
        Pace {
            least,
            came: 0,
            waited: Duration::ZERO,
        }
    }

    /// What `next` gives; `size` says how many bytes that brings.
    pub(super) async fn wait<T>(
        &mut self,
        next: impl Future<Output = T>,
        size: impl FnOnce(&T) -> usize,
    ) -> Result<T, Failure> {
        let since = Instant::now();
        let left = self.least.window.saturating_sub(self.waited);
        let Ok(got) = timeout(left, next).await else {
            // Nothing at all is the server's silence, which has its own limit.
            return Err(match self.came {
                0 => Failure::Timeout,
                came => self.slow(came),
            });
        };
        self.came += size(&got) as u64;
        self.waited += since.elapsed();
        if self.waited >= self.least.window {
            if self.came < self.least.bytes {
                return Err(self.slow(self.came));
            }
            (self.came, self.waited) = (0, Duration::ZERO);
        }
        Ok(got)
    }

    fn slow(&self, came: u64) -> Failure {
        Failure::Slow {
            came,
            window: self.least.window,
        }
    }
}
