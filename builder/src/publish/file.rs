//! A file of a published directory on its way to its place.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::Descriptor;
use nodeimg_formats::oci::artifact::TITLE;
use nodeimg_formats::packing::Packing;
use nodeimg_values::atomic;
use nodeimg_values::digest::{Digest, Hasher};

use super::media;
use crate::store::VerifiedBlob;

/// No file of an image is longer, in bytes.
pub const MAX_FILE: u64 = 1 << 40;
const BLOCK: usize = 1 << 20;

/// A file that is to be there in the end, or two.
pub struct Wanted<'a> {
    pub layer: &'a Descriptor,
    pub name: String,
    /// As it is.
    keep: bool,
    unpack: Option<Unpack>,
}

struct Unpack {
    name: String,
    digest: Digest,
    size: u64,
}

/// What is wanted of a layer, by the names that are taken.
pub fn choose<'a>(
    layer: &'a Descriptor,
    takes: impl Fn(&str) -> bool,
) -> Result<Option<Wanted<'a>>> {
    let name = layer.annotation(TITLE);
    let name = file_name(name.context("it has a file without a name")?)?;
    if layer.size > MAX_FILE {
        bail!("{name} is longer than {MAX_FILE} bytes");
    }
    let mut unpack = None;
    if let Some(inner) = layer.annotation(media::UNPACKS) {
        let inner = file_name(inner)?;
        let text = |key| layer.annotation(key).unwrap_or_default();
        let context = || format!("what {name} unpacks to");
        unpack = Some(Unpack {
            digest: text(media::UNPACKED_DIGEST).parse().with_context(context)?,
            size: text(media::UNPACKED_SIZE).parse().with_context(context)?,
            name: inner,
        });
    }
    let only = layer.annotation(media::UNPACKED_ONLY).is_some() && unpack.is_some();
    let unpack = unpack.filter(|unpack| takes(&unpack.name));
    let keep = takes(&name) && !only;
    Ok((keep || unpack.is_some()).then_some(Wanted {
        layer,
        name,
        keep,
        unpack,
    }))
}

/// What a registry says a file is called must be a name and nothing more.
fn file_name(name: &str) -> Result<String> {
    let bad = name.is_empty()
        || name.starts_with('.')
        || name.len() > 255
        || name.contains(['/', '\\'])
        || name.chars().any(char::is_control);
    if bad {
        bail!("`{}` cannot be the name of a file", name.escape_debug());
    }
    Ok(name.to_owned())
}

impl Wanted<'_> {
    pub fn is_called(&self, name: &str) -> bool {
        let unpacked = self.unpack.as_ref().map(|unpack| unpack.name.as_str());
        (self.keep && self.name == name) || unpacked == Some(name)
    }

    /// Puts it into `directory`; the names of what is there then.
    pub fn place(&self, blob: &VerifiedBlob, directory: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        if let Some(unpack) = &self.unpack {
            unpack
                .run(blob, &directory.join(&unpack.name))
                .with_context(|| format!("unpacking {}", self.name))?;
            names.push(unpack.name.clone());
        }
        if self.keep {
            let to = directory.join(&self.name);
            let context = || format!("writing {}", to.display());
            if to.exists() {
                bail!("two of its files are called {}", self.name);
            }
            // The store of a pull is on the same file system, and is its own.
            let moved = fs::rename(blob.path(), &to)
                .and_then(|()| fs::set_permissions(&to, Permissions::from_mode(0o644)));
            if moved.is_err() {
                copy(blob, &to).with_context(context)?;
            }
            names.push(self.name.clone());
        }
        Ok(names)
    }
}

/// The same bytes under a second name, or across file systems.
fn copy(blob: &VerifiedBlob, to: &Path) -> Result<()> {
    let mut file = atomic::AtomicFile::create(to)?;
    let mut buffer = vec![0; BLOCK];
    let mut at = 0;
    while at < blob.size() {
        let read = blob.file().read_at(&mut buffer, at)?;
        if read == 0 {
            bail!("it became shorter");
        }
        file.write_all(&buffer[..read])?;
        at += read as u64;
    }
    file.commit()
}

impl Unpack {
    /// Zeros are left out, as in the disk that was built.
    fn run(&self, blob: &VerifiedBlob, to: &Path) -> Result<()> {
        let from = File::open(blob.path())?;
        let mut from = Packing::Zstd.decoder(from)?.take(self.size + 1);
        let file = atomic::AtomicFile::create(to)?;
        let mut hasher = Hasher::new(&[]);
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        loop {
            let mut filled = 0;
            while filled < BLOCK {
                match from.read(&mut block[filled..])? {
                    0 => break,
                    read => filled += read,
                }
            }
            let piece = &block[..filled];
            hasher.update(piece);
            if piece.iter().any(|byte| *byte != 0) {
                file.file().write_all_at(piece, at)?;
            }
            at += filled as u64;
            if filled < BLOCK {
                break;
            }
        }
        let got = hasher.finish();
        if at != self.size || got.sha256 != self.digest {
            bail!(
                "it unpacks to {} and {at} bytes, not to {} and {} bytes",
                got.sha256,
                self.digest,
                self.size
            );
        }
        file.file().set_len(self.size)?;
        file.commit()
    }
}
