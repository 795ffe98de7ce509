//! An output directory: what is in it by its own lists.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::{Digest, Hasher};
use nodeimg_values::epoch::Epoch;
use nodeimg_values::regular;
use serde::Deserialize;
use serde_json::Value;

pub const MANIFEST: &str = "manifest.json";

/// A directory that `nodeimg build` wrote.
pub struct Target {
    /// Absolute, without links.
    pub directory: PathBuf,
    /// By name, in hex, as SHA256SUMS has them.
    pub sums: BTreeMap<String, String>,
    pub manifest: Value,
    pub arch: Arch,
    pub epoch: Epoch,
}

#[derive(Deserialize)]
struct Head {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    arch: Arch,
    epoch: Epoch,
}

impl Target {
    pub fn open(directory: &Path) -> Result<Target> {
        let shown = directory.display();
        let absolute =
            std::fs::canonicalize(directory).with_context(|| format!("opening {shown}"))?;
        if !absolute.join(CHECKSUMS).is_file() || !absolute.join(MANIFEST).is_file() {
            bail!(
                "{shown} is not an output directory of `nodeimg build`: it has no {CHECKSUMS} or \
                 no {MANIFEST}"
            );
        }
        let read = |name: &str| {
            let path = absolute.join(name);
            regular::read_text(&path).with_context(|| format!("reading {}", path.display()))
        };
        let sums = sums(&read(CHECKSUMS)?).with_context(|| format!("{shown}/{CHECKSUMS}"))?;
        let text = read(MANIFEST)?;
        if sums.get(MANIFEST).map(String::as_str) != Some(Digest::sha256(text.as_bytes()).hex()) {
            bail!(
                "{shown}/{MANIFEST} is not the one that {CHECKSUMS} lists: build the image again"
            );
        }
        let context = || format!("reading {shown}/{MANIFEST}");
        let manifest: Value = serde_json::from_str(&text).with_context(context)?;
        let head: Head = serde_json::from_value(manifest.clone()).with_context(context)?;
        Ok(Target {
            directory: absolute,
            sums,
            manifest,
            arch: head.image.arch,
            epoch: head.image.epoch,
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.sums.contains_key(name)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn file(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        regular::open(&path).with_context(|| format!("opening {}", path.display()))
    }

    /// All of a small file; `None` if it is not there.
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match regular::read(&path, 4 << 30) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Names of those whose name ends so.
    pub fn ending(&self, suffix: &str) -> Vec<String> {
        let names = self.sums.keys().filter(|name| name.ends_with(suffix));
        names.cloned().collect()
    }

    /// Whether each file is what its sum says: nothing else may get a signature.
    pub fn check(&self) -> Result<()> {
        for (name, sum) in &self.sums {
            let path = self.path(name);
            let measured = Hasher::measure(self.file(name)?, &[])
                .with_context(|| format!("reading {}", path.display()))?;
            if measured.sha256.hex() != sum {
                bail!(
                    "{} is not the file that {CHECKSUMS} lists: it was changed after it was \
                     built, so it is not signed; build the image again",
                    path.display()
                );
            }
        }
        Ok(())
    }
}

/// Digests by name, in hex, from the text of SHA256SUMS.
///
/// # Errors
/// A line is something else.
pub fn sums(text: &str) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let parts = line.split_once("  ").filter(|(hex, name)| {
            let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex && !name.is_empty() && !name.contains('/') && *name != ".." && *name != "."
        });
        let Some((hex, name)) = parts else {
            bail!("line {} is not `SHA-256  NAME`", index + 1);
        };
        sums.insert(name.to_owned(), hex.to_owned());
    }
    Ok(sums)
}
