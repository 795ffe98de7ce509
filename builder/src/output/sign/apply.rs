//! Writes an output directory again with signatures in it: what changes is written, the rest is
//! linked, and the whole takes the old one's place in one step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use nodeimg_signing::authenticode;
use nodeimg_values::atomic::{self, AtomicFile, CHECKSUMS, OutDir};
use nodeimg_values::digest::Digest;
use serde_json::{Value, json};

use super::esp::Esp;
use super::signatures::{Signatures, UKI};
use super::statement::Pair;
use super::target::{MANIFEST, Target};
use super::update::Update;
use super::{extension, statement};
use crate::output::disk::files;
use crate::output::manifest::{self, Output};

/// Beside the checksums, and not in them.
pub const SIGNATURE: &str = "SHA256SUMS.sig";

/// Where UKIs are in the ESP.
const UKIS: &str = "EFI/Linux/";

/// What is to be written; nothing of it is as it was.
pub struct Changes {
    files: BTreeMap<String, Vec<u8>>,
    /// The files of the ESP.
    esp: Option<Vec<(String, Vec<u8>)>>,
    extensions: BTreeMap<String, Vec<u8>>,
    /// Names of files that are there no more.
    gone: BTreeSet<String>,
}

impl Changes {
    /// What these signatures change.
    pub fn of(
        target: &Target,
        esp: Option<&Esp>,
        update: Option<&Update>,
        signatures: &Signatures,
    ) -> Result<Changes> {
        let mut files = signatures.root_hashes.clone();
        files.extend(signatures.enroll.clone());
        if let Some(found) = signatures.programs.get(UKI).filter(|_| target.has(UKI)) {
            let program = target.bytes(UKI)?.unwrap_or_default();
            files.insert(UKI.to_owned(), authenticode::with(&program, found)?);
        }
        if let Some(update) = update {
            let (name, program) = update.program();
            if let Some(found) = signatures.programs.get(name) {
                files.extend(update.with(&authenticode::with(program, found)?)?);
            }
        }
        let mut changed = BTreeMap::new();
        for (name, bytes) in files {
            if target.sums.get(&name).map(String::as_str) != Some(Digest::sha256(&bytes).hex()) {
                changed.insert(name, bytes);
            }
        }
        let esp = match esp {
            Some(esp) => Some(signatures.put_into(esp)?).filter(|files| !esp.holds(files)),
            None => None,
        };
        let mut extensions = BTreeMap::new();
        for (name, text) in &signatures.extensions {
            let old = extension::signature(&target.file(name)?).with_context(|| name.clone())?;
            if old.as_ref() != Some(text) {
                extensions.insert(name.clone(), text.clone());
            }
        }
        let gone = target.sums.keys().filter(|name| signatures.is_gone(name));
        Ok(Changes {
            files: changed,
            esp,
            extensions,
            gone: gone.cloned().collect(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
            && self.esp.is_none()
            && self.extensions.is_empty()
            && self.gone.is_empty()
    }
}

/// A directory under way, with the text of its checksums.
pub struct Staged {
    out: OutDir,
    pub sums: String,
    /// The statement of provenance, if there is one.
    pub statement: Option<Vec<u8>>,
    /// Names of what was written.
    pub written: Vec<String>,
}

/// Writes all but what is signed last. Every file of `target` is checked against its sum at the
/// same time.
pub fn stage(target: &Target, esp: Option<&Esp>, changes: &Changes) -> Result<Staged> {
    let out = OutDir::stage(&target.directory)?;
    let written = thread::scope(|scope| {
        let checked = scope.spawn(|| target.check());
        let written = write(target, esp, changes, out.path());
        // A file that was changed is the better reason for any error.
        match checked.join() {
            Ok(checked) => checked.and(written),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let mut told = Told {
        target,
        directory: out.path(),
        pairs: pairs(target, esp, changes, &written),
        written,
        gone: &changes.gone,
    };
    let statement = told.write()?;
    let mut sums = target.sums.clone();
    sums.retain(|name, _| !changes.gone.contains(name));
    for output in &told.written {
        sums.insert(output.file.clone(), output.sha256.hex().to_owned());
    }
    let written = told.written.into_iter().map(|output| output.file);
    let written: Vec<String> = written.collect();
    for name in sums.keys().filter(|name| !written.contains(name)) {
        link(&target.path(name), &out.path().join(name))?;
    }
    let sums = checksums(&sums)?;
    atomic::write_file(&out.path().join(CHECKSUMS), sums.as_bytes())?;
    Ok(Staged {
        out,
        sums,
        statement,
        written,
    })
}

/// Digests of what was signed, before and after: of files, and of the UKI, which need not be one.
fn pairs(target: &Target, esp: Option<&Esp>, changes: &Changes, written: &[Output]) -> Vec<Pair> {
    let outputs = written.iter().filter_map(|output| {
        let old = target.sums.get(&output.file)?;
        Some((old.clone(), output.sha256.hex().to_owned()))
    });
    let hex = |bytes: &[u8]| Digest::sha256(bytes).hex().to_owned();
    let inside = changes.esp.iter().flatten().filter_map(|(path, new)| {
        let old = esp?.contents.files.get(path)?;
        (path.starts_with(UKIS) && old != new).then(|| (hex(old), hex(new)))
    });
    outputs.chain(inside).collect()
}

/// What tells of the outputs, under way: each text knows the files before it.
struct Told<'a> {
    target: &'a Target,
    directory: &'a Path,
    pairs: Vec<Pair>,
    written: Vec<Output>,
    gone: &'a BTreeSet<String>,
}

impl Told<'_> {
    /// Writes a text, if it is another one now.
    fn put(&mut self, name: &str, text: &[u8]) -> Result<()> {
        let new = Output::of(name, text);
        let old = self.target.sums.get(name);
        let Some(old) = old.filter(|old| *old != new.sha256.hex()) else {
            return Ok(());
        };
        self.pairs.push((old.clone(), new.sha256.hex().to_owned()));
        atomic::write_file(&self.directory.join(name), text)?;
        self.written.push(new);
        Ok(())
    }

    /// Writes all of them. The result is the statement of provenance, if there is one.
    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        let target = self.target;
        let fresh = self
            .written
            .iter()
            .filter(|output| !target.has(&output.file));
        let fresh: Vec<Output> = fresh.cloned().collect();
        for name in target.sums.keys().filter(|name| statement::is_bill(name)) {
            let text = target.bytes(name)?.unwrap_or_default();
            let text = statement::replaced(&text, &self.pairs).with_context(|| name.clone())?;
            self.put(name, text.as_bytes())?;
        }
        let manifest = with_outputs(&target.manifest, &self.written, self.gone)?;
        self.put(MANIFEST, manifest.as_bytes())?;
        if !target.has(statement::NAME) {
            return Ok(None);
        }
        let text = target.bytes(statement::NAME)?.unwrap_or_default();
        let fresh: Vec<&Output> = fresh.iter().collect();
        let text = statement::updated(&text, &self.pairs, &fresh, self.gone)?;
        self.put(statement::NAME, &text)?;
        Ok(Some(text))
    }
}

impl Staged {
    /// Adds a file that no checksum is of.
    pub fn add(&self, name: &str, bytes: &[u8]) -> Result<()> {
        atomic::write_file(&self.out.path().join(name), bytes)
    }

    /// What it has by now under this name.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.out.path().join(name);
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// Puts it in its place.
    pub fn commit(self) -> Result<Vec<String>> {
        self.out.commit()?;
        Ok(self.written)
    }
}

fn checksums(sums: &BTreeMap<String, String>) -> Result<String> {
    let outputs = sums.iter().map(|(name, hex)| {
        Ok(Output {
            file: name.clone(),
            size: 0,
            sha256: format!("sha256:{hex}").parse()?,
        })
    });
    Ok(manifest::checksums(&outputs.collect::<Result<Vec<_>>>()?))
}

fn write(
    target: &Target,
    esp: Option<&Esp>,
    changes: &Changes,
    directory: &Path,
) -> Result<Vec<Output>> {
    let mut written = Vec::new();
    if let (Some(esp), Some(inside)) = (esp, &changes.esp) {
        let disk = AtomicFile::create(&directory.join(files::RAW))?;
        esp.write(inside, target.epoch, disk.file())?;
        if target.has(files::QCOW2) {
            written.push({
                let size = target.manifest["disk"]["machine_size"].as_u64();
                files::qcow2(disk.file(), size, directory)?
            });
        }
        if target.has(files::ZST) {
            written.push(files::zst(disk.file(), directory)?);
        }
        if target.has(files::RAW) {
            written.push(files::committed(disk, files::RAW)?);
        }
    }
    for (name, text) in &changes.extensions {
        let file = AtomicFile::create(&directory.join(name))?;
        extension::write(&target.file(name)?, target.arch, text, file.file())
            .with_context(|| format!("signing {name}"))?;
        written.push(files::committed(file, name)?);
    }
    for (name, bytes) in &changes.files {
        atomic::write_file(&directory.join(name), bytes)?;
        written.push(Output::of(name, bytes));
    }
    Ok(written)
}

/// The same file under the new name: nothing is written to an output once it is there.
fn link(from: &Path, to: &Path) -> Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    // A file system without links, or a system that lets nobody link others' files.
    let context = || format!("copying {}", from.display());
    let file = File::open(from).with_context(context)?;
    let mut copy = AtomicFile::create(to)?;
    std::io::copy(&mut &file, &mut copy).with_context(context)?;
    copy.commit()
}

fn with_outputs(manifest: &Value, written: &[Output], gone: &BTreeSet<String>) -> Result<String> {
    let mut manifest = manifest.clone();
    let outputs = manifest.get_mut("outputs").and_then(Value::as_array_mut);
    let outputs = outputs.with_context(|| format!("{MANIFEST} lists no outputs"))?;
    outputs.retain(|old| old["file"].as_str().is_none_or(|name| !gone.contains(name)));
    for output in written {
        let entry = json!(output);
        let named = |old: &&mut Value| old["file"] == entry["file"];
        match outputs.iter_mut().find(named) {
            Some(old) => *old = entry,
            None => outputs.push(entry),
        }
    }
    manifest::json_text(manifest)
}
