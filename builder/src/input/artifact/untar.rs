//! From a packed tar (or one file) to a plain one in the store, once ever.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, anyhow};
use nodeimg_formats::packing::Packing;
use nodeimg_values::full;

use crate::store::{Reading, Store, VerifiedBlob};

/// How much a tar may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub bytes: u64,
    /// What to do about one that holds more.
    pub remedy: &'static str,
}

impl Limit {
    pub fn check(self, size: u64) -> Result<()> {
        match size > self.bytes {
            true => Err(self.exceeded()),
            false => Ok(()),
        }
    }

    fn exceeded(self) -> anyhow::Error {
        let Limit { bytes, remedy } = self;
        anyhow!("it unpacks to more than {bytes} bytes: {remedy}")
    }
}

/// How a packed tar becomes a plain one.
pub struct Untar<'a> {
    pub store: &'a Store,
    /// Name and version of this step, see [`Store::derive`].
    pub step: &'static str,
    pub limit: Limit,
}

impl Untar<'_> {
    /// The tar that `blob` unpacks to. One that is not in the store yet is read by `read`
    /// on its way there; what `read` refuses leaves nothing behind.
    pub fn unpack<T>(
        &self,
        blob: &VerifiedBlob,
        packing: Packing,
        read: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<(VerifiedBlob, Option<T>)> {
        let context = || format!("preparing the {} decoder", packing.name());
        self.unpack_by(
            blob,
            packing.name(),
            |from| packing.decoder(from).with_context(context),
            read,
        )
    }

    /// The same with a decoder of the caller's own; `name` is the format's.
    pub fn unpack_by<T>(
        &self,
        blob: &VerifiedBlob,
        name: &'static str,
        open: impl for<'a> FnOnce(&'a mut Reading<'_>) -> Result<Box<dyn Read + 'a>>,
        read: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<(VerifiedBlob, Option<T>)> {
        let mut fresh = None;
        let tar = self.store.derive(blob, self.step, |from, to| {
            let mut copy = Copying {
                from: open(from)?,
                to,
                name,
                left: self.limit.bytes,
                failed: None,
            };
            let found = read(&mut copy);
            // What the reader met is the cause; `read` only saw its consequence.
            fresh = Some(match copy.failed {
                Some(Failure::TooLarge) => return Err(self.limit.exceeded()),
                Some(Failure::Other(error)) => return Err(error),
                None => found?,
            });
            Ok(())
        })?;
        self.limit.check(tar.size())?;
        Ok((tar, fresh))
    }
}

/// Reads a shared file from a place of its own.
pub struct At<'a> {
    pub file: &'a File,
    pub at: u64,
}

impl At<'_> {
    pub fn start(file: &File) -> At<'_> {
        At { file, at: 0 }
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek out of the file"))?;
        Ok(self.at)
    }
}

/// Reads what `from` gives and writes it to `to`, up to a limit.
struct Copying<'a> {
    from: Box<dyn Read + 'a>,
    to: &'a mut dyn Write,
    name: &'static str,
    left: u64,
    failed: Option<Failure>,
}

enum Failure {
    TooLarge,
    Other(anyhow::Error),
}

impl Copying<'_> {
    fn fail(&mut self, failure: Failure) -> io::Error {
        self.failed = Some(failure);
        io::Error::other("unpacking failed")
    }

    fn damaged(&self, error: &io::Error) -> Failure {
        let name = self.name;
        Failure::Other(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                anyhow!("the archive is cut short: its {name} data ends too early")
            }
            _ => anyhow!("its {name} data is damaged, or something follows it: {error}"),
        })
    }
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = loop {
            match self.from.read(buffer) {
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let failure = self.damaged(&e);
                    return Err(self.fail(failure));
                }
            }
        };
        let Some(left) = self.left.checked_sub(n as u64) else {
            return Err(self.fail(Failure::TooLarge));
        };
        self.left = left;
        if let Err(e) = self.to.write_all(&buffer[..n]) {
            let hint = full::hint(&e);
            let error = anyhow!(e).context(format!("writing its tar into the store{hint}"));
            return Err(self.fail(Failure::Other(error)));
        }
        Ok(n)
    }
}
