//! A part of a file, written as if it were a file of its own.
//!
//! # Invariants
//! Zeros that were not overwritten become a hole: the file, new and
//! empty where the region lies, reads the same and takes no room there.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// Writes at its own position, whatever others do with the file.
pub struct Region<'a> {
    file: &'a File,
    start: u64,
    position: u64,
    /// The end of what was ever written: a hole is made only behind it.
    end: u64,
}

impl<'a> Region<'a> {
    /// From `start` of `file` on.
    pub fn new(file: &'a File, start: u64) -> Region<'a> {
        Region {
            file,
            start,
            position: 0,
            end: 0,
        }
    }
}

impl Write for Region<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let hole = self.position >= self.end && bytes.iter().all(|&byte| byte == 0);
        if !hole {
            let at = self.start.checked_add(self.position);
            self.file
                .write_all_at(bytes, at.ok_or_else(|| io::Error::other("too far"))?)?;
        }
        self.position += bytes.len() as u64;
        self.end = self.end.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Region<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, SeekFrom};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn bytes(mut file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_twice_is_what_was_written_last() {
        let file = tempfile::tempfile().unwrap();
        let mut region = Region::new(&file, 4);
        region.write_all(b"abcdef").unwrap();
        region.seek(SeekFrom::Start(1)).unwrap();
        region.write_all(&[0, 0]).unwrap();
        region.seek(SeekFrom::Current(1)).unwrap();
        region.write_all(b"E").unwrap();
        assert_eq!(region.seek(SeekFrom::End(-1)).unwrap(), 5);
        assert!(region.seek(SeekFrom::Current(-6)).is_err());
        assert_eq!(bytes(&file), b"\0\0\0\0a\0\0dEf");
    }

    #[test]
    fn zeros_take_no_room() {
        let file = tempfile::tempfile().unwrap();
        let mut region = Region::new(&file, 0);
        for _ in 0..64 {
            region.write_all(&[0; 65536]).unwrap();
        }
        region.write_all(b"end").unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!(meta.len(), 64 * 65536 + 3);
        assert!(meta.blocks() * 512 < 1 << 20, "{}", meta.blocks());
        assert!(bytes(&file)[..64 * 65536].iter().all(|&byte| byte == 0));
    }
}
