//! A directory: a disk, a medium, a network file system.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::update::Manifest;

use super::{Delivered, Document, Failure, Image, MAX_DOCUMENT, Piece, Sink, Source, pass_on};

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
        // One byte more shows that it is too long.
        file.take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(Some(bytes))
    }
}

impl Source for Directory {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn versions(&self, image: Image<'_>) -> Result<Vec<String>> {
        let shown = || format!("reading {}", self.0.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(shown)? {
            names.extend(entry.with_context(shown)?.file_name().into_string());
        }
        Ok(image.versions_in(names))
    }

    fn manifest(&self, image: Image<'_>, version: &str) -> Result<Document> {
        Document::of_files(image, version, |name| self.document(name))
    }

    fn read(
        &self,
        manifest: &Manifest,
        piece: Piece,
        range: Range<u64>,
        to: &mut Sink<'_>,
    ) -> Result<Delivered, Failure> {
        let path = self.0.join(piece.file(manifest));
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        // A medium that failed once fails again.
        let failed = |error: io::Error| {
            let error = anyhow!(error).context(format!("reading {}", path.display()));
            Failure::Final(error)
        };
        let end = range.end;
        match pass_on(range, |bytes, at| file.read_at(bytes, at), failed, to)? {
            at if at == end => Ok(Delivered::Range),
            _ => Err(Failure::Final(anyhow!("{} is cut short", path.display()))),
        }
    }

    fn is_remote(&self) -> bool {
        false
    }
}
