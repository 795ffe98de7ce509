//! Where a file has data, and where nothing but holes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use nodeimg_values::digest::{Hasher, Measured};

static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// The first stretch of data that ends behind `from`, cut to what lies from
/// there on; `None` if only holes follow. What is outside reads as zeros, what
/// is inside may do so too. Moves the file's position.
///
/// A file system that knows no holes has data everywhere.
pub fn next_data(file: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    let end = file.metadata()?.len();
    if from >= end {
        return Ok(None);
    }
    let seek = |at: u64, whence| -> nix::Result<u64> {
        let at = i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
        lseek(file, at, whence).map(|at| at as u64)
    };
    let start = match seek(from, Whence::SeekData) {
        Ok(start) => start,
        Err(Errno::ENXIO) => return Ok(None),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(Some(from..end)),
        Err(error) => return Err(error.into()),
    };
    // The end of the file counts as a hole.
    Ok(Some(start..seek(start, Whence::SeekHole)?))
}

/// The digest of all of `file`. Its holes count as the zeros that they read as, and are not
/// read: the kernel would make pages of zeros for that. Moves the file's position.
pub fn measure(file: &File) -> io::Result<Measured> {
    let size = file.metadata()?.len();
    let mut hasher = Hasher::new(&[]);
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < size {
        let data = next_data(file, at)?.unwrap_or(size..size);
        let mut hole = data.start - at;
        while hole > 0 {
            let len = hole.min(ZEROS.len() as u64);
            hasher.update(&ZEROS[..len as usize]);
            hole -= len;
        }
        at = data.start;
        while at < data.end {
            let len = (data.end - at).min(buffer.len() as u64) as usize;
            file.read_exact_at(&mut buffer[..len], at)?;
            hasher.update(&buffer[..len]);
            at += len as u64;
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_values::digest::Digest;

    use super::*;

    #[test]
    fn data_is_found_behind_holes() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(next_data(&file, 0).unwrap(), None);
        file.write_all_at(b"first", 4 << 20).unwrap();
        file.write_all_at(b"second", 16 << 20).unwrap();
        file.set_len(32 << 20).unwrap();
        let (mut found, mut position) = (Vec::new(), 0);
        while let Some(data) = next_data(&file, position).unwrap() {
            position = data.end;
            found.push(data);
        }
        // One stretch of all on a file system without holes.
        for place in [4 << 20, 16 << 20] {
            assert!(found.iter().any(|data| data.contains(&place)), "{found:?}");
        }
        assert!(found.iter().all(|data| data.end <= 32 << 20), "{found:?}");
        let cut = next_data(&file, (4 << 20) + 2).unwrap().unwrap();
        assert_eq!(cut.start, (4 << 20) + 2);
        assert_eq!(next_data(&file, 32 << 20).unwrap(), None);
    }

    #[test]
    fn holes_count_as_the_zeros_that_they_read_as() {
        let file = tempfile::tempfile().unwrap();
        let digest = || measure(&file).unwrap();
        assert_eq!(digest().sha256, Digest::sha256(b""));
        let mut all = vec![0; (3 << 20) + 77];
        file.set_len(all.len() as u64).unwrap();
        assert_eq!(digest().sha256, Digest::sha256(&all));
        for (at, byte) in [
            (0, 1),
            (1 << 20, 2),
            ((2 << 20) - 1, 3),
            ((3 << 20) + 76, 4),
        ] {
            file.write_all_at(&[byte], at as u64).unwrap();
            all[at] = byte;
            let measured = digest();
            assert_eq!(measured.sha256, Digest::sha256(&all));
            assert_eq!(measured.size, all.len() as u64);
        }
    }
}
