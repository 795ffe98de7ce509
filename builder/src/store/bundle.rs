//! Bundles: blobs in one movable file, for machines without a network.
//!
//! ```text
//! tar (POSIX ustar), uncompressed: its content is already compressed
//!   nodeimg-bundle.json   {"version":1,"blobs":[{"sha256":..,"sha512":..,"size":..},..]}
//!   blobs/<64 hex>        named by SHA-256, in the index's order: sorted
//! ```
//!
//! # Invariants
//! - The same blobs give the same bundle, byte for byte.
//! - A bundle is as untrusted as a mirror: every member is hashed on its way in,
//!   and only what its name and the index say gets into the store.
//! - A bundle appears whole or not at all.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::guarded::{Guard, Guarded};
use nodeimg_values::digest::{Algorithm, Digest, Expected, Hasher};
use nodeimg_values::full::Writing;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::{Lookup, Store, VerifiedBlob};

const INDEX: &str = "nodeimg-bundle.json";
const VERSION: u32 = 1;

/// An index of tens of thousands of blobs is smaller.
const MAX_INDEX: u64 = 16 * 1024 * 1024;

/// Of one member; what a bundle holds has one block.
const MAX_HEADERS: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: u32,
    blobs: Vec<Indexed>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Indexed {
    sha256: Digest,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sha512: Option<Digest>,
    size: u64,
}

/// What a bundle brought.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    pub added: usize,
    /// In the store already.
    pub present: usize,
    /// In bytes, of all blobs.
    pub size: u64,
}

impl Store {
    /// Writes `blobs` to `path`. Their SHA-512 goes along if it was checked:
    /// an offline build may know a blob by nothing else.
    pub fn export_bundle(&self, blobs: &[&VerifiedBlob], path: &Path) -> Result<()> {
        let context = format!("writing the bundle {}", path.display());
        let mut sorted: BTreeMap<&Digest, &VerifiedBlob> = BTreeMap::new();
        for blob in blobs {
            let entry = sorted.entry(blob.sha256()).or_insert(blob);
            if entry.sha512().is_none() {
                *entry = blob;
            }
        }
        let index = Index {
            version: VERSION,
            blobs: sorted
                .values()
                .map(|blob| Indexed {
                    sha256: blob.sha256().clone(),
                    sha512: blob.sha512().cloned(),
                    size: blob.size(),
                })
                .collect(),
        };
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
        let temp = tempfile::Builder::new()
            .prefix(".nodeimg-bundle-")
            // As any file that is made for the user: the umask decides.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory.unwrap_or(Path::new(".")))
            .while_writing(&context)?;
        let mut tar = Builder::new(BufWriter::with_capacity(256 * 1024, temp));
        let text = serde_json::to_vec(&index)?;
        append(&mut tar, INDEX, text.len() as u64, text.as_slice()).while_writing(&context)?;
        for blob in sorted.values() {
            append_blob(&mut tar, blob).with_context(|| context.clone())?;
        }
        let temp = tar
            .into_inner()
            .and_then(|writer| writer.into_inner().map_err(io::IntoInnerError::into_error))
            .while_writing(&context)?;
        temp.as_file().sync_all().while_writing(&context)?;
        temp.persist(path)
            .map_err(|e| e.error)
            .while_writing(&context)?;
        Ok(())
    }

    /// Takes over what the bundle at `path` holds. What came before an error
    /// stays: it was checked.
    pub fn import_bundle(&self, path: &Path) -> Result<ImportReport> {
        let context = || format!("reading the bundle {}", path.display());
        let file = File::open(path).with_context(context)?;
        let guard = Rc::new(Guard::new(MAX_HEADERS));
        let reader = io::BufReader::with_capacity(256 * 1024, file);
        let mut archive = Archive::new(Guarded::new(reader, Rc::clone(&guard)));
        self.import(&mut archive, &guard).with_context(context)
    }

    fn import(&self, archive: &mut Archive<impl Read>, guard: &Guard) -> Result<ImportReport> {
        let mut entries = archive.entries()?;
        guard.allow_headers_after(0);
        let first = entries
            .next()
            .with_context(|| format!("it is not a bundle: {INDEX} is missing"))?;
        let mut first = first.context("it is not a bundle, or it is damaged")?;
        let mut wanted = BTreeMap::new();
        let mut body = first.size().min(MAX_INDEX);
        guard.allow_body(body);
        for blob in read_index(&mut first)?.blobs {
            let name = format!("blobs/{}", blob.sha256.hex());
            if wanted.insert(name.clone(), blob).is_some() {
                bail!("its index lists {name} twice");
            }
        }
        let mut report = ImportReport::default();
        loop {
            guard.allow_headers_after(body);
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.context("it is damaged or cut short")?;
            let name = name_of(&entry);
            let Some(blob) = wanted.remove(&name) else {
                bail!("its member {name:?} is not in its index, or is there twice");
            };
            ensure!(
                entry.header().entry_type() == EntryType::Regular,
                "its member {name} is not a regular file"
            );
            ensure!(
                entry.size() == blob.size,
                "its member {name} has {} bytes, its index says {}",
                entry.size(),
                blob.size
            );
            body = blob.size;
            guard.allow_body(body);
            if self
                .take_in(&mut entry, &blob)
                .with_context(|| format!("its member {name}"))?
            {
                report.added += 1;
            } else {
                report.present += 1;
            }
            report.size += blob.size;
        }
        if let Some(name) = wanted.keys().next() {
            bail!(
                "it is cut short or incomplete: {} of its members are missing, {name} first",
                wanted.len()
            );
        }
        Ok(report)
    }

    /// Whether the blob is new.
    fn take_in(&self, entry: &mut Entry<'_, impl Read>, blob: &Indexed) -> Result<bool> {
        if self.has(blob)? {
            return Ok(false);
        }
        let want = Expected {
            sha256: Some(blob.sha256.clone()),
            sha512: blob.sha512.clone(),
            size: Some(blob.size),
        };
        let extra: Vec<Algorithm> = want.extra_algorithms();
        let mut partial = self.partial(&blob.sha256.to_string(), &extra)?;
        partial.start_over(&extra)?;
        if let Err(e) = partial.take(entry)? {
            partial.discard();
            return Err(e).context("it is damaged or cut short");
        }
        match partial.commit(&want)? {
            Ok(_) => Ok(true),
            Err(rejected) => bail!(
                "it is damaged: expected {}, got {}; the bytes were dropped",
                rejected.expected,
                rejected.got
            ),
        }
    }

    /// Whether the blob is to be found by each digest that the bundle knows.
    fn has(&self, blob: &Indexed) -> Result<bool> {
        let by = |sha256: Option<&Digest>, sha512: Option<&Digest>| Expected {
            sha256: sha256.cloned(),
            sha512: sha512.cloned(),
            size: Some(blob.size),
        };
        let found = |want| Ok::<_, anyhow::Error>(matches!(self.find(&want)?, Lookup::Found(_)));
        Ok(found(by(Some(&blob.sha256), None))?
            && (blob.sha512.is_none() || found(by(None, blob.sha512.as_ref()))?))
    }
}

fn read_index(entry: &mut Entry<'_, impl Read>) -> Result<Index> {
    ensure!(
        name_of(entry) == INDEX && entry.header().entry_type() == EntryType::Regular,
        "it is not a bundle: its first member is not {INDEX}"
    );
    ensure!(
        entry.size() <= MAX_INDEX,
        "its index is longer than {MAX_INDEX} bytes"
    );
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    // The version first: a later one may have other fields.
    let value: serde_json::Value = serde_json::from_slice(&text).context("its index is damaged")?;
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let version = version.map_or_else(|| "none".to_owned(), |v| v.to_string());
        bail!("its version is {version}, this nodeimg reads version {VERSION} only");
    }
    let index: Index = serde_json::from_value(value).context("its index is damaged")?;
    for blob in &index.blobs {
        let right = blob.sha256.algorithm() == Algorithm::Sha256
            && blob
                .sha512
                .as_ref()
                .is_none_or(|d| d.algorithm() == Algorithm::Sha512);
        ensure!(
            right,
            "its index has a digest of the wrong kind at {}",
            blob.sha256
        );
    }
    Ok(index)
}

fn name_of(entry: &Entry<'_, impl Read>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}

fn append(tar: &mut Builder<impl Write>, name: &str, size: u64, data: impl Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    tar.append(&header, data)
}

/// Hashes once more on the way: a bundle goes to machines that cannot fetch
/// again.
fn append_blob(tar: &mut Builder<impl Write>, blob: &VerifiedBlob) -> Result<()> {
    let mut reader = HashingReader {
        file: blob.file(),
        at: 0,
        end: blob.size(),
        hasher: Hasher::new(&[]),
    };
    append(
        tar,
        &format!("blobs/{}", blob.sha256().hex()),
        blob.size(),
        &mut reader,
    )
    .while_writing("copying a blob")?;
    let got = reader.hasher.finish();
    if got.sha256 != *blob.sha256() {
        bail!(
            "{} changed while it was read: try again",
            blob.path().display()
        );
    }
    Ok(())
}

/// Reads by position, since a blob's file is shared.
struct HashingReader<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    hasher: Hasher,
}

impl Read for HashingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        if n == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
