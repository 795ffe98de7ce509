//! Step 5: the disk: both partition tables, nothing outside of the partitions, the files of the
//! ESP and every other byte of it.
//!
//! A lone disk may be a node's: with partitions of its own, nothing of it is as it was built but
//! what a root hash stands for, and the verdict says what was not looked into.

mod esp;
mod table;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nodeimg_formats::{fat, gpt};
use nodeimg_inspect::medium::{Layout, Medium};

use super::inside::{Disk, not_zero};
use super::known::{Known, Subject};
use super::policy::Policy;
use super::step::{Fault, Judged, Verdict};
use crate::output::sign::extension;
use crate::output::{QCOW2, RAW, ZST};

/// What is compared at a time, in bytes.
const PIECE: usize = 1 << 20;

pub fn check(known: &mut Known, _policy: &Policy) -> Judged {
    let mut forms = [RAW, ZST, QCOW2]
        .into_iter()
        .filter(|name| known.files.contains_key(*name));
    let first = forms.next();
    let others: Vec<&str> = forms.collect();
    let mut opened = Vec::new();
    if let Subject::Disk { path, file } = &known.subject {
        let file = file.try_clone().context("opening the disk again")?;
        opened.push((path.clone(), file));
    }
    let extensions = known.ending(extension::IMAGE);
    for name in first
        .into_iter()
        .chain(extensions.iter().map(String::as_str))
    {
        opened.push((PathBuf::from(name), listed(known, name)?));
    }
    if opened.is_empty() {
        return Ok(Verdict::not_applicable(
            "there is no disk and no system extension among the outputs",
        ));
    }
    for (path, file) in opened {
        let disk = open(path, file)?;
        known.inside.disks.extend(disk);
    }
    if known.inside.disks.is_empty() {
        return Ok(Verdict::not_applicable(
            "it is a file system without a disk around it",
        ));
    }
    let mut notes = Vec::new();
    for index in 0..known.inside.disks.len() {
        let (is_as_built, said) = judge(known, index)?;
        known.inside.disks[index].is_as_built = is_as_built;
        notes.extend(said);
    }
    for name in &others {
        same_disk(known, name)?;
    }
    let names: Vec<&str> = known
        .inside
        .disks
        .iter()
        .map(|disk| disk.name.as_str())
        .collect();
    let names = names.into_iter().chain(others.iter().copied());
    let names: Vec<&str> = names.collect();
    let verdict = Verdict::passed(match notes.is_empty() {
        true => format!(
            "every byte of {} is in a partition that is expected, or zero; no file is on the EFI \
             system partition but those that a build writes",
            names.join(", ")
        ),
        false => format!("the partition tables of {} are whole", names.join(", ")),
    });
    Ok(notes.into_iter().fold(verdict, Verdict::with))
}

fn listed(known: &Known, name: &str) -> Result<File> {
    let listed = known.files.get(name).context("it is not listed")?;
    listed
        .file
        .try_clone()
        .with_context(|| format!("opening {name} again"))
}

/// Its tables and its ESP; `None` if it is a file system alone.
fn open(path: PathBuf, file: File) -> Result<Option<Disk>, Fault> {
    let name = path.display().to_string();
    let fault = |error: anyhow::Error| Fault::from(error).at(name.clone());
    let medium = Medium::of(file, path).map_err(fault)?;
    if medium.layout == Layout::SquashFs {
        return Ok(None);
    }
    let table = gpt::read(&medium.file).map_err(fault)?;
    let mut disk = Disk {
        name: name.clone(),
        medium,
        table,
        esp: None,
        is_as_built: false,
    };
    if let Some(entry) = disk.esp_place() {
        let place = entry.place;
        let read = fat::read(&disk.medium.file, place.start, place.size);
        let read = read.context("the EFI system partition").map_err(fault)?;
        disk.esp = Some(read);
    }
    Ok(Some(disk))
}

/// All checks of one disk: whether it is as it was built, and what was not looked into.
fn judge(known: &Known, index: usize) -> Result<(bool, Vec<String>), Fault> {
    let disk = &known.inside.disks[index];
    let mut notes = Vec::new();
    if known.is_lone()
        && let Some(own) = table::of_a_node(disk)
    {
        notes.push(format!(
            "a node has booted from {}: {own} are its own, which nothing vouches for, and bytes \
             outside of the root were not looked into",
            disk.name
        ));
        return Ok((false, notes));
    }
    table::check(known, disk, &mut notes)?;
    if disk.esp.is_some() {
        esp::check(known, disk, &mut notes)?;
    }
    Ok((true, notes))
}

/// Whether another form of the disk unpacks to the same bytes as the one that was checked.
/// That of a virtual machine may be larger, as the manifest says: zeros follow then.
fn same_disk(known: &Known, name: &str) -> Result<(), Fault> {
    let fault = |error: anyhow::Error| Fault::from(error).at(name.to_owned());
    let first = &known.inside.disks[0];
    let file = listed(known, name).map_err(fault)?;
    let other = Medium::of(file, PathBuf::from(name)).map_err(fault)?;
    let size = first.medium.size;
    let manifest = known.manifest.as_ref();
    let larger = manifest.and_then(|manifest| manifest.disk.as_ref()?.machine_size);
    let may_be = larger.filter(|_| name == QCOW2).unwrap_or(size).max(size);
    let differ = match other.size == may_be {
        true => match difference(&first.medium, &other).map_err(fault)? {
            None => not_zero(&other, size, other.size).map_err(fault)?,
            differ => differ,
        },
        false => Some(other.size.min(size)),
    };
    match differ {
        None => Ok(()),
        Some(at) => Err(Fault::new(format!(
            "it is not the same disk as {}: they differ at byte {at}",
            first.name
        ))
        .at(name)
        .help("publish forms of one build only")),
    }
}

/// The first byte that differs, as far as `one` goes.
fn difference(one: &Medium, other: &Medium) -> Result<Option<u64>> {
    let (mut first, mut second) = (one.window(0, one.size)?, other.window(0, one.size)?);
    let mut buffers = [vec![0; PIECE], vec![0; PIECE]];
    let mut at = 0;
    while at < one.size {
        let length = (one.size - at).min(PIECE as u64) as usize;
        let [left, right] = &mut buffers;
        let (left, right) = (&mut left[..length], &mut right[..length]);
        first.read_exact(left)?;
        second.read_exact(right)?;
        if left != right {
            let pairs = left.iter().zip(right.iter());
            let same = pairs.take_while(|(left, right)| left == right).count();
            return Ok(Some(at + same as u64));
        }
        at += length as u64;
    }
    Ok(None)
}

/// Whether a medium is a device, which may be larger than what was written to it.
fn is_device(medium: &Medium) -> Result<bool> {
    let kind = medium
        .file
        .metadata()
        .context("reading the disk")?
        .file_type();
    Ok(kind.is_block_device())
}
