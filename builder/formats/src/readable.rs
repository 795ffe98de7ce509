//! What a format is told of a file's bytes: how many there are, and how to read them.

use std::io::{self, Read};

use nodeimg_values::digest::Digest;

/// Bytes that can be read again and again, from anywhere in them.
pub trait Readable: Sync {
    /// In bytes.
    fn size(&self) -> u64;

    /// Reads `len` bytes from `offset`; both lie within it.
    fn part(&self, offset: u64, len: u64) -> Box<dyn Read + '_>;

    /// The first bytes, at most `limit` of them: enough to tell a format.
    fn head(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.part(0, self.size().min(limit))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The digest, if it is known without reading.
    fn known_digest(&self) -> Option<&Digest> {
        None
    }

    /// Whether nobody can change the bytes: this process alone has them, in memory.
    fn is_fixed(&self) -> bool {
        false
    }
}

impl Readable for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn part(&self, offset: u64, len: u64) -> Box<dyn Read + '_> {
        let rest = self.get(offset as usize..).unwrap_or_default();
        Box::new(rest.get(..len as usize).unwrap_or(rest))
    }
}

impl Readable for &[u8] {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn part(&self, offset: u64, len: u64) -> Box<dyn Read + '_> {
        (**self).part(offset, len)
    }
}

impl Readable for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn part(&self, offset: u64, len: u64) -> Box<dyn Read + '_> {
        self.as_slice().part(offset, len)
    }
}
