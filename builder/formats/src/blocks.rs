//! A disk, or a part of one, that is changed in place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nodeimg_values::system;

/// Bytes at places; what was written is only certain to last once it is flushed.
pub trait Blocks: Sync {
    /// Fills `bytes` from `at` on.
    ///
    /// # Errors
    /// It ends before, or cannot be read.
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;
    /// # Errors
    /// It ends before, or cannot be written.
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Everything that was written before is on the medium when this returns.
    ///
    /// # Errors
    /// The medium has refused something.
    fn flush(&self) -> io::Result<()>;
    /// What is read from here on comes from the medium, as far as the system can do that.
    fn forget(&self) {}
}

impl Blocks for File {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn flush(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn forget(&self) {
        system::forget(self);
    }
}

/// A partition of a disk.
pub struct Part<'a> {
    pub of: &'a dyn Blocks,
    /// In bytes.
    pub start: u64,
    /// In bytes.
    pub size: u64,
}

impl Part<'_> {
    fn place(&self, length: usize, at: u64) -> io::Result<u64> {
        let end = at.checked_add(length as u64);
        match end.filter(|end| *end <= self.size) {
            Some(_) => Ok(self.start + at),
            None => Err(io::Error::other("is outside the partition")),
        }
    }
}

impl Blocks for Part<'_> {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.of.read(bytes, self.place(bytes.len(), at)?)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.of.write(bytes, self.place(bytes.len(), at)?)
    }

    fn flush(&self) -> io::Result<()> {
        self.of.flush()
    }

    fn forget(&self) {
        self.of.forget();
    }
}
