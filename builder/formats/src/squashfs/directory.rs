//! Listings of directories.
//!
//! ```text
//! run     u32 entries - 1 | u32 block of their inodes | u32 an inode number | entry ...
//! entry   u16 offset of the inode in that block | i16 its number - the run's
//!         u16 basic type | u16 length of the name - 1 | name
//! index   u32 offset in the listing | u32 block | u32 length of the name - 1 | name
//! ```
//!
//! Entries are sorted by the names' bytes. A run ends where the inodes' block
//! does, after 256 entries, and where the block that it is itself in ends;
//! the index has the first name of every run that begins in another block
//! than the run before it, so that a look-up reads one or two blocks of a
//! large directory.

use anyhow::{Context, Result};

use super::metadata::{BLOCK, Position, Table};

const RUN_HEAD: usize = 12;
const MAX_RUN: usize = 256;

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    /// 1 to 255 bytes.
    pub name: &'a str,
    pub basic_type: u16,
    /// The inode's number and place.
    pub number: u32,
    pub inode: Position,
}

/// A listing that was written.
#[derive(Debug, Default)]
pub struct Listing {
    pub place: Position,
    /// In bytes.
    pub len: u32,
    /// Encoded, and the number of its entries.
    pub index: Vec<u8>,
    pub indexed: u16,
}

/// Appends the listing of `entries`, which are sorted, to `table`.
pub fn list(entries: &[DirectoryEntry<'_>], table: &mut Table) -> Result<Listing> {
    let mut listing = Listing::default();
    let Some(first) = entries.first() else {
        // Without a byte of its own it has no place either.
        return Ok(listing);
    };
    listing.place = table.place()?;
    let mut at = listing.place;
    let mut run = Run::new(first, at);
    for entry in entries {
        if !run.takes(entry) {
            run.write(table, &mut listing)?;
            let before = at;
            at = table.place()?;
            run = Run::new(entry, at);
            if at.block != before.block {
                add_to_index(entry.name, at, &mut listing)?;
            }
        }
        run.push(entry);
    }
    run.write(table, &mut listing)?;
    Ok(listing)
}

fn add_to_index(name: &str, at: Position, listing: &mut Listing) -> Result<()> {
    for number in [listing.len, at.block, name.len() as u32 - 1] {
        listing.index.extend_from_slice(&number.to_le_bytes());
    }
    listing.index.extend_from_slice(name.as_bytes());
    listing.indexed = listing.indexed.checked_add(1).context(TOO_LARGE)?;
    Ok(())
}

const TOO_LARGE: &str = "a directory has more names than SquashFS can list";

struct Run {
    inodes: u32,
    number: u32,
    entries: usize,
    /// The rest of the block that it is in.
    room: usize,
    bytes: Vec<u8>,
}

impl Run {
    fn new(first: &DirectoryEntry<'_>, at: Position) -> Run {
        Run {
            inodes: first.inode.block,
            number: first.number,
            entries: 0,
            room: (BLOCK - usize::from(at.offset)).saturating_sub(RUN_HEAD),
            bytes: Vec::new(),
        }
    }

    fn takes(&self, entry: &DirectoryEntry<'_>) -> bool {
        self.entries == 0
            || self.entries < MAX_RUN
                && entry.inode.block == self.inodes
                && self.bytes.len() < self.room
                && self.delta(entry).is_some()
    }

    fn delta(&self, entry: &DirectoryEntry<'_>) -> Option<i16> {
        i16::try_from(i64::from(entry.number) - i64::from(self.number)).ok()
    }

    fn push(&mut self, entry: &DirectoryEntry<'_>) {
        let delta = self.delta(entry).unwrap_or_default();
        self.entries += 1;
        self.bytes
            .extend_from_slice(&entry.inode.offset.to_le_bytes());
        self.bytes.extend_from_slice(&delta.to_le_bytes());
        for number in [entry.basic_type, entry.name.len() as u16 - 1] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.bytes.extend_from_slice(entry.name.as_bytes());
    }

    fn write(&self, table: &mut Table, listing: &mut Listing) -> Result<()> {
        let mut head = Vec::with_capacity(RUN_HEAD);
        for number in [self.entries as u32 - 1, self.inodes, self.number] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        table.append(&head)?;
        table.append(&self.bytes)?;
        let len = u32::try_from(RUN_HEAD + self.bytes.len()).context(TOO_LARGE)?;
        // The inode has room for the length and 3 more.
        listing.len = listing
            .len
            .checked_add(len)
            .filter(|len| *len <= u32::MAX - 3)
            .context(TOO_LARGE)?;
        Ok(())
    }
}
