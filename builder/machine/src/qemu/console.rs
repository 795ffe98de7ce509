//! The guest's console on its way through, in search of a text.

use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

use super::sink::Sink;

/// Looks through it as it passes it on.
pub(super) struct Console {
    from: ChildStdout,
    to: Sink,
    /// Nothing once it was found.
    expect: Vec<u8>,
    /// The end of what was seen, shorter than the text.
    tail: Vec<u8>,
}

impl Console {
    pub(super) fn new(from: ChildStdout, expect: &str, to: Sink) -> Console {
        Console {
            from,
            to,
            expect: expect.as_bytes().to_vec(),
            tail: Vec::new(),
        }
    }

    /// Reads on until the text is found: whether it was, before the end. May
    /// be dropped at any time without losing a byte.
    pub(super) async fn find(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            let read = self.from.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                return false;
            }
            // The output is searched even if it cannot be shown.
            let _ = self.to.write(&buffer[..read]);
            if self.finds(&buffer[..read]) {
                self.expect.clear();
                return true;
            }
        }
    }

    fn finds(&mut self, bytes: &[u8]) -> bool {
        let window = self.expect.len();
        if window == 0 {
            return false;
        }
        self.tail.extend_from_slice(bytes);
        let found = self.tail.windows(window).any(|part| part == self.expect);
        let keep = self.tail.len().min(window - 1);
        self.tail.drain(..self.tail.len() - keep);
        found
    }
}

/// The same, for ever if there is nothing to be read.
pub(super) async fn find(console: &mut Option<Console>) -> bool {
    match console {
        Some(console) => console.find().await,
        None => std::future::pending().await,
    }
}
