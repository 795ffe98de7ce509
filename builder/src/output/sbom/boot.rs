//! What is known only when a disk is written: what boots it, and what each output holds.

use anyhow::{Context, Result};
use nodeimg_formats::pe;
use nodeimg_formats::verity::RootHash;
use nodeimg_values::digest::Digest;

use super::bill::{Bill, How, Id, Kind, Part, Supplier};
use crate::image::boot::Parts;
use crate::output::manifest::Output;

/// Of the UKI's sections, those that are files of others, as people call them.
const SECTIONS: [(&str, &str); 2] = [(".linux", "linux"), (".initrd", "initrd")];
const EFI: &str = "systemd-boot-efi";

/// What a disk is made of.
#[derive(Debug)]
pub struct Boot {
    release: String,
    root: RootHash,
    /// Name and bytes of each part.
    parts: Vec<(String, Digest)>,
}

impl Boot {
    pub fn of(parts: &Parts, uki: &[u8], root: RootHash) -> Result<Boot> {
        let mut all = vec![
            ("systemd-boot".to_owned(), parts.loader.measured()?),
            ("systemd-stub".to_owned(), parts.stub.measured()?),
            ("uki".to_owned(), Digest::sha256(uki)),
        ];
        for section in pe::sections(uki).context("reading the UKI")? {
            let Some((_, name)) = SECTIONS.iter().find(|(there, _)| *there == section.name) else {
                continue;
            };
            let start = section.offset as usize;
            let bytes = uki.get(start..start + section.size as usize);
            let bytes = bytes.context("a section of the UKI is not in it")?;
            all.push(((*name).to_owned(), Digest::sha256(bytes)));
        }
        Ok(Boot {
            release: parts.release.clone(),
            root,
            parts: all,
        })
    }
}

/// Adds what the outputs are, and what boots the disk, if there is one.
pub fn add(bill: &mut Bill, outputs: &[Output], boot: Option<&Boot>) {
    let root = bill.root.clone();
    let whole = bill.parts.get(&root).map(|part| part.version.clone());
    let version = whole.unwrap_or_default();
    let supplier = Supplier::organization("nodeimg");
    for output in outputs {
        let mut part = Part::new(Kind::Output, &output.file, &version, supplier.clone());
        part.digests.insert(output.sha256.clone());
        part.file = Some(output.file.clone());
        let id = Id::new(Kind::Output, &output.file);
        bill.parts.insert(id.clone(), part);
        bill.relate(&id, How::GeneratedFrom, &root);
    }
    let Some(boot) = boot else { return };
    let mut part = Part::new(Kind::Boot, "root", &version, supplier.clone());
    part.note = Some(format!(
        "the root file system; its dm-verity root hash is {}",
        boot.root
    ));
    part.properties
        .insert("nodeimg:dm-verity-root-hash", boot.root.to_string());
    bill.add(&root, How::Contains, "root", part);
    let uki = Id::new(Kind::Boot, "uki");
    for (name, digest) in &boot.parts {
        let packages = match name.as_str() {
            "linux" => vec![
                format!("linux-image-{}", boot.release),
                format!("linux-binary-{}", boot.release),
            ],
            "initrd" | "uki" => Vec::new(),
            _ => vec![EFI.to_owned()],
        };
        let ids = packages.iter().map(|name| Id::new(Kind::Package, name));
        let from = ids
            .filter_map(|id| Some((bill.parts.get(&id)?.clone(), id)))
            .next_back();
        let (version, supplier) = match &from {
            Some((package, _)) => (package.version.clone(), package.supplier.clone()),
            None => (version.clone(), supplier.clone()),
        };
        let mut part = Part::new(Kind::Boot, name, &version, supplier);
        part.digests.insert(digest.clone());
        let above = if matches!(name.as_str(), "uki" | "systemd-boot") {
            &root
        } else {
            &uki
        };
        let id = bill.add(above, How::Contains, name, part);
        if let Some((_, package)) = from {
            bill.relate(&id, How::GeneratedFrom, &package);
        }
    }
}
