//! The newest trusted roots of the public Sigstores, by The Update Framework
//! ([specification](https://theupdateframework.github.io/specification/latest/)), from the
//! TUF roots inside the program.
//!
//! Nothing here knows a network: whoever fetches gives the bytes.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use anyhow::{Context, Result, anyhow, bail};
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, Repository, Updater};

use crate::roots::Instance;
use crate::sigstore::crypto;

/// The file that is wanted.
const TARGET: &str = "trusted_root.json";
/// Root rotations, three more documents and the file itself.
const MOST: usize = 64;

/// Where an instance publishes its roots, and the TUF root to begin with: any later one is
/// signed by a chain from it.
fn place(instance: Instance) -> Option<(&'static str, &'static [u8])> {
    match instance {
        Instance::PublicGood => Some((
            "https://tuf-repo-cdn.sigstore.dev",
            include_bytes!("../roots/public-good.tuf.json"),
        )),
        Instance::GitHub => Some((
            "https://tuf-repo.github.com",
            include_bytes!("../roots/github.tuf.json"),
        )),
        Instance::Private => None,
    }
}

/// The newest `trusted_root.json` of `instance` at the time `now`, in Unix seconds. `fetch`
/// gives what is at a URL, or `None` if there is nothing.
///
/// # Errors
/// A document that is missing, expired, older than it was, or signed by others.
pub fn newest(
    instance: Instance,
    now: i64,
    fetch: impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>> {
    crypto::install();
    let (base, root) = place(instance).context("a private Sigstore has no public updates")?;
    newest_of(base, root, now, fetch)
}

fn newest_of(
    base: &str,
    root: &[u8],
    now: i64,
    fetch: impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let now = jiff::Timestamp::from_second(now).context("reading the clock")?;
    let shelf = Shelf::default();
    // What it asks for is fetched, and it begins again: then nothing in it waits.
    for _ in 0..MOST {
        let mut updater = Updater::new(shelf.clone(), root).context("reading the TUF root")?;
        let done = at_once(async {
            updater.refresh(now).await?;
            updater.get_target(TARGET, now).await
        })?;
        let Some(wanted) = shelf.wanted() else {
            return done.with_context(|| format!("verifying what {base} serves"));
        };
        let url = format!("{base}/{wanted}");
        let got = fetch(&url)?;
        shelf.put(wanted, got);
    }
    bail!("{base} asks for more than {MOST} documents")
}

/// The result of a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut TaskContext::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err(anyhow!("an update that waits for something else")),
    }
}

/// What was fetched so far, and what is asked for and not there.
#[derive(Clone, Default)]
struct Shelf {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    there: HashMap<String, Option<Vec<u8>>>,
    wanted: Option<String>,
}

impl Shelf {
    fn wanted(&self) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted.take()
    }

    fn put(&self, name: String, bytes: Option<Vec<u8>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.there.insert(name, bytes);
    }

    fn take(&self, name: String, most: u64) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.there.get(&name) {
            Some(Some(bytes)) if bytes.len() as u64 > most => Err(Error::Malformed(format!(
                "{name} is longer than {most} bytes"
            ))),
            Some(found) => Ok(found.clone()),
            None => {
                let asked = Error::Malformed(format!("{name} is not there yet"));
                state.wanted.get_or_insert(name);
                Err(asked)
            }
        }
    }
}

impl Repository for Shelf {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.take(name.to_owned(), max_length) })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.take(format!("targets/{path}"), max_length) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Before the embedded roots were published nothing has expired.
    const NOW: i64 = 1_790_000_000;

    #[test]
    fn what_is_not_there_or_not_signed_is_refused() {
        for instance in [Instance::PublicGood, Instance::GitHub] {
            let error = newest(instance, NOW, |_| Ok(None)).unwrap_err();
            assert!(format!("{error:#}").contains("timestamp"), "{error:#}");
            let error = newest(instance, NOW, |_| Ok(Some(b"{}".to_vec()))).unwrap_err();
            assert!(format!("{error:#}").contains("verifying what"), "{error:#}");
            let failed = newest(instance, NOW, |url| bail!("no way to {url}")).unwrap_err();
            assert!(
                failed.to_string().contains("no way to https://"),
                "{failed}"
            );
        }
        assert!(newest(Instance::Private, NOW, |_| Ok(None)).is_err());
    }
}
