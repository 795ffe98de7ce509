//! What a machine would do with a disk: firmware, boot loader and initrd in a few lines.
//!
//! - Firmware and the kernel (with `gpt` on its command line) read the first partition table,
//!   or, if that is damaged, the one in the last sectors.
//! - systemd-boot starts the newest entry of `EFI/Linux` that may be tried yet.
//! - The initrd finds root and tree by the halves of the root hash, and dm-verity refuses a
//!   block that does not hash to what the tree says.

use std::fs::File;

use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::fat;
use nodeimg_formats::gpt::Editable;
use nodeimg_formats::update::compare;
use nodeimg_formats::verity::Leaves;
use nodeimg_update::esp::{Name, root_hash};

/// What booted: the entry's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Booted {
    pub entry: String,
    /// All entries that would boot.
    pub bootable: Vec<String>,
}

pub fn boot(disk: &File, size: u64) -> Result<Booted, String> {
    let table = Editable::read(disk, size).map_err(|error| format!("no table: {error:#}"))?;
    let esp = table.partitions().iter().find(|entry| entry.name == "esp");
    let esp = esp.ok_or("no ESP")?.place;
    let contents = fat::read(disk, esp.start, esp.size).map_err(|error| format!("{error:#}"))?;
    if !contents.files.contains_key("EFI/BOOT/BOOTX64.EFI") {
        return Err("the boot loader is gone".to_owned());
    }
    let mut entries: Vec<(Name, String, &Vec<u8>)> = Vec::new();
    for (path, bytes) in &contents.files {
        let Some(file) = path.strip_prefix("EFI/Linux/") else {
            continue;
        };
        if let Some(name) = Name::parse(file) {
            entries.push((name, file.to_owned(), bytes));
        }
    }
    // Those that have failed come last, then the newest first.
    entries.sort_by(|one, other| {
        let bad = |name: &Name| name.left == Some(0);
        (bad(&one.0).cmp(&bad(&other.0))).then_with(|| compare(&other.0.stem, &one.0.stem))
    });
    let starts = |bytes: &[u8]| started(disk, &table, bytes);
    let (_, first, bytes) = entries.first().ok_or("no entry")?;
    starts(bytes).map_err(|why| format!("{first}: {why}"))?;
    let bootable = entries.iter().filter(|(_, _, bytes)| starts(bytes).is_ok());
    Ok(Booted {
        entry: first.clone(),
        bootable: bootable.map(|(_, name, _)| name.clone()).collect(),
    })
}

fn started(disk: &File, table: &Editable, uki: &[u8]) -> Result<(), String> {
    let hash = root_hash(uki).ok_or("the UKI is damaged")?;
    let (root, tree) = hash.halves();
    let find = |guid| {
        let mut found = table
            .partitions()
            .iter()
            .filter(move |entry| entry.unique == guid);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.place),
            (None, _) => Err("a partition is missing"),
            _ => Err("two partitions have one GUID"),
        }
    };
    let (root, tree) = (find(root)?, find(tree)?);
    let mut block = vec![0; 4096];
    disk.read(&mut block, tree.start)
        .map_err(|error| error.to_string())?;
    let superblock = nodeimg_formats::verity::Superblock::read(&block);
    let superblock = superblock.map_err(|error| error.to_string())?;
    let length = nodeimg_formats::verity::size_for(superblock.data_blocks * 4096);
    if length > tree.size {
        return Err("the tree is longer than its partition".to_owned());
    }
    let mut bytes = vec![0; length as usize];
    disk.read(&mut bytes, tree.start)
        .map_err(|error| error.to_string())?;
    let leaves = Leaves::verified(&bytes, hash).map_err(|error| error.to_string())?;
    for index in 0..leaves.count() {
        disk.read(&mut block, root.start + index as u64 * 4096)
            .map_err(|error| error.to_string())?;
        if !leaves.fits(index, &block) {
            return Err(format!("block {index} of the root is wrong"));
        }
    }
    Ok(())
}
