//! Derived files, made once and kept: an archive's unpacked tar, compressed blocks.
//!
//! A derived file is trusted on two grounds: its bytes are hashed again at
//! every use, and its record is bound to the very file that this store made
//! (inode and change time), so that a record which came from elsewhere, with a
//! restored CI cache say, is worth nothing and the file is made again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_formats::squashfs::Cache;
use nodeimg_values::digest::{Digest, Hasher, HashingWriter};
use nodeimg_values::full::Writing;
use nodeimg_values::trace;

use super::place::{self, Part, There};
use super::record::{Record, recorded};
use super::{Reading, Spans, Stamp, Store, VerifiedBlob, short, touch};

impl Store {
    /// What `make` writes for `source`, from the store if it was made before.
    ///
    /// `what` names the transformation and its version (`untar-1`): a new
    /// version never meets the files of an old one. `make` reads the source from what it
    /// is given first: nothing is kept of other bytes than the source's.
    pub fn derive(
        &self,
        source: &VerifiedBlob,
        what: &str,
        make: impl FnOnce(&mut Reading<'_>, &mut dyn Write) -> Result<()>,
    ) -> Result<VerifiedBlob> {
        let path = self.derived_path(what, source.sha256());
        let name = || format!("{what} {}", short(source.sha256()));
        let _span = trace::span("store", name);
        if let Some(blob) = self.kept_blob(&path)? {
            return self.with_spans(blob);
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        place::directory(directory).writing(&path)?;
        let temp = place::temporary(directory).writing(&path)?;
        let mut writer = HashingWriter::new(BufWriter::with_capacity(256 * 1024, temp));
        let mut reading = source.reading();
        let made = make(&mut reading, &mut writer);
        // That the source has changed is the cause of whatever `make` met.
        reading.finish()?;
        source.check_unchanged()?;
        made?;
        let (writer, got) = writer.finish();
        let temp = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .writing(&path)?;
        let file = place::put(temp, &path).writing(&path)?;
        record(&path, &file, got.sha256.clone()).writing(&path)?;
        let There::File(file, _) = place::look(&path).writing(&path)? else {
            bail!("{} is not what was just put there", path.display());
        };
        let stamp = Stamp::of(&file).writing(&path)?;
        self.seen.put(&path, &file, stamp, &got).writing(&path)?;
        Ok(VerifiedBlob {
            file,
            stamp,
            spans: Some(Spans::new()),
            path,
            sha256: got.sha256,
            sha512: None,
            size: got.size,
        })
    }

    /// The bytes that were kept under `key`, if they still are what they were.
    ///
    /// `what` names what they are made by and its version, as for
    /// [`derive`](Store::derive); `key` stands for what they are made from.
    pub fn kept(&self, what: &str, key: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.derived_path(what, key);
        let Some((known, record, mut file)) = recorded(&path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(known.size).unwrap_or_default());
        match file.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(e) if place::is_rotten(&e) => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
        }
        if Digest::sha256(&bytes) != known.sha256 {
            return Ok(None);
        }
        touch(&record);
        Ok(Some(bytes))
    }

    /// Keeps `bytes` for [`kept`](Store::kept) to find.
    pub fn keep(&self, what: &str, key: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.derived_path(what, key);
        let keep = || -> io::Result<()> {
            let directory = path.parent().unwrap_or(Path::new("/"));
            place::directory(directory)?;
            let mut temp = place::temporary(directory)?;
            temp.write_all(bytes)?;
            let file = place::put(temp, &path)?;
            record(&path, &file, Digest::sha256(bytes))
        };
        keep().writing(&path)
    }

    /// The derived file at `path`, if its record and its bytes still hold.
    fn kept_blob(&self, path: &Path) -> Result<Option<VerifiedBlob>> {
        let Some((known, record, file)) = recorded(path)? else {
            return Ok(None);
        };
        let context = || format!("reading {}", path.display());
        let stamp = Stamp::of(&file).with_context(context)?;
        let seen = self.seen.get(path, &file).with_context(context)?;
        let got = match seen.map_or_else(|| Hasher::measure(&file, &[]), Ok) {
            Ok(got) => got,
            Err(e) if place::is_rotten(&e) => return Ok(None),
            Err(e) => return Err(e).with_context(context),
        };
        self.seen
            .put(path, &file, stamp, &got)
            .with_context(context)?;
        if got.sha256 != known.sha256 {
            return Ok(None);
        }
        touch(&record);
        Ok(Some(VerifiedBlob {
            file,
            stamp,
            spans: None,
            path: path.to_owned(),
            sha256: got.sha256,
            sha512: None,
            size: got.size,
        }))
    }

    fn derived_path(&self, what: &str, key: &Digest) -> PathBuf {
        let derived = self.root.join(Part::Derived.name());
        derived.join(what).join(key.hex())
    }
}

/// Puts the record beside the derived file `file` at `path`, or takes that away: without one it
/// is of no use.
fn record(path: &Path, file: &File, sha256: Digest) -> io::Result<()> {
    let written = Record::of(path, &file.metadata()?, sha256).write(path);
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

impl Cache for Store {
    fn kept(&self, what: &str, key: &Digest) -> Result<Option<Vec<u8>>> {
        Store::kept(self, what, key)
    }

    fn keep(&self, what: &str, key: &Digest, bytes: &[u8]) -> Result<()> {
        Store::keep(self, what, key, bytes)
    }
}
