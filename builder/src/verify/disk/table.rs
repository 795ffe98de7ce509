//! The partition tables: what they say, and that nothing is outside of what they say.

use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use nodeimg_formats::gpt::kinds::Root;
use nodeimg_formats::gpt::{self, Entry, Extent, SECTOR};

use super::is_device;
use crate::output::{esp, manifest};
use crate::verify::inside::{Disk, not_zero};
use crate::verify::known::Known;
use crate::verify::step::Fault;

/// Of each table with its header, and before both the protective MBR.
const TABLE: u64 = 33 * SECTOR;

/// Which partitions a node has made, if it has: `a, b`.
pub fn of_a_node(disk: &Disk) -> Option<String> {
    let mut roots = 0;
    let mut others = Vec::new();
    for entry in &disk.table.partitions {
        let is_root = is_of_root(entry);
        roots += usize::from(is_root);
        if !(is_root && roots <= 2 || entry.kind == esp::KIND) {
            others.push(format!("`{}`", entry.name.escape_debug()));
        }
    }
    (!others.is_empty()).then(|| others.join(", "))
}

/// A root, its hash tree, or the signature of that.
fn is_of_root(entry: &Entry) -> bool {
    Root::all().any(|(_, root)| root.has(entry.kind))
}

/// # Errors
/// The tables are others than the manifest's, or something is outside of the partitions.
pub fn check(known: &Known, disk: &Disk, notes: &mut Vec<String>) -> Result<(), Fault> {
    let at = |what: String| Fault::new(what).at(disk.name.clone());
    if disk.is_extension() {
        let mut others = disk.table.partitions.iter();
        if let Some(other) = others.find(|entry| !is_of_root(entry)) {
            return Err(at(format!(
                "partition `{}` is neither a root, nor its hash tree or signature",
                other.name.escape_debug()
            )));
        }
    } else {
        expected(known, disk, notes)?;
    }
    let read = |error: anyhow::Error| Fault::from(error).at(disk.name.clone());
    if disk.medium.size < disk.table.size {
        return Err(at("it is shorter than its partition tables say".to_owned()));
    }
    if disk.medium.size > disk.table.size {
        let more = disk.medium.size - disk.table.size;
        if is_device(&disk.medium).map_err(read)? {
            notes.push(format!(
                "{} is larger than the image: its last {more} bytes were not looked into",
                disk.name
            ));
        } else if let Some(byte) =
            not_zero(&disk.medium, disk.table.size, disk.medium.size).map_err(read)?
        {
            return Err(at(format!(
                "byte {byte} is not zero, but it is behind the second partition table, where \
                 nothing belongs"
            )));
        }
    }
    if let Some(byte) = other_table(disk).map_err(read)? {
        return Err(at(format!(
            "byte {byte}, in {}, is not what a build writes there",
            match byte {
                0..SECTOR => "the protective MBR",
                _ if byte < TABLE + SECTOR => "the first partition table",
                _ => "the second partition table",
            }
        )));
    }
    let mut free = TABLE + SECTOR;
    let mut places: Vec<_> = disk.table.partitions.iter().collect();
    places.sort_by_key(|entry| entry.place.start);
    let mut before = "the first partition table".to_owned();
    for entry in places {
        outside(disk, free, entry.place.start, &before)?;
        free = entry.place.end();
        before = format!("partition `{}`", entry.name.escape_debug());
    }
    let mut end = disk.table.size - TABLE;
    let image = gpt::disk_size(Extent {
        start: 0,
        size: free,
    });
    // A flashed device has its second table at its own end, and between the image and that what
    // it has held before.
    if end > image && is_device(&disk.medium).map_err(read)? {
        notes.push(format!(
            "{}: bytes {image} to {end}, behind the last partition, were not looked into",
            disk.name
        ));
        end = image - TABLE;
    }
    outside(disk, free, end, &before)
}

fn outside(disk: &Disk, start: u64, end: u64, before: &str) -> Result<(), Fault> {
    let found = not_zero(&disk.medium, start, end.max(start))
        .map_err(|error| Fault::from(error).at(disk.name.clone()))?;
    match found {
        None => Ok(()),
        Some(byte) => Err(Fault::new(format!(
            "byte {byte} is not zero, but it is behind {before}, in no partition"
        ))
        .at(disk.name.clone())),
    }
}

/// The tables of the manifest, which is vouched for.
fn expected(known: &Known, disk: &Disk, notes: &mut Vec<String>) -> Result<(), Fault> {
    let Some(manifest) = &known.manifest else {
        return Ok(());
    };
    let Some(expected) = &manifest.disk else {
        notes.push(
            "manifest.json does not say what the partitions are: the image was built by an \
             older nodeimg"
                .to_owned(),
        );
        return Ok(());
    };
    let found = manifest::Disk::from(&disk.table);
    let differs = |what: String, there: &dyn std::fmt::Display, wanted: &dyn std::fmt::Display| {
        Err(Fault::new(format!(
            "{what} is {there} in the partition tables, but manifest.json says {wanted}"
        ))
        .at(disk.name.clone()))
    };
    if found.guid != expected.guid {
        return differs("the disk's GUID".to_owned(), &found.guid, &expected.guid);
    }
    if found.size != expected.size {
        return differs(
            "the disk's size in bytes".to_owned(),
            &found.size,
            &expected.size,
        );
    }
    let names = |disk: &manifest::Disk| {
        let names = disk.partitions.iter();
        names
            .map(|one| one.label.escape_debug().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if found.partitions.len() != expected.partitions.len() {
        return differs(
            "the list of partitions".to_owned(),
            &names(&found),
            &names(expected),
        );
    }
    for (number, (there, wanted)) in found
        .partitions
        .iter()
        .zip(&expected.partitions)
        .enumerate()
    {
        let fields: [(&str, String, String); 6] = [
            (
                "label",
                there.label.escape_debug().to_string(),
                wanted.label.clone(),
            ),
            ("type", there.kind.clone(), wanted.kind.clone()),
            ("GUID", there.guid.clone(), wanted.guid.clone()),
            (
                "flags",
                format!("{:#x}", there.flags),
                format!("{:#x}", wanted.flags),
            ),
            ("start", there.start.to_string(), wanted.start.to_string()),
            ("size", there.size.to_string(), wanted.size.to_string()),
        ];
        if let Some((field, there, wanted)) = fields.iter().find(|(_, one, other)| one != other) {
            let label = found.partitions[number].label.escape_debug();
            let what = format!("the {field} of partition {} (`{label}`)", number + 1);
            return differs(what, there, wanted);
        }
    }
    Ok(())
}

/// The first byte of the tables that is not what [`gpt::write`] makes of what they say.
fn other_table(disk: &Disk) -> Result<Option<u64>> {
    let entries = disk.table.partitions.iter();
    let partitions: Vec<_> = entries.map(Entry::partition).collect();
    let size = disk.table.size;
    let wanted = tempfile::tempfile().context("making a temporary file")?;
    gpt::write(&wanted, size, disk.table.disk, &partitions)?;
    for (start, length) in [(0, TABLE + SECTOR), (size - TABLE, TABLE)] {
        let read = |file: &std::fs::File| -> Result<Vec<u8>> {
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, start)
                .context("reading the partition tables")?;
            Ok(bytes)
        };
        let (there, wanted) = (read(&disk.medium.file)?, read(&wanted)?);
        let mut pairs = there.iter().zip(&wanted);
        if let Some(at) = pairs.position(|(one, other)| one != other) {
            return Ok(Some(start + at as u64));
        }
    }
    Ok(None)
}
