//! Bounds what a reader of tar archives takes into memory.
//!
//! The `tar` crate reads the long names and pax records before a member into
//! memory, whatever size their headers state. Every archive of somebody else's is
//! read through [`Guarded`].

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// A tar's block: padding and end mark.
const SLACK: u64 = 1024;

/// What [`Guarded`] and its user tell each other while `tar` reads.
#[derive(Debug)]
pub struct Guard {
    left: Cell<u64>,
    at_end: Cell<bool>,
    most: u64,
}

impl Guard {
    /// `most` is what the headers of one member may have, in bytes.
    pub fn new(most: u64) -> Guard {
        Guard {
            left: Cell::new(most),
            at_end: Cell::new(false),
            most,
        }
    }

    /// The next reads are of a member with `size` bytes.
    pub fn allow_body(&self, size: u64) {
        self.left.set(size.saturating_add(SLACK));
    }

    /// The next reads are of a member's headers, after the rest of one with `size` bytes.
    pub fn allow_headers_after(&self, size: u64) {
        let body = size.saturating_add(SLACK);
        self.left.set(body.saturating_add(self.most));
    }

    /// Whether the data has ended, which `tar` takes for an end mark.
    pub fn is_at_end(&self) -> bool {
        self.at_end.get()
    }
}

/// A reader that gives no more than its guard allows.
#[derive(Debug)]
pub struct Guarded<R> {
    inner: R,
    guard: Rc<Guard>,
}

impl<R> Guarded<R> {
    pub fn new(inner: R, guard: Rc<Guard>) -> Guarded<R> {
        Guarded { inner, guard }
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && !buffer.is_empty() {
            self.guard.at_end.set(true);
        }
        let left = self.guard.left.get().checked_sub(n as u64);
        let left = left.ok_or_else(|| {
            io::Error::other(format!(
                "the headers of a member are longer than {} bytes",
                self.guard.most
            ))
        })?;
        self.guard.left.set(left);
        Ok(n)
    }
}

impl<R: Seek> Seek for Guarded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
