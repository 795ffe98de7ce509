//! `nodeimg publish`: an output directory into a container registry.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nodeimg_signing::signer::Signer;
use serde_json::json;

use super::Session;
use crate::cli::{PublishArgs, TransferArgs};
use crate::input::fetch::push::{Repository, Source};
use crate::output::sign::Keys;
use crate::programs::UPDATE;
use crate::publish::address::{Address, tag_of};
use crate::publish::by_key;
use crate::publish::send::{self, Extras, Published};
use crate::publish::{Directory, updater};

pub fn run(session: &Session<'_>, args: &PublishArgs) -> Result<()> {
    let address = &args.address;
    if address.reference.digest().is_some() {
        bail!(
            "{address} names a digest, but the registry computes digests: name a tag, or neither"
        );
    }
    let mut mounts = Vec::new();
    for from in &args.mounts {
        if from.reference.host() != address.reference.host() {
            bail!(
                "--mount-from {from}: a registry takes files from its own repositories only, and \
                 this one is {}",
                address.reference.host()
            );
        }
        mounts.push(from.reference.path().to_owned());
    }
    let keys = args
        .keys
        .as_deref()
        .map(|path| (path, Keys::open(path, None)));
    let keys = keys.map(|(path, keys)| Ok::<_, anyhow::Error>((path, keys?)));
    let keys = keys.transpose()?;
    let signer = keys.as_ref().map(|(path, keys)| {
        let found = keys.checksums.as_ref();
        found.with_context(|| {
            let shown = path.display();
            format!("{shown} has no [checksums], whose key signs what is published")
        })
    });
    let what = Push {
        directory: &args.directory,
        address,
        mounts,
        updater: args.updater.as_deref(),
        signer: signer.transpose()?,
        transfer: &args.transfer,
        key: None,
    };
    push(session, &what)
}

/// What is published, where to, and how.
pub struct Push<'a> {
    pub directory: &'a Path,
    pub address: &'a Address,
    /// Paths of repositories of the same registry.
    pub mounts: Vec<String>,
    /// Another updater than the one inside nodeimg.
    pub updater: Option<&'a Path>,
    pub signer: Option<&'a Signer<'a>>,
    pub transfer: &'a TransferArgs,
    /// The tag of the build key, if the directory's provenance need not say it.
    pub key: Option<String>,
}

pub fn push(session: &Session<'_>, what: &Push<'_>) -> Result<()> {
    let started = Instant::now();
    let address = what.address;
    let options = session.plain_options(what.transfer)?;
    let shown = what.directory.display().to_string();
    session.progress.step(&format!("reading {shown}"));
    let directory = Directory::open(what.directory)?;
    if !directory.others.is_empty() {
        session.progress.warn(&format!(
            "not published, because no list of {shown} has them: {}",
            directory.others.join(", ")
        ));
    }
    let tag = address
        .tag
        .clone()
        .unwrap_or_else(|| tag_of(&directory.version));
    // Refused before anything is sent.
    address
        .reference
        .tagged(&format!("{tag}-containerdisk-{}", directory.arch))?;
    let own = directory.key.as_deref().map(by_key::tag);
    let extras = Extras {
        updater: updater_of(session, &directory, what.updater)?,
        key: what.key.clone().or(own),
        signer: what.signer,
    };
    let mounts = what.mounts.clone();
    let repository = Repository::open(&address.reference, &options, mounts, session.progress)?;
    let told = send::publish(&repository, &directory, &tag, &extras)?;
    tell(session, &repository.name(), &shown, &told, started);
    Ok(())
}

/// The program for the container image of an update, if there is an update.
fn updater_of(
    session: &Session<'_>,
    directory: &Directory,
    given: Option<&Path>,
) -> Result<Option<Source>> {
    if let Some(path) = given {
        return updater(path, directory.arch).map(Some);
    }
    if directory.update.is_none() {
        return Ok(None);
    }
    match UPDATE.find(directory.arch, &[]) {
        Ok(program) => Ok(Some(Source::bytes(program))),
        // A nodeimg of a checkout may have none; what is there is published all the same.
        Err(error) => {
            session.progress.warn(&format!(
                "no container image of the update is published: {error:#}"
            ));
            Ok(None)
        }
    }
}

fn tell(
    session: &Session<'_>,
    repository: &str,
    directory: &str,
    told: &Published,
    started: Instant,
) {
    let names = told.tags.iter().map(|tag| format!("{repository}:{tag}"));
    let names: Vec<String> = names.collect();
    let seconds = started.elapsed().as_secs_f64();
    let text = match told.unchanged {
        true => format!("{} has {directory} already", names.join(", ")),
        false => format!(
            "published {directory} as {} in {seconds:.1} s: {} files sent, {} taken from other \
             repositories, {} there already",
            names.join(", "),
            told.sent,
            told.mounted,
            told.there
        ),
    };
    let event = json!({
        "event": "published", "directory": directory, "repository": repository,
        "tags": told.tags, "digest": told.digest, "unchanged": told.unchanged,
        "sent": told.sent, "mounted": told.mounted, "there": told.there, "bytes": told.bytes,
        "signed": told.signed,
        "seconds": seconds,
    });
    session.say(&event, &text);
}
