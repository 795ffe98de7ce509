//! Whether an output directory already holds what a build would write.
//!
//! A build is keyed by all its inputs, as it has them in memory. Beside the key the store remembers the
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
use nodeimg_values::key::KeyWriter;
use serde::{Deserialize, Serialize};

use crate::image::brought::Brought;
use crate::input::recipe::{Recipe, RecipeFile, portable};
use crate::store::Store;
use crate::tree::Content;

/// Stands for everything that an image is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

/// All that an image is made of, as the build itself has it.
pub struct Inputs<'a> {
    pub recipe: &'a Recipe,
    pub brought: &'a Brought,
    /// The lock's digest.
    pub locked: &'a Digest,
    pub arch: Arch,
    pub firstboot: &'a Content,
}

impl Key {
    /// For this machine alone; `program` is that of [`program`].
    pub fn of(inputs: &Inputs<'_>, program: &Digest) -> Result<Key> {
        Key::by(
            "program",
            &program.to_string(),
            &inputs.recipe.effective,
            inputs,
        )
    }

    /// The same for all builders of one release of nodeimg, wherever its files lie, which write
    /// the same bytes: by this key a registry is asked whether an image is there.
    pub fn shared(inputs: &Inputs<'_>) -> Result<Key> {
        let recipe = portable(&inputs.recipe.effective);
        Key::by("release", env!("CARGO_PKG_VERSION"), &recipe, inputs)
    }

    /// In hex, as many digits as tell images apart.
    pub fn short(&self) -> &str {
        &self.0.hex()[..32]
    }

    fn by(
        kind: &'static str,
        builder: &str,
        recipe: &RecipeFile,
        inputs: &Inputs<'_>,
    ) -> Result<Key> {
        let mut key = KeyWriter::new("image-1");
        key.add(kind, builder);
        key.add("recipe", toml::to_string(recipe)?);
        // With the text of certificates, which the recipe names by path.
        key.add("registries", serde_json::to_vec(&inputs.recipe.registries)?);
        key.add("lock", inputs.locked.to_string());
        key.add("architecture", inputs.arch.name());
        key.add("first boot", inputs.firstboot.measured()?.to_string());
        inputs.brought.add_to(&mut key)?;
        Ok(Key(key.finish()))
    }
}

/// Stands for this nodeimg with all that is linked into it: another build of it may write
/// other bytes, whatever its version says.
pub fn program() -> Result<Digest> {
    // The file that runs, even if another one has taken its name since.
    let running = Some(PathBuf::from("/proc/self/exe")).filter(|running| running.exists());
    // Without /proc, as in a root that holds nothing else, it is what was called by its path.
    let called = || {
        let word = PathBuf::from(std::env::args_os().next()?);
        (word.components().count() > 1 && word.is_file()).then_some(word)
    };
    let path = match running.or_else(called) {
        Some(path) => path,
        None => std::env::current_exe().context("finding this program (mount /proc)")?,
    };
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

#[cfg(test)]
mod tests;
