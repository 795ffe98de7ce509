//! Asking upstream for what vouches for one pin.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use nodeimg_trust::{Answer, How, Proof, Refusal, Roots, Vouched, Why, collect};
use nodeimg_values::digest::Digest;
use serde::Deserialize;

use super::{registry, stated};
use crate::input::fetch::{Denied, Fetcher, Gone, shown};
use crate::input::recipe::ContainerImage;
use crate::input::vouch::Subject;
use crate::input::vouch::demand::{Files, Way};
use crate::store::Lookup;

/// Where GitHub says what it attests; for public repositories without a login.
const API: &str = "https://api.github.com/repos";

/// What came of asking.
pub enum Found {
    /// With the line of the proof.
    Vouched(Vouched, String),
    /// Why not, for each way.
    Nobody(Vec<String>),
}

/// What upstream has, or why that is not known.
pub(super) enum Got<T> {
    There(T),
    Not(String),
}

pub struct Ask<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    roots: &'a Roots,
    at: i64,
    /// Answers by URL, since several artifacts share some.
    known: Mutex<HashMap<String, Vec<u8>>>,
    /// Hosts that do not answer, and why: each is waited for once.
    dead: Mutex<HashMap<String, String>>,
}

impl<'a> Ask<'a> {
    /// Signatures are judged at `at`, seconds since 1970.
    pub fn new(fetcher: &'a Fetcher<'a>, roots: &'a Roots, at: i64) -> Ask<'a> {
        Ask {
            fetcher,
            roots,
            at,
            known: Mutex::default(),
            dead: Mutex::default(),
        }
    }

    pub fn at(&self) -> i64 {
        self.at
    }

    /// Who vouches for `subject`, by the first way that its publisher offers.
    ///
    /// # Errors
    /// A signature is there and does not hold.
    pub fn who(&self, subject: &Subject<'_>, image: Option<&ContainerImage>) -> Result<Found> {
        let Some(sha256) = &subject.sha256 else {
            let why = "it is pinned by SHA-512 only: pin it again without --digests";
            return Ok(Found::Nobody(vec![why.to_owned()]));
        };
        let mut why = Vec::new();
        let mut refused: Option<Box<Refusal>> = None;
        for way in &subject.ways {
            let got = match image {
                Some(image) => registry::signatures(self, image, subject.arch, sha256),
                None => self.proofs(subject, way, sha256),
            };
            let candidates = match got.with_context(|| subject.what.clone())? {
                Got::There(candidates) => candidates,
                Got::Not(reason) => {
                    if !why.contains(&reason) {
                        why.push(reason);
                    }
                    continue;
                }
            };
            match self.judge(subject, way, sha256, &candidates)? {
                Ok((proof, vouched)) => return Ok(Found::Vouched(vouched, proof.line()?)),
                Err(refusal) if refusal.why == Why::Expired => {
                    match self.backed(subject, way, sha256, candidates)? {
                        Some((proof, vouched)) => {
                            return Ok(Found::Vouched(vouched, proof.line()?));
                        }
                        None => return Err(anyhow!("{refusal}")),
                    }
                }
                // Another way may vouch for it in the same files: one more identity.
                Err(refusal) if refusal.why == Why::Signer => refused = refused.or(Some(refusal)),
                // Too few sources are not a forgery; ones that disagree may be.
                Err(refusal) if way.how == How::Sources && !disagree(&candidates, sha256) => {
                    why.push(refusal.fault.clone());
                }
                Err(refusal) => return Err(anyhow!("{refusal}")),
            }
        }
        match refused {
            Some(refusal) => Err(anyhow!("{refusal}")),
            None => Ok(Found::Nobody(why)),
        }
    }

    /// A key that has expired since, with others' word for the digest.
    fn backed(
        &self,
        subject: &Subject<'_>,
        way: &Way,
        sha256: &Digest,
        candidates: Vec<Proof>,
    ) -> Result<Option<(Proof, Vouched)>> {
        let texts = subject.ways.iter().find_map(|way| match &way.files {
            Files::Texts(urls) => Some(urls),
            _ => None,
        });
        let Some(urls) = texts.filter(|_| way.how == How::OpenPgp) else {
            return Ok(None);
        };
        let (answers, _) = self.answers(urls, subject, sha256)?;
        let backed: Vec<Proof> = candidates
            .into_iter()
            .map(|proof| collect::backed(proof, answers.clone()))
            .collect();
        Ok(self.judge(subject, way, sha256, &backed)?.ok())
    }

    fn judge(
        &self,
        subject: &Subject<'_>,
        way: &Way,
        sha256: &Digest,
        candidates: &[Proof],
    ) -> Result<Result<(Proof, Vouched), Box<Refusal>>> {
        let content = match way.how {
            How::OpenPgp => self.content(subject)?,
            _ => None,
        };
        let artifact = nodeimg_trust::Artifact {
            name: &subject.what,
            sha256,
            url: subject.url,
            content: content.as_deref(),
        };
        let judged = nodeimg_trust::first(&artifact, &way.demand, candidates, self.roots, self.at);
        Ok(judged.map(|(proof, vouched)| (proof.clone(), vouched)))
    }

    /// The artifact's own bytes, which an OpenPGP signature is of.
    fn content(&self, subject: &Subject<'_>) -> Result<Option<PathBuf>> {
        let Some(want) = subject.bytes else {
            return Ok(None);
        };
        if let Lookup::Found(blob) = self.fetcher.store().find(want)? {
            return Ok(Some(blob.path().to_owned()));
        }
        let request = crate::input::fetch::Request {
            what: subject.what.clone(),
            url: subject.url.unwrap_or_default().to_owned(),
            max_size: want.size.unwrap_or(crate::input::MAX_DOWNLOAD),
            want: want.clone(),
            accept: None,
        };
        let (blob, _) = self.fetcher.download(&request)?;
        Ok(Some(blob.path().to_owned()))
    }

    /// The candidates for a proof, by the files of `way`.
    fn proofs(&self, subject: &Subject<'_>, way: &Way, sha256: &Digest) -> Result<Got<Vec<Proof>>> {
        let what = format!("what vouches for {}", subject.what);
        let list = match &way.sums {
            Some(url) => match self.get(url, &what) {
                Got::There(bytes) => Some(bytes),
                Got::Not(why) => return Ok(Got::Not(why)),
            },
            None => None,
        };
        let list = list.as_deref();
        let signed = list.map_or_else(|| sha256.clone(), Digest::sha256);
        let got = match &way.files {
            Files::Bundle(url) => {
                self.made(url, &what, |bytes| Ok(vec![collect::from_bundle(bytes)?]))
            }
            Files::Attestations(url) => self.made(url, &what, collect::from_attestations),
            Files::OpenPgp(url) => self.made(url, &what, |bytes| {
                Ok(vec![collect::from_openpgp(bytes, list)?])
            }),
            Files::Detached {
                signature,
                certificate,
                log,
            } => self.detached([signature, certificate, log], &what, &signed),
            Files::Release { repository, tag } => self.release(repository, tag, &what),
            Files::Texts(urls) => self.texts(urls, subject, sha256),
            Files::Registry => Ok(Got::Not("it is not an image".to_owned())),
        };
        match (got?, list, way.how) {
            (Got::There(proofs), Some(list), How::Sigstore) => {
                let proofs = proofs.into_iter();
                let of_list = proofs.map(|proof| collect::from_signed_list(list, proof));
                of_list.collect::<Result<_>>().map(Got::There)
            }
            (got, ..) => Ok(got),
        }
    }

    fn made(
        &self,
        url: &str,
        what: &str,
        make: impl Fn(&[u8]) -> Result<Vec<Proof>>,
    ) -> Result<Got<Vec<Proof>>> {
        match self.get(url, what) {
            Got::Not(why) => Ok(Got::Not(why)),
            Got::There(bytes) => make(&bytes)
                .map(Got::There)
                .with_context(|| format!("what came from {} is not a signature", shown(url))),
        }
    }

    /// A signature and its certificate, with the entry that the log has of them.
    fn detached(
        &self,
        [signature, certificate, log]: [&str; 3],
        what: &str,
        sha256: &Digest,
    ) -> Result<Got<Vec<Proof>>> {
        let sig = match self.get(signature, what) {
            Got::There(bytes) => bytes,
            Got::Not(why) => return Ok(Got::Not(why)),
        };
        let cert = match self.get(certificate, what) {
            Got::There(bytes) => bytes,
            Got::Not(why) => return Ok(Got::Not(why)),
        };
        let made = || format!("reading {} and {}", shown(signature), shown(certificate));
        let query = collect::rekor_query(&sig, &cert, sha256).with_context(made)?;
        let url = format!("{}/api/v1/log/entries/retrieve", log.trim_end_matches('/'));
        let answer = match self.post(&url, what, &query) {
            Got::There(answer) => answer,
            Got::Not(why) => return Ok(Got::Not(why)),
        };
        let proofs = collect::from_rekor(&sig, &cert, &answer, sha256).with_context(|| {
            format!(
                "{}: the log's answer of {} about {}",
                what,
                shown(&url),
                shown(signature)
            )
        })?;
        Ok(Got::There(proofs))
    }

    /// GitHub's attestation of a release, by the commit or tag object that its tag is.
    fn release(&self, repository: &str, tag: &str, what: &str) -> Result<Got<Vec<Proof>>> {
        #[derive(Deserialize)]
        struct Ref {
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            sha: String,
        }
        let url = format!("{API}/{repository}/git/ref/tags/{tag}");
        let found: Ref = match self.get(&url, what) {
            Got::Not(why) => return Ok(Got::Not(why)),
            Got::There(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("what came from {} is not a tag", shown(&url)))?,
        };
        let sha = found.object.sha;
        if sha.len() != 40 || !sha.bytes().all(|b| b.is_ascii_hexdigit()) {
            let why = format!("{} names no object of git", shown(&url));
            return Ok(Got::Not(why));
        }
        let url = format!("{API}/{repository}/attestations/sha1:{sha}?predicate_type=release");
        match self.made(&url, what, collect::from_attestations)? {
            Got::There(proofs) if proofs.is_empty() => Ok(Got::Not(format!(
                "GitHub attests no release {tag} of {repository}"
            ))),
            other => Ok(other),
        }
    }

    /// What independent texts say of the digest.
    fn texts(
        &self,
        urls: &[String],
        subject: &Subject<'_>,
        sha256: &Digest,
    ) -> Result<Got<Vec<Proof>>> {
        let (answers, why) = self.answers(urls, subject, sha256)?;
        match answers.len() {
            0 | 1 => Ok(Got::Not(match why.is_empty() {
                true => "one source alone states its digest".to_owned(),
                false => why.join("; "),
            })),
            _ => Ok(Got::There(vec![collect::from_answers(answers)?])),
        }
    }

    /// The texts that state the digest, and why the others do not count.
    fn answers(
        &self,
        urls: &[String],
        subject: &Subject<'_>,
        sha256: &Digest,
    ) -> Result<(Vec<Answer>, Vec<String>)> {
        let what = format!("what states the digest of {}", subject.what);
        let (mut answers, mut why) = (Vec::new(), Vec::new());
        for url in urls {
            let bytes = match self.get(url, &what) {
                Got::There(bytes) => bytes,
                Got::Not(reason) => {
                    why.push(reason);
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            let about = stated::About {
                url: subject.url.unwrap_or_default(),
                what: &subject.what,
                sha256,
            };
            match stated::line(&text, &about).with_context(|| shown(url).clone())? {
                Some(line) => answers.push(collect::answer(url, line, None)?),
                None => why.push(format!("{} does not state its digest", shown(url))),
            }
        }
        Ok((answers, why))
    }

    /// A small file of upstream's.
    pub(super) fn get(&self, url: &str, what: &str) -> Got<Vec<u8>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = known.get(url) {
            return Got::There(bytes.clone());
        }
        drop(known);
        let got = self.once(url, || self.fetcher.small(url, what));
        if let Got::There(bytes) = &got {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(url.to_owned(), bytes.clone());
        }
        got
    }

    fn post(&self, url: &str, what: &str, body: &str) -> Got<Vec<u8>> {
        self.once(url, || self.fetcher.post(url, what, body))
    }

    /// Absent or out of reach: neither says anything about the artifact.
    pub(super) fn once<T>(&self, url: &str, fetch: impl Fn() -> Result<T>) -> Got<T> {
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.contains_key(&host) {
            return Got::Not(format!("{host} could not be asked"));
        }
        drop(dead);
        match fetch() {
            Ok(got) => Got::There(got),
            Err(error) if error.is::<Gone>() => Got::Not(format!("there is no {}", shown(url))),
            // Object stores answer so for what they do not have; the next file may be there.
            Err(error) if error.is::<Denied>() => Got::Not(from_url(&error)),
            Err(error) => {
                let why = from_url(&error);
                let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
                dead.insert(host, why.clone());
                Got::Not(why)
            }
        }
    }
}

/// What went wrong at which URL; whose turn it was is said anyway.
fn from_url(error: &anyhow::Error) -> String {
    let why = format!("{error:#}");
    why.split_once(": http")
        .map_or(why.clone(), |(_, rest)| format!("http{rest}"))
}

/// Whether some source states another digest.
fn disagree(candidates: &[Proof], sha256: &Digest) -> bool {
    candidates.iter().any(|proof| match proof {
        Proof::Sources { answers } => answers.iter().any(|answer| answer.sha256 != *sha256),
        _ => false,
    })
}
