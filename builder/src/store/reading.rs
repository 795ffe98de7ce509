//! Reading a verified blob from end to end, verified once more by the bytes that were read.
//!
//! A blob is hashed when it is opened. Its file may change after that: by a disk that fails,
//! or by whoever else can write to the store. What is kept must come of the right bytes, or
//! it would be wrong for ever.

use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use anyhow::{Context, Result, ensure};
use nodeimg_values::digest::{Digest, Hasher};

use super::VerifiedBlob;

/// What changes with any write to a file: its size and the time of the last change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub fn of(file: &std::fs::File) -> io::Result<Stamp> {
        let meta = file.metadata()?;
        Ok(Stamp {
            size: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// Reads a blob from its start and hashes what it reads.
pub struct Reading<'a> {
    blob: &'a VerifiedBlob,
    at: u64,
    /// Whoever reads has been told that this is all of it.
    ended: bool,
    hasher: Hasher,
}

impl Reading<'_> {
    /// For a format that is not read from its start to its end; `finish` reads all of it.
    pub fn file(&self) -> &std::fs::File {
        &self.blob.file
    }

    /// Reads on up to `offset` from the blob's start.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        let ahead = offset.checked_sub(self.at);
        let ahead = ahead.ok_or_else(|| io::Error::other("a blob is read backwards"))?;
        io::copy(&mut self.by_ref().take(ahead), &mut io::sink()).map(drop)
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// The bytes were not those that the blob's digest stands for.
    pub fn finish(mut self) -> Result<()> {
        let blob = self.blob;
        io::copy(&mut self, &mut io::sink())
            .with_context(|| format!("reading {}", blob.path.display()))?;
        blob.expect(&self.hasher.finish().sha256)
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let n = self.blob.file.read_at(buffer, self.at)?;
        self.ended = n == 0;
        self.hasher.update(&buffer[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl VerifiedBlob {
    pub fn reading(&self) -> Reading<'_> {
        Reading {
            blob: self,
            at: 0,
            ended: false,
            hasher: Hasher::new(&[]),
        }
    }

    /// Whether nothing was written to the file since its bytes were hashed; if something
    /// was, the bytes are hashed again.
    ///
    /// # Errors
    /// They are others now.
    pub fn check_unchanged(&self) -> Result<()> {
        let context = || format!("reading {}", self.path.display());
        if Stamp::of(&self.file).with_context(context)? == self.stamp {
            return Ok(());
        }
        self.reading().finish()
    }

    fn expect(&self, got: &Digest) -> Result<()> {
        ensure!(
            *got == self.sha256,
            "{} has changed since it was verified (it is {got} now): another program writes to \
             the store, or its disk fails. Nothing was kept of it: run `nodeimg store verify`, \
             and build again",
            self.path.display()
        );
        Ok(())
    }
}
