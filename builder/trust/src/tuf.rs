//! The newest trusted roots of the public Sigstores, by The Update Framework
//! ([specification](https://theupdateframework.github.io/specification/latest/)), from the
//! TUF roots inside the program.
//!
//! Nothing here knows a network: whoever fetches gives the bytes.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use anyhow::{Context, Result, anyhow, bail};
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, MetadataStore, Repository, Updater};

use crate::roots::Instance;
use crate::sigstore::{Root, crypto};

/// The file that is wanted.
const TARGET: &str = "trusted_root.json";
/// Root rotations, three more documents and the file itself.
const MOST: usize = 64;
/// Of [`Seen`], in bytes: each of its documents has some KB.
const MAX_SEEN: usize = 4 << 20;

/// A TUF repository that publishes a `trusted_root.json`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `https://HOST/PATH`, which has `timestamp.json` and the folder `targets` below it.
    pub url: &'a str,
    /// The TUF root to begin with: any later one is signed by a chain from it.
    pub root: &'a [u8],
}

/// Where a public instance publishes its roots; `None` for a private one.
pub fn place(instance: Instance) -> Option<Place<'static>> {
    match instance {
        Instance::PublicGood => Some(Place {
            url: "https://tuf-repo-cdn.sigstore.dev",
            root: include_bytes!("../roots/public-good.tuf.json"),
        }),
        Instance::GitHub => Some(Place {
            url: "https://tuf-repo.github.com",
            root: include_bytes!("../roots/github.tuf.json"),
        }),
        Instance::Private => None,
    }
}

/// What an update found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Updated {
    /// `trusted_root.json`.
    pub trusted_root: Vec<u8>,
    /// For the next update: the documents whose versions may not be older then.
    pub seen: Seen,
}

/// The documents that an update verified, by name. They are verified again when they are
/// read, and are a floor for the versions of the next update.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen(BTreeMap<String, String>);

impl Seen {
    /// Reads what [`Seen::text`] wrote.
    pub fn read(text: &str) -> Result<Seen> {
        if text.len() > MAX_SEEN {
            bail!("it has {} bytes, more than {MAX_SEEN}", text.len());
        }
        let seen = serde_json::from_str(text).context("it is not what an update wrote")?;
        Ok(Seen(seen))
    }

    pub fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(&self.0).context("writing what was seen")?;
        Ok(text + "\n")
    }
}

/// The newest `trusted_root.json` at `place` at the time `now`, in Unix seconds. `fetch`
/// gives what is at a URL, or `None` if there is nothing.
///
/// # Errors
/// A document that is missing, expired, older than it was, or signed by others.
pub fn newest(
    place: &Place<'_>,
    seen: &Seen,
    now: i64,
    fetch: impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Updated> {
    crypto::install();
    let base = place.url.trim_end_matches('/');
    let now = jiff::Timestamp::from_second(now).context("reading the clock")?;
    let shelf = Shelf::default();
    // What it asks for is fetched, and it begins again: then nothing in it waits.
    for _ in 0..MOST {
        let memory = Memory::of(seen);
        let updater =
            Updater::new(shelf.clone(), place.root).context("the TUF root cannot be used")?;
        let mut updater = updater.with_store(memory.clone());
        let done = at_once(async {
            updater.refresh(now).await?;
            updater.get_target(TARGET, now).await
        })?;
        let Some(wanted) = shelf.wanted() else {
            let trusted_root = done.with_context(|| {
                format!(
                    "{base} serves what the TUF root and its successors do not vouch for now: do \
                     not use it; a mirror may be old, this machine's clock wrong, or somebody \
                     answers in its place"
                )
            })?;
            Root::read(&trusted_root).with_context(|| format!("{base}: its {TARGET}"))?;
            let seen = memory.seen();
            return Ok(Updated { trusted_root, seen });
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

/// What earlier updates verified, and what this one does.
#[derive(Clone)]
struct Memory {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Memory {
    fn of(seen: &Seen) -> Memory {
        let files = seen.0.iter();
        let files = files.map(|(name, text)| (name.clone(), text.clone().into_bytes()));
        Memory {
            files: Arc::new(Mutex::new(files.collect())),
        }
    }

    /// Documents are JSON; the file itself is kept elsewhere.
    fn seen(&self) -> Seen {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let documents = files
            .iter()
            .filter(|(name, _)| !name.starts_with("targets/"));
        let texts = documents.filter_map(|(name, bytes)| {
            let text = String::from_utf8(bytes.clone()).ok()?;
            Some((name.clone(), text))
        });
        Seen(texts.collect())
    }
}

impl MetadataStore for Memory {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(files.get(name).cloned())
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Before the embedded roots expire.
    const NOW: i64 = 1_790_000_000;

    #[test]
    fn what_is_not_there_or_not_signed_is_refused() {
        for instance in [Instance::PublicGood, Instance::GitHub] {
            let place = place(instance).unwrap();
            let seen = Seen::default();
            let error = newest(&place, &seen, NOW, |_| Ok(None)).unwrap_err();
            assert!(format!("{error:#}").contains("timestamp"), "{error:#}");
            let error = newest(&place, &seen, NOW, |_| Ok(Some(b"{}".to_vec()))).unwrap_err();
            assert!(format!("{error:#}").contains("do not vouch"), "{error:#}");
            let failed = newest(&place, &seen, NOW, |url| bail!("no way to {url}")).unwrap_err();
            assert!(
                failed.to_string().contains("no way to https://"),
                "{failed}"
            );
        }
        assert!(place(Instance::Private).is_none());
    }
}
