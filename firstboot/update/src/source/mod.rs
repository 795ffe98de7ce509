//! Where an update comes from.
//!
//! # Invariants
//! What a source gives is not believed: callers verify every byte.

pub mod directory;
pub mod http;
pub mod login;
pub mod net;
pub mod registry;
pub mod stream;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use nodeimg_formats::update::{self, Manifest};
use sha2::{Digest as _, Sha256};

/// Of a manifest and its envelope, in bytes.
pub const MAX_DOCUMENT: u64 = 1 << 20;

/// Whose updates are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pub id: &'a str,
    pub architecture: &'a str,
}

impl Image<'_> {
    /// The version in the name of a manifest, signed or not; `None` if it is another image's.
    pub fn version_in<'n>(&self, name: &'n str) -> Option<&'n str> {
        let stem = name
            .strip_suffix(update::SUFFIX)
            .or_else(|| name.strip_suffix(update::SIGNED_SUFFIX))?;
        let rest = stem.strip_prefix(self.id)?.strip_prefix('_')?;
        let version = rest.strip_suffix(self.architecture)?.strip_suffix('_')?;
        update::is_version(version).then_some(version)
    }

    /// The versions in names of files, each once.
    pub fn versions_in<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Vec<String> {
        let versions = names.into_iter();
        let versions =
            versions.filter_map(|name| self.version_in(name.as_ref()).map(str::to_owned));
        versions.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A manifest, nothing of which is verified.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub plain: Option<Vec<u8>>,
    /// The same in a DSSE envelope.
    pub envelope: Option<String>,
}

impl Document {
    /// Of a source with files: `file` gives one by its name, none if it is not there. A signed
    /// manifest counts before one that is not.
    ///
    /// # Errors
    /// Those of `file`; one is too long, or the envelope is not text.
    pub fn of_files(
        image: Image<'_>,
        version: &str,
        file: impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Document> {
        let stem = update::stem(image.id, version, image.architecture);
        let read = |suffix: &str| {
            let name = format!("{stem}{suffix}");
            let bytes = file(&name)?;
            if bytes
                .as_ref()
                .is_some_and(|it| it.len() as u64 > MAX_DOCUMENT)
            {
                bail!("{name} is longer than a manifest can be");
            }
            Ok(bytes)
        };
        let envelope = read(update::SIGNED_SUFFIX)?.map(String::from_utf8);
        let envelope = envelope.transpose();
        let envelope = envelope.context("the envelope of the manifest is not text")?;
        let plain = match envelope {
            Some(_) => None,
            None => read(update::SUFFIX)?,
        };
        Ok(Document { plain, envelope })
    }
}

/// A file of an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    Root,
    Verity,
    /// As it is published: compressed if there is such a file.
    Uki,
}

impl Piece {
    /// The name of its file.
    pub fn file(self, manifest: &Manifest) -> &str {
        match (self, &manifest.uki.compressed) {
            (Piece::Root, _) => &manifest.root.content.file,
            (Piece::Verity, _) => &manifest.verity.file,
            (Piece::Uki, Some(packed)) => &packed.file,
            (Piece::Uki, None) => &manifest.uki.content.file,
        }
    }

    /// In bytes.
    pub fn size(self, manifest: &Manifest) -> u64 {
        match (self, &manifest.uki.compressed) {
            (Piece::Root, _) => manifest.root.content.size,
            (Piece::Verity, _) => manifest.verity.size,
            (Piece::Uki, Some(packed)) => packed.size,
            (Piece::Uki, None) => manifest.uki.content.size,
        }
    }
}

/// Takes bytes that belong at a place of the file.
pub type Sink<'a> = dyn FnMut(u64, &[u8]) -> Result<()> + 'a;

/// What is read at a time, in bytes.
const BUFFER: usize = 256 << 10;

/// Gives a range of a file to a sink, as far as `read` has it. That fills a buffer with what is
/// at a place, and says how many bytes it has put there; none is the end. Where it ended.
///
/// # Errors
/// Those of `read`, by what `failed` makes of them; the sink fails.
pub fn pass_on(
    range: Range<u64>,
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    failed: impl Fn(io::Error) -> Failure,
    to: &mut Sink<'_>,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; BUFFER];
    let mut at = range.start;
    while at < range.end {
        let wanted = BUFFER.min(usize::try_from(range.end - at).unwrap_or(BUFFER));
        let got = match read(&mut buffer[..wanted], at) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        to(at, &buffer[..got])?;
        at += got as u64;
    }
    Ok(at)
}

/// What was given to the sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivered {
    Range,
    /// The whole file, since the source has no ranges.
    All,
}

/// Why it was not.
#[derive(Debug)]
pub enum Failure {
    /// Another attempt may succeed.
    Passing(anyhow::Error),
    Final(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Final(error)
    }
}

impl Failure {
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Failure::Passing(error) | Failure::Final(error) => error,
        }
    }
}

/// Where updates are.
pub trait Source: Sync {
    /// For messages; without a password.
    fn name(&self) -> String;
    /// The versions of an image that are there, in any order.
    ///
    /// # Errors
    /// It cannot be asked.
    fn versions(&self, image: Image<'_>) -> Result<Vec<String>>;
    /// The manifest of one of them.
    ///
    /// # Errors
    /// It cannot be read, or is not there.
    fn manifest(&self, image: Image<'_>, version: &str) -> Result<Document>;
    /// Gives the bytes of a range of a file to `to`, in order; what was given stays given if it
    /// fails then.
    ///
    /// # Errors
    /// It cannot be read, or `to` fails.
    fn read(
        &self,
        manifest: &Manifest,
        piece: Piece,
        range: Range<u64>,
        to: &mut Sink<'_>,
    ) -> Result<Delivered, Failure>;
    /// Whether several ranges at once are faster than one.
    fn is_remote(&self) -> bool {
        true
    }
}

/// How often and how patiently a source is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts without a new byte between them.
    pub attempts: u32,
    /// Before the second attempt, and twice as long before each further one.
    pub pause: std::time::Duration,
    /// Ranges at a time.
    pub parallel: usize,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            attempts: 6,
            pause: std::time::Duration::from_secs(1),
            parallel: 4,
        }
    }
}

impl Patience {
    /// Runs `attempt` until it succeeds, fails for good, or has failed too often without
    /// progress. It says how far it has come by what it returns beside a failure.
    ///
    /// # Errors
    /// The last failure.
    pub fn run(
        &self,
        mut attempt: impl FnMut() -> Result<(), Failure>,
        progress: impl Fn() -> u64,
    ) -> Result<()> {
        let (mut failures, mut reached) = (0, progress());
        loop {
            let error = match attempt() {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error)) => error,
            };
            let now = progress();
            failures = if now > reached { 1 } else { failures + 1 };
            reached = now;
            if failures >= self.attempts {
                return Err(error.context(format!("gave up after {failures} attempts")));
            }
            std::thread::sleep(self.pause * (1 << (failures - 1).min(5)));
        }
    }
}

/// All of a file that fits into memory.
///
/// # Errors
/// It cannot be read, or has another size than the manifest says.
pub fn whole(
    source: &dyn Source,
    manifest: &Manifest,
    piece: Piece,
    patience: Patience,
) -> Result<Vec<u8>> {
    let size = piece.size(manifest);
    let file = piece.file(manifest);
    let bytes = std::cell::RefCell::new(Vec::new());
    let attempt = || {
        let start = bytes.borrow().len() as u64;
        let mut to = |at: u64, piece: &[u8]| {
            let mut bytes = bytes.borrow_mut();
            let end = bytes.len() as u64;
            // A source without ranges begins at the start.
            let known = end.saturating_sub(at).min(piece.len() as u64);
            if at > end || at + piece.len() as u64 > size {
                bail!("{file} is not as long as its manifest says");
            }
            bytes.extend_from_slice(&piece[known as usize..]);
            Ok(())
        };
        if start < size {
            source.read(manifest, piece, start..size, &mut to)?;
        }
        match bytes.borrow().len() as u64 == size {
            true => Ok(()),
            false => Err(Failure::Passing(anyhow::anyhow!("the answer ended early"))),
        }
    };
    patience
        .run(attempt, || bytes.borrow().len() as u64)
        .with_context(|| format!("reading {file} from {}", source.name()))?;
    Ok(bytes.into_inner())
}

/// # Errors
/// The digest is another.
pub fn check_digest(bytes: &[u8], want: &str, file: &str) -> Result<()> {
    let got: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if got != want {
        bail!("{file} is not the file of its manifest: it has the SHA-256 {got}, not {want}");
    }
    Ok(())
}
