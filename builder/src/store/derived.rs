//! Derived files, made once and kept: an archive's unpacked tar, compressed blocks.
//!
//! A derived file is trusted on two grounds: its bytes are hashed again at
//! every use, and its record is bound to the very file that this store made
//! (inode and change time), so that a record which came from elsewhere, with a
//! restored CI cache say, is worth nothing and the file is made again.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nodeimg_formats::squashfs::Cache;
use nodeimg_values::digest::{Digest, Hasher, HashingWriter};
use serde::{Deserialize, Serialize};

use super::{Reading, Stamp, Store, VerifiedBlob, touch};

#[derive(Serialize, Deserialize)]
struct Record {
    sha256: Digest,
    size: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Record {
    fn of(file: &Metadata, sha256: Digest) -> Record {
        Record {
            sha256,
            size: file.len(),
            inode: file.ino(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(record_path(path), serde_json::to_vec(self)?)
    }

    fn fits(&self, file: &Metadata) -> bool {
        self.inode == file.ino()
            && self.changed == (file.ctime(), file.ctime_nsec())
            && self.size == file.len()
    }
}

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
        if let Some(blob) = kept_blob(&path)? {
            return Ok(blob);
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        let context = || format!("writing {} (is the disk full?)", path.display());
        fs::create_dir_all(directory).with_context(context)?;
        let temp = tempfile::NamedTempFile::new_in(directory).with_context(context)?;
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
            .with_context(context)?;
        let file = temp
            .persist(&path)
            .map_err(|e| e.error)
            .with_context(context)?;
        Record::of(&file.metadata().with_context(context)?, got.sha256.clone())
            .write(&path)
            .with_context(context)?;
        let file = File::open(&path).with_context(context)?;
        let stamp = Stamp::of(&file).with_context(context)?;
        Ok(VerifiedBlob {
            file,
            stamp,
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
        file.read_to_end(&mut bytes)
            .with_context(|| format!("reading {}", path.display()))?;
        if Digest::sha256(&bytes) != known.sha256 {
            return Ok(None);
        }
        touch(&record);
        Ok(Some(bytes))
    }

    /// Keeps `bytes` for [`kept`](Store::kept) to find.
    pub fn keep(&self, what: &str, key: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.derived_path(what, key);
        let keep = || -> Result<()> {
            let directory = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(directory)?;
            let mut temp = tempfile::NamedTempFile::new_in(directory)?;
            temp.write_all(bytes)?;
            let file = temp.persist(&path)?;
            let record = Record::of(&file.metadata()?, Digest::sha256(bytes));
            Ok(record.write(&path)?)
        };
        keep().with_context(|| format!("writing {} (is the disk full?)", path.display()))
    }

    fn derived_path(&self, what: &str, key: &Digest) -> PathBuf {
        self.root.join("derived").join(what).join(key.hex())
    }
}

impl Cache for Store {
    fn kept(&self, what: &str, key: &Digest) -> Result<Option<Vec<u8>>> {
        Store::kept(self, what, key)
    }

    fn keep(&self, what: &str, key: &Digest, bytes: &[u8]) -> Result<()> {
        Store::keep(self, what, key, bytes)
    }
}

fn record_path(path: &Path) -> PathBuf {
    path.with_extension("record")
}

/// The derived file at `path` with its record, if that is of this very file.
/// Its bytes are not checked yet.
fn recorded(path: &Path) -> Result<Option<(Record, File, File)>> {
    let (Ok(mut record), Ok(file)) = (File::open(record_path(path)), File::open(path)) else {
        return Ok(None);
    };
    let context = || format!("reading {}", path.display());
    let mut text = Vec::new();
    record.read_to_end(&mut text).with_context(context)?;
    let Ok(known) = serde_json::from_slice::<Record>(&text) else {
        return Ok(None);
    };
    let fits = known.fits(&file.metadata().with_context(context)?);
    Ok(fits.then_some((known, record, file)))
}

/// The derived file at `path`, if its record and its bytes still hold.
fn kept_blob(path: &Path) -> Result<Option<VerifiedBlob>> {
    let Some((known, record, file)) = recorded(path)? else {
        return Ok(None);
    };
    let context = || format!("reading {}", path.display());
    let stamp = Stamp::of(&file).with_context(context)?;
    let got = Hasher::measure(&file, &[]).with_context(context)?;
    if got.sha256 != known.sha256 {
        return Ok(None);
    }
    touch(&record);
    Ok(Some(VerifiedBlob {
        file,
        stamp,
        path: path.to_owned(),
        sha256: got.sha256,
        sha512: None,
        size: got.size,
    }))
}
