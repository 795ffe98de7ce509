//! A store that several machines share: a repository of a registry, whose blobs are called as
//! ours are.
//!
//! It is asked for what the own store lacks, before the publishers and their mirrors. Every
//! byte is hashed on its way in, as from anywhere else, so nobody needs to trust it.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_formats::oci::artifact::{Artifact, SHA512};
use nodeimg_formats::oci::{ACCEPTED, MAX_DOCUMENT, Reference};
use nodeimg_values::digest::{Digest, Expected};

use super::mirrors::Candidate;
use super::transfer::Outcome;
use super::{Arrived, Fetcher, Gone, Request};
use crate::store::VerifiedBlob;

const ANY: &str = "*/*";

/// The repository, and what is known of it.
pub(super) struct Remote {
    repository: Reference,
    /// SHA-256 by the SHA-512 that a lock has.
    aliases: BTreeMap<String, Digest>,
}

impl Fetcher<'_> {
    /// From here on `repository` is asked first. Its tags list what belongs together, each of
    /// `lists` in parts, the last of which is the one before the first that is not there.
    ///
    /// A repository that gives no answer, or the wrong one, is not used: it saves time, and
    /// nothing depends on it.
    pub fn share(&self, repository: &Reference, lists: &[Vec<String>]) {
        if self.options.offline {
            return;
        }
        let mut aliases = BTreeMap::new();
        for tag in lists.iter().flat_map(|tags| self.there(repository, tags)) {
            match tag {
                Ok(found) => aliases.extend(found),
                Err(error) => {
                    self.warn(&format!("the shared store is not used: {error:#}"));
                    return;
                }
            }
        }
        // The first counts: a run has one.
        let _ = self.remote.set(Remote {
            repository: repository.clone(),
            aliases,
        });
    }

    /// What each part of a list says, up to the first that is not there.
    fn there<'t>(
        &'t self,
        repository: &'t Reference,
        tags: &'t [String],
    ) -> impl Iterator<Item = Result<Vec<(String, Digest)>>> + 't {
        let all = tags.iter().map(|tag| self.listed(repository, tag));
        all.take_while(|part| !matches!(part, Err(error) if error.is::<Gone>()))
    }

    fn listed(&self, repository: &Reference, tag: &str) -> Result<Vec<(String, Digest)>> {
        let request = Request {
            what: format!("the list {tag} of the shared store"),
            url: repository.tag_url(tag),
            want: Expected::default(),
            max_size: MAX_DOCUMENT,
            accept: Some(ACCEPTED),
        };
        let (blob, _) = self.download(&request)?;
        let bytes = std::fs::read(blob.path())?;
        let list = Artifact::parse(&bytes)?;
        let alias = |layer: &nodeimg_formats::oci::Descriptor| {
            Some((layer.annotation(SHA512)?.to_owned(), layer.digest.clone()))
        };
        Ok(list.layers.iter().filter_map(alias).collect())
    }

    /// `found` with what the shared store has of the rest.
    pub(super) fn with_remote(
        &self,
        requests: &[Request],
        mut found: Vec<Option<VerifiedBlob>>,
        arrived: Option<Arrived<'_>>,
    ) -> Result<Vec<Option<VerifiedBlob>>> {
        let Some(remote) = self.remote.get() else {
            return Ok(found);
        };
        let mut asked = Vec::new();
        let mut places = Vec::new();
        for (at, request) in requests.iter().enumerate() {
            if found[at].is_none()
                && let Some(sha256) = remote.sha256(&request.want)
            {
                places.push(at);
                asked.push(Request {
                    url: remote.repository.blob_url(&sha256),
                    accept: Some(ANY),
                    ..request.clone()
                });
            }
        }
        let candidates = |request: &Request| -> Vec<Candidate> { self.usable(&request.url) };
        let jobs: Vec<_> = asked.iter().map(candidates).enumerate().collect();
        if jobs.is_empty() {
            return Ok(found);
        }
        let outcomes = self.transfer_each(&asked, &jobs, arrived)?;
        let mut told = false;
        for (outcome, at) in outcomes.into_iter().zip(places) {
            match outcome {
                Ok(Outcome::Fetched(blob, _) | Outcome::Found(blob)) => found[at] = Some(blob),
                Err(error) if error.is::<Gone>() || told => {}
                Err(error) => {
                    told = true;
                    self.warn(&format!("the shared store failed: {error:#}"));
                }
            }
        }
        Ok(found)
    }
}

impl Remote {
    /// What a blob is called there, if that is known.
    fn sha256(&self, want: &Expected) -> Option<Digest> {
        let alias = || self.aliases.get(want.sha512.as_ref()?.hex()).cloned();
        want.sha256.clone().or_else(alias)
    }
}
