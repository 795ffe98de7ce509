//! An image: what of it was found in a medium.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::gpt::kinds::ESP;
use nodeimg_formats::gpt::{self, Entry, Table};

use crate::boot::{Esp, Uki};
use crate::medium::{Layout, Medium, Window};
use crate::root::Root;

/// The part of a SquashFS that tells it.
const MAGIC: &[u8] = b"hsqs";

/// A disk, or a file system by itself.
pub struct Image {
    pub medium: Medium,
    /// Of a disk.
    pub table: Option<Table>,
    pub esp: Option<Esp>,
    /// The path on the ESP, and the UKI: the one that boots by default.
    pub uki: Option<(String, Uki)>,
    pub root: Root,
}

impl Image {
    /// Opens what is at `path` and reads its tables, no contents.
    ///
    /// # Errors
    /// It is not an image, or is damaged.
    pub fn open(path: &Path) -> Result<Image> {
        let medium = Medium::open(path)?;
        let context = || format!("reading {}", medium.path.display());
        if medium.layout == Layout::SquashFs {
            let window = medium.window(0, medium.size)?;
            let root = Root::read(window).with_context(context)?;
            return Ok(Image {
                medium,
                table: None,
                esp: None,
                uki: None,
                root,
            });
        }
        let table = gpt::read(&medium.file).with_context(context)?;
        let root = root_of(&medium, &table).with_context(context)?;
        let root = Root::read(root).with_context(context)?;
        let esp = table
            .partitions
            .iter()
            .find(|entry| entry.kind == ESP)
            .map(|entry| Esp::read(window(&medium, entry)?))
            .transpose()
            .with_context(context)?;
        let uki = esp
            .as_ref()
            .map(newest_uki)
            .transpose()
            .with_context(context)?;
        let uki = uki.flatten();
        Ok(Image {
            medium,
            table: Some(table),
            esp,
            uki,
            root,
        })
    }
}

fn window(medium: &Medium, entry: &Entry) -> Result<Window> {
    medium.window(entry.place.start, entry.place.size)
}

/// The first partition with a SquashFS. A node that was updated has two: the one that boots is
/// the other one's business, its UKI's.
fn root_of(medium: &Medium, table: &Table) -> Result<Window> {
    use std::io::{Read, Seek};
    for entry in &table.partitions {
        let mut found = window(medium, entry)?;
        let mut head = [0; 4];
        if found.read_exact(&mut head).is_ok() && head == MAGIC {
            found.rewind()?;
            return Ok(found);
        }
    }
    bail!("no partition has a SquashFS: it is not a disk that nodeimg made")
}

fn newest_uki(esp: &Esp) -> Result<Option<(String, Uki)>> {
    let Some(path) = esp.ukis().pop().map(str::to_owned) else {
        return Ok(None);
    };
    let uki = Uki::parse(&esp.content(&path)?).with_context(|| format!("reading `{path}`"))?;
    Ok(Some((path, uki)))
}
