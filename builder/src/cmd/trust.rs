//! `nodeimg trust`: the trusted roots of Sigstore.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_trust::tuf::{self, Place, Seen, Updated};
use nodeimg_values::date::Date;
use nodeimg_values::digest::Digest;
use nodeimg_values::{atomic, regular};
use serde_json::json;

use super::Session;
use crate::cli::TrustVerb;
use crate::input::fetch::Gone;
use crate::input::recipe::verify::{SigstoreInstance, TrustPart};
use crate::input::vouch::demand::instance;
use crate::input::vouch::roots::{GivenRoot, load};

/// A TUF root has 10 KB.
const MAX_TUF_ROOT: u64 = 1 << 20;

pub fn run(session: &Session<'_>, verb: &TrustVerb) -> Result<()> {
    match verb {
        TrustVerb::Show { trusted_roots } => show(session, trusted_roots),
        TrustVerb::Update {
            directory,
            repository,
            tuf_root,
        } => match (repository, tuf_root) {
            (Some(url), Some(file)) => {
                let root = regular::read(file, MAX_TUF_ROOT)
                    .with_context(|| format!("reading the TUF root {}", file.display()))?;
                let place = Place { url, root: &root };
                update(session, directory, &[(SigstoreInstance::Private, place)])
            }
            _ => {
                let public = [SigstoreInstance::PublicGood, SigstoreInstance::Github];
                let places = public.into_iter().filter_map(|named| {
                    let place = tuf::place(instance(named))?;
                    Some((named, place))
                });
                update(session, directory, &places.collect::<Vec<_>>())
            }
        },
    }
}

/// By hand only: a build has the roots that its recipe and its program have. One that
/// cannot be updated is an error after the others were.
fn update(
    session: &Session<'_>,
    directory: &Path,
    places: &[(SigstoreInstance, Place<'_>)],
) -> Result<()> {
    let (_folder, store) = Session::passing_store()?;
    let fetcher = session.bare_fetcher(&store)?;
    let now = i64::try_from(Date::now()?.0).unwrap_or(i64::MAX);
    let mut faults = Vec::new();
    for (named, place) in places {
        let what = format!("the trusted root of {}", named.name());
        let fetch = |url: &str| match fetcher.small(url, &what) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is::<Gone>() => Ok(None),
            Err(error) => Err(error),
        };
        let done = seen(directory, *named)
            .and_then(|seen| tuf::newest(place, &seen, now, fetch))
            .and_then(|updated| write(session, directory, *named, &updated));
        if let Err(error) = done.with_context(|| format!("updating {what}")) {
            faults.push(format!("{error:#}"));
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("{}", faults.join("\n")),
    }
}

/// What earlier updates into this directory saw, which a later one may not be older than.
fn seen(directory: &Path, named: SigstoreInstance) -> Result<Seen> {
    let path = seen_path(directory, named);
    if !path.try_exists().unwrap_or(true) {
        return Ok(Seen::default());
    }
    let text = regular::read_text(&path).with_context(|| format!("reading {}", path.display()))?;
    Seen::read(&text).with_context(|| {
        format!(
            "{}: delete it to begin from the first TUF root",
            path.display()
        )
    })
}

fn seen_path(directory: &Path, named: SigstoreInstance) -> PathBuf {
    directory.join(format!("{}.tuf.json", named.name()))
}

fn write(
    session: &Session<'_>,
    directory: &Path,
    named: SigstoreInstance,
    updated: &Updated,
) -> Result<()> {
    let root = &updated.trusted_root;
    fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let path = directory.join(format!("{}.json", named.name()));
    atomic::rewrite_file(&path, root)?;
    let seen = updated.seen.text()?;
    atomic::rewrite_file(&seen_path(directory, named), seen.as_bytes())?;
    let digest = Digest::sha256(root);
    session.say(
        &json!({ "event": "root", "instance": named, "path": path, "digest": digest }),
        &format!("wrote {} ({digest})", path.display()),
    );
    Ok(())
}

fn show(session: &Session<'_>, given: &[GivenRoot]) -> Result<()> {
    let roots = load(&TrustPart::default(), given)?;
    for named in SigstoreInstance::ALL {
        let digest = roots.digest(instance(named));
        let from = given.iter().rfind(|given| given.instance == named);
        let from = from.map(|given| given.file.display().to_string());
        if session.global.json {
            println!(
                "{}",
                json!({ "instance": named, "digest": digest, "file": from })
            );
            continue;
        }
        let digest = digest.map_or_else(|| "none".to_owned(), ToString::to_string);
        println!(
            "{:12} {digest} {}",
            named.name(),
            from.as_deref().unwrap_or("(built in)")
        );
    }
    Ok(())
}
