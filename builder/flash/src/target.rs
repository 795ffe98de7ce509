//! A device that is written to: opened exclusively and past the page cache, so that an error is
//! told at the byte that it is about, and what is read back comes from the device.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nodeimg_formats::blocks::Blocks;

use super::device::{Here, openers};

/// What direct access wants places in memory and on the device to be multiples of.
const ALIGNMENT: usize = 4096;
/// In bytes; an image's.
pub const SECTOR: u64 = 512;
/// `_IO(0x12, 95)` of [linux/fs.h](https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/fs.h):
/// have the partition table read.
const BLKRRPART: u32 = 0x125f;
/// udev looks at a device for a moment, whenever something has written to it.
const UDEV: Duration = Duration::from_secs(5);

/// What an image is written to.
pub trait Target: Blocks {
    /// In bytes.
    fn size(&self) -> u64;
    /// Zeros, whatever was there; both ends are multiples of a sector.
    ///
    /// # Errors
    /// They cannot be written.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;
}

/// Memory that a device can write from and read into directly.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub fn new(length: usize) -> Buffer {
        let bytes = vec![0; length + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Buffer {
            bytes,
            start,
            length,
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

/// A block device of this machine.
pub struct Disk {
    file: File,
    size: u64,
    path: PathBuf,
}

impl Disk {
    /// Opens a device for this process alone: no other may mount it, use it, or flash it.
    ///
    /// # Errors
    /// Somebody has it, or this user may not write to it.
    pub fn open(here: &Here, path: &Path, size: u64) -> Result<Disk> {
        let shown = path.display();
        let flags = OFlag::O_EXCL | OFlag::O_DIRECT;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = match options.custom_flags(flags.bits()).open(path) {
            // Not every device can do without the page cache.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                options.custom_flags(OFlag::O_EXCL.bits()).open(path)
            }
            other => other,
        };
        let file = file.map_err(|error| refused(here, path, &error))?;
        let begun = Instant::now();
        while let Err(error) = file.try_lock() {
            if begun.elapsed() > UDEV {
                bail!(
                    "{shown} is locked by another program ({error}){}",
                    who(here, path)
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Disk {
            file,
            size,
            path: path.to_owned(),
        })
    }

    /// Has the kernel read the partition table; whether it could.
    pub fn read_table_again(&self) -> bool {
        // SAFETY: the request has no argument, and the descriptor is open as long as `self` is.
        #[allow(unsafe_code)]
        let told = unsafe { nix::libc::ioctl(self.file.as_raw_fd(), BLKRRPART as _) };
        told == 0
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a device to look at it, beside whoever uses it.
///
/// # Errors
/// This user may not read it, or it is not there.
pub fn looked_at(here: &Here, path: &Path) -> Result<File> {
    File::open(path).map_err(|error| refused(here, path, &error))
}

fn refused(here: &Here, path: &Path, error: &io::Error) -> anyhow::Error {
    let shown = path.display();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => anyhow::anyhow!(
            "{shown}: this user may not open it ({error}): run `nodeimg flash` as root, such as \
             with `sudo`"
        ),
        Some(Errno::EBUSY) => anyhow::anyhow!(
            "{shown} is in use: another program or the kernel has it for itself{}",
            who(here, path)
        ),
        Some(Errno::EROFS) => anyhow::anyhow!(
            "{shown} is read-only: does it have a switch against writing? (`blockdev --setrw \
             {shown}` if the kernel was told so)"
        ),
        Some(Errno::ENOMEDIUM) => anyhow::anyhow!("the drive {shown} holds no medium"),
        _ => anyhow::Error::new(io::Error::from(error.kind()))
            .context(error.to_string())
            .context(format!("opening {shown}")),
    }
}

fn who(here: &Here, path: &Path) -> String {
    let who = openers(here, path);
    match who.is_empty() {
        true => String::new(),
        false => format!(" (open in {})", who.join(", ")),
    }
}

fn is_aligned(bytes: &[u8], at: u64) -> bool {
    (bytes.as_ptr() as usize).is_multiple_of(ALIGNMENT)
        && at.is_multiple_of(SECTOR)
        && (bytes.len() as u64).is_multiple_of(SECTOR)
}

impl Disk {
    /// The whole sectors around a range, read; and where they begin.
    fn around(&self, length: usize, at: u64) -> io::Result<(Buffer, u64)> {
        let start = at / SECTOR * SECTOR;
        let end = (at + length as u64).next_multiple_of(SECTOR);
        let mut buffer = Buffer::new((end - start) as usize);
        self.file.read_exact_at(&mut buffer, start)?;
        Ok((buffer, start))
    }
}

impl Blocks for Disk {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        if is_aligned(bytes, at) {
            return self.file.read_exact_at(bytes, at);
        }
        let (around, start) = self.around(bytes.len(), at)?;
        let from = (at - start) as usize;
        bytes.copy_from_slice(&around[from..from + bytes.len()]);
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if is_aligned(bytes, at) {
            return self.file.write_all_at(bytes, at);
        }
        let (mut around, start) = self.around(bytes.len(), at)?;
        let from = (at - start) as usize;
        around[from..from + bytes.len()].copy_from_slice(bytes);
        self.file.write_all_at(&around, start)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget(&self) {
        Blocks::forget(&self.file);
    }
}

impl Target for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let length = range.end - range.start;
        let place = |at: u64| i64::try_from(at).map_err(|_| io::Error::from(Errno::EOVERFLOW));
        // Of a device this is BLKZEROOUT, which writes zeros if the device cannot make them.
        let flags = FallocateFlags::FALLOC_FL_ZERO_RANGE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, flags, place(range.start)?, place(length)?) {
            Ok(()) => Ok(()),
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => write_zeros(self, range),
            Err(error) => Err(error.into()),
        }
    }
}

fn write_zeros(target: &dyn Blocks, range: Range<u64>) -> io::Result<()> {
    let zeros = Buffer::new(1 << 20);
    let mut at = range.start;
    while at < range.end {
        let count = (range.end - at).min(zeros.len() as u64);
        target.write(&zeros[..count as usize], at)?;
        at += count;
    }
    Ok(())
}
