//! The one sequence: everything is checked, then the image is written, read back, and made to
//! boot.

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::gpt::{Editable, Entry};
use nodeimg_values::digest::Measured;
use nodeimg_values::progress::Progress;

use crate::device::{Device, Here};
use crate::image::{self, Expected, Image, Source, Stream};
use crate::judge::{Content, fits, may_be_lost, usable};
use crate::lay::{Files, Laid, system_partition};
use crate::target::{Buffer, Disk, Target, looked_at};
use crate::write::{self, CHUNK, FIRST, Written};

pub use crate::write::Stop;

/// How much of a device's end is cleared, in bytes: a second GPT, md and ZFS are in it.
const END: u64 = 1 << 20;

/// What is to be written where.
pub struct Job {
    pub here: Here,
    pub source: Source,
    pub device: PathBuf,
    pub expected: Option<Expected>,
    /// The device again, if what is on it may be lost.
    pub wipe: Option<PathBuf>,
    /// Only look.
    pub dry_run: bool,
    pub read_back: bool,
}

/// An image and a device that fit one another; nothing was written yet.
pub struct Ready {
    job: Job,
    pub device: Device,
    pub content: Content,
    /// Nothing in a dry run.
    disk: Option<Disk>,
    stream: Stream,
    head: (Buffer, usize),
    table: Editable,
    name: String,
}

/// What was done.
pub struct Done {
    /// Of the image, in bytes.
    pub size: u64,
    pub measured: Measured,
    /// Whether the kernel knows the new partitions.
    pub table_read: bool,
}

/// What the device holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// What it has held before.
    Before,
    /// A part of the image, and neither a partition table at its start nor at its end.
    Part,
    /// All of the image; only reading it back has failed.
    All,
}

/// An error, and what the device holds after it.
#[derive(Debug)]
pub struct Failed {
    pub error: anyhow::Error,
    pub holds: Holds,
}

impl Ready {
    /// Opens both and checks all that can be checked before anything is written.
    ///
    /// # Errors
    /// The image is not a disk, the device may not be written to, or they do not fit.
    pub fn of(job: Job) -> Result<Ready> {
        let device = Device::at(&job.here, &job.device)?;
        usable(&device)?;
        let image = Image::open(&job.source)?;
        let (name, length) = (image.name.clone(), image.length);
        let mut stream = image.stream()?;
        let mut head = Buffer::new(CHUNK);
        let count = stream.fill(&mut head)?;
        let table = table(&head[..count]).with_context(|| name.clone())?;
        if let Some(length) = length.filter(|length| *length < table.size()) {
            bail!(
                "{name} is cut short: it has {length} bytes, and its partition table is for a disk \
                 of {}",
                table.size()
            );
        }
        fits(&device, &name, length.unwrap_or(0).max(table.size()))?;
        let path = device.path();
        let (disk, content) = match job.dry_run {
            true => {
                let file = looked_at(&job.here, &path)?;
                (None, Content::of(&device, &file))
            }
            false => {
                let disk = Disk::open(&job.here, &path, device.size)?;
                // A disk that was plugged in meanwhile may have taken the name.
                if !device.is(&Device::of(&job.here, &device.name)?) {
                    bail!(
                        "{} has become another device: name it again",
                        path.display()
                    );
                }
                let content = Content::of(&device, &disk);
                (Some(disk), content)
            }
        };
        let content = content.with_context(|| format!("reading {}", path.display()))?;
        may_be_lost(&job.here, &device, &content, job.wipe.as_deref())?;
        Ok(Ready {
            job,
            device,
            content,
            disk,
            stream,
            head: (head, count),
            table,
            name,
        })
    }

    /// The image's.
    pub fn partitions(&self) -> &[Entry] {
        self.table.partitions()
    }

    /// Of the image, in bytes, as its partition table says.
    pub fn size(&self) -> u64 {
        self.table.size()
    }

    /// The image's, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn expected(&self) -> Option<&Expected> {
        self.job.expected.as_ref()
    }

    /// Writes the image, and lays the seed onto it. In a dry run, reads the image to its end.
    ///
    /// # Errors
    /// The image is another one than expected, the device fails, or the user wants to stop.
    pub fn go(
        mut self,
        seed: Option<&Files>,
        stop: &Stop,
        progress: &Progress,
    ) -> Result<Done, Failed> {
        let mut holds = Holds::Before;
        if let Some(seed) = seed
            && let Err(error) = self.has_room(seed)
        {
            return Err(Failed { error, holds });
        }
        let Some(disk) = self.disk.take() else {
            let done = self.rehearse(stop, progress);
            return done.map_err(|error| Failed { error, holds });
        };
        let (here, name) = (self.job.here.clone(), self.device.name.clone());
        let written = self.write(&disk, seed, stop, progress, &mut holds);
        match written {
            Ok((size, measured)) => Ok(Done {
                size,
                measured,
                table_read: disk.read_table_again(),
            }),
            Err(mut error) => {
                if Device::of(&here, &name).map_or(0, |device| device.size) < disk.size() {
                    let gone = format!("{} has vanished", disk.path().display());
                    error = error.context(gone);
                }
                Err(Failed { error, holds })
            }
        }
    }

    /// A file of a FAT takes a cluster at least; the volume itself takes some.
    fn has_room(&self, seed: &Files) -> Result<()> {
        let esp = system_partition(self.table.partitions())?;
        let sizes = seed
            .iter()
            .map(|(_, bytes)| (bytes.len() as u64).next_multiple_of(4096));
        let (needed, there) = (sizes.sum::<u64>(), esp.place.size);
        if needed > there {
            bail!("the seed has {needed} bytes, and the image's EFI system partition {there}");
        }
        Ok(())
    }

    fn rehearse(mut self, stop: &Stop, progress: &Progress) -> Result<Done> {
        let bar = progress.reading(&self.name, Some(self.table.size()));
        let (mut buffer, mut size) = (self.head.0, self.head.1 as u64);
        bar.advance(size);
        loop {
            write::go_on(stop)?;
            let count = self.stream.fill(&mut buffer)? as u64;
            if count == 0 {
                break;
            }
            bar.advance(count);
            size += count;
        }
        is_whole(size, &self.table, &self.name)?;
        fits(&self.device, &self.name, size)?;
        let measured = self.stream.finish()?;
        image::check(self.job.expected.as_ref(), &measured, &self.name)?;
        bar.finished(size);
        Ok(Done {
            size,
            measured,
            table_read: true,
        })
    }

    fn write(
        self,
        disk: &dyn Target,
        seed: Option<&Files>,
        stop: &Stop,
        progress: &Progress,
        holds: &mut Holds,
    ) -> Result<(u64, Measured)> {
        let mut table = self.table;
        let end = disk.size();
        let to = self.device.path();
        let to = to.display();
        write::go_on(stop)?;
        // From here on it does not boot, whatever it was: neither by its table nor by the copy.
        *holds = Holds::Part;
        write::zero(disk, 0..FIRST.min(end), stop)?;
        write::zero(disk, end.saturating_sub(END)..end, stop)?;
        disk.flush().context("writing")?;

        let first = self.head.0[..FIRST as usize].to_vec();
        let bar = progress.writing(&format!("{} to {to}", self.name), Some(table.size()));
        let held = table.second_copy();
        let written = write::body(disk, self.stream, self.head, held, stop, &bar)?;
        is_whole(written.size, &table, &self.name)?;
        image::check(self.job.expected.as_ref(), &written.measured, &self.name)?;
        disk.flush().context("writing to the medium")?;
        let Written { size, measured, .. } = &written;
        let (size, measured) = (*size, measured.clone());
        bar.finished(size);
        if self.job.read_back {
            let bar = progress.reading(&to.to_string(), Some(size - FIRST));
            write::read_back(disk, &written, stop, &bar)?;
            bar.finished(size - FIRST);
        }

        let laid = Laid::new(disk, &first);
        clear(&laid, size, end).context("reading")?;
        table.move_to_end(&laid, end)?;
        if let Some(seed) = seed {
            laid.seed(table.partitions(), seed)?;
        }
        laid.write_out().context("writing")?;
        if self.job.read_back
            && let Some(other) = laid.read_back().context("reading back")?
        {
            return Err(write::differs(other, 1));
        }
        write::go_on(stop)?;
        let first = laid.first();
        write::first(disk, &first).context("writing the partition table")?;
        *holds = Holds::All;
        if self.job.read_back {
            write::first_is(disk, &first)?;
        }
        Ok((size, measured))
    }
}

/// What is behind the image: nothing that a program finds by itself.
fn clear(laid: &Laid<'_>, image: u64, end: u64) -> io::Result<()> {
    laid.clear(image..image.saturating_add(END))?;
    laid.clear(image.max(end.saturating_sub(END))..end)
}

fn is_whole(size: u64, table: &Editable, name: &str) -> Result<()> {
    if size < table.size() {
        bail!(
            "{name} is cut short: it has {size} bytes, and its partition table is for a disk of {}",
            table.size()
        );
    }
    Ok(())
}

/// The first bytes of an image.
struct Head<'a>(&'a [u8]);

impl Blocks for Head<'_> {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let there = self.0.get(start..start.saturating_add(bytes.len()));
        bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, _bytes: &[u8], _at: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn table(head: &[u8]) -> Result<Editable> {
    // The copy at the end has not been read yet.
    let table = Editable::read(&Head(head), 0)
        .context("it is not a disk that UEFI boots, or a damaged one")?;
    if (head.len() as u64) < 2 * FIRST {
        bail!("it is cut short: {} bytes are not a disk", head.len());
    }
    if let Some(early) = table
        .partitions()
        .iter()
        .find(|one| one.place.start < FIRST)
    {
        bail!(
            "its partition `{}` begins before the first MiB, which no image of nodeimg has",
            early.name.escape_debug()
        );
    }
    Ok(table)
}

#[cfg(test)]
mod tests;
