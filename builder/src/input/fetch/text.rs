//! Small text files: what a publisher states about an artifact. Kept nowhere.

use std::io;
use std::sync::Arc;
use std::thread;

use anyhow::{Result, anyhow, bail};
use nodeimg_values::regular;
use reqwest::StatusCode;

use super::Fetcher;
use super::client::{Get, How, Piece};
use super::failure::{Failure, Gone, shown};
use super::hint::told;
use super::mirrors::Candidate;
use super::retry::Backoff;

/// A checksum file is never longer.
pub(super) const MAX_TEXT: usize = 1024 * 1024;

impl Fetcher<'_> {
    /// A small text file, `None` if the server says that there is none.
    pub fn text(&self, url: &str, what: &str) -> Result<Option<String>> {
        match self.first_text(url, what, Ok) {
            Err(error) if error.is::<Gone>() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The first candidate's text that `accept` takes, as what it makes of it;
    /// [`Gone`] with every answer if every server says that there is none.
    pub fn first_text<T>(
        &self,
        url: &str,
        what: &str,
        accept: impl Fn(String) -> Result<T>,
    ) -> Result<T> {
        let as_text = |bytes: Vec<u8>| {
            let text = decoded(bytes).ok_or_else(|| anyhow!("it is not text"))?;
            accept(not_a_page(text)?)
        };
        self.first(url, what, None, as_text)
    }

    /// A small file, whatever is in it; [`Gone`] if every server says that there is none.
    pub fn small(&self, url: &str, what: &str) -> Result<Vec<u8>> {
        self.first(url, what, None, Ok)
    }

    /// What a server answers to `body`, which is JSON; [`Gone`] as for [`Fetcher::small`].
    pub fn post(&self, url: &str, what: &str, body: &str) -> Result<Vec<u8>> {
        self.first(url, what, Some(body.into()), Ok)
    }

    fn first<T>(
        &self,
        url: &str,
        what: &str,
        post: Option<Arc<str>>,
        accept: impl Fn(Vec<u8>) -> Result<T>,
    ) -> Result<T> {
        let candidates = self.usable(url);
        if candidates.is_empty() {
            bail!("{what}: {} is not fetched with --offline", shown(url));
        }
        let mut failures: Vec<(String, String)> = Vec::new();
        let mut absent = true;
        for (at, candidate) in candidates.iter().enumerate() {
            let is_last = at + 1 == candidates.len();
            let why = match self.text_from(candidate, post.as_ref(), is_last) {
                Ok(bytes) => match accept(bytes) {
                    Ok(taken) => {
                        self.stand_ins.tell(&failures, candidate);
                        return Ok(taken);
                    }
                    Err(error) => {
                        absent = false;
                        format!("{error:#}")
                    }
                },
                Err(failure) => {
                    absent &= failure.is_absent();
                    told(candidate, url, &failure)
                }
            };
            let text = format!("{}: {why}", shown(&candidate.url));
            failures.push((candidate.url.clone(), text));
        }
        let texts: Vec<String> = failures.into_iter().map(|(_, text)| text).collect();
        let text = format!("{what}: {}", texts.join("; "));
        match absent {
            true => Err(Gone(text).into()),
            false => bail!(text),
        }
    }

    fn text_from(
        &self,
        candidate: &Candidate,
        post: Option<&Arc<str>>,
        is_last: bool,
    ) -> Result<Vec<u8>, Failure> {
        if let Some(path) = candidate.path() {
            return match regular::read(&path, MAX_TEXT as u64) {
                Ok(bytes) => Ok(bytes),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    Err(Failure::NoFile("there is no such file".to_owned()))
                }
                Err(e) => Err(Failure::Refused(format!("reading {}: {e}", path.display()))),
            };
        }
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let failure = match self.text_once(candidate, post) {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => failure,
            };
            let again = backoff.wait(&failure);
            match again.filter(|_| is_last || !failure.is_slow()) {
                Some(wait) => thread::sleep(wait),
                None => return Err(failure),
            }
        }
    }

    fn text_once(
        &self,
        candidate: &Candidate,
        post: Option<&Arc<str>>,
    ) -> Result<Vec<u8>, Failure> {
        let mut pieces = self.client().map_err(Failure::Local)?.get(Get {
            from: candidate.clone(),
            resume: None,
            accept: None,
            how: post.cloned().map_or(How::Get, How::Post),
        });
        let mut bytes = Vec::new();
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Head(head)) if head.code == StatusCode::OK => head.check_packing()?,
                Some(Piece::Head(head)) => {
                    return Err(Failure::Status {
                        code: head.code,
                        retry_after: head.retry_after,
                        note: head.note,
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

/// A proxy's page or one to sign in, which some send with 200.
fn not_a_page(text: String) -> Result<String> {
    match text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('<')
    {
        true => bail!(
            "a web page came in its place: something between this machine and the server answers \
             for it, or the server requires a login"
        ),
        false => Ok(text),
    }
}

/// UTF-8, or what PowerShell writes into a file: UTF-16 with a byte order mark.
fn decoded(bytes: Vec<u8>) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some(b"\xff\xfe") => u16::from_le_bytes,
        Some(b"\xfe\xff") => u16::from_be_bytes,
        _ => return String::from_utf8(bytes).ok(),
    };
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

fn too_long() -> Failure {
    Failure::Refused(format!(
        "it is longer than {MAX_TEXT} bytes, the limit for a text like this"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_was_written() {
        let units = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        for (bytes, wanted) in [
            (b"a  x\n".to_vec(), Some("a  x\n")),
            (
                units("\u{feff}a \u{1f600}", u16::to_le_bytes),
                Some("a \u{1f600}"),
            ),
            (units("\u{feff}a  x", u16::to_be_bytes), Some("a  x")),
            (b"\xff\xfea\0b".to_vec(), None),
            (b"\xff\xfe\0\xd8".to_vec(), None),
            (b"\xff".to_vec(), None),
        ] {
            assert_eq!(decoded(bytes.clone()).as_deref(), wanted, "{bytes:?}");
        }
    }
}
