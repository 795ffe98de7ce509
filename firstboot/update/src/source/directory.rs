//! A directory: a disk, a medium, a network file system.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::update::{self, Manifest};

use super::{Delivered, Document, Failure, Image, MAX_DOCUMENT, Piece, Sink, Source};

/// What is read at a time, in bytes.
const BUFFER: usize = 1 << 20;

pub struct Directory(PathBuf);

impl Directory {
    /// # Errors
    /// It is not there, or is something else.
    pub fn open(path: &Path) -> Result<Directory> {
        let found = fs::metadata(path);
        let found = found.with_context(|| format!("the source {}", path.display()))?;
        if !found.is_dir() {
            bail!("the source {} is not a directory", path.display());
        }
        Ok(Directory(path.to_owned()))
    }

    fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.with_context(|| format!("opening {}", path.display()))?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {}", path.display()))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            bail!("{} is longer than a manifest can be", path.display());
        }
        Ok(Some(bytes))
    }
}

impl Source for Directory {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn versions(&self, image: Image<'_>) -> Result<Vec<String>> {
        let shown = || format!("reading {}", self.0.display());
        let mut versions = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(shown)? {
            let name = entry.with_context(shown)?.file_name();
            versions.extend(
                name.to_str()
                    .and_then(|name| image.version_in(name))
                    .map(str::to_owned),
            );
        }
        versions.sort();
        versions.dedup();
        Ok(versions)
    }

    fn manifest(&self, image: Image<'_>, version: &str) -> Result<Document> {
        let stem = update::stem(image.id, version, image.architecture);
        let envelope = self.document(&format!("{stem}{}", update::SIGNED_SUFFIX))?;
        let envelope = envelope.map(String::from_utf8).transpose();
        Ok(Document {
            plain: self.document(&format!("{stem}{}", update::SUFFIX))?,
            envelope: envelope.context("the envelope of the manifest is not text")?,
        })
    }

    fn read(
        &self,
        manifest: &Manifest,
        piece: Piece,
        range: Range<u64>,
        to: &mut Sink<'_>,
    ) -> Result<Delivered, Failure> {
        let path = self.0.join(piece.file(manifest));
        let mut read = || -> Result<()> {
            let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            let mut buffer = vec![0; BUFFER];
            let mut at = range.start;
            while at < range.end {
                let wanted = BUFFER.min((range.end - at) as usize);
                let got = file.read_at(&mut buffer[..wanted], at);
                let got = got.with_context(|| format!("reading {}", path.display()))?;
                if got == 0 {
                    return Err(anyhow!("{} is cut short", path.display()));
                }
                to(at, &buffer[..got])?;
                at += got as u64;
            }
            Ok(())
        };
        // A medium that failed once fails again.
        read().map(|()| Delivered::Range).map_err(Failure::Final)
    }

    fn is_remote(&self) -> bool {
        false
    }
}
