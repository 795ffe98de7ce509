//! One artifact's way into the store: candidates in turn, tries in turn, each
//! going on where the last one stopped if the server allows that.
//!
//! ```text
//! run      for each candidate:  obtain
//! obtain   fill, commit; wrong after being pieced together: once more from 0
//! fill     attempt, wait, attempt ... until all bytes are there
//! attempt  one request; from byte N with Range and If-Range, or from 0
//! ```
//!
//! # Invariants
//! - Bytes of two answers are only put together if the server says, by a strong
//!   entity tag or a date, that it is the same file, or if its URL names its digest;
//!   without a digest to prove it in the end, never across runs.
//! - Nothing longer than the limit is written.

use std::io::{ErrorKind, Read};
use std::thread;

use anyhow::{Context, Result, anyhow};
use nodeimg_values::digest::{Algorithm, Measured};
use nodeimg_values::progress::Download;
use nodeimg_values::regular;
use reqwest::StatusCode;

use super::client::{Client, Get, How, Piece};
use super::failure::{Denied, Failure, Gone, shown};
use super::hint::{StandIns, told};
use super::mirrors::Candidate;
use super::retry::Backoff;
use super::silent::Silent;
use super::slots::{Slot, Slots, host, server};
use super::{LOCK, Options, Request};
use crate::store::{Lookup, Partial, Store, VerifiedBlob};

/// Small pieces are gathered to this size before they are written.
const WRITE: usize = 128 * 1024;

/// Pieces from this size on are written as they are: copying costs more than a
/// system call.
const LARGE: usize = 32 * 1024;

/// So much more than ever before counts as progress.
const PROGRESS: u64 = 1024 * 1024;

/// What one artifact needs on its way.
pub(super) struct Transfer<'a> {
    pub(super) store: &'a Store,
    pub(super) options: &'a Options,
    /// Absent if every candidate is a local file.
    pub(super) client: Option<&'a Client>,
    pub(super) request: &'a Request,
    pub(super) candidates: &'a [Candidate],
    /// Beside SHA-256.
    pub(super) algorithms: &'a [Algorithm],
    pub(super) download: &'a Download<'a>,
    pub(super) silent: &'a Silent,
    pub(super) stand_ins: &'a StandIns<'a>,
}

/// How an artifact got into the store.
pub(super) enum Outcome {
    Fetched(VerifiedBlob, Measured),
    /// Another process was at it and has brought it in.
    Found(VerifiedBlob),
}

/// The digests of a partial that seems complete.
struct Filled {
    /// They are of more than one answer.
    pieced: bool,
    /// Some length was told before, so that a cut would have been seen.
    framed: bool,
}

/// What one candidate's tries have in common.
#[derive(Default)]
struct State {
    never_resume: bool,
    pieced: bool,
    /// The most that ever was there.
    most: u64,
}

impl Transfer<'_> {
    /// Every candidate in turn; the error names all that failed.
    pub(super) fn run<'s>(&self, slots: &'s Slots, slot: Slot<'s>) -> Result<Outcome> {
        let mut slot = Some(slot);
        let mut failures: Vec<(String, String)> = Vec::new();
        let (mut absent, mut suspect, mut denied) = (false, false, false);
        for (at, candidate) in self.candidates.iter().enumerate() {
            let is_last = at + 1 == self.candidates.len();
            let host = host(&candidate.url);
            let server = server(&candidate.url);
            if absent && self.silent.has(&server) {
                let why = format!("cannot connect: {server} did not answer before");
                let text = format!("{}: {why}", shown(&candidate.url));
                failures.push((candidate.url.clone(), text));
                continue;
            }
            if slot.as_ref().is_none_or(|slot| slot.host() != host) {
                // Given back first: two that wait for each other's would never end.
                drop(slot.take());
                slot = Some(slots.enter(host.clone()));
            }
            match self.obtain(candidate, is_last) {
                Ok(outcome) => {
                    self.stand_ins.tell(&failures, candidate);
                    return Ok(outcome);
                }
                Err(Failure::Local(error)) => return Err(error.context(self.request.what.clone())),
                Err(failure) => {
                    if failure.is_silence() {
                        self.silent.add(server);
                    }
                    absent |= failure.is_absent();
                    suspect |= failure.is_suspect();
                    denied |= failure.is_refusal();
                    let text = self.told(candidate, &failure);
                    failures.push((candidate.url.clone(), text));
                }
            }
        }
        let texts: Vec<String> = failures.into_iter().map(|(_, text)| text).collect();
        let text = format!("{}: {}", self.request.what, texts.join("; "));
        match absent && !suspect {
            true => Err(Gone(text).into()),
            false if denied => Err(Denied(text).into()),
            false => Err(anyhow!(text)),
        }
    }

    fn told(&self, candidate: &Candidate, failure: &Failure) -> String {
        let url = shown(&self.request.url);
        let failure = match failure {
            Failure::Mismatch(_) if self.options.pinned != LOCK => format!(
                "{} (the bytes were dropped: do not trust the registry, or the network path to it)",
                failure.reason()
            ),
            _ => told(candidate, &self.request.url, failure),
        };
        if candidate.by_mirror {
            format!(
                "{url} through the mirror {}: {failure}",
                shown(&candidate.url)
            )
        } else {
            format!("{url}: {failure}")
        }
    }

    fn obtain(&self, candidate: &Candidate, is_last: bool) -> Result<Outcome, Failure> {
        let mut from_zero = !self.request.has_digest();
        let mut again = false;
        loop {
            let mut partial = self
                .store
                .partial(&self.request.key(), self.algorithms)
                .map_err(Failure::Local)?;
            if let Some(blob) = self.found().map_err(Failure::Local)? {
                // Opened for nothing: it would stay behind, and empty.
                partial.discard();
                return Ok(Outcome::Found(blob));
            }
            if from_zero {
                self.restart(&mut partial)?;
            }
            let filled = match self.fill(candidate, is_last, &mut partial) {
                Ok(filled) => filled,
                Err(failure) => {
                    // Only what a later resume can use is kept.
                    if !failure.is_transient() || length(&partial)? == 0 {
                        partial.discard();
                    }
                    return Err(failure);
                }
            };
            let got = partial.measured();
            match partial.commit(&self.request.want).map_err(Failure::Local)? {
                Ok(blob) => return Ok(Outcome::Fetched(blob, got)),
                Err(_) if !again && (filled.pieced || !filled.framed) => {
                    // Pieces of two files, or a cut that nobody could see.
                    (again, from_zero) = (true, true);
                }
                Err(rejected) => return Err(Failure::Mismatch(rejected)),
            }
        }
    }

    fn found(&self) -> Result<Option<VerifiedBlob>> {
        if !self.request.has_digest() {
            return Ok(None);
        }
        Ok(match self.store.find(&self.request.want)? {
            Lookup::Found(blob) => Some(blob),
            Lookup::Missing | Lookup::DroppedCorrupt { .. } => None,
        })
    }

    fn fill(
        &self,
        candidate: &Candidate,
        is_last: bool,
        partial: &mut Partial<'_>,
    ) -> Result<Filled, Failure> {
        if candidate.is_file() {
            self.copy(candidate, partial)?;
            return Ok(Filled {
                pieced: false,
                framed: true,
            });
        }
        let mut backoff = Backoff::new(&self.options.retry);
        let mut state = State {
            most: length(partial)?,
            ..State::default()
        };
        loop {
            let failure = match self.attempt(candidate, partial, &mut state) {
                Ok(framed) => {
                    let pieced = state.pieced;
                    return Ok(Filled { pieced, framed });
                }
                Err(Failure::BadResume(_)) if !state.never_resume => {
                    state.never_resume = true;
                    continue;
                }
                Err(failure) if failure.is_slow() && !is_last => return Err(failure),
                Err(failure) => failure,
            };
            let had = length(partial)?;
            if had >= state.most + PROGRESS {
                state.most = had;
                backoff.reset();
            }
            match backoff.wait(&failure) {
                Some(wait) => {
                    self.download.retry(&failure.reason(), wait);
                    thread::sleep(wait);
                }
                None => return Err(failure),
            }
        }
    }

    /// One request; whether its length was told before it came.
    fn attempt(
        &self,
        candidate: &Candidate,
        partial: &mut Partial<'_>,
        state: &mut State,
    ) -> Result<bool, Failure> {
        let mut had = length(partial)?;
        if had > 0 && self.request.want.size == Some(had) {
            state.pieced = true;
            return Ok(true);
        }
        let named = || self.is_named_by_digest().then(String::new);
        let resume = partial
            .validator()
            .or_else(named)
            .filter(|v| self.may_resume(v) && had > 0 && had < self.limit() && !state.never_resume);
        if resume.is_none() && had > 0 {
            self.restart(partial)?;
            had = 0;
        }
        let Some(client) = self.client else {
            return Err(Failure::Refused("the network must not be used".to_owned()));
        };
        let mut pieces = client.get(Get {
            from: candidate.clone(),
            resume: resume.map(|validator| (had, validator)),
            accept: self.request.accept,
            how: How::Get,
        });
        let head = match pieces.blocking_recv() {
            Some(Piece::Head(head)) => head,
            Some(Piece::Failed(failure)) => return Err(failure),
            _ => return Err(broken(0, None)),
        };
        let total = self.accept(&head, partial, had)?;
        let had = length(partial)?;
        state.pieced = had > 0;
        self.download.from(had);
        if total == Some(had) && head.code == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(true);
        }
        let result = self.receive(partial, &mut pieces);
        self.settle(result, length(partial)?, total)?;
        Ok(total.is_some())
    }

    /// Whether a body that ended did so where it should.
    fn settle(
        &self,
        result: Result<(), Failure>,
        had: u64,
        total: Option<u64>,
    ) -> Result<(), Failure> {
        let wanted = total.or(self.request.want.size);
        match result {
            Ok(()) if wanted.is_some_and(|wanted| had < wanted) => Err(broken(had, wanted)),
            Err(Failure::Cut { why, .. }) => Err(Failure::Cut {
                had,
                of: total,
                why,
            }),
            other => other,
        }
    }

    /// A date says the same within one second: not enough if no digest will
    /// prove the sum of the pieces.
    fn may_resume(&self, validator: &str) -> bool {
        self.request.has_digest() || validator.starts_with('"')
    }

    /// Whether the URL is that of a registry's blob with the wanted digest, which is the same
    /// for ever: some registries say neither tag nor date.
    fn is_named_by_digest(&self) -> bool {
        let mut digests = self.request.want.digests();
        digests.any(|digest| self.request.url.ends_with(&format!("/{digest}")))
    }

    fn receive(
        &self,
        partial: &mut Partial<'_>,
        pieces: &mut tokio::sync::mpsc::Receiver<Piece>,
    ) -> Result<(), Failure> {
        let mut small = Vec::new();
        loop {
            let piece = pieces.blocking_recv();
            if let Some(Piece::Data(data)) = piece {
                if small.is_empty() && data.len() >= LARGE {
                    self.append(partial, &data)?;
                    continue;
                }
                small.extend_from_slice(&data);
                if small.len() >= WRITE {
                    self.append(partial, &small)?;
                    small.clear();
                }
                continue;
            }
            // What came before a failure is good: a resume begins after it.
            self.append(partial, &small)?;
            return match piece {
                Some(Piece::End) => Ok(()),
                Some(Piece::Failed(failure)) => Err(failure),
                _ => Err(broken(0, None)),
            };
        }
    }

    fn append(&self, partial: &mut Partial<'_>, bytes: &[u8]) -> Result<(), Failure> {
        let size = bytes.len() as u64;
        if length(partial)? + size > self.limit() {
            return Err(self.too_long());
        }
        partial.write(bytes).map_err(Failure::Local)?;
        self.download.advance(size);
        Ok(())
    }

    /// A mirror that is a directory: the same way in, and the same check.
    fn copy(&self, candidate: &Candidate, partial: &mut Partial<'_>) -> Result<(), Failure> {
        let path = candidate.path().ok_or_else(|| {
            Failure::Refused("a file:// URL is for mirrors only (--mirror FROM=TO)".to_owned())
        })?;
        let context = || format!("reading {}", path.display());
        let refused = |e: std::io::Error| {
            let why = format!("{}: {e}", context());
            match e.kind() {
                ErrorKind::NotFound => Failure::NoFile(why),
                _ => Failure::Refused(why),
            }
        };
        let mut file = regular::open(&path).map_err(refused)?;
        let meta = file.metadata().map_err(refused)?;
        self.restart(partial)?;
        self.check_total(Some(meta.len()), 0)?;
        let mut buffer = vec![0; 2 * WRITE];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.append(partial, &buffer[..n])?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(refused(e)),
            }
        }
    }

    pub(super) fn restart(&self, partial: &mut Partial<'_>) -> Result<(), Failure> {
        partial
            .start_over(self.algorithms)
            .map_err(Failure::Local)?;
        self.download.from(0);
        Ok(())
    }
}

fn length(partial: &Partial<'_>) -> Result<u64, Failure> {
    partial
        .len()
        .context("looking at a download file in the store")
        .map_err(Failure::Local)
}

/// The body ended too early, though nothing complained.
fn broken(had: u64, of: Option<u64>) -> Failure {
    Failure::Cut {
        had,
        of,
        why: "the body ended early".to_owned(),
    }
}
