//! The output `update` of a directory that is signed: its UKI has the signatures of the disk's,
//! and its manifest names that UKI and is signed itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use nodeimg_formats::packing::Packing;
use nodeimg_formats::update::{Manifest, PAYLOAD_TYPE, SUFFIX};
use nodeimg_signing::dsse;
use nodeimg_signing::signer::Signer;
use nodeimg_values::digest::Digest;
use std::io::Read;

use super::target::Target;
use crate::output::update;

/// No UKI is longer, in bytes.
const MAX_UKI: u64 = 1 << 30;
/// Follows the name of a manifest.
const ENVELOPE: &str = ".dsse";

/// An update and its UKI.
pub struct Update {
    /// Of the manifest.
    name: String,
    manifest: Manifest,
    uki: Vec<u8>,
}

impl Update {
    /// That of the directory, if there is one.
    pub fn of(target: &Target) -> Result<Option<Update>> {
        let Some(name) = target.ending(SUFFIX).into_iter().next() else {
            return Ok(None);
        };
        let context = || format!("reading {}", target.path(&name).display());
        let bytes = target.bytes(&name)?.unwrap_or_default();
        let manifest: Manifest = serde_json::from_slice(&bytes).with_context(context)?;
        let Some(packed) = &manifest.uki.compressed else {
            bail!(
                "{} names no compressed UKI: build the image again",
                context()
            );
        };
        let mut uki = Vec::new();
        let packed_context = || format!("unpacking {}", target.path(&packed.file).display());
        Packing::Zstd
            .decoder(target.file(&packed.file)?)
            .and_then(|from| from.take(MAX_UKI).read_to_end(&mut uki))
            .with_context(packed_context)?;
        if Digest::sha256(&uki).hex() != manifest.uki.content.sha256 {
            bail!(
                "{} is not the UKI that {name} names: build the image again",
                target.path(&packed.file).display()
            );
        }
        Ok(Some(Update {
            name,
            manifest,
            uki,
        }))
    }

    /// The UKI, by the name that its signatures are kept under.
    pub fn program(&self) -> (&str, &[u8]) {
        (&self.manifest.uki.content.file, &self.uki)
    }

    /// The files of the same update with this UKI.
    pub fn with(&self, uki: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
        if uki == self.uki {
            return Ok(BTreeMap::new());
        }
        let (described, packed) = update::packed(&self.manifest.stem(), uki)?;
        let manifest = Manifest {
            uki: described,
            ..self.manifest.clone()
        };
        let (_, text) = update::text(&manifest)?;
        Ok(BTreeMap::from([
            packed,
            (self.name.clone(), text.into_bytes()),
        ]))
    }
}

/// Each manifest of an update among these files, by name, with its envelope's name.
pub fn names<'n>(
    files: impl Iterator<Item = &'n String>,
) -> impl Iterator<Item = (&'n String, String)> {
    files
        .filter(|name| name.ends_with(SUFFIX))
        .map(|name| (name, format!("{name}{ENVELOPE}")))
}

/// The envelope of a manifest; `None` if it is signed elsewhere.
pub fn sign(signer: &Signer<'_>, name: &str, manifest: &[u8]) -> Result<Option<String>> {
    dsse::sign(signer, name, PAYLOAD_TYPE, manifest)
}

/// Whether `envelope` is that of `manifest`, by this key.
pub fn is_signed(signer: &Signer<'_>, envelope: &[u8], manifest: &[u8]) -> bool {
    let line = String::from_utf8_lossy(envelope);
    let body = dsse::verify(&line, PAYLOAD_TYPE, &signer.public);
    body.is_ok_and(|body| body == manifest)
}
