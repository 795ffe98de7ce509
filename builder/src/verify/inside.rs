//! What steps 5 to 8 know of the disk, each from those before.

use std::io::Read;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use nodeimg_formats::fat::Contents;
use nodeimg_formats::gpt::kinds::Root as RootKinds;
use nodeimg_formats::gpt::{Entry, Extent, Table};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::verity::RootHash;
use nodeimg_inspect::medium::Medium;
use nodeimg_inspect::root::Root;
use nodeimg_values::digest::Digest;

use super::known::{Known, Subject};
use super::policy::Policy;
use super::vouched::Vouched;
use super::vouched::files::Listed;
use crate::output::{esp, provenance, sign};

/// What is read into memory of a text that is listed, in bytes.
const LARGEST_TEXT: u64 = 1 << 30;

/// Filled in by one step, read by the next.
#[derive(Default)]
pub struct Inside {
    /// Step 5: the disk, and system extensions. There as soon as the tables can be read.
    pub disks: Vec<Disk>,
    /// Step 6, of a lone disk: what its programs boot.
    pub booted: Vec<Vouched<RootHash>>,
    /// Step 7: file systems whose every block was checked.
    pub roots: Vec<Checked>,
}

/// An opened disk or system extension.
pub struct Disk {
    /// For people: the file's name, with that of the image before it for a lone disk.
    pub name: String,
    pub medium: Medium,
    pub table: Table,
    /// The files of its ESP.
    pub esp: Option<Contents>,
    /// Nobody changed its partitions since it was built; a node adds its own.
    pub is_as_built: bool,
}

/// A file system by whose root hash every block was checked.
pub struct Checked {
    pub name: String,
    pub is_extension: bool,
    pub root: Vouched<Root>,
}

impl Disk {
    pub fn is_extension(&self) -> bool {
        self.name.ends_with(sign::extension::IMAGE)
    }

    /// The partition of a type, of which there may be several on a node's disk.
    pub fn partitions(&self, kind: Guid) -> impl Iterator<Item = &Entry> {
        self.table
            .partitions
            .iter()
            .filter(move |entry| entry.kind == kind)
    }

    pub fn esp_place(&self) -> Option<&Entry> {
        self.partitions(esp::KIND).next()
    }

    /// The places of the root that this hash stands for, and of its hash tree.
    pub fn root_of(&self, hash: RootHash) -> Result<(Extent, Extent)> {
        let (first, second) = hash.halves();
        let mut found = [None, None];
        for (_, kinds) in RootKinds::all() {
            let halves = [(kinds.data, first), (kinds.verity, second)];
            for ((kind, unique), place) in halves.into_iter().zip(&mut found) {
                let mut all = self.partitions(kind);
                let entry = all.find(|entry| entry.unique == unique);
                *place = place.or(entry.map(|entry| entry.place));
            }
        }
        match found {
            [Some(root), Some(tree)] => Ok((root, tree)),
            [None, _] => bail!(
                "no partition of a root has the GUID {first}, the first half of the root hash {hash}"
            ),
            [_, None] => bail!(
                "no partition of a hash tree has the GUID {second}, the second half of the root \
                 hash {hash}"
            ),
        }
    }
}

impl Known {
    /// All of a listed file that is a text or a program; `None` if it is not listed.
    pub fn bytes(&self, name: &str) -> Result<Option<Vouched<Vec<u8>>>> {
        let read = |listed: &Vouched<Listed>| {
            listed.read(|listed| {
                if listed.size > LARGEST_TEXT {
                    bail!("{name} has {} bytes, more than {LARGEST_TEXT}", listed.size);
                }
                let mut bytes = vec![0; listed.size as usize];
                listed
                    .file
                    .read_exact_at(&mut bytes, 0)
                    .with_context(|| format!("reading {name}"))?;
                if Digest::sha256(&bytes) != listed.sha256 {
                    bail!("{name} changed while it was read");
                }
                Ok(bytes)
            })
        };
        self.files.get(name).map(read).transpose()
    }

    /// Names of listed files that end so.
    pub fn ending(&self, suffix: &str) -> Vec<String> {
        let names = self.files.keys().filter(|name| name.ends_with(suffix));
        names.cloned().collect()
    }

    pub fn is_lone(&self) -> bool {
        matches!(self.subject, Subject::Disk { .. })
    }

    /// Every root hash that the statement of provenance names: of `root`, and of extensions by
    /// their name.
    pub fn root_hashes(&self) -> Result<Vec<(String, Vouched<RootHash>)>> {
        let Some(statement) = &self.statement else {
            return Ok(Vec::new());
        };
        let named = statement.root_hashes()?.into_iter();
        let vouched = named.map(|(name, hash)| Ok((name, statement.read(|_| Ok(hash))?)));
        vouched.collect()
    }

    /// That of the root of the disk: as the statement says, else as the SBOM does, else as the
    /// user does. `None` if nobody says so.
    ///
    /// # Errors
    /// They say different things.
    pub fn root_hash(&self, policy: &Policy) -> Result<Option<Vouched<RootHash>>> {
        let stated = self.root_hashes()?;
        let stated = stated.into_iter().find(|(name, _)| name == "root");
        let stated = stated.map(|(_, hash)| hash);
        match (stated, &policy.root_hash) {
            (Some(stated), Some(given)) if *stated != **given => bail!(
                "{} names the root hash {}, but --root-hash is {}",
                provenance::FILE,
                *stated,
                **given
            ),
            (None, given) => Ok(given.clone()),
            (stated, _) => Ok(stated),
        }
    }
}

/// Where the first byte that is not zero is, of those from `start` to `end`.
pub fn not_zero(medium: &Medium, start: u64, end: u64) -> Result<Option<u64>> {
    use nodeimg_formats::sparse;
    let is_file = medium
        .file
        .metadata()
        .context("reading the disk")?
        .is_file();
    let mut buffer = vec![0; 1 << 20];
    let mut at = start;
    while at < end {
        let mut stop = end;
        if is_file {
            match sparse::next_data(&medium.file, at).context("reading the disk")? {
                Some(data) if data.start < end => {
                    at = at.max(data.start);
                    stop = stop.min(data.end);
                }
                _ => return Ok(None),
            }
        }
        while at < stop {
            let length = (stop - at).min(buffer.len() as u64) as usize;
            let part = &mut buffer[..length];
            medium
                .window(at, length as u64)?
                .read_exact(part)
                .context("reading the disk")?;
            if let Some(found) = part.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + found as u64));
            }
            at += length as u64;
        }
    }
    Ok(None)
}
