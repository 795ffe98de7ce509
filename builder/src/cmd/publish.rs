//! `nodeimg publish`: an output directory into a container registry.

use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::json;

use super::Session;
use crate::cli::PublishArgs;
use crate::input::fetch::push::Repository;
use crate::publish::address::tag_of;
use crate::publish::send::{self, Extras, Published};
use crate::publish::{Directory, updater};

pub fn run(session: &Session<'_>, args: &PublishArgs) -> Result<()> {
    let started = Instant::now();
    let address = &args.address;
    if address.reference.digest().is_some() {
        bail!("{address} names a digest, which nobody can choose: name a tag, or nothing");
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
    let options = session.plain_options(&args.transfer)?;
    let shown = args.directory.display().to_string();
    session.progress.step(&format!("reading {shown}"));
    let directory = Directory::open(&args.directory)?;
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
    let updater = args
        .updater
        .as_deref()
        .map(|path| updater(path, directory.arch));
    let extras = Extras {
        updater: updater.transpose()?,
        key: directory.key.as_ref().map(|key| format!("key-{key}")),
    };
    let repository = Repository::open(&address.reference, &options, mounts, session.progress)?;
    let told = send::publish(&repository, &directory, &tag, &extras)?;
    tell(session, &repository.name(), &shown, &told, started);
    Ok(())
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
        "seconds": seconds,
    });
    session.say(&event, &text);
}
