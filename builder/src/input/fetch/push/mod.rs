//! Writing to a container registry: blobs, manifests, tags.
//!
//! ```text
//! ask        one request with its login, redirects and watch
//! upload     a blob: is it there? mounted? in one piece, or in chunks
//! documents  manifests and indexes by digest and by tag; what refers to what
//! ```
//! [OCI distribution, push](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#push).
//! Logins, proxies, CAs, plain http and mirror rules are those of pulls.
//!
//! # Invariants
//! - What is there is not sent again, and nothing is named before it is there.
//! - A login goes to the registry alone, never to where it sends an upload to.

mod ask;
mod documents;
mod source;
#[cfg(test)]
mod tests;
mod upload;

use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use nodeimg_formats::oci::Reference;
use nodeimg_values::progress::{Progress, Upload};
use reqwest::Url;

use super::client::Client;
use super::failure::{Failure, shown};
use super::login::Login;
use super::retry::Backoff;
use super::{Options, Retry};
use ask::{Answer, Ask};

pub use documents::By;
pub use source::Source;
pub use upload::Blob;

pub(super) use ask::Push;

/// Nothing is heard of an upload that is whole until the registry has stored it, which takes
/// this many times longer than anything else may.
const STORING: u32 = 10;

/// Of the whole client: the watch of each request knows better.
const NEVER: Duration = Duration::from_secs(7 * 86_400);

/// How a blob came into a repository.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was there.
    There,
    /// Another repository of the same registry had it.
    Mounted,
    Sent,
}

/// A repository that is written to.
pub struct Repository<'a> {
    name: Reference,
    client: Client,
    idle: Duration,
    retry: Retry,
    progress: &'a Progress,
    /// Other repositories of this registry that may have blobs.
    mounts: Vec<String>,
}

impl fmt::Debug for Repository<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository {}", self.name.repository())
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
struct Target {
    url: Url,
    by_mirror: bool,
    /// Of the mirror's URL.
    login: Option<Login>,
}

impl<'a> Repository<'a> {
    /// The repository of `name`; blobs are taken from `mounts`, paths at the same registry,
    /// where these have them.
    pub fn open(
        name: &Reference,
        options: &Options,
        mounts: Vec<String>,
        progress: &'a Progress,
    ) -> Result<Repository<'a>> {
        if options.offline {
            bail!("{}: nothing is published with --offline", name.repository());
        }
        let patient = Options {
            idle_timeout: NEVER,
            ..options.clone()
        };
        Ok(Repository {
            name: name.clone(),
            client: Client::new(&patient)?,
            idle: options.idle_timeout,
            retry: options.retry.clone(),
            progress,
            mounts,
        })
    }

    /// Without tag and digest.
    pub fn name(&self) -> String {
        self.name.repository()
    }

    /// Where `url` of the registry is asked for by the rules of mirrors.
    fn target(&self, url: &str) -> Result<Target, Failure> {
        let candidates = self.client.ways().mirrors.candidates(url);
        let found = candidates.first().filter(|found| !found.is_file());
        let Some(found) = found else {
            return Err(Failure::Refused(format!(
                "a mirror rule puts a directory in the place of {}: nothing can be pushed there",
                shown(url)
            )));
        };
        let mut url = Url::parse(&found.url)
            .map_err(|e| Failure::Refused(format!("this is not a URL: {e}")))?;
        let login = Login::take(&mut url);
        Ok(Target {
            url,
            by_mirror: found.by_mirror,
            login,
        })
    }

    /// Asks until there is an answer that is one of `wanted`, or another try is of no use.
    fn tries(
        &self,
        ask: &Ask<'_>,
        wanted: &[u16],
        upload: Option<&Upload<'_>>,
    ) -> Result<Answer, Failure> {
        let mut backoff = Backoff::new(&self.retry);
        loop {
            let answered = self.once(ask, wanted, upload);
            let failure = match answered {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            self.pause(&mut backoff, failure, upload)?;
        }
    }

    fn once(
        &self,
        ask: &Ask<'_>,
        wanted: &[u16],
        upload: Option<&Upload<'_>>,
    ) -> Result<Answer, Failure> {
        let answer = self.ask(ask, upload)?;
        match wanted.contains(&answer.code.as_u16()) {
            true => Ok(answer),
            false => Err(answer.failure()),
        }
    }

    /// Waits before another try, or says that there should be none.
    fn pause(
        &self,
        backoff: &mut Backoff<'_>,
        failure: Failure,
        upload: Option<&Upload<'_>>,
    ) -> Result<(), Failure> {
        let Some(wait) = backoff.wait(&failure) else {
            return Err(failure);
        };
        if let Some(upload) = upload {
            upload.retry(&failure.reason(), wait);
        }
        thread::sleep(wait);
        Ok(())
    }

    /// The whole message: what, to where, why, what to do.
    fn told(&self, what: &str, url: &str, failure: &Failure) -> anyhow::Error {
        let through = match self.target(url) {
            Ok(target) if target.by_mirror => {
                format!(" through the mirror {}", shown(target.url.as_str()))
            }
            _ => String::new(),
        };
        anyhow!(
            "{what}: {}{through}: {}",
            shown(url),
            said(failure, &self.name)
        )
    }
}

/// Why a push failed, and what to do.
fn said(failure: &Failure, name: &Reference) -> String {
    let reason = failure.reason();
    match failure {
        Failure::Cut { .. } | Failure::NoAnswer(_) | Failure::Timeout | Failure::Slow { .. } => {
            format!(
                "{reason} (run the command again: what the registry has by now is not sent a \
                 second time)"
            )
        }
        Failure::Login(_) => format!(
            "{reason} (pushing needs a login that may write to `{}`)",
            name.path()
        ),
        _ => failure.to_string(),
    }
}
