//! Where the files of a build are read from: a directory or a URL.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::OFlag;
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::{Digest, Expected};

use super::known::Sums;
use crate::input::fetch::{Fetcher, Gone, Request, shown};
use crate::output::sign::MANIFEST;

/// Sums and signatures are never longer, in bytes.
pub const SMALL: u64 = 1 << 20;
/// An output is never longer, in bytes.
const LARGEST: u64 = 1 << 40;

/// The files of a build.
pub enum Source<'a> {
    /// `only`: this one of them, and what tells of it.
    Directory {
        path: PathBuf,
        only: Option<String>,
    },
    Url(Box<Remote<'a>>),
}

/// Files at a URL.
pub struct Remote<'a> {
    /// Ends in `/`.
    pub url: String,
    pub fetcher: Fetcher<'a>,
    /// Where files are put under their names, for as long as the run lasts.
    pub place: PathBuf,
}

impl Source<'_> {
    /// A small file that no sum is of; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, is longer than [`SMALL`], or is a link.
    pub fn small(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Source::Directory { path, .. } => {
                let path = path.join(name);
                match open(&path).and_then(small) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if is_absent(&error) => Ok(None),
                    Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
                }
            }
            Source::Url(remote) => match remote.fetcher.small(&remote.of(name), name) {
                Ok(bytes) => {
                    // `--rebuild` reads them there.
                    let path = remote.place.join(name);
                    fs::write(&path, &bytes)
                        .with_context(|| format!("writing {}", path.display()))?;
                    Ok(Some(bytes))
                }
                Err(error) if error.is::<Gone>() => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Every name in the directory; `None` of a URL, which has no list.
    pub fn names(&self) -> Result<Option<Vec<String>>> {
        let Source::Directory { path, .. } = self else {
            return Ok(None);
        };
        let context = || format!("listing {}", path.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(path).with_context(context)? {
            let name = entry.with_context(context)?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        names.sort();
        Ok(Some(names))
    }

    /// Builds in directories below this one.
    pub fn builds(&self) -> Vec<String> {
        let Source::Directory { path, .. } = self else {
            return Vec::new();
        };
        let names = self.names().ok().flatten().unwrap_or_default();
        let below = names.into_iter().map(|name| path.join(name));
        let builds = below.filter(|build| build.join(CHECKSUMS).is_file());
        builds.map(|build| build.display().to_string()).collect()
    }

    /// Whether a file is to be looked at, though it need not be there.
    pub fn wants(&self, name: &str) -> bool {
        match self {
            Source::Directory { path, only } => match only {
                Some(only) => {
                    only == name || tells(name) && path.join(name).symlink_metadata().is_ok()
                }
                None => true,
            },
            Source::Url(_) => true,
        }
    }

    /// The listed files, open: those of a URL are fetched by their digests.
    ///
    /// # Errors
    /// Those of a URL, all in one; of a directory, for each file.
    pub fn open(&self, listed: &Sums) -> Result<BTreeMap<String, Result<File>>> {
        match self {
            Source::Directory { path, .. } => {
                let names = listed.keys();
                Ok(names
                    .map(|name| (name.clone(), open(&path.join(name))))
                    .collect())
            }
            Source::Url(remote) => remote.fetch(listed),
        }
    }

    /// Where the files lie by their names.
    pub fn directory(&self) -> &Path {
        match self {
            Source::Directory { path, .. } => path,
            Source::Url(remote) => &remote.place,
        }
    }

    /// Other servers that a URL led to.
    pub fn redirects(&self) -> Vec<String> {
        match self {
            Source::Directory { .. } => Vec::new(),
            Source::Url(remote) => remote.fetcher.redirects(),
        }
    }

    /// Whether only one file of the build is looked at.
    pub fn only(&self) -> Option<&str> {
        match self {
            Source::Directory { only, .. } => only.as_deref(),
            Source::Url(_) => None,
        }
    }
}

/// Whether a file tells of others.
fn tells(name: &str) -> bool {
    let about = [".spdx.json", ".cdx.json", ".roothash", ".roothash.p7s"];
    name == MANIFEST || name == "provenance.json" || about.iter().any(|end| name.ends_with(end))
}

impl Remote<'_> {
    fn of(&self, name: &str) -> String {
        format!("{}{}", self.url, encoded(name))
    }

    fn fetch(&self, listed: &Sums) -> Result<BTreeMap<String, Result<File>>> {
        let request = |(name, digest): (&String, &Digest)| Request {
            what: name.clone(),
            url: self.of(name),
            want: Expected::of(digest, None),
            max_size: LARGEST,
            accept: None,
        };
        let requests: Vec<Request> = listed.iter().map(request).collect();
        let blobs = self.fetcher.fetch(&requests);
        let blobs = blobs.with_context(|| format!("fetching from {}", shown(&self.url)))?;
        let mut files = BTreeMap::new();
        for (name, blob) in listed.keys().zip(blobs) {
            let path = self.place.join(name);
            let context = || format!("writing {}", path.display());
            if fs::hard_link(blob.path(), &path).is_err() {
                fs::copy(blob.path(), &path).with_context(context)?;
            }
            files.insert(name.clone(), open(&path));
        }
        Ok(files)
    }
}

/// A name as a part of a URL.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// All of a file of at most [`SMALL`] bytes.
fn small(file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SMALL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL {
        bail!("it has more than {SMALL} bytes, the limit for it");
    }
    Ok(bytes)
}

/// Whether a file could not be opened because there is none.
pub fn is_absent(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::NotFound)
}

/// A file itself: what a link leads to belongs to another directory.
fn open(path: &Path) -> Result<File> {
    refuse_link(path)?;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        bail!("it is not a file");
    }
    Ok(file)
}

fn refuse_link(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => {
            let to = fs::read_link(path).unwrap_or_default();
            bail!(
                "it is a link to {}: what it leads to may become another file at any time; copy \
                 the file itself there",
                to.display()
            )
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_url() {
        assert_eq!(encoded("tiny-1.0_a~b.raw"), "tiny-1.0_a~b.raw");
        assert_eq!(encoded("a b?c#d%e+ü"), "a%20b%3Fc%23d%25e%2B%C3%BC");
    }
}
