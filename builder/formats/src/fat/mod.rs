//! FAT32: what firmware reads an EFI system partition by, and every machine a
//! seed medium
//! ([Microsoft's description](https://download.microsoft.com/download/1/6/1/161ba512-40e2-4cc9-843a-923143f3456c/fatgen103.doc),
//! [UEFI 2.10, 13.3](https://uefi.org/specs/UEFI/2.10/13_Protocols_Media_Access.html#file-system-format)).
//!
//! ```text
//! sector 0        boot sector: geometry, volume id, label
//! sector 1        FSInfo: how many clusters are free
//! sectors 6, 7    both again
//! sector 32       the FAT: which cluster follows which; then the FAT again
//! 4 KiB-aligned   cluster 2: the root directory, the other directories, files
//! ```
//!
//! Ours rather than a crate: `fatfs` wants to read what it writes, allocates
//! as a driver does and zeroes clusters; here every byte is known beforehand and
//! is written once, in order, so that empty space stays a hole.
//!
//! # Invariants
//! - The bytes follow from the files (in whatever order they are given) and the
//!   options. No time, id or geometry comes from the host.
//! - A directory's order is that of its names; each file is one run of clusters.
//! - A size that holds some files is followed only by sizes that hold them too.
//!
//! Left out: disks with sectors of 4096 bytes, volumes above 32 GiB, FAT12 and
//! FAT16, code for booting by a BIOS.

mod directory;
mod edit;
mod geometry;
mod name;
mod read;
mod volume;
mod whereabouts;

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use anyhow::{Context, Result, bail, ensure};
use nodeimg_values::date::Date;
use nodeimg_values::epoch::Epoch;

use crate::readable::Readable;
use directory::Directories;
pub use edit::{Editor, Found};
pub use read::{Contents, Listed, read};
use volume::{SECTOR, Volume};
pub use whereabouts::whereabouts;

/// The smallest file system that this writes, in bytes: with less than 65 525
/// clusters it would be taken for a FAT16, some readers are off by a few.
pub const MIN_SIZE: u64 = 33 << 20;
/// And the largest.
const MAX_SIZE: u64 = 32 << 30;
/// An entry has 32 bits for it.
const MAX_FILE: u64 = u32::MAX as u64;
/// What fits and is worth the memory: a piece of a file.
const BUFFER: usize = 64 << 10;
/// By as many clusters a volume may have less than one that is a sector smaller:
/// the FATs grow in steps.
const SLACK: u64 = 8;

/// What a file system is beside its files.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// In bytes, a multiple of 512, [`MIN_SIZE`] at least.
    pub size: u64,
    /// Up to 11 characters, of those that a short name may have and spaces;
    /// empty for none.
    pub label: &'a str,
    /// What `blkid` calls the UUID.
    pub volume_id: u32,
    /// The time of everything. FAT knows none before 1980, nor after 2107.
    pub epoch: Epoch,
}

/// A file; the directories that it is in come with it.
#[derive(Clone)]
pub struct File<'a> {
    /// From the root on, without a slash before it: `EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    pub content: &'a dyn Readable,
}

/// The size of a file system that holds `files`, in bytes and whole sectors: the
/// smallest, or a few sectors more. Any larger one holds them as well.
pub fn min_size(files: &[File<'_>]) -> Result<u64> {
    smallest(&Directories::of(files)?, files)
}

/// Writes a file system from the start of `to` on, which is empty or reads as
/// zeros there: what stays zero is not written.
pub fn write(
    files: &[File<'_>],
    options: &Options<'_>,
    to: &mut (impl Write + Seek),
) -> Result<()> {
    let head = Head {
        label: name::label(options.label)?,
        volume_id: options.volume_id,
        time: Time::of(options.epoch),
    };
    let mut files = files.to_vec();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let directories = Directories::of(&files)?;
    let volume = fitting(options.size, &directories, &files)?;
    let layout = Layout::of(&directories, &files, volume);
    let failed = "writing a FAT32 file system (is the disk full?)";
    layout.write_tables(&head, to).context(failed)?;
    for (index, run) in layout.directories.iter().enumerate() {
        let bytes = directories.encode(index, &head, &layout);
        to.seek(SeekFrom::Start(volume.position(run.first)))
            .and_then(|_| to.write_all(&bytes))
            .context(failed)?;
    }
    for (file, run) in files.iter().zip(&layout.files) {
        copy(file.content, volume.position(run.first), to)
            .with_context(|| format!("writing `{}` to a FAT32 file system", file.path))?;
    }
    layout.write_end(&files, to).context(failed)
}

/// What all of the file system has in common.
struct Head {
    /// Padded with spaces; `None` for none.
    label: Option<[u8; 11]>,
    volume_id: u32,
    time: Time,
}

/// ```text
/// date: 15..9 year from 1980   8..5 month    4..0 day
/// time: 15..11 hour           10..5 minute   4..0 two seconds
/// ```
#[derive(Clone, Copy)]
struct Time {
    date: u16,
    time: u16,
    /// Hundredths of the two seconds.
    hundredths: u8,
}

impl Time {
    fn of(epoch: Epoch) -> Time {
        // 1980-01-01T00:00:00Z and 2107-12-31T23:59:59Z.
        let seconds = epoch.0.clamp(315_532_800, 4_354_819_199);
        let at = Date(seconds).utc();
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        let (month, day) = (u16::from(u8::from(month)), u16::from(day));
        Time {
            date: (year as u16 - 1980) << 9 | month << 5 | day,
            time: u16::from(hour) << 11 | u16::from(minute) << 5 | u16::from(second / 2),
            hundredths: second % 2 * 100,
        }
    }
}

/// Clusters that follow one another; none for an empty file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    first: u32,
    count: u32,
}

impl Run {
    /// What an entry says: an empty file is nowhere.
    fn start(self) -> u32 {
        if self.count == 0 { 0 } else { self.first }
    }
}

/// Where everything is.
struct Layout {
    volume: Volume,
    /// In the order of the directories, which begin with the root.
    directories: Vec<Run>,
    /// In the order of the files.
    files: Vec<Run>,
}

impl Layout {
    /// For content that is known to fit.
    fn of(directories: &Directories<'_>, files: &[File<'_>], volume: Volume) -> Layout {
        let mut next = volume::FIRST_CLUSTER;
        let mut run = |bytes: u64| {
            let count = bytes.div_ceil(volume.cluster_size()) as u32;
            let first = next;
            next += count;
            Run { first, count }
        };
        Layout {
            volume,
            directories: directories.sizes().map(&mut run).collect(),
            files: files.iter().map(|file| run(file.content.size())).collect(),
        }
    }

    /// The first cluster that is free.
    fn end(&self) -> u32 {
        let last = self.directories.iter().chain(&self.files).next_back();
        last.map_or(volume::FIRST_CLUSTER, |run| run.first + run.count)
    }

    fn write_tables(&self, head: &Head, to: &mut (impl Write + Seek)) -> io::Result<()> {
        let (volume, free_from) = (&self.volume, self.end());
        for sector in [0, volume::BACKUP_SECTOR] {
            to.seek(SeekFrom::Start(sector * SECTOR))?;
            to.write_all(&volume.boot_sector(head))?;
            to.write_all(&volume.info_sector(free_from))?;
        }
        for fat in volume.fats() {
            to.seek(SeekFrom::Start(fat))?;
            let mut to = BufWriter::with_capacity(BUFFER, &mut *to);
            to.write_all(&volume::FAT_HEAD)?;
            for run in self.directories.iter().chain(&self.files) {
                let end = run.first + run.count;
                for next in run.first + 1..end {
                    to.write_all(&next.to_le_bytes())?;
                }
                if run.count > 0 {
                    to.write_all(&volume::END_OF_CHAIN.to_le_bytes())?;
                }
            }
            to.flush()?;
        }
        Ok(())
    }

    /// Makes a plain file as long as the file system is.
    fn write_end(&self, files: &[File<'_>], to: &mut (impl Write + Seek)) -> io::Result<()> {
        let last = self.files.iter().zip(files).next_back();
        let written = last.map_or(0, |(run, file)| {
            self.volume.position(run.first) + file.content.size()
        });
        if written < self.volume.size() {
            to.seek(SeekFrom::Start(self.volume.size() - 1))?;
            to.write_all(&[0])?;
        }
        to.flush()
    }
}

fn copy(content: &dyn Readable, at: u64, to: &mut (impl Write + Seek)) -> Result<()> {
    to.seek(SeekFrom::Start(at))?;
    let mut to = BufWriter::with_capacity(BUFFER, to);
    let copied = io::copy(&mut content.part(0, content.size()), &mut to)?;
    ensure!(
        copied == content.size(),
        "got {copied} bytes instead of {}: was the store changed meanwhile?",
        content.size()
    );
    to.flush()?;
    Ok(())
}

/// The volume of `size` bytes for these: large clusters are read faster, small
/// ones hold more.
fn fitting(size: u64, directories: &Directories<'_>, files: &[File<'_>]) -> Result<Volume> {
    ensure!(
        size.is_multiple_of(SECTOR),
        "a FAT32 file system of {size} bytes is not a whole number of sectors of {SECTOR} bytes"
    );
    if size > MAX_SIZE {
        bail!("a FAT32 file system of {size} bytes is too large: make it {MAX_SIZE} bytes or less");
    }
    let mut volumes = Volume::candidates(size);
    match volumes.find(|volume| volume.holds(clusters(*volume, directories, files))) {
        Some(volume) => Ok(volume),
        None => bail!(
            "a FAT32 file system of {size} bytes is too small: make it {} bytes or more",
            smallest(directories, files)?
        ),
    }
}

fn smallest(directories: &Directories<'_>, files: &[File<'_>]) -> Result<u64> {
    // The smallest clusters waste least.
    let mut size = MIN_SIZE;
    loop {
        let volume = Volume::with_small_clusters(size);
        let wanted = clusters(volume, directories, files) + SLACK;
        if volume.holds(wanted) {
            return Ok(size);
        }
        // At least as many are missing: the FAT grows too.
        size += (wanted - volume.clusters()) * SECTOR;
        if size > MAX_SIZE {
            bail!(
                "these files do not fit into a FAT32 file system, which can have at most \
                 {MAX_SIZE} bytes"
            );
        }
    }
}

/// How many the files and directories take.
fn clusters(volume: Volume, directories: &Directories<'_>, files: &[File<'_>]) -> u64 {
    let contents = files.iter().map(|file| file.content.size());
    let sizes = directories.sizes().chain(contents);
    sizes.map(|size| size.div_ceil(volume.cluster_size())).sum()
}

#[cfg(test)]
mod tests;
