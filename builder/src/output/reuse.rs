//! Whether an output directory already holds what a build would write.
//!
//! A build is keyed by all its inputs. Beside the key the store remembers the
//! output files by inode, size and change time, as git's index does: nobody
//! can change a file and keep those, so an unchanged build reads nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic;
use nodeimg_values::digest::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::input::lock::Locked;
use crate::input::recipe::{ExtraContent, Recipe};
use crate::store::Store;
use crate::tree::overlay::{self, Source};
use crate::tree::{Content, Kind};

/// Stands for everything that an image is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Key {
    /// Of the program itself, the recipe with its overlays and files, the
    /// lock, and the first-boot binary.
    pub fn of(recipe: &Recipe, locked: &Locked, arch: Arch, firstboot: &Content) -> Result<Key> {
        let mut hasher = Hasher::new(&[]);
        let mut add =
            |what: &str, digest: &Digest| hasher.update(format!("{what} {digest}\n").as_bytes());
        add("program", &program()?);
        add(
            "recipe",
            &Digest::sha256(toml::to_string(&recipe.effective)?.as_bytes()),
        );
        add("lock", locked.digest());
        add(arch.name(), &digest_of(firstboot)?);
        for (name, place) in &recipe.overlays {
            let overlay = overlay::load(Source::Disk(place), name)?;
            for (path, node) in &overlay.root {
                let content = match &node.kind {
                    Kind::Directory => Digest::sha256(b""),
                    Kind::File(content) => digest_of(content)?,
                    Kind::Symlink(target) => Digest::sha256(target.as_bytes()),
                };
                add(&format!("{path} {:?}", node.stat), &content);
            }
            for (path, text) in &overlay.templates {
                add(
                    &format!("template {path}"),
                    &Digest::sha256(text.as_bytes()),
                );
            }
        }
        for file in &recipe.files {
            if let ExtraContent::Source(source) = &file.content {
                let bytes =
                    fs::read(source).with_context(|| format!("reading {}", source.display()))?;
                add(file.path.as_str(), &Digest::sha256(&bytes));
            }
        }
        // With the text of certificates, which the recipe names by path.
        let registries = serde_json::to_vec(&recipe.registries)?;
        add("registries", &Digest::sha256(&registries));
        Ok(Key(hasher.finish().sha256))
    }
}

fn digest_of(content: &Content) -> Result<Digest> {
    Ok(Hasher::measure(content.reader(), &[])?.sha256)
}

/// Another build of nodeimg may write other bytes, whatever its version says.
fn program() -> Result<Digest> {
    let path = std::env::current_exe().context("finding this program")?;
    let file = fs::File::open(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Hasher::measure(file, &[])?.sha256)
}

#[derive(Serialize, Deserialize)]
struct Record {
    key: Key,
    files: BTreeMap<String, Identity>,
}

/// What changes with any write to a file.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Whether `directory` holds exactly what was remembered for `key`.
pub fn is_current(store: &Store, directory: &Path, key: &Key) -> bool {
    let current = || -> Option<bool> {
        let text = fs::read(record_path(store, directory).ok()?).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        Some(record.key == *key && record.files == files(directory).ok()?)
    };
    current().unwrap_or(false)
}

/// Remembers what was just written.
pub fn remember(store: &Store, directory: &Path, key: &Key) -> Result<()> {
    let context = || format!("remembering {}", directory.display());
    let record = Record {
        key: key.clone(),
        files: files(directory).with_context(context)?,
    };
    let path = record_path(store, directory).with_context(context)?;
    atomic::write_file(&path, &serde_json::to_vec(&record)?)
}

fn record_path(store: &Store, directory: &Path) -> io::Result<PathBuf> {
    let absolute = fs::canonicalize(directory)?;
    Ok(store.built_record(&Digest::sha256(absolute.as_os_str().as_encoded_bytes())))
}

fn files(directory: &Path) -> io::Result<BTreeMap<String, Identity>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let identity = Identity {
            inode: meta.ino(),
            size: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        found.insert(entry.file_name().to_string_lossy().into_owned(), identity);
    }
    Ok(found)
}
