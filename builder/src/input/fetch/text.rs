//! Small text files: what a publisher states about an artifact. Kept nowhere.

use std::io;
use std::thread;

use anyhow::{Result, anyhow, bail};
use nodeimg_values::regular;
use reqwest::StatusCode;

use super::Fetcher;
use super::client::{Get, Piece};
use super::failure::{Failure, shown};
use super::mirrors::Candidate;
use super::retry::Backoff;

/// A checksum file is never longer.
pub(super) const MAX_TEXT: usize = 1024 * 1024;

impl Fetcher<'_> {
    /// A small text file, `None` if the server says that there is none.
    pub fn text(&self, url: &str, what: &str) -> Result<Option<String>> {
        self.first_text(url, what, Ok)
    }

    /// The first candidate's text that `accept` takes, as what it makes of it;
    /// `None` if every server says that there is none.
    pub fn first_text<T>(
        &self,
        url: &str,
        what: &str,
        accept: impl Fn(String) -> Result<T>,
    ) -> Result<Option<T>> {
        let candidates = self.usable(url);
        if candidates.is_empty() {
            bail!("{what}: {} is not fetched with --offline", shown(url));
        }
        let mut failures = Vec::new();
        for candidate in &candidates {
            match self.text_from(candidate) {
                Ok(bytes) => {
                    let text = String::from_utf8(bytes);
                    let text = text.map_err(|_| anyhow!("it is not text"));
                    match text.and_then(&accept) {
                        Ok(taken) => return Ok(Some(taken)),
                        Err(error) => {
                            failures.push(format!("{}: {error:#}", shown(&candidate.url)));
                        }
                    }
                }
                Err(failure) if failure.is_absent() => {}
                Err(failure) => failures.push(format!("{}: {failure}", shown(&candidate.url))),
            }
        }
        if failures.is_empty() {
            return Ok(None);
        }
        bail!("{what}: {}", failures.join("; "))
    }

    fn text_from(&self, candidate: &Candidate) -> Result<Vec<u8>, Failure> {
        if let Some(path) = candidate.path() {
            return match regular::read(&path, MAX_TEXT as u64) {
                Ok(bytes) => Ok(bytes),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Failure::Status {
                    code: StatusCode::NOT_FOUND,
                    retry_after: None,
                }),
                Err(e) => Err(Failure::Refused(format!("reading {}: {e}", path.display()))),
            };
        }
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let failure = match self.text_once(candidate) {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => failure,
            };
            match backoff.wait(&failure).filter(|_| !failure.is_slow()) {
                Some(wait) => thread::sleep(wait),
                None => return Err(failure),
            }
        }
    }

    fn text_once(&self, candidate: &Candidate) -> Result<Vec<u8>, Failure> {
        let mut pieces = self.client().map_err(Failure::Local)?.get(Get {
            from: candidate.clone(),
            resume: None,
            accept: None,
        });
        let mut bytes = Vec::new();
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Head(head)) if head.code == StatusCode::OK => head.check_packing()?,
                Some(Piece::Head(head)) => {
                    return Err(Failure::Status {
                        code: head.code,
                        retry_after: head.retry_after,
                    });
                }
                Some(Piece::Data(data)) if bytes.len() + data.len() <= MAX_TEXT => {
                    bytes.extend_from_slice(&data);
                }
                Some(Piece::Data(_)) => {
                    return Err(too_long());
                }
                Some(Piece::End) => return Ok(bytes),
                Some(Piece::Failed(failure)) => return Err(failure),
                None => return Err(Failure::Timeout),
            }
        }
    }
}

fn too_long() -> Failure {
    Failure::Refused(format!(
        "it is longer than {MAX_TEXT} bytes, the limit for a checksum file"
    ))
}
