//! What is sent: bytes in memory and parts of files, one after the other.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use nodeimg_values::digest::{Hasher, Measured};
use nodeimg_values::regular;

/// In bytes; so much is in memory at a time.
const PIECE: u64 = 256 * 1024;

#[derive(Clone, Debug)]
enum Part {
    Bytes(Bytes),
    File {
        path: PathBuf,
        file: Arc<File>,
        at: u64,
        len: u64,
    },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::File { len, .. } => *len,
        }
    }

    /// From `skip` on, at most `most` bytes.
    fn cut(&self, skip: u64, most: u64) -> Part {
        let len = (self.len() - skip).min(most);
        match self {
            Part::Bytes(bytes) => Part::Bytes(bytes.slice(skip as usize..(skip + len) as usize)),
            Part::File { path, file, at, .. } => Part::File {
                path: path.clone(),
                file: Arc::clone(file),
                at: at + skip,
                len,
            },
        }
    }
}

/// A blob's bytes, as often as they are needed.
#[derive(Clone, Debug, Default)]
pub struct Source(Vec<Part>);

impl Source {
    pub fn bytes(bytes: impl Into<Bytes>) -> Source {
        Source(vec![Part::Bytes(bytes.into())])
    }

    /// All of a file.
    pub fn file(path: &Path) -> Result<Source> {
        let context = || format!("opening {}", path.display());
        let file = regular::open(path).with_context(context)?;
        let len = file.metadata().with_context(context)?.len();
        Ok(Source(vec![Part::File {
            path: path.to_owned(),
            file: Arc::new(file),
            at: 0,
            len,
        }]))
    }

    /// This, and `next` after it.
    #[must_use]
    pub fn then(mut self, next: Source) -> Source {
        self.0.extend(next.0);
        self
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.0.iter().map(Part::len).sum()
    }

    /// From byte `at` on, at most `len` bytes.
    pub fn cut(&self, at: u64, len: u64) -> Source {
        let (mut skip, mut left) = (at, len);
        let mut parts = Vec::new();
        for part in &self.0 {
            let here = part.len();
            if skip >= here {
                skip -= here;
                continue;
            }
            if left == 0 {
                break;
            }
            let cut = part.cut(skip, left);
            (skip, left) = (0, left - cut.len());
            parts.push(cut);
        }
        Source(parts)
    }

    /// Reads all of it.
    pub fn reader(&self) -> Reader {
        Reader {
            parts: self.0.clone().into_iter(),
            current: None,
        }
    }

    pub fn measure(&self) -> Result<Measured> {
        Hasher::measure(self.reader(), &[]).context("reading what is to be published")
    }
}

/// A file that ends too early is an error.
#[derive(Debug)]
pub struct Reader {
    parts: std::vec::IntoIter<Part>,
    current: Option<Part>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let part = match self.current.take().filter(|part| part.len() > 0) {
                Some(part) => part,
                None => match self.parts.next() {
                    Some(part) => part,
                    None => return Ok(0),
                },
            };
            let most = buffer
                .len()
                .min(usize::try_from(part.len()).unwrap_or(usize::MAX));
            if most == 0 {
                continue;
            }
            let read = match &part {
                Part::Bytes(bytes) => {
                    buffer[..most].copy_from_slice(&bytes[..most]);
                    most
                }
                Part::File { path, file, at, .. } => match file.read_at(&mut buffer[..most], *at) {
                    Ok(0) => {
                        let why = format!("{} became shorter while it was sent", path.display());
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                    }
                    Ok(read) => read,
                    Err(e) => {
                        let why = format!("reading {}: {e}", path.display());
                        return Err(io::Error::new(e.kind(), why));
                    }
                },
            };
            self.current = Some(part.cut(read as u64, u64::MAX));
            return Ok(read);
        }
    }
}

/// How far a body is on its way.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) bytes: AtomicU64,
    /// Why it could not be read.
    pub(super) broken: Mutex<Option<String>>,
}

/// A body of a request.
pub(super) struct Body {
    reader: Reader,
    left: u64,
    sent: Arc<Sent>,
}

impl Body {
    pub(super) fn of(source: &Source, sent: &Arc<Sent>) -> Body {
        Body {
            reader: source.reader(),
            left: source.size(),
            sent: Arc::clone(sent),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    /// Reads the file where it is polled: that is the page cache mostly, and no request
    /// waits for another's disk longer than for a piece.
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; this.left.min(PIECE) as usize];
        match fill(&mut this.reader, &mut piece) {
            Ok(read) => {
                piece.truncate(read);
                this.left -= read as u64;
                this.sent.bytes.fetch_add(read as u64, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
            Err(e) => {
                let mut broken = this.sent.broken.lock();
                *broken.as_deref_mut().unwrap_or(&mut None) = Some(e.to_string());
                Poll::Ready(Some(Err(e)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads until the buffer is full or nothing is left.
fn fill(from: &mut Reader, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

impl Sent {
    /// Why the body could not be read, if that is so.
    pub(super) fn broken(&self) -> Option<String> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.take()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(source: &Source) -> String {
        let mut text = String::new();
        source.reader().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn parts_are_one_and_are_cut_anywhere() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("middle");
        std::fs::write(&path, "3456").unwrap();
        let all = Source::bytes(&b"012"[..])
            .then(Source::file(&path).unwrap())
            .then(Source::default())
            .then(Source::bytes(&b"789"[..]));
        assert_eq!((text(&all).as_str(), all.size()), ("0123456789", 10));
        for at in 0..=10 {
            for len in 0..=11 {
                let end = (at + len).min(10);
                let want = &"0123456789"[at..end];
                let cut = all.cut(at as u64, len as u64);
                assert_eq!((text(&cut).as_str(), cut.size()), (want, want.len() as u64));
            }
        }
        std::fs::write(&path, "3").unwrap();
        let error = all.reader().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("became shorter"), "{error}");
    }
}
