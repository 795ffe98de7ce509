//! Step 7: the whole tree of dm-verity: every block of every file system, and every byte of the
//! trees, by the root hash that is vouched for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use nodeimg_formats::gpt::Extent;
use nodeimg_formats::verity::{self, BLOCK, Data, RootHash, Tree};
use nodeimg_inspect::medium::Medium;
use nodeimg_inspect::root::Root;

use super::inside::{Checked, Disk, not_zero};
use super::known::Known;
use super::policy::Policy;
use super::step::{Fault, Judged, Step, Verdict};
use super::vouched::Vouched;
use crate::output::{discoverable, esp, provenance};

/// The file system of a disk as an output of its own, and its hash tree.
const SQUASHFS: &str = "root.squashfs";
const TREE: &str = "root.verity";

pub fn check(known: &mut Known, policy: &Policy) -> Judged {
    let main = known.root_hash(policy)?;
    let stated = known.root_hashes()?;
    let mut checked = Vec::new();
    let mut missing = None;
    for disk in &known.inside.disks {
        let stem = disk.name.trim_end_matches(".raw");
        let hashes: Vec<Vouched<RootHash>> = match (disk.is_extension(), known.is_lone()) {
            (true, false) => stated
                .iter()
                .filter(|(name, _)| name == stem)
                .map(|(_, hash)| hash.clone())
                .collect(),
            (false, false) => main.iter().cloned().collect(),
            (_, true) => match &main {
                Some(given) => vec![given.clone()],
                None => known.inside.booted.clone(),
            },
        };
        if hashes.is_empty() {
            missing = Some(disk.name.clone());
        }
        for hash in hashes {
            let found =
                on_disk(disk, *hash, known.is_lone()).map_err(|fault| match fault.place {
                    Some(_) => fault,
                    None => fault.at(disk.name.clone()),
                })?;
            checked.push(found.with(disk.name.clone(), disk.is_extension(), &hash)?);
        }
    }
    if let Some(hash) = &main {
        apart(known, **hash, &mut checked, hash)?;
    }
    if checked.is_empty() {
        return Ok(match missing {
            Some(_) if known.is_lone() => Verdict::not_reached(Step::Boot),
            _ if known.files.contains_key(provenance::FILE) && known.statement.is_none() => {
                Verdict::not_reached(Step::Statement)
            }
            Some(name) => {
                return Err(Fault::new("nothing that is signed names its root hash")
                    .at(name)
                    .help("give it by --root-hash"));
            }
            None if known.files.contains_key(SQUASHFS) => {
                return Err(Fault::new("nothing that is signed names its root hash").at(SQUASHFS));
            }
            None => Verdict::not_applicable("no output has a dm-verity tree"),
        });
    }
    let bytes: u64 = checked.iter().map(|one| one.size).sum();
    let names: Vec<String> = checked
        .iter()
        .map(|one| format!("{} ({})", one.checked.name, one.hash))
        .collect();
    known
        .inside
        .roots
        .extend(checked.into_iter().map(|one| one.checked));
    Ok(Verdict::passed(format!(
        "every block of the root file system and of its hash tree is the one that the root hash \
         stands for ({bytes} bytes): {}",
        names.join(", ")
    )))
}

/// A file system that holds, and what is said of it.
struct Found {
    root: Root,
    size: u64,
    hash: RootHash,
}

struct Whole {
    checked: Checked,
    size: u64,
    hash: RootHash,
}

impl Found {
    fn with(self, name: String, is_extension: bool, hash: &Vouched<RootHash>) -> Result<Whole> {
        // The hash is vouched for, and it stands for every byte.
        Ok(Whole {
            checked: Checked {
                name,
                is_extension,
                root: hash.read(|_| Ok(self.root))?,
            },
            size: self.size,
            hash: self.hash,
        })
    }
}

fn on_disk(disk: &Disk, hash: RootHash, is_lone: bool) -> Result<Found, Fault> {
    let (data, tree) = disk.root_of(hash)?;
    let file = &disk.medium.file;
    let place = |entry: Extent| {
        let mut all = disk.table.partitions.iter();
        let entry = all.find(|one| one.place == entry);
        let label = entry.map_or("", |entry| entry.name.as_str());
        format!("{}, partition `{}`", disk.name, label.escape_debug())
    };
    let hashes = Tree {
        file,
        start: tree.start,
        room: tree.size,
    };
    let size = hashes
        .data_size()
        .map_err(|error| Fault::from(error).at(place(tree)))?;
    if size > data.size {
        return Err(Fault::new(format!(
            "the hash tree is of {size} bytes, but the partition of the data has {}",
            data.size
        ))
        .at(place(tree)));
    }
    let range = Data {
        file,
        start: data.start,
        size,
    };
    let tree_size = verity::check(range, hashes, hash)
        .map_err(|error| Fault::from(error).at(format!("{} and {}", place(data), place(tree))))?;
    // A node may have written another version's root there before.
    if disk.is_as_built || !is_lone {
        let used = [(data, size), (tree, tree_size)];
        nothing_else(disk, &used)?;
    }
    let root = Root::read(disk.medium.window(data.start, size)?)
        .map_err(|error| Fault::from(error).at(place(data)))?;
    Ok(Found { root, size, hash })
}

/// Nothing is behind what the root hash stands for, nor in a partition that it is not of.
fn nothing_else(disk: &Disk, used: &[(Extent, u64)]) -> Result<(), Fault> {
    for entry in &disk.table.partitions {
        let known = used.iter().find(|(place, _)| *place == entry.place);
        let known = known.map_or(0, |(_, size)| *size);
        // Steps 5 and 6 looked into these.
        if known == 0 && (entry.kind == esp::KIND || discoverable::is_signature(entry.kind)) {
            continue;
        }
        let (start, end) = (entry.place.start, entry.place.end());
        let Some(byte) = not_zero(&disk.medium, start + known, end)? else {
            continue;
        };
        let place = format!("{}, partition `{}`", disk.name, entry.name.escape_debug());
        return Err(Fault::new(format!(
            "byte {} of it is not zero, but it is behind the {known} bytes of it that the root \
             hash stands for",
            byte - start
        ))
        .at(place));
    }
    Ok(())
}

/// The root and its tree as files of their own.
fn apart(
    known: &Known,
    hash: RootHash,
    checked: &mut Vec<Whole>,
    vouched: &Vouched<RootHash>,
) -> Result<(), Fault> {
    let (Some(data), Some(tree)) = (known.files.get(SQUASHFS), known.files.get(TREE)) else {
        return Ok(());
    };
    let at = |error: anyhow::Error| Fault::from(error).at(format!("{SQUASHFS} and {TREE}"));
    // Of a disk that was checked: the same bytes need no second check.
    let range = Data {
        file: &data.file,
        start: 0,
        size: data.size,
    };
    let hashes = Tree {
        file: &tree.file,
        start: 0,
        room: tree.size,
    };
    if !data.size.is_multiple_of(BLOCK) {
        return Err(at(anyhow::anyhow!("{SQUASHFS} is cut short")));
    }
    let used = verity::check(range, hashes, hash).map_err(at)?;
    nothing_behind(&tree.file, used, tree.size).map_err(at)?;
    if checked.iter().any(|one| !one.checked.is_extension) {
        return Ok(());
    }
    let file = data
        .file
        .try_clone()
        .context("opening it again")
        .map_err(at)?;
    let medium = Medium::of(file, PathBuf::from(SQUASHFS)).map_err(at)?;
    let root = Root::read(medium.window(0, data.size).map_err(at)?).map_err(at)?;
    let size = data.size;
    let found = Found { root, size, hash };
    checked.push(found.with(SQUASHFS.to_owned(), false, vouched)?);
    Ok(())
}

fn nothing_behind(file: &File, used: u64, size: u64) -> Result<()> {
    let mut rest = vec![0; size.saturating_sub(used) as usize];
    file.read_exact_at(&mut rest, used)
        .context("reading the hash tree")?;
    match rest.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(at) => bail!(
            "byte {} of {TREE} is behind the hash tree",
            used + at as u64
        ),
    }
}
