//! The boot entries: unified kernel images in `EFI/Linux` of the EFI system partition.
//!
//! Two ways to them. On a node on which nobody has mounted the partition, and on a disk in a
//! file, the volume is changed by `nodeimg_formats::fat` itself, whose order of writes is known.
//! Where it is mounted, the kernel has the say, and files are made as everywhere: under another
//! name, flushed, renamed, flushed.

mod mounted;
mod volume;

use anyhow::Result;
use nodeimg_formats::pe;
use nodeimg_formats::verity::RootHash;

pub use mounted::Mounted;
pub use volume::Volume;

/// Where boot loaders look.
pub const DIRECTORY: &str = "EFI/Linux";
/// Begins the name of a file that is not whole yet.
pub const TEMPORARY: &str = ".#";

/// A file in [`DIRECTORY`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    pub name: String,
    /// In bytes.
    pub size: u64,
}

/// The boot entries of a node. What a call has changed lasts when it returns.
pub trait Esp {
    /// # Errors
    /// It cannot be read.
    fn list(&self) -> Result<Vec<File>>;
    /// # Errors
    /// It cannot be read.
    fn read(&self, name: &str) -> Result<Vec<u8>>;
    /// The bytes that new files can have.
    ///
    /// # Errors
    /// It cannot be read.
    fn free(&self) -> Result<u64>;
    /// # Errors
    /// It cannot be written.
    fn remove(&mut self, name: &str) -> Result<()>;
    /// The file has this name only once it is whole.
    ///
    /// # Errors
    /// It cannot be written; there is no room.
    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<()>;
    /// # Errors
    /// It cannot be written.
    fn rename(&mut self, from: &str, to: &str) -> Result<()>;
}

/// An entry's name: `NAME_VERSION+LEFT-DONE.efi`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// `NAME_VERSION`.
    pub stem: String,
    /// How often it is tried yet, if its boots are counted.
    pub left: Option<u32>,
}

impl Name {
    /// `None` if it is not the name of an entry.
    pub fn parse(name: &str) -> Option<Name> {
        let stem = strip_suffix(name, ".efi")?;
        let counted = stem.rsplit_once('+').and_then(|(stem, count)| {
            let left = count.split_once('-').map_or(count, |(left, _)| left);
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let is_count = count.split('-').all(digits) && count.split('-').count() <= 2;
            is_count.then_some(())?;
            Some((stem, left.parse().ok()?))
        });
        Some(match counted {
            Some((stem, left)) => Name {
                stem: stem.to_owned(),
                left: Some(left),
            },
            None => Name {
                stem: stem.to_owned(),
                left: None,
            },
        })
    }
}

/// FAT ignores case.
fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    let (stem, end) = (name.get(..at)?, name.get(at..)?);
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

/// The root hash on a UKI's command line; none if it is not a nodeimg UKI.
pub fn root_hash(uki: &[u8]) -> Option<RootHash> {
    let text = section(uki, ".cmdline")?;
    let mut words = text.split_ascii_whitespace();
    words.find_map(|word| word.strip_prefix("roothash=")?.parse().ok())
}

/// A value of the os-release in a UKI.
pub fn os_release(uki: &[u8], key: &str) -> Option<String> {
    crate::node::value(&section(uki, ".osrel")?, key)
}

fn section(uki: &[u8], name: &str) -> Option<String> {
    let sections = pe::sections(uki).ok()?;
    let found = sections.into_iter().find(|section| section.name == name)?;
    let start = found.offset as usize;
    let bytes = uki.get(start..start.checked_add(found.size.min(found.stored) as usize)?)?;
    let text = String::from_utf8_lossy(bytes);
    Some(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_often_an_entry_is_tried() {
        for (name, stem, left) in [
            ("node_1.efi", "node_1", None),
            ("node_1+3.efi", "node_1", Some(3)),
            ("node_1+2-1.EFI", "node_1", Some(2)),
            ("node_1+0-3.efi", "node_1", Some(0)),
            ("node_1+x.efi", "node_1+x", None),
            ("node_1+1-2-3.efi", "node_1+1-2-3", None),
            ("node_1+.efi", "node_1+", None),
        ] {
            let stem = stem.to_owned();
            assert_eq!(Name::parse(name), Some(Name { stem, left }), "{name}");
        }
        for name in ["node_1", ".#node_1.tmp", "efi", ""] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
