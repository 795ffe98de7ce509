//! The image's bytes onto a device, and from it again.
//!
//! ```text
//! a thread   reads, unpacks, hashes        4 MiB at a time
//! this one   1 MiB of zeros: zeroed on the device; else written. Of each MiB a checksum is kept
//! then       flushed, read past the page cache, compared with the checksums
//! ```

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::{Context, Result, bail};
use flate2::Crc;
use nodeimg_values::digest::Measured;
use nodeimg_values::progress::Download;

use crate::image::Stream;
use crate::target::{Buffer, SECTOR, Target};

/// What is written last, in bytes: the partition table is in it, and no partition.
pub const FIRST: u64 = 1 << 20;
/// What is read at a time, in bytes.
pub const CHUNK: usize = 4 << 20;
/// What has a checksum, in bytes.
const UNIT: usize = 1 << 20;
/// Chunks that are read and not yet written.
const AHEAD: usize = 3;
/// What a device zeroes before anybody looks for an interrupt, in bytes.
const ZEROED: u64 = 64 << 20;

/// Whether the user wants to stop.
pub type Stop = AtomicBool;

/// What was written, and what it has to be.
pub struct Written {
    /// Of the image, in bytes.
    pub size: u64,
    /// Of each MiB from the second on.
    sums: Vec<u32>,
    /// Of the file as it is.
    pub measured: Measured,
}

/// Where writing stopped.
///
/// # Errors
/// The user wants to stop.
pub fn go_on(stop: &Stop) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Writes everything behind the first MiB of an image whose first chunk is `head`, with `count`
/// bytes of the image. `held` are bytes that stay zeros: those of the image's second partition
/// table.
///
/// # Errors
/// The image cannot be read, is larger than the device, or the device cannot be written.
pub fn body(
    target: &dyn Target,
    mut stream: Stream,
    (head, count): (Buffer, usize),
    held: Range<u64>,
    stop: &Stop,
    progress: &Download<'_>,
) -> Result<Written> {
    let (full, filled) = sync_channel::<Result<(Buffer, usize)>>(AHEAD);
    let (empty, emptied) = channel::<Buffer>();
    for _ in 0..AHEAD {
        let _ = empty.send(Buffer::new(CHUNK));
    }
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            read_on(&mut stream, count, &emptied, &full);
            // Its channel ends here, before the rest of the file is hashed.
            drop(full);
            stream
        });
        let mut writer = Writer {
            target,
            stop,
            progress,
            held,
            zeros: Buffer::new(UNIT),
            sums: Vec::new(),
            zero: None,
        };
        let written = writer.all((head, count), &filled, &empty);
        drop((filled, empty));
        let stream = reader.join();
        let size = written?;
        let Ok(stream) = stream else {
            bail!("the reader of the image has ended");
        };
        Ok(Written {
            size,
            sums: writer.sums,
            measured: stream.finish()?,
        })
    })
}

/// Reads to the end, or until nobody takes what was read.
fn read_on(
    stream: &mut Stream,
    count: usize,
    emptied: &Receiver<Buffer>,
    full: &SyncSender<Result<(Buffer, usize)>>,
) {
    let mut last = count;
    while last == CHUNK {
        let Ok(mut buffer) = emptied.recv() else {
            return;
        };
        let filled = stream.fill(&mut buffer);
        last = filled.as_ref().map_or(0, |count| *count);
        if full.send(filled.map(|count| (buffer, count))).is_err() {
            return;
        }
    }
}

struct Writer<'a> {
    target: &'a dyn Target,
    stop: &'a Stop,
    progress: &'a Download<'a>,
    held: Range<u64>,
    zeros: Buffer,
    sums: Vec<u32>,
    /// Zeros that the device has not been told of.
    zero: Option<Range<u64>>,
}

impl Writer<'_> {
    /// How long the image is, in bytes.
    fn all(
        &mut self,
        head: (Buffer, usize),
        filled: &Receiver<Result<(Buffer, usize)>>,
        empty: &Sender<Buffer>,
    ) -> Result<u64> {
        let mut at = 0;
        let mut next = Some(Ok(head));
        while let Some(chunk) = next {
            let (mut buffer, count) = chunk?;
            go_on(self.stop)?;
            if at + count as u64 > self.target.size() {
                bail!(
                    "the image is larger than the device, which has {} bytes",
                    self.target.size()
                );
            }
            if !(count as u64).is_multiple_of(SECTOR) {
                bail!(
                    "the image ends within a sector, after {} bytes: it is cut short",
                    at + count as u64
                );
            }
            let end = at + count as u64;
            let held = self.held.start.clamp(at, end)..self.held.end.clamp(at, end);
            buffer[(held.start - at) as usize..(held.end - at) as usize].fill(0);
            self.chunk(&buffer[..count], at)?;
            self.progress.advance(count as u64);
            at += count as u64;
            let _ = empty.send(buffer);
            next = filled.recv().ok();
        }
        self.zeroed()?;
        Ok(at)
    }

    fn chunk(&mut self, chunk: &[u8], at: u64) -> Result<()> {
        let mut data: Option<Range<usize>> = None;
        for start in (0..chunk.len()).step_by(UNIT) {
            let place = at + start as u64;
            if place < FIRST {
                continue;
            }
            let range = start..chunk.len().min(start + UNIT);
            let unit = &chunk[range.clone()];
            self.sums.push(sum(unit));
            if *unit == self.zeros[..unit.len()] {
                self.data(chunk, at, data.take())?;
                let end = place + unit.len() as u64;
                match &mut self.zero {
                    Some(zero) => zero.end = end,
                    None => self.zero = Some(place..end),
                }
            } else {
                self.zeroed()?;
                data = Some(data.map_or(start, |data| data.start)..range.end);
            }
        }
        self.data(chunk, at, data)
    }

    fn data(&self, chunk: &[u8], at: u64, data: Option<Range<usize>>) -> Result<()> {
        let Some(data) = data else { return Ok(()) };
        let place = at + data.start as u64;
        self.target
            .write(&chunk[data], place)
            .with_context(|| failed("writing", place))
    }

    fn zeroed(&mut self) -> Result<()> {
        match self.zero.take() {
            Some(range) => zero(self.target, range, self.stop),
            None => Ok(()),
        }
    }
}

/// Zeros on a device, whatever was there.
///
/// # Errors
/// They cannot be written, or the user wants to stop.
pub fn zero(target: &dyn Target, range: Range<u64>, stop: &Stop) -> Result<()> {
    let mut at = range.start;
    while at < range.end {
        go_on(stop)?;
        let end = range.end.min(at + ZEROED);
        target
            .zero(at..end)
            .with_context(|| failed("writing zeros", at))?;
        at = end;
    }
    Ok(())
}

/// Reads back what [`body`] has written.
///
/// # Errors
/// The device cannot be read, or gives other bytes.
pub fn read_back(
    target: &dyn Target,
    written: &Written,
    stop: &Stop,
    progress: &Download<'_>,
) -> Result<()> {
    target.forget();
    let mut buffer = Buffer::new(CHUNK);
    let mut sums = written.sums.iter();
    let mut at = FIRST;
    while at < written.size {
        go_on(stop)?;
        let count = (written.size - at).min(CHUNK as u64) as usize;
        let chunk = &mut buffer[..count];
        target
            .read(chunk, at)
            .with_context(|| failed("reading back", at))?;
        for (index, unit) in chunk.chunks(UNIT).enumerate() {
            if sums.next() != Some(&sum(unit)) {
                return Err(differs(at + (index * UNIT) as u64, UNIT as u64));
            }
        }
        progress.advance(count as u64);
        at += count as u64;
    }
    Ok(())
}

/// Writes the first MiB, its first 4096 bytes last of all.
///
/// # Errors
/// The device cannot be written.
pub fn first(target: &dyn Target, bytes: &[u8]) -> io::Result<()> {
    let mut buffer = Buffer::new(bytes.len());
    buffer.copy_from_slice(bytes);
    let (head, rest) = buffer.split_at(4096);
    target.write(rest, head.len() as u64)?;
    target.flush()?;
    target.write(head, 0)?;
    target.flush()
}

/// Whether the first MiB is there.
///
/// # Errors
/// The device cannot be read, or gives other bytes.
pub fn first_is(target: &dyn Target, bytes: &[u8]) -> Result<()> {
    target.forget();
    let mut buffer = Buffer::new(bytes.len());
    target
        .read(&mut buffer, 0)
        .with_context(|| failed("reading back", 0))?;
    match buffer.iter().zip(bytes).position(|(one, two)| one != two) {
        Some(other) => Err(differs(other as u64, 1)),
        None => Ok(()),
    }
}

/// The error of a device that does not keep what it was given.
pub fn differs(at: u64, length: u64) -> anyhow::Error {
    anyhow::anyhow!(
        "the device gives back other bytes than were written, in the {length} bytes from {at} on: \
         it is worn out, smaller than it says, or was written to meanwhile"
    )
}

fn failed(doing: &str, at: u64) -> String {
    format!("{doing} at byte {at}")
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
