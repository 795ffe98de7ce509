//! Directories: what the paths of the files imply, and their entries.
//!
//! ```text
//! short entry:   0 name, 8+3    12  case     18  read (day)     26  cluster, low
//!               11 attributes   13  made     20  cluster, high  28  size
//!                                            22  changed
//! long entry:    0 its number, 40h more for the last; 1, 14, 28: 5+6+2 units
//!               11 0Fh          13  checksum of the short name
//! ```
//!
//! The long entries of a name are before its short one, last part first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context, Result, bail, ensure};

use super::name::{self, Short};
use super::{File, Head, Layout, MAX_FILE, Run, Time};

/// In bytes.
pub const ENTRY: usize = 32;
/// Of a directory.
const MOST_ENTRIES: usize = 65_536;
/// UTF-16 code units in a long entry.
const UNITS: usize = 13;
const READ_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
pub const ARCHIVE: u8 = 0x20;
const LONG: u8 = 0x0f;

/// All of them; the first is the root.
pub struct Directories<'a> {
    all: Vec<Directory<'a>>,
}

struct Directory<'a> {
    parent: usize,
    /// By name without its case.
    children: BTreeMap<String, Child<'a>>,
    /// One for each child, in their order.
    aliases: Vec<Short>,
}

struct Child<'a> {
    name: &'a str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// By its index.
    Directory(usize),
    File {
        index: usize,
        size: u32,
    },
}

impl<'a> Directories<'a> {
    /// Refuses paths that cannot be or cannot be together.
    pub fn of(files: &'a [File<'_>]) -> Result<Directories<'a>> {
        let mut directories = Directories {
            all: vec![Directory::within(0)],
        };
        for (index, file) in files.iter().enumerate() {
            let within = || format!("`{}` for a FAT32 file system", file.path.escape_debug());
            let size = file.content.size();
            ensure!(
                size <= MAX_FILE,
                "{}: it has {size} bytes, but a file on FAT can have at most {MAX_FILE}",
                within()
            );
            let size = size as u32;
            directories
                .insert(&file.path, Kind::File { index, size })
                .with_context(within)?;
        }
        for directory in &mut directories.all {
            directory.name()?;
        }
        Ok(directories)
    }

    fn insert(&mut self, path: &'a str, file: Kind) -> Result<()> {
        let mut at = 0;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            name::check(name)?;
            let is_last = names.peek().is_none();
            let next = self.all.len();
            let kind = if is_last { file } else { Kind::Directory(next) };
            match self.all[at].children.entry(name::fold(name)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Child { name, kind });
                    if !is_last {
                        self.all.push(Directory::within(at));
                        at = next;
                    }
                }
                Entry::Occupied(old) => match old.get() {
                    Child {
                        name: same,
                        kind: Kind::Directory(index),
                    } if *same == name && !is_last => at = *index,
                    other => bail!(
                        "`{name}` already exists as `{}`: FAT ignores case in names",
                        other.name
                    ),
                },
            }
        }
        Ok(())
    }

    /// Of each directory, in bytes.
    pub fn sizes(&self) -> impl Iterator<Item = u64> {
        let lengths = self.all.iter().map(Directory::entries);
        lengths.map(|entries| (entries * ENTRY) as u64)
    }

    /// The bytes of one.
    pub fn encode(&self, index: usize, head: &Head, layout: &Layout) -> Vec<u8> {
        let (directory, time) = (&self.all[index], head.time);
        let short = |name: &Short, attributes, run: Run, size| {
            short_entry(name, attributes, time, (run.start(), size))
        };
        let mut bytes = Vec::with_capacity(directory.entries() * ENTRY);
        if index > 0 {
            // Zero is the root's name here.
            let parent = match directory.parent {
                0 => Run { first: 0, count: 0 },
                other => layout.directories[other],
            };
            let own = layout.directories[index];
            bytes.extend(short(b".          ", DIRECTORY, own, 0));
            bytes.extend(short(b"..         ", DIRECTORY, parent, 0));
        } else if let Some(label) = &head.label {
            let nowhere = Run { first: 0, count: 0 };
            bytes.extend(short(label, READ_LABEL, nowhere, 0));
        }
        for (child, alias) in directory.children.values().zip(&directory.aliases) {
            if name::needs_long(child.name) {
                bytes.extend(long_entries(child.name, alias));
            }
            bytes.extend(match child.kind {
                Kind::Directory(index) => short(alias, DIRECTORY, layout.directories[index], 0),
                Kind::File { index, size } => short(alias, ARCHIVE, layout.files[index], size),
            });
        }
        bytes
    }
}

impl<'a> Directory<'a> {
    fn within(parent: usize) -> Directory<'a> {
        Directory {
            parent,
            children: BTreeMap::new(),
            aliases: Vec::new(),
        }
    }

    /// Gives the children their aliases, once all are there.
    fn name(&mut self) -> Result<()> {
        let names: Vec<&str> = self.children.values().map(|child| child.name).collect();
        self.aliases = name::aliases(&names)?;
        ensure!(
            self.entries() <= MOST_ENTRIES,
            "the directory of `{}` has more entries than FAT allows: split it up",
            names.first().unwrap_or(&"")
        );
        Ok(())
    }

    /// Those of the children, and two: itself and its parent. The root has one
    /// instead, the label, and perhaps no child: it has a cluster all the same.
    fn entries(&self) -> usize {
        let of = |child: &Child<'_>| match name::needs_long(child.name) {
            true => child.name.encode_utf16().count().div_ceil(UNITS) + 1,
            false => 1,
        };
        2 + self.children.values().map(of).sum::<usize>()
    }
}

pub(super) fn short_entry(
    name: &Short,
    attributes: u8,
    time: Time,
    (cluster, size): (u32, u32),
) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let mut put = |at: usize, bytes: &[u8]| entry[at..at + bytes.len()].copy_from_slice(bytes);
    let (date, clock) = (time.date.to_le_bytes(), time.time.to_le_bytes());
    let cluster = cluster.to_le_bytes();
    put(0, name);
    put(11, &[attributes]);
    put(13, &[time.hundredths]);
    put(14, &clock);
    put(16, &date);
    put(18, &date);
    put(20, &cluster[2..]);
    put(22, &clock);
    put(24, &date);
    put(26, &cluster[..2]);
    put(28, &size.to_le_bytes());
    entry
}

/// The last part first.
pub(super) fn long_entries(name: &str, alias: &Short) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let count = units.len().div_ceil(UNITS);
    // A zero ends it, if there is room; the rest is filled.
    if units.len() < count * UNITS {
        units.push(0);
        units.resize(count * UNITS, 0xffff);
    }
    let mut bytes = Vec::with_capacity(count * ENTRY);
    for (index, part) in units.chunks_exact(UNITS).enumerate().rev() {
        let last = if index + 1 == count { 0x40 } else { 0 };
        let mut entry = [0; ENTRY];
        entry[0] = (index + 1) as u8 | last;
        entry[11] = LONG;
        entry[13] = checksum(alias);
        let places = (1..11).chain(14..26).chain(28..32);
        let text = part.iter().flat_map(|unit| unit.to_le_bytes());
        for (place, byte) in places.zip(text) {
            entry[place] = byte;
        }
        bytes.extend(entry);
    }
    bytes
}

/// What ties a long entry to its short one.
fn checksum(alias: &Short) -> u8 {
    let sum = |sum: u8, byte: &u8| sum.rotate_right(1).wrapping_add(*byte);
    alias.iter().fold(0, sum)
}
