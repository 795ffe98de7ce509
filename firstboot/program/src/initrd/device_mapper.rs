//! `/dev/mapper/root`, by the kernel's device mapper
//! (`struct dm_ioctl` of [linux/dm-ioctl.h](https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/dm-ioctl.h)).
//!
//! ```text
//! dm_ioctl       0 version 3 x u32  12 size of the buffer u32  16 start of the data u32
//!                20 targets u32  28 flags u32  40 device u64  48 name  176 UUID  312 end
//! target spec    0 first sector u64  8 sectors u64  20 offset of the next u32  24 type
//!                40 parameters, ended by NUL
//! ```
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use super::cmdline::{CommandLine, RootHash};
use super::failure::{Failure, While};
use super::hardware::RootPartitions;
use super::verity::{SUPERBLOCK, Superblock};

const CONTROL: &str = "/dev/mapper/control";
/// The name that systemd uses.
const NAME: &str = "root";
pub(crate) const DEVICE: &str = "/dev/mapper/root";
const HEADER: usize = 312;
/// The kernel requires at least 16 KiB.
const BUFFER: usize = 16 * 1024;
const READ_ONLY: u32 = 1;

/// `_IOWR(0xfd, number, struct dm_ioctl)`.
const fn request(number: u32) -> u32 {
    3 << 30 | (HEADER as u32) << 16 | 0xfd << 8 | number
}

const CREATE: u32 = request(3);
const RESUME: u32 = request(6);
const LOAD: u32 = request(9);

/// Creates the device; the kernel verifies everything read from it against the root hash.
pub(crate) fn open_root(
    found: &RootPartitions,
    hash: &RootHash,
    words: &CommandLine,
) -> Result<(), Failure> {
    let (data, hashes) = (found.data.display(), found.hashes.display());
    let mut bytes = [0; SUPERBLOCK];
    File::open(&found.hashes)
        .and_then(|device| device.read_exact_at(&mut bytes, 0))
        .during(|| format!("reading the hash tree in {hashes}"))?;
    let superblock = Superblock::parse(&bytes)
        .map_err(|reason| Failure::new(format!("the hash tree in {hashes} {reason}")))?;
    let options = words.verity_options()?;
    let table = superblock.table(
        &data.to_string(),
        &hashes.to_string(),
        hash.as_str(),
        &options,
    );
    let minor = create(&superblock, &table)
        .during(|| format!("setting up dm-verity on {data} with {hashes}"))?;
    // The name that udev will create as well.
    symlink(format!("../dm-{minor}"), DEVICE).during(|| format!("making {DEVICE}"))
}

/// The device's minor number.
fn create(superblock: &Superblock, table: &str) -> io::Result<u64> {
    let control = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(Path::new(CONTROL))?;
    // As libcryptsetup names it, for its tools.
    let uuid = format!("CRYPT-VERITY-{}-{NAME}", superblock.uuid);
    let mut message = Message::new(0);
    message.text(176, &uuid);
    message.send(&control, CREATE)?;
    let device = message.number(40);
    let mut message = Message::new(READ_ONLY);
    message.target(superblock.sectors(), "verity", table)?;
    message.send(&control, LOAD)?;
    Message::new(READ_ONLY).send(&control, RESUME)?;
    // The lower and the upper bits of the minor number, as in `huge_encode_dev`.
    Ok(device & 0xff | device >> 12 & 0xf_ff00)
}

/// Eight-byte words, since the kernel reads numbers of that size.
struct Message(Box<[u64]>);

impl Message {
    fn new(flags: u32) -> Self {
        let mut message = Self(vec![0; BUFFER / 8].into_boxed_slice());
        message.long(0, 4);
        message.long(12, BUFFER as u32);
        message.long(16, HEADER as u32);
        message.long(28, flags);
        message.text(48, NAME);
        message
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (offset, byte) in (at..).zip(bytes) {
            if let Some(word) = self.0.get_mut(offset / 8) {
                let mut raw = word.to_ne_bytes();
                raw[offset % 8] = *byte;
                *word = u64::from_ne_bytes(raw);
            }
        }
    }

    fn long(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_ne_bytes());
    }

    /// The rest is zero.
    fn text(&mut self, at: usize, text: &str) {
        self.put(at, text.as_bytes());
    }

    fn number(&self, at: usize) -> u64 {
        self.0.get(at / 8).copied().unwrap_or_default()
    }

    fn target(&mut self, sectors: u64, kind: &str, parameters: &str) -> io::Result<()> {
        let end = HEADER + 40 + parameters.len() + 1;
        if end > BUFFER {
            return Err(io::Error::other("the table is too long"));
        }
        self.long(20, 1);
        self.put(HEADER + 8, &sectors.to_ne_bytes());
        self.long(HEADER + 20, (end - HEADER).next_multiple_of(8) as u32);
        self.text(HEADER + 24, kind);
        self.text(HEADER + 40, parameters);
        Ok(())
    }

    fn send(&mut self, control: &File, request: u32) -> io::Result<()> {
        let (descriptor, place) = (control.as_raw_fd(), self.0.as_mut_ptr());
        // SAFETY: the kernel reads and writes at most the BUFFER bytes that the
        // message says it has, all of which are this box's, and keeps no pointer.
        #[allow(unsafe_code)]
        let result = unsafe { nix::libc::ioctl(descriptor, request as _, place) };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{BUFFER, CREATE, LOAD, Message, RESUME};

    #[test]
    fn requests_are_the_kernels() {
        assert_eq!(
            [CREATE, RESUME, LOAD],
            [0xc138_fd03, 0xc138_fd06, 0xc138_fd09]
        );
    }

    #[test]
    fn a_table_lies_behind_the_header() {
        let mut message = Message::new(1);
        message.target(56, "verity", "1 a b").unwrap();
        let bytes: Vec<u8> = message
            .0
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        assert_eq!(bytes.len(), BUFFER);
        assert_eq!(bytes[0], 4);
        assert_eq!(bytes[28], 1);
        assert_eq!(&bytes[48..53], b"root\0");
        assert_eq!(bytes[320], 56);
        assert_eq!(bytes[312 + 20], 48);
        assert_eq!(&bytes[336..343], b"verity\0");
        assert_eq!(&bytes[352..358], b"1 a b\0");
        let long = "x".repeat(BUFFER);
        assert!(Message::new(0).target(1, "verity", &long).is_err());
    }
}
