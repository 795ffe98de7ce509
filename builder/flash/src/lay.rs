//! What is laid onto a written disk: the table's copy at the device's end, a seed. It stays in
//! memory until it is written in one go, so that it can be read back and compared.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use nodeimg_formats::blocks::{Blocks, Part};
use nodeimg_formats::fat::Editor;
use nodeimg_formats::gpt::Entry;
use nodeimg_formats::gpt::kinds::ESP;

use crate::target::{Buffer, Target};
use crate::write::FIRST;

/// In bytes.
const PAGE: u64 = 4096;
/// What is written at a time, in pages.
const RUN: u64 = 256;
/// Where first boot looks for a seed on it.
const FOLDER: &str = "cidata";

/// A seed's files, each with its path.
pub type Files = [(String, Vec<u8>)];

/// A device with changes that are not on it yet. Its first MiB is in memory alone.
pub struct Laid<'a> {
    target: &'a dyn Target,
    first: Mutex<Vec<u8>>,
    pages: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl<'a> Laid<'a> {
    /// `first` has [`FIRST`] bytes.
    pub fn new(target: &'a dyn Target, first: &[u8]) -> Laid<'a> {
        Laid {
            target,
            first: Mutex::new(first.to_vec()),
            pages: Mutex::default(),
        }
    }

    /// What the first MiB is to be.
    pub fn first(&self) -> Vec<u8> {
        held(&self.first).clone()
    }

    /// Zeros in a range behind the first MiB, as far as there is a device.
    pub fn clear(&self, range: Range<u64>) -> io::Result<()> {
        let end = range.end.min(self.target.size());
        let mut at = range.start.max(FIRST);
        while at < end {
            let count = (PAGE - at % PAGE).min(end - at);
            self.write(&vec![0; count as usize], at)?;
            at += count;
        }
        Ok(())
    }

    /// Lays a seed where first boot finds it on the disk that it has booted from.
    ///
    /// # Errors
    /// There is no EFI system partition, it has a seed already, or no room.
    pub fn seed(&self, partitions: &[Entry], files: &Files) -> Result<()> {
        let esp = system_partition(partitions)?;
        let part = Part {
            of: self,
            start: esp.place.start,
            size: esp.place.size,
        };
        let within = "the image's EFI system partition";
        let mut editor = Editor::open(&part, esp.place.size).context(within)?;
        let there = editor.list("").context(within)?;
        if there
            .iter()
            .any(|one| one.name.eq_ignore_ascii_case(FOLDER))
        {
            bail!("{within} has a seed already, in its folder `{FOLDER}`: flash without --seed");
        }
        editor.create_directory("", FOLDER).context(within)?;
        let mut made = vec![FOLDER.to_owned()];
        for (path, bytes) in files {
            let mut folder = FOLDER.to_owned();
            let mut names: Vec<&str> = path.split('/').collect();
            let Some(name) = names.pop() else { continue };
            for part in names {
                let inside = format!("{folder}/{part}");
                if !made.contains(&inside) {
                    editor.create_directory(&folder, part).context(within)?;
                    made.push(inside.clone());
                }
                folder = inside;
            }
            editor
                .create(&folder, name, bytes)
                .with_context(|| format!("laying the seed's `{path}` onto {within}"))?;
        }
        Ok(())
    }

    /// Writes all changes but those of the first MiB, and has the device keep them.
    pub fn write_out(&self) -> io::Result<()> {
        let pages = held(&self.pages);
        for (at, bytes) in runs(&pages) {
            let mut buffer = Buffer::new(bytes.len());
            buffer.copy_from_slice(&bytes);
            self.target.write(&buffer, at)?;
        }
        self.target.flush()
    }

    /// The first byte that the device returns differently from how it was written.
    pub fn read_back(&self) -> io::Result<Option<u64>> {
        self.target.forget();
        let pages = held(&self.pages);
        for (at, bytes) in runs(&pages) {
            let mut buffer = Buffer::new(bytes.len());
            self.target.read(&mut buffer, at)?;
            if let Some(other) = buffer.iter().zip(&bytes).position(|(one, two)| one != two) {
                return Ok(Some(at + other as u64));
            }
        }
        Ok(None)
    }
}

/// The one EFI system partition.
///
/// # Errors
/// There is none.
pub fn system_partition(partitions: &[Entry]) -> Result<&Entry> {
    let found = partitions.iter().find(|entry| entry.kind == ESP);
    found.context(
        "the image has no EFI system partition, where first boot would look for a seed on its own \
         disk: give the seed on a medium of its own (`nodeimg seed new SEED.img`)",
    )
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pages that follow one another, together.
fn runs(pages: &BTreeMap<u64, Vec<u8>>) -> Vec<(u64, Vec<u8>)> {
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    for (at, page) in pages {
        match runs.last_mut() {
            Some((start, bytes))
                if *start + bytes.len() as u64 == *at && (bytes.len() as u64) < RUN * PAGE =>
            {
                bytes.extend(page);
            }
            _ => runs.push((*at, page.clone())),
        }
    }
    runs
}

impl Laid<'_> {
    /// The page at `at`, as it is with the changes.
    fn page(&self, at: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = held(&self.pages).get(&at) {
            return Ok(page.clone());
        }
        let length = PAGE.min(self.target.size().saturating_sub(at));
        let mut page = Buffer::new(length as usize);
        self.target.read(&mut page, at)?;
        Ok(page.to_vec())
    }

    /// Calls `each` with every page of a range: where it begins, the range inside, and which of
    /// the `length` bytes those are.
    fn each(
        &self,
        length: usize,
        at: u64,
        mut each: impl FnMut(u64, Range<usize>, Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let end = at.checked_add(length as u64);
        if end.is_none_or(|end| end > self.target.size()) {
            return Err(io::Error::other("is outside the device"));
        }
        let mut done = 0;
        while done < length {
            let place = at + done as u64;
            let page = place / PAGE * PAGE;
            let from = (place - page) as usize;
            let count = (PAGE as usize - from).min(length - done);
            each(page, from..from + count, done..done + count)?;
            done += count;
        }
        Ok(())
    }
}

impl Blocks for Laid<'_> {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.each(bytes.len(), at, |page, inside, which| {
            let place = page as usize;
            if page < FIRST {
                let first = held(&self.first);
                bytes[which].copy_from_slice(&first[place + inside.start..place + inside.end]);
            } else {
                bytes[which].copy_from_slice(&self.page(page)?[inside]);
            }
            Ok(())
        })
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.each(bytes.len(), at, |page, inside, which| {
            let place = page as usize;
            if page < FIRST {
                let mut first = held(&self.first);
                first[place + inside.start..place + inside.end].copy_from_slice(&bytes[which]);
            } else {
                let mut content = self.page(page)?;
                content[inside].copy_from_slice(&bytes[which]);
                held(&self.pages).insert(page, content);
            }
            Ok(())
        })
    }

    /// Nothing is on the device before [`Laid::write_out`].
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
