//! cpio archives in the "new ASCII" format, as the kernel unpacks an initrd
//! ([the kernel's description](https://docs.kernel.org/driver-api/early-userspace/buffer-format.html)).
//!
//! ```text
//!   0 "070701"     54 size            each number: 8 hexadecimal digits
//!   6 inode        62 device, major
//!  14 mode         70 device, minor
//!  22 uid          78 rdev, major
//!  30 gid          86 rdev, minor
//!  38 links        94 length of the name with its NUL
//!  46 mtime       102 checksum: zero
//! 110 name, NUL, zeros to a multiple of 4; content, zeros to a multiple of 4
//! ```
//! The last entry is called `TRAILER!!!`; zeros follow to a multiple of 512.
//!
//! # Invariants
//! - Inodes are counted from one in the order of writing: no entry is taken for
//!   a hard link of another, and nothing comes from a host.
//! - A file's content has just the length that was said.
//!
//! Left out: devices, hard links, reading.

use std::io::{self, Read, Write};

use anyhow::{Context, Result, bail};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const TRAILER: &str = "TRAILER!!!";
const BLOCK: u64 = 512;

/// Who owns an entry, and its permission bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// An archive under way: entries come in the caller's order, every directory
/// before what is in it.
pub struct Writer<W> {
    to: W,
    mtime: u32,
    inode: u32,
    written: u64,
}

struct Header<'a> {
    name: &'a str,
    owner: Owner,
    kind: u32,
    links: u32,
    mtime: u32,
    len: u64,
}

impl<W: Write> Writer<W> {
    /// Everything in it gets the time `mtime`, in seconds since 1970.
    pub fn new(to: W, mtime: u64) -> Result<Writer<W>> {
        let mtime = u32::try_from(mtime)
            .with_context(|| format!("the time {mtime} does not fit into a cpio archive"))?;
        Ok(Writer {
            to,
            mtime,
            inode: 0,
            written: 0,
        })
    }

    /// `name` is relative, without `./`, as all names are.
    pub fn directory(&mut self, name: &str, owner: Owner) -> Result<()> {
        self.header(&self.of(name, owner, DIRECTORY, 0))
    }

    pub fn symlink(&mut self, name: &str, owner: Owner, target: &str) -> Result<()> {
        self.header(&self.of(name, owner, SYMLINK, target.len() as u64))?;
        self.put(target.as_bytes())?;
        self.pad(4)
    }

    /// A file of all of `content`, which is `len` bytes.
    pub fn file(&mut self, name: &str, owner: Owner, len: u64, content: impl Read) -> Result<()> {
        self.header(&self.of(name, owner, FILE, len))?;
        let mut content = content.take(len.saturating_add(1));
        let copied = io::copy(&mut content, &mut self.to).with_context(|| writing(name))?;
        if copied != len {
            bail!("`{name}` does not have the announced length of {len} bytes");
        }
        self.written += copied;
        self.pad(4)
    }

    /// Ends the archive and hands back what it was written to.
    pub fn finish(mut self) -> Result<W> {
        let nobody = Owner {
            mode: 0,
            uid: 0,
            gid: 0,
        };
        let end = Header {
            mtime: 0,
            ..self.of(TRAILER, nobody, 0, 0)
        };
        self.header(&end)?;
        self.pad(BLOCK)?;
        Ok(self.to)
    }

    fn of<'a>(&self, name: &'a str, owner: Owner, kind: u32, len: u64) -> Header<'a> {
        Header {
            name,
            owner,
            kind,
            links: if kind == DIRECTORY { 2 } else { 1 },
            mtime: self.mtime,
            len,
        }
    }

    fn header(&mut self, header: &Header<'_>) -> Result<()> {
        let name = header.name;
        let size = u32::try_from(header.len)
            .with_context(|| format!("`{name}` is larger than 4 GiB, the most that cpio allows"))?;
        self.inode += 1;
        let owner = header.owner;
        let numbers = [
            self.inode,
            header.kind | owner.mode,
            owner.uid,
            owner.gid,
            header.links,
            header.mtime,
            size,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        let mut bytes = b"070701".to_vec();
        for number in numbers {
            bytes.extend_from_slice(format!("{number:08X}").as_bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        self.put(&bytes)?;
        self.pad(4)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.to.write_all(bytes).context("writing an archive")?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, to: u64) -> Result<()> {
        let over = self.written.next_multiple_of(to) - self.written;
        self.put(&[0; BLOCK as usize][..over as usize])
    }
}

fn writing(name: &str) -> String {
    format!("writing `{name}` into an archive")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;
    use nodeimg_test_support::judge;

    const ROOT: Owner = Owner {
        mode: 0o755,
        uid: 0,
        gid: 0,
    };

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 1_700_000_000).unwrap();
        writer.directory("etc", ROOT).unwrap();
        let secret = Owner {
            mode: 0o600,
            ..ROOT
        };
        writer.file("etc/five", secret, 5, &b"12345"[..]).unwrap();
        writer.file("etc/none", ROOT, 0, &b""[..]).unwrap();
        let link = Owner {
            mode: 0o777,
            ..ROOT
        };
        writer.symlink("init", link, "usr/lib/x").unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn headers_are_numbered_and_aligned() {
        let bytes = sample();
        assert_eq!(bytes.len() % 512, 0);
        let first = "07070100000001000041ED00000000000000000000000265";
        assert!(bytes.starts_with(first.as_bytes()));
        let starts: Vec<usize> = (0..bytes.len() - 6)
            .filter(|at| bytes[*at..].starts_with(b"070701"))
            .collect();
        assert_eq!(starts.len(), 5);
        assert!(starts.iter().all(|at| at % 4 == 0));
        assert_eq!(bytes, sample());
    }

    #[test]
    fn cpio_unpacks_it() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("archive");
        fs::write(&archive, sample()).unwrap();
        let mut cpio = Command::new("cpio");
        cpio.args(["--extract", "--preserve-modification-time", "--quiet", "-F"])
            .arg(&archive)
            .current_dir(dir.path());
        let Some(told) = judge::run(&mut cpio) else {
            return;
        };
        assert!(told.status.success(), "{told:?}");
        let at = |name: &str| dir.path().join(name);
        assert_eq!(fs::read(at("etc/five")).unwrap(), b"12345");
        let meta = fs::metadata(at("etc/five")).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.mtime()), (0o600, 1_700_000_000));
        assert_eq!(fs::read(at("etc/none")).unwrap(), b"");
        let target = fs::read_link(at("init")).unwrap();
        assert_eq!(target.to_str(), Some("usr/lib/x"));
    }

    #[test]
    fn a_content_of_another_length_is_an_error() {
        for content in [&b"1234"[..], b"123456"] {
            let mut writer = Writer::new(Vec::new(), 0).unwrap();
            let error = writer.file("five", ROOT, 5, content).unwrap_err();
            assert!(error.to_string().contains("five"), "{error}");
        }
        assert!(Writer::new(Vec::new(), u64::from(u32::MAX) + 1).is_err());
    }
}
