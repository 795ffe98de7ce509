//! The partitions of a nodeimg disk: which slot runs, and which one an update may write.

use anyhow::{Context, Result, bail};
use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::gpt::kinds::{ESP, Root};
use nodeimg_formats::gpt::{Editable, Entry, Extent};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::verity::RootHash;

/// The label of a slot that holds nothing, as systemd-repart and systemd-sysupdate have it.
pub const EMPTY: &str = "_empty";

/// A root file system and its hash tree.
#[derive(Clone, Debug)]
pub struct Slot {
    pub root: Entry,
    pub verity: Entry,
}

impl Slot {
    /// Whether both partitions have the GUIDs that this root hash asks for.
    pub fn is_of(&self, root: RootHash) -> bool {
        (self.root.unique, self.verity.unique) == root.halves()
    }
}

/// A disk with two slots.
pub struct Slots {
    pub table: Editable,
    /// Where the ESP is.
    pub esp: Extent,
    /// Never written.
    pub running: Slot,
    /// The other one.
    pub target: Slot,
    /// `amd64` or `arm64`.
    pub architecture: &'static str,
}

impl Slots {
    /// Those of a disk of `size` bytes on which the system with this root hash runs.
    ///
    /// # Errors
    /// It has no partition table, runs another system, or has no second slot.
    pub fn of(disk: &dyn Blocks, size: u64, running: RootHash) -> Result<Slots> {
        let table = Editable::read(disk, size)?;
        let partitions = table.partitions();
        let (root_guid, verity_guid) = running.halves();
        let by_guid = |guid: Guid| partitions.iter().find(|entry| entry.unique == guid);
        let (Some(root), Some(verity)) = (by_guid(root_guid), by_guid(verity_guid)) else {
            bail!("the system that runs (root hash {running}) is not on this disk");
        };
        let Some((arch, kinds)) = Root::all().find(|(_, kinds)| kinds.data == root.kind) else {
            bail!("the partition of the running root is not of a type that nodeimg writes");
        };
        let other = |kind: Guid, than: &Entry| {
            let mut others = partitions
                .iter()
                .filter(|entry| entry.kind == kind && entry.place != than.place);
            match (others.next(), others.next()) {
                (Some(only), None) => Ok(only.clone()),
                (None, _) => bail!(
                    "this disk has no second slot, so that updates have no place: it was too \
                     small for one when it booted first"
                ),
                _ => bail!("this disk has more than two slots: nodeimg makes two"),
            }
        };
        let target = Slot {
            root: other(kinds.data, root)?,
            verity: other(kinds.verity, verity)?,
        };
        let esp = partitions.iter().find(|entry| entry.kind == ESP);
        let esp = esp.context("this disk has no EFI system partition")?.place;
        let running = Slot {
            root: root.clone(),
            verity: verity.clone(),
        };
        Ok(Slots {
            esp,
            running,
            target,
            architecture: arch.name(),
            table,
        })
    }

    /// Whether a slot has these halves.
    pub fn has(&self, root: RootHash) -> bool {
        self.running.is_of(root) || self.target.is_of(root)
    }
}
