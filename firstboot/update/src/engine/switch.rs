//! What makes a slot the one that boots: GUIDs, labels, entries.

use anyhow::{Context, Result, bail};
use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::gpt::Change;
use nodeimg_formats::guid::Guid;
use nodeimg_formats::update::Manifest;
use nodeimg_formats::verity::RootHash;

use crate::esp::{self, Esp, Name, TEMPORARY};
use crate::refusal::Refusal;
use crate::slots::{EMPTY, Slots};

/// How often the new version is tried before the old one boots.
const TRIES: u32 = 3;

/// Whether a file on the ESP is the entry of a version, counted or not.
pub fn is_entry_of(name: &str, entry: &str) -> bool {
    Name::parse(name).is_some_and(|name| name.stem.eq_ignore_ascii_case(entry))
}

/// The entry that starts the root of this manifest, if the target has that.
///
/// # Errors
/// The ESP cannot be read.
pub fn installed(slots: &Slots, esp: &dyn Esp, manifest: &Manifest) -> Result<Option<String>> {
    let root: RootHash = manifest.root.roothash.parse()?;
    if !slots.target.is_of(root) {
        return Ok(None);
    }
    for file in esp.list()? {
        if is_entry_of(&file.name, &manifest.entry()) && starts(esp, &file.name)? == Some(root) {
            return Ok(Some(file.name));
        }
    }
    Ok(None)
}

fn starts(esp: &dyn Esp, name: &str) -> Result<Option<RootHash>> {
    Ok(esp::root_hash(&esp.read(name)?))
}

/// Which entries go: those that name the target slot, those of this image that no slot can
/// start, and what a power cut has left.
///
/// # Errors
/// The ESP cannot be read.
pub fn entries_that_go(slots: &Slots, esp: &dyn Esp, id: &str) -> Result<Vec<esp::File>> {
    let mut go = Vec::new();
    for file in esp.list()? {
        if file.name.starts_with(TEMPORARY) {
            go.push(file);
            continue;
        }
        if Name::parse(&file.name).is_none() {
            continue;
        }
        let uki = esp.read(&file.name)?;
        let Some(root) = esp::root_hash(&uki) else {
            continue;
        };
        let is_ours = esp::os_release(&uki, "IMAGE_ID").as_deref() == Some(id);
        if slots.target.is_of(root) || (is_ours && !slots.has(root)) {
            go.push(file);
        }
    }
    Ok(go)
}

/// Whether the ESP will have room for the new entry.
///
/// # Errors
/// It will not, or cannot be read.
pub fn room(slots: &Slots, esp: &dyn Esp, manifest: &Manifest, uki: u64) -> Result<()> {
    let go = entries_that_go(slots, esp, &manifest.id)?;
    let freed: u64 = go.iter().map(|file| file.size).sum();
    let free = esp.free()? + freed;
    // A directory may grow by a cluster, and a file ends within one.
    if uki + (64 << 10) > free {
        return Err(Refusal {
            why: format!(
                "the boot entry of version {} has {uki} bytes, but the EFI system partition has \
                 room for {free}: remove what is not needed there",
                manifest.version
            ),
            can_be_forced: false,
        }
        .into());
    }
    Ok(())
}

/// Steps 3 and 4: from here on nothing names the target slot.
pub fn clear(
    disk: &dyn Blocks,
    slots: &mut Slots,
    esp: &mut dyn Esp,
    manifest: &Manifest,
) -> Result<()> {
    for file in entries_that_go(slots, esp, &manifest.id)? {
        esp.remove(&file.name)?;
    }
    // A run that was cut has done it.
    if slots.target.root.name == EMPTY && slots.target.verity.name == EMPTY {
        return Ok(());
    }
    let old = slots.target.root.unique.to_string();
    let fresh = |which: &str| Guid::derived(&["empty slot", which, &old]);
    relabel(disk, slots, (fresh("root"), fresh("verity")), EMPTY)
}

/// Step 7: the slot is what the new UKI asks for.
pub fn name(
    disk: &dyn Blocks,
    slots: &mut Slots,
    root: RootHash,
    manifest: &Manifest,
) -> Result<()> {
    if slots.running.is_of(root) {
        bail!("the slot that runs holds this very root already");
    }
    relabel(disk, slots, root.halves(), &manifest.label())
}

fn relabel(
    disk: &dyn Blocks,
    slots: &mut Slots,
    (root, verity): (Guid, Guid),
    label: &str,
) -> Result<()> {
    let change =
        |of: &nodeimg_formats::gpt::Entry, unique, like: &nodeimg_formats::gpt::Entry| Change {
            start: of.place.start,
            unique,
            name: label.to_owned(),
            flags: like.flags,
        };
    let changes = [
        change(&slots.target.root, root, &slots.running.root),
        change(&slots.target.verity, verity, &slots.running.verity),
    ];
    slots.table.write(disk, &changes)?;
    for (entry, change) in [&mut slots.target.root, &mut slots.target.verity]
        .into_iter()
        .zip(changes)
    {
        entry.unique = change.unique;
        entry.name = change.name;
        entry.flags = change.flags;
    }
    Ok(())
}

/// Step 8: the new version boots next, three times at most.
pub fn enter(esp: &mut dyn Esp, manifest: &Manifest, uki: &[u8]) -> Result<()> {
    let name = format!("{}+{TRIES}.efi", manifest.entry());
    // Two entries of one version would be counted apart.
    for file in esp.list()? {
        if is_entry_of(&file.name, &manifest.entry()) {
            esp.remove(&file.name)?;
        }
    }
    esp.create(&name, uki)
        .with_context(|| format!("adding the boot entry {name}"))
}
