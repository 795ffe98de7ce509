//! An output directory, as it is to be published.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::update;
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::date::Date;
use nodeimg_values::digest::{Algorithm, Digest};
use nodeimg_values::parallel::{cores, in_parallel};
use nodeimg_values::temporary;
use serde::Deserialize;
use tempfile::TempDir;

use super::media;
use crate::input::fetch::push::{Blob, Source};
use crate::output::disk_files;
use crate::output::provenance;
use crate::output::sign::{SIGNATURE, SIGNED, Target};

/// A file of the directory.
#[derive(Clone, Debug)]
pub struct Item {
    pub name: String,
    pub media_type: &'static str,
    pub blob: Blob,
    pub unpacks: Option<Unpacked>,
}

/// What a compressed file unpacks to, which is not sent itself.
#[derive(Clone, Debug)]
pub struct Unpacked {
    pub name: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// The compressed one is not in the directory.
    pub only: bool,
}

/// All that is to be published.
#[derive(Debug)]
pub struct Directory {
    /// IMAGE_ID.
    pub name: String,
    /// IMAGE_VERSION, if there is an update; the recipe's version otherwise.
    pub version: String,
    pub arch: Arch,
    /// The lock's epoch, in seconds since 1970, and in RFC 3339.
    pub epoch: u64,
    pub created: String,
    /// By name.
    pub items: Vec<Item>,
    /// The manifest of an update, if there is one.
    pub update: Option<update::Manifest>,
    /// By what it was built from, if its provenance says so.
    pub key: Option<String>,
    /// What it holds that is not published.
    pub others: Vec<String>,
    _packed: Option<TempDir>,
}

#[derive(Deserialize)]
struct Head {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    name: String,
    version: String,
}

impl Directory {
    /// Reads every file once.
    ///
    /// # Errors
    /// It is not an output directory, or one of its files is not what its checksums say.
    pub fn open(path: &Path) -> Result<Directory> {
        let target = Target::open(path)?;
        let head: Head = serde_json::from_value(target.manifest.clone())
            .with_context(|| format!("reading the manifest of {}", path.display()))?;
        let mut items = items(&target)?;
        let packed = pack(&target, &mut items)?;
        items.sort_by(|a, b| a.name.cmp(&b.name));
        let update = update_of(&target)?;
        let version = update.as_ref().map(|update| update.version.clone());
        Ok(Directory {
            name: head.image.name,
            version: version.unwrap_or(head.image.version),
            arch: target.arch,
            epoch: target.epoch.0,
            created: Date(target.epoch.0).rfc3339(),
            others: others(&target, &items)?,
            key: target
                .bytes(provenance::FILE)?
                .and_then(|statement| provenance::build_key(&statement)),
            items,
            update,
            _packed: packed,
        })
    }

    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }
}

/// Its checksums, what these list, and the signatures beside them.
fn items(target: &Target) -> Result<Vec<Item>> {
    let mut names: Vec<String> = target.sums.keys().cloned().collect();
    names.push(CHECKSUMS.to_owned());
    let beside = [SIGNATURE, SIGNED].map(str::to_owned);
    let signed = target.ending(update::SUFFIX);
    let signed = signed.iter().map(|name| format!("{name}.dsse"));
    for name in beside.into_iter().chain(signed) {
        if !target.has(&name) && target.path(&name).is_file() {
            names.push(name);
        }
    }
    let all = in_parallel(cores(), names.len(), |at| item(target, &names[at]));
    all.into_iter().collect()
}

fn item(target: &Target, name: &str) -> Result<Item> {
    let path = target.path(name);
    let blob = Blob::of(name, Source::file(&path)?)
        .with_context(|| format!("reading {}", path.display()))?;
    if let Some(sum) = target.sums.get(name)
        && sum != blob.digest.hex()
    {
        bail!(
            "{} is not the file that {CHECKSUMS} lists: it was changed after it was built, so it \
             is not published; build the image again",
            path.display()
        );
    }
    Ok(Item {
        name: name.to_owned(),
        media_type: media::of(name),
        blob,
        unpacks: None,
    })
}

/// Has the disk sent compressed: it is mostly zeros.
fn pack(target: &Target, items: &mut Vec<Item>) -> Result<Option<TempDir>> {
    let Some(at) = items.iter().position(|item| item.name == disk_files::RAW) else {
        return Ok(None);
    };
    let raw = items.remove(at);
    let mut packed = None;
    if !items.iter().any(|item| item.name == disk_files::ZST) {
        let place = temporary::large();
        let directory = tempfile::Builder::new()
            .prefix("nodeimg-publish-")
            .tempdir_in(&place)
            .with_context(|| format!("creating a directory in {}", place.display()))?;
        let file: File = target.file(disk_files::RAW)?;
        let output = disk_files::zst(&file, directory.path())?;
        items.push(Item {
            name: output.file.clone(),
            media_type: media::of(&output.file),
            blob: Blob {
                what: output.file.clone(),
                digest: output.sha256,
                source: Source::file(&directory.path().join(&output.file))?,
            },
            unpacks: None,
        });
        packed = Some(directory);
    }
    if let Some(zst) = items.iter_mut().find(|item| item.name == disk_files::ZST) {
        zst.unpacks = Some(Unpacked {
            name: raw.name,
            digest: raw.blob.digest.clone(),
            size: raw.blob.size(),
            only: packed.is_some(),
        });
    }
    Ok(packed)
}

/// The manifest of its update, which must be of the files that are there.
fn update_of(target: &Target) -> Result<Option<update::Manifest>> {
    let found = target.ending(update::SUFFIX);
    let name = match found.as_slice() {
        [] => return Ok(None),
        [name] => name,
        _ => bail!(
            "{} has several manifests of updates: {}",
            target.directory.display(),
            found.join(", ")
        ),
    };
    let bytes = target.bytes(name)?.unwrap_or_default();
    let context = || format!("reading {}", target.path(name).display());
    let update: update::Manifest = serde_json::from_slice(&bytes).with_context(context)?;
    for content in [&update.root.content, &update.verity] {
        let digest = Digest::new(Algorithm::Sha256, &content.sha256).with_context(context)?;
        if target.sums.get(&content.file).map(String::as_str) != Some(digest.hex()) {
            bail!(
                "{name} names {} with another digest than {CHECKSUMS}: build the image again",
                content.file
            );
        }
    }
    Ok(Some(update))
}

fn others(target: &Target, items: &[Item]) -> Result<Vec<String>> {
    let context = || format!("listing {}", target.directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(&target.directory).with_context(context)? {
        let name = entry.with_context(context)?.file_name();
        let name = name.to_string_lossy().into_owned();
        let sent = items.iter().any(|item| {
            let unpacked = item.unpacks.as_ref().map(|unpacked| &unpacked.name);
            item.name == name || unpacked == Some(&name)
        });
        if !sent {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}
