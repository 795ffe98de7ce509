//! Fetch: from URLs with digests to blobs in the store. The only user of reqwest.
//!
//! ```text
//! Fetcher ─ look up (all cores hash) ─ missing? ─ Slots ─ Transfer ─ Client
//! ```
//! `mirrors` says where to ask, `client` speaks HTTP, `proxy` knows who stands between,
//! `login` reads ~/.netrc, `registry` logs in at container registries, `push` writes to them,
//! `pace` measures how
//! fast a body comes, `head` and `answer` check the response, `transfer` puts an artifact
//! together, `retry` and `failure` say what happens when it fails, and `note`, `clock` and
//! `hint` why.
//!
//! # Invariants
//! - Files that are already in the store cost no network; `offline` never uses it.
//! - Every failing download is in the one error, each with its name, its URL
//!   (and the mirror's), the reason and what to do.
//! - A cut or killed download leaves its partial behind, never a blob; wrong
//!   bytes are dropped.

mod answer;
mod arrival;
mod client;
mod clock;
mod failure;
mod head;
mod hint;
mod login;
mod mirrors;
mod note;
mod outcomes;
mod pace;
mod proxy;
pub mod push;
mod registry;
mod remote;
mod retry;
mod silent;
mod slots;
mod text;
mod tls;
mod transfer;

use std::fs::File;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::{Algorithm, Digest, Expected, Hasher, Measured};
use nodeimg_values::parallel::{cores, in_parallel};
use nodeimg_values::progress::Progress;
use nodeimg_values::trace;

use crate::store::{Lookup, Store, VerifiedBlob};
use client::Client;
use hint::StandIns;
use mirrors::Candidate;
use remote::Remote;
use silent::Silent;
use slots::{Slot, Slots};
use transfer::{Outcome, Transfer};

pub use arrival::Arrived;
pub use failure::{Denied, Gone, shown};
pub use mirrors::{Mirrors, VARIABLE as MIRROR_VARIABLE};
pub use pace::Least;
pub use retry::Retry;

/// One artifact to fetch.
#[derive(Clone, Debug)]
pub struct Request {
    /// For messages: "containerd 2.3.4 (arm64)".
    pub what: String,
    pub url: String,
    /// At least one digest, except for [`Fetcher::download`].
    pub want: Expected,
    /// In bytes; a longer file is refused.
    pub max_size: u64,
    /// Of a container registry, which may be logged in at: the media types to
    /// accept.
    pub accept: Option<&'static str>,
}

impl Request {
    fn has_digest(&self) -> bool {
        self.want.digests().next().is_some()
    }

    /// One name for the same bytes wherever they come from; a URL if no
    /// digest is known.
    fn key(&self) -> String {
        let digest = self.want.digests().next().map(Digest::to_string);
        digest.unwrap_or_else(|| self.url.clone())
    }
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Use no network: what is missing is an error (a `file://` mirror is local).
    pub offline: bool,
    pub mirrors: Mirrors,
    /// Downloads at a time, in all.
    pub jobs: usize,
    /// Downloads at a time from one host.
    pub per_host: usize,
    /// For name look-up, connection and TLS together.
    pub connect_timeout: Duration,
    /// For a server that says nothing.
    pub idle_timeout: Duration,
    /// For a server that says too little.
    pub least: Least,
    pub retry: Retry,
    /// The command that fills the store, for the message of `offline`.
    pub warm_command: String,
    /// What says which bytes are wanted, for messages.
    pub pinned: &'static str,
}

/// What says so mostly.
const LOCK: &str = "the lock";

impl Default for Options {
    fn default() -> Options {
        Options {
            offline: false,
            mirrors: Mirrors::default(),
            jobs: 8,
            per_host: 4,
            connect_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
            least: Least::default(),
            retry: Retry::default(),
            warm_command: "nodeimg fetch".to_owned(),
            pinned: LOCK,
        }
    }
}

/// Brings artifacts into a store.
pub struct Fetcher<'a> {
    store: &'a Store,
    options: Options,
    progress: &'a Progress,
    client: OnceLock<Client>,
    silent: Silent,
    stand_ins: StandIns<'a>,
    remote: OnceLock<Remote>,
}

impl<'a> Fetcher<'a> {
    /// Opens nothing yet: a warm store needs neither threads nor CA certificates.
    pub fn new(store: &'a Store, options: Options, progress: &'a Progress) -> Fetcher<'a> {
        Fetcher {
            store,
            options,
            progress,
            client: OnceLock::new(),
            silent: Silent::default(),
            stand_ins: StandIns::new(progress),
            remote: OnceLock::new(),
        }
    }

    /// Whether it keeps off the network.
    pub fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// Each redirect to another server that was followed so far.
    pub fn redirects(&self) -> Vec<String> {
        self.client.get().map(Client::redirects).unwrap_or_default()
    }

    /// Tells the user.
    pub fn warn(&self, message: &str) {
        self.progress.warn(message);
    }

    /// Where the bytes go.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The blobs of all `requests`, in their order.
    pub fn fetch(&self, requests: &[Request]) -> Result<Vec<VerifiedBlob>> {
        self.fetch_with(requests, None)
    }

    fn fetch_with(
        &self,
        requests: &[Request],
        arrived: Option<Arrived<'_>>,
    ) -> Result<Vec<VerifiedBlob>> {
        if let Some(request) = requests.iter().find(|r| !r.has_digest()) {
            bail!("{}: there is no digest to verify it with", request.what);
        }
        let found = self.with_remote(requests, self.look_up(requests)?, arrived)?;
        let missing: Vec<usize> = (0..requests.len())
            .filter(|&i| found[i].is_none())
            .collect();
        let jobs = self.jobs(requests, &missing)?;
        let mut fetched = self.transfer_all(requests, &jobs, arrived)?.into_iter();
        // Both in the order of the requests: the missing ones are the fetched ones.
        found
            .into_iter()
            .map(|blob| blob.or_else(|| fetched.next()))
            .map(|blob| blob.context("a download ended without a result"))
            .collect()
    }

    /// Each of `items` with the bytes that it asks for.
    pub fn bring<T>(
        &self,
        items: Vec<T>,
        request: impl Fn(&T) -> Result<Request>,
    ) -> Result<Vec<(T, VerifiedBlob)>> {
        let requests = items.iter().map(request).collect::<Result<Vec<_>>>()?;
        Ok(items.into_iter().zip(self.fetch(&requests)?).collect())
    }

    /// The same; `arrived` is told of each that is downloaded as soon as its bytes are verified,
    /// while others are under way, and has ended for all of them when this returns.
    pub fn bring_with<T>(
        &self,
        items: Vec<T>,
        request: impl Fn(&T) -> Result<Request>,
        arrived: Arrived<'_>,
    ) -> Result<Vec<(T, VerifiedBlob)>> {
        let requests = items.iter().map(request).collect::<Result<Vec<_>>>()?;
        let blobs = self.fetch_with(&requests, Some(arrived))?;
        Ok(items.into_iter().zip(blobs).collect())
    }

    /// For `lock`: the bytes behind a URL whose digest may not be known yet.
    pub fn download(&self, request: &Request) -> Result<(VerifiedBlob, Measured)> {
        let all = [Algorithm::Sha512];
        if request.has_digest() {
            let blob = self
                .fetch(std::slice::from_ref(request))?
                .pop()
                .context("a download ended without a result")?;
            let got = File::open(blob.path())
                .and_then(|file| Hasher::measure(file, &all))
                .with_context(|| format!("reading {}", blob.path().display()))?;
            if got.sha256 != *blob.sha256() {
                bail!("{} changed while it was read", blob.path().display());
            }
            return Ok((blob, got));
        }
        let requests = std::slice::from_ref(request);
        let jobs = self.jobs(requests, &[0])?;
        self.connect(&jobs)?;
        let slots = Slots::new(1, []);
        match self.transfer(
            request,
            &jobs[0].1,
            &all,
            &slots,
            slots.enter(String::new()),
        )? {
            Outcome::Fetched(blob, got) => Ok((blob, got)),
            Outcome::Found(_) => bail!("{}: found without a digest", request.what),
        }
    }

    /// What the store has of them; hashing is for all cores.
    fn look_up(&self, requests: &[Request]) -> Result<Vec<Option<VerifiedBlob>>> {
        let lookups = in_parallel(cores(), requests.len(), |i| {
            self.store.find(&requests[i].want)
        });
        let mut found = Vec::with_capacity(requests.len());
        for (lookup, request) in lookups.into_iter().zip(requests) {
            found.push(match lookup? {
                Lookup::Found(blob) => Some(blob),
                Lookup::Missing => None,
                Lookup::DroppedCorrupt { path, why } => {
                    self.progress.warn(&format!(
                        "{}: the stored file {} was damaged ({why}) and was dropped",
                        request.what,
                        path.display()
                    ));
                    None
                }
            });
        }
        Ok(found)
    }

    /// What is to be downloaded and from where, or the one error of `offline`.
    fn jobs(
        &self,
        requests: &[Request],
        missing: &[usize],
    ) -> Result<Vec<(usize, Vec<Candidate>)>> {
        let jobs: Vec<(usize, Vec<Candidate>)> = missing
            .iter()
            .map(|&i| (i, self.usable(&requests[i].url)))
            .collect();
        let lacking: Vec<String> = jobs
            .iter()
            .filter(|(_, candidates)| candidates.is_empty())
            .map(|(i, _)| format!("\n  {}  {}", requests[*i].what, shown(&requests[*i].url)))
            .collect();
        if lacking.is_empty() {
            return Ok(jobs);
        }
        bail!(
            "the store {} lacks {} of {} artifacts, and --offline forbids fetching:{}\nfill it \
             with `{}` on a machine with a network, or use a bundle (`{} --bundle FILE` there, \
             `--bundle FILE` here)",
            self.store.root().display(),
            lacking.len(),
            requests.len(),
            lacking.concat(),
            self.options.warm_command,
            self.options.warm_command,
        )
    }

    fn usable(&self, url: &str) -> Vec<Candidate> {
        let mut candidates = self.options.mirrors.candidates(url);
        candidates.retain(|c| !self.options.offline || c.path().is_some());
        candidates
    }

    fn transfer<'s>(
        &self,
        request: &Request,
        candidates: &[Candidate],
        algorithms: &[Algorithm],
        slots: &'s Slots,
        slot: Slot<'s>,
    ) -> Result<Outcome> {
        let download = self.progress.download(&request.what, request.want.size);
        let _span = trace::span("fetch", || request.what.clone());
        let outcome = Transfer {
            store: self.store,
            options: &self.options,
            client: self.client.get(),
            request,
            candidates,
            algorithms,
            download: &download,
            silent: &self.silent,
            stand_ins: &self.stand_ins,
        }
        .run(slots, slot);
        match &outcome {
            Ok(Outcome::Fetched(blob, _)) => download.finished(blob.size()),
            Ok(Outcome::Found(_)) => download.found(),
            Err(_) => download.failed(),
        }
        outcome
    }

    /// Makes the client if one of `jobs` needs it.
    fn connect(&self, jobs: &[(usize, Vec<Candidate>)]) -> Result<()> {
        if jobs.iter().flat_map(|(_, c)| c).any(|c| !c.is_file()) {
            self.client()?;
        }
        Ok(())
    }

    fn client(&self) -> Result<&Client> {
        if self.client.get().is_none() {
            // Two at once make two, and one is dropped: harmless.
            let _ = self.client.set(Client::new(&self.options)?);
        }
        self.client.get().context("setting up HTTPS")
    }
}

#[cfg(test)]
mod tests;
