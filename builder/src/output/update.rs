//! `update`: what a node with an older version of the image needs.
//!
//! ```text
//! NAME_VERSION_ARCH.update.json   what the others are (nodeimg_formats::update)
//! NAME_VERSION_ARCH.root.raw      the root, as it is on the disk
//! NAME_VERSION_ARCH.verity.raw    its hash tree, which says where the root has changed
//! NAME_VERSION_ARCH.efi.zst       the UKI, compressed
//! ```
//! `nodeimg publish` sends them, `nodeimg sign` signs the manifest, `nodeimg-update` reads them.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_formats::update::{
    Compressed, Content, Manifest, Root, SCHEMA, SUFFIX, State, Uki, stem,
};
use nodeimg_formats::verity::BLOCK;
use nodeimg_values::atomic::write_file;

use super::disk::Disk;
use super::disk::files::part;
use super::manifest::{Output as Listed, json_text};
use super::tarball::{Compression, encoder};
use super::{Output, Writer};
use crate::input::recipe::output::{Contents, OutputKind};
use crate::input::recipe::update::Rollout;

pub static OUTPUT: Output = Output {
    kind: OutputKind {
        name: "update",
        summary: "`NAME_VERSION_ARCH.update.json` and the files that it names: what a node\n\
                  with an older version of the image needs.",
        contents: Contents::Disk,
    },
    write: Writer::Disk(write),
};

/// What a node keeps in /var, by its format. It is raised with the first image that writes
/// what older ones cannot read.
const STATE: State = State {
    version: 1,
    reads_from: 1,
};

/// A UKI is fetched as a whole by every node, and made once.
const LEVEL: i32 = 19;
/// The number of workers changes nothing but the time.
const WORKERS: NonZeroU32 = NonZeroU32::MIN;

/// Of which image a disk is.
pub struct About {
    pub id: String,
    pub version: String,
    pub architecture: &'static str,
    /// Of the hash tree.
    pub salt: [u8; 32],
    /// What the root's slot has, in bytes.
    pub slot: u64,
    /// Who may take it.
    pub rollout: Rollout,
}

impl About {
    /// What the names of all files begin with.
    fn stem(&self) -> String {
        stem(&self.id, &self.version, self.architecture)
    }
}

fn write(disk: &Disk, directory: &Path) -> Result<Vec<Listed>> {
    let about = &disk.about;
    let stem = about.stem();
    let mut outputs = Vec::new();
    for (ending, place) in [("root.raw", disk.root), ("verity.raw", disk.hashes)] {
        outputs.push(part(disk, place, directory, &format!("{stem}.{ending}"))?);
    }
    let (uki, packed) = packed(&stem, &disk.uki)?;
    write_file(&directory.join(&packed.0), &packed.1)?;
    let manifest = Manifest {
        schema: SCHEMA,
        id: about.id.clone(),
        version: about.version.clone(),
        architecture: about.architecture.to_owned(),
        root: Root {
            content: content(&outputs[0]),
            roothash: disk.root_hash.to_string(),
            salt: about
                .salt
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            data_block: u32::try_from(BLOCK).context("the size of a block")?,
        },
        verity: content(&outputs[1]),
        uki,
        slot: about.slot,
        state: STATE,
        requires: about.rollout.requires.clone(),
        hold: about.rollout.hold,
        waves: about.rollout.waves.clone(),
    };
    outputs.push(Listed::of(&packed.0, &packed.1));
    let (name, text) = text(&manifest)?;
    write_file(&directory.join(&name), text.as_bytes())?;
    outputs.push(Listed::of(&name, text.as_bytes()));
    Ok(outputs)
}

/// A manifest's file, by name and text.
pub fn text(manifest: &Manifest) -> Result<(String, String)> {
    let value = serde_json::to_value(manifest).context("writing the manifest of an update")?;
    Ok((format!("{}{SUFFIX}", manifest.stem()), json_text(value)?))
}

/// A UKI as a manifest names it, and its compressed file.
pub fn packed(stem: &str, uki: &[u8]) -> Result<(Uki, (String, Vec<u8>))> {
    let how = Compression {
        level: LEVEL,
        workers: WORKERS,
    };
    let context = "compressing the UKI";
    let mut to = encoder(Vec::new(), how).context(context)?;
    to.write_all(uki).context(context)?;
    let bytes = to.finish().context(context)?;
    let file = format!("{stem}.efi");
    let name = format!("{file}.zst");
    let uki = Uki {
        content: content(&Listed::of(&file, uki)),
        compressed: Some(Compressed {
            file: name.clone(),
            size: bytes.len() as u64,
        }),
    };
    Ok((uki, (name, bytes)))
}

fn content(output: &Listed) -> Content {
    Content {
        file: output.file.clone(),
        size: output.size,
        sha256: output.sha256.hex().to_owned(),
    }
}
