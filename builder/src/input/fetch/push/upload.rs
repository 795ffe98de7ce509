//! A blob on its way into a repository.
//!
//! ```text
//! HEAD blobs/D                    200: it is there
//! POST uploads/?mount=D&from=R    201: it is there now;  202: an upload has begun instead
//! POST uploads/                   202, Location
//! PUT  LOCATION?digest=D          201: all of it in one request
//! ```
//! Only where that fails, in chunks (`PATCH LOCATION`, then an empty `PUT`): these are slower
//! at every registry, but can go on after a cut, and pass proxies that limit a request.

use anyhow::Result;
use nodeimg_values::digest::Digest;
use nodeimg_values::progress::Upload;
use reqwest::header::{self, HeaderName};
use reqwest::{Method, StatusCode};

use super::super::failure::Failure;
use super::super::retry::Backoff;
use super::ask::{Answer, Ask};
use super::{Outcome, Repository, Source, Target};

const MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const OCTETS: &str = "application/octet-stream";

/// In bytes, of a chunk: proxies that limit a request know such limits.
const CHUNKS: [u64; 3] = [16 << 20, 4 << 20, 512 << 10];

/// A blob to be sent.
#[derive(Clone, Debug)]
pub struct Blob {
    /// For messages: `disk.qcow2`.
    pub what: String,
    pub digest: Digest,
    pub source: Source,
}

impl Blob {
    /// Reads it once, for its digest.
    pub fn of(what: &str, source: Source) -> Result<Blob> {
        Ok(Blob {
            what: what.to_owned(),
            digest: source.measure()?.sha256,
            source,
        })
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.source.size()
    }
}

/// An upload that has begun.
struct Session {
    target: Target,
    /// Of a chunk, in bytes.
    least: u64,
    /// What the registry has.
    had: u64,
}

impl Repository<'_> {
    /// Brings a blob into the repository.
    pub fn send(&self, blob: &Blob) -> Result<Outcome> {
        let what = format!("pushing {} ({})", blob.what, blob.digest);
        let url = self.name.blob_url(&blob.digest);
        let has = self.has(blob);
        if has.map_err(|failure| self.told(&what, &url, &failure))? {
            return Ok(Outcome::There);
        }
        let upload = self.progress.upload(&blob.what, Some(blob.size()));
        let url = self.name.upload_url(None);
        let outcome = self.bring(blob, &upload);
        let outcome = outcome.map_err(|failure| self.told(&what, &url, &failure));
        match &outcome {
            Ok(Outcome::Sent) => upload.finished(blob.size()),
            Ok(_) => upload.found(),
            Err(_) => upload.failed(),
        }
        outcome
    }

    /// Whether the registry has it, whole. One that does not answer such questions is sent it.
    fn has(&self, blob: &Blob) -> Result<bool, Failure> {
        let target = self.target(&self.name.blob_url(&blob.digest))?;
        let origin = target.url.origin();
        let ask = Ask::new(Method::HEAD, target);
        let answer = self.tries(&ask, &[200, 400, 403, 404, 405, 501], None)?;
        if answer.code == StatusCode::FORBIDDEN && answer.url.origin() == origin {
            return Err(answer.failure());
        }
        let size = answer.header(&header::CONTENT_LENGTH);
        let size = size.and_then(|size| size.parse::<u64>().ok());
        Ok(answer.code == StatusCode::OK && size.is_none_or(|size| size == blob.size()))
    }

    fn bring(&self, blob: &Blob, upload: &Upload<'_>) -> Result<Outcome, Failure> {
        let mut session = None;
        for from in &self.mounts {
            let url = self.name.upload_url(Some((&blob.digest, from)));
            let target = self.target(&url)?;
            let answer = self.ask(&Ask::new(Method::POST, target.clone()), None)?;
            match answer.code {
                StatusCode::CREATED => return Ok(Outcome::Mounted),
                StatusCode::ACCEPTED => session = Some(self.session(&answer, &target, 0)?),
                // Not every registry knows of mounts.
                _ => {}
            }
        }
        let session = match session {
            Some(session) => session,
            None => self.begin(upload)?,
        };
        match self.whole_blob(blob, &session, upload) {
            Ok(()) => Ok(Outcome::Sent),
            Err(failure) if may_go_in_chunks(&failure) => {
                upload.retry(&failure.reason(), std::time::Duration::ZERO);
                self.chunks(blob, session, &failure, upload)?;
                Ok(Outcome::Sent)
            }
            Err(failure) => Err(failure),
        }
    }

    fn begin(&self, upload: &Upload<'_>) -> Result<Session, Failure> {
        let target = self.target(&self.name.upload_url(None))?;
        let nothing = Source::default();
        let ask = Ask {
            body: Some(&nothing),
            ..Ask::new(Method::POST, target)
        };
        let answer = self.tries(&ask, &[202], Some(upload))?;
        self.session(&answer, &ask.target, 0)
    }

    fn session(&self, answer: &Answer, from: &Target, had: u64) -> Result<Session, Failure> {
        let least = answer.header(&MIN_LENGTH);
        Ok(Session {
            target: self.location(answer, from)?,
            least: least.and_then(|least| least.parse().ok()).unwrap_or(0),
            had,
        })
    }

    fn whole_blob(
        &self,
        blob: &Blob,
        session: &Session,
        upload: &Upload<'_>,
    ) -> Result<(), Failure> {
        let ask = closing(blob, session, &blob.source);
        let answer = self.ask(&ask, Some(upload))?;
        accepted(blob, answer)
    }

    /// In chunks, as large as they may be, from where the registry is.
    fn chunks(
        &self,
        blob: &Blob,
        session: Session,
        why: &Failure,
        upload: &Upload<'_>,
    ) -> Result<(), Failure> {
        let mut sizes = CHUNKS.iter().copied().peekable();
        let mut backoff = Backoff::new(&self.retry);
        // What it has of the first try, if it says so.
        let mut current = match why.is_transient() {
            true => self.state(&session)?,
            false => None,
        };
        loop {
            let mut session = match current.take() {
                Some(session) => session,
                None => self.begin(upload)?,
            };
            upload.from(session.had);
            let size = sizes
                .peek()
                .copied()
                .unwrap_or(CHUNKS[0])
                .max(session.least);
            let had = session.had;
            let failure = match self.go_on(blob, &mut session, size, upload) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if session.had > had {
                backoff.reset();
            }
            let too_large = status(&failure) == Some(StatusCode::PAYLOAD_TOO_LARGE);
            if too_large && sizes.len() > 1 && size > session.least {
                sizes.next();
                current = self.state(&session)?;
                continue;
            }
            // It knows better what it has.
            let is_lost = status(&failure) == Some(StatusCode::RANGE_NOT_SATISFIABLE)
                || status(&failure) == Some(StatusCode::NOT_FOUND);
            let failure = match is_lost {
                true => Failure::NoAnswer(failure.reason()),
                false => failure,
            };
            self.pause(&mut backoff, failure, Some(upload))?;
            current = self.state(&session)?;
        }
    }

    /// Chunk after chunk, and the end. `session` says how far it came.
    fn go_on(
        &self,
        blob: &Blob,
        session: &mut Session,
        size: u64,
        upload: &Upload<'_>,
    ) -> Result<(), Failure> {
        while session.had < blob.size() {
            let piece = blob.source.cut(session.had, size);
            let end = session.had + piece.size();
            let ask = Ask {
                headers: vec![
                    (header::CONTENT_TYPE, OCTETS.to_owned()),
                    (
                        header::CONTENT_RANGE,
                        format!("{}-{}", session.had, end - 1),
                    ),
                ],
                body: Some(&piece),
                ..Ask::new(Method::PATCH, session.target.clone())
            };
            let answer = self.once(&ask, &[202, 201, 204], Some(upload))?;
            let least = session.least;
            // Of one byte, `0-0` may say nothing.
            let had = range_end(&answer).filter(|had| *had > session.had);
            let had = had.unwrap_or(end);
            *session = self.session(&answer, &session.target, had)?;
            session.least = session.least.max(least);
        }
        let nothing = Source::default();
        let answer = self.ask(&closing(blob, session, &nothing), Some(upload))?;
        accepted(blob, answer)
    }

    /// Where an upload is, if the registry still knows of it.
    fn state(&self, session: &Session) -> Result<Option<Session>, Failure> {
        let ask = Ask::new(Method::GET, session.target.clone());
        let Ok(answer) = self.once(&ask, &[204, 202, 200], None) else {
            return Ok(None);
        };
        let Some(had) = range_end(&answer) else {
            return Ok(None);
        };
        let target = match answer.header(&header::LOCATION) {
            Some(_) => self.location(&answer, &session.target)?,
            None => session.target.clone(),
        };
        let least = session.least;
        Ok(Some(Session { target, least, had }))
    }
}

/// The request that ends an upload with these bytes.
fn closing<'b>(blob: &Blob, session: &Session, rest: &'b Source) -> Ask<'b> {
    let mut target = session.target.clone();
    let digest = blob.digest.to_string();
    target.url.query_pairs_mut().append_pair("digest", &digest);
    Ask {
        headers: vec![(header::CONTENT_TYPE, OCTETS.to_owned())],
        body: Some(rest),
        ..Ask::new(Method::PUT, target)
    }
}

/// Whether an upload ended well.
fn accepted(blob: &Blob, answer: Answer) -> Result<(), Failure> {
    if [200, 201, 202, 204].contains(&answer.code.as_u16()) {
        return Ok(());
    }
    if !answer.says("DIGEST_INVALID") {
        return Err(answer.failure());
    }
    let now = blob.source.measure().map_err(Failure::Local)?;
    if now.sha256 != blob.digest {
        return Err(Failure::Refused(
            "the file was changed while it was sent: publish it again".to_owned(),
        ));
    }
    Err(Failure::Refused(format!(
        "what the registry got does not have the digest {}: it was changed on the way, or the \
         registry is broken",
        blob.digest
    )))
}

/// Whether smaller requests may do what one could not.
fn may_go_in_chunks(failure: &Failure) -> bool {
    let refuses = status(failure)
        .is_some_and(|code| [400, 405, 411, 413, 415, 416, 501].contains(&code.as_u16()));
    refuses || failure.is_transient()
}

fn status(failure: &Failure) -> Option<StatusCode> {
    match failure {
        Failure::Status { code, .. } => Some(*code),
        _ => None,
    }
}

/// How many bytes it has by its own word: `Range: 0-N`, some with `bytes=` before it.
fn range_end(answer: &Answer) -> Option<u64> {
    let range = answer.header(&header::RANGE)?.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    // Of nothing, registries say `0-0`: one byte more or less is told by its refusal.
    (start == 0).then(|| if end == 0 { 0 } else { end + 1 })
}
