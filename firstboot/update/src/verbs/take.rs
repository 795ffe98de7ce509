//! `check` and `apply`.

use std::cmp::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nodeimg_formats::update::{Manifest, PAYLOAD_TYPE, compare};
use nodeimg_seed::contract::update::Applied;
use nodeimg_signing::certificate::PublicKey;
use nodeimg_signing::dsse;
use serde_json::json;

use super::session::Session;
use super::{NOTHING, Said};
use crate::cli::Options;
use crate::engine::{self, Job};
use crate::esp::{Esp, Name};
use crate::node::{Config, Node};
use crate::refusal::{self, Here, Refusal};
use crate::source::{Document, Image, Patience, Source};

/// What may be taken.
struct Choice {
    manifest: Manifest,
    /// Whether a key has vouched for it.
    is_signed: bool,
}

pub fn check(options: &Options) -> Result<Said> {
    let session = Session::open(options, false)?;
    if !session.has_source(options) {
        return Ok(no_source());
    }
    let source = session.source(options)?;
    let running = &session.running.version;
    let Some(choice) = choose(&session, source.as_ref(), options)? else {
        return Ok(nothing(running, &source.name()));
    };
    let version = &choice.manifest.version;
    Ok(Said {
        text: format!(
            "{version} can be installed from {}{}; {running} runs",
            source.name(),
            unsigned(&choice)
        ),
        json: json!({
            "running": running, "source": source.name(), "version": version,
            "signed": choice.is_signed, "root_bytes": choice.manifest.root.content.size,
        }),
        status: 0,
    })
}

fn unsigned(choice: &Choice) -> &'static str {
    match choice.is_signed {
        true => "",
        false => " (this image has no key to verify it by)",
    }
}

fn nothing(running: &str, source: &str) -> Said {
    Said {
        text: format!("{source} has nothing newer than {running}, which runs"),
        json: json!({"running": running, "source": source, "version": null}),
        status: NOTHING,
    }
}

/// The timer of a node that nobody has told anything has nothing to do.
fn no_source() -> Said {
    Said {
        text: format!(
            "no source of updates is set: name one here, or as `source` in {}",
            crate::node::NODE_CONFIG
        ),
        json: json!({"source": null, "version": null}),
        status: NOTHING,
    }
}

/// The newest version that this node may take; none if there is nothing newer.
fn choose(session: &Session, source: &dyn Source, options: &Options) -> Result<Option<Choice>> {
    let image = Image {
        id: &session.running.id,
        architecture: session.slots.architecture,
    };
    let mut versions = source.versions(image)?;
    if let Some(version) = &options.to {
        versions = vec![version.clone()];
    }
    versions.sort_by(|one, other| compare(other, one));
    let running = &session.running.version;
    if options.to.is_none() && !options.force {
        versions.retain(|version| compare(version, running) == Ordering::Greater);
    } else if options.to.is_none() {
        versions.truncate(1);
    }
    let state = session.node.state();
    let held = session.node.held()?;
    let mut first = None;
    for version in &versions {
        let document = source.manifest(image, version)?;
        let choice = verified(document, &session.config, &session.node)
            .with_context(|| format!("version {version} of {}", source.name()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let here = Here {
            running: &session.running,
            slots: &session.slots,
            state: &state,
            held: &held,
            state_version: session.config.state_version.unwrap_or(1),
            now: now.map_or(0, |now| now.as_secs()),
            forced: options.force,
        };
        match refusal::check(&choice.manifest, &here) {
            // What is in its name may be newer than what it is.
            Ok(()) if choice.manifest.version == *running => {}
            Ok(()) => return Ok(Some(choice)),
            Err(refusal) => {
                first.get_or_insert(refusal);
            }
        }
    }
    match first {
        Some(refusal) => Err(refusal.into()),
        None => Ok(None),
    }
}

/// The manifest, by the node's keys if it has some.
fn verified(document: Document, config: &Config, node: &Node) -> Result<Choice> {
    let (bytes, is_signed) = match (document, config.keys.is_empty()) {
        (_, _) if config.keys.is_empty() && config.key_from_seed => {
            return refused("this image takes updates by a seed's key only, and there is none");
        }
        (
            Document {
                plain: Some(plain), ..
            },
            true,
        ) => (plain, false),
        (
            Document {
                envelope: Some(envelope),
                ..
            },
            true,
        ) => (payload(&envelope)?, false),
        (
            Document {
                envelope: Some(envelope),
                ..
            },
            false,
        ) => {
            let body = by_a_key(&envelope, config, node)?;
            let body = match body {
                Ok(body) => body,
                Err(why) => return refused(&format!("its signature does not count: {why}")),
            };
            (body, true)
        }
        (
            Document {
                plain: Some(_),
                envelope: None,
            },
            false,
        ) => {
            return refused("it is not signed, but this image takes signed updates only");
        }
        (
            Document {
                plain: None,
                envelope: None,
            },
            _,
        ) => bail!("there is no manifest"),
    };
    let manifest = serde_json::from_slice(&bytes).context("its manifest is damaged")?;
    Ok(Choice {
        manifest,
        is_signed,
    })
}

fn refused<T>(why: &str) -> Result<T> {
    Err(Refusal {
        why: why.to_owned(),
        can_be_forced: false,
    }
    .into())
}

/// What one of the keys has signed, or why none has.
fn by_a_key(
    envelope: &str,
    config: &Config,
    node: &Node,
) -> Result<std::result::Result<Vec<u8>, String>> {
    let mut why = String::new();
    for path in &config.keys {
        let path = node.path(&path.to_string_lossy());
        let key = PublicKey::from_file(&path)?;
        match dsse::verify(envelope, PAYLOAD_TYPE, &key) {
            Ok(body) => return Ok(Ok(body)),
            Err(error) => why = format!("{error:#}"),
        }
    }
    Ok(Err(why))
}

/// What is in an envelope that nobody here can verify.
fn payload(envelope: &str) -> Result<Vec<u8>> {
    use base64::Engine;
    let found: serde_json::Value =
        serde_json::from_str(envelope).context("its envelope is damaged")?;
    let payload = found["payload"].as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD
        .decode(payload)
        .context("its envelope is damaged")
}

pub fn apply(options: &Options) -> Result<Said> {
    let mut session = Session::open(options, true)?;
    if !session.has_source(options) {
        return Ok(no_source());
    }
    let source = session.source(options)?;
    let Some(choice) = choose(&session, source.as_ref(), options)? else {
        return Ok(nothing(&session.running.version, &source.name()));
    };
    let manifest = &choice.manifest;
    let tell = |text: &str| {
        if !options.json {
            eprintln!("{text}");
        }
    };
    let running = session.running.clone();
    let node = session.node.clone();
    let name = source.name();
    let moved = session.with_esp(|esp, slots, disk| {
        is_proven(
            esp,
            &format!("{}_{}", running.id, running.version),
            running.root,
            options.force,
        )?;
        if engine::installed(slots, esp, manifest)?.is_some() {
            return Ok(None);
        }
        let job = Job {
            manifest,
            source: source.as_ref(),
            disk,
            patience: Patience::default(),
            tell: &tell,
        };
        tell(&format!(
            "{} from {name}{}",
            manifest.version,
            unsigned(&choice)
        ));
        let prepared = job.prepare()?;
        engine::room(slots, esp, manifest, prepared.uki_size())?;
        node.write_state(|state| {
            state.applied = Some(Applied {
                version: manifest.version.clone(),
                from: running.version.clone(),
                source: Some(name.clone()),
            });
            if options.force {
                // A person wants it tried.
                state
                    .failed
                    .retain(|failed| failed.version != manifest.version);
            }
        })?;
        job.install(&prepared, slots, esp).map(Some)
    })?;
    let version = &manifest.version;
    session
        .node
        .require_reboot(&format!("nodeimg: {version} is installed"))?;
    Ok(Said {
        text: match moved {
            Some(_) => format!("{version} is installed: it boots with the next reboot"),
            None => format!("{version} was installed before: it boots with the next reboot"),
        },
        json: json!({
            "running": session.running.version, "source": source.name(), "version": version,
            "signed": choice.is_signed, "bytes": moved,
        }),
        status: 0,
    })
}

/// A version whose boots are still counted may have to go back to the other slot.
pub(super) fn is_proven(
    esp: &dyn Esp,
    label: &str,
    root: nodeimg_formats::verity::RootHash,
    forced: bool,
) -> Result<()> {
    for file in esp.list()? {
        let counted = Name::parse(&file.name).is_some_and(|name| name.left.is_some());
        if counted
            && engine::is_entry_of(&file.name, label)
            && crate::esp::root_hash(&esp.read(&file.name)?) == Some(root)
            && !forced
        {
            return Err(Refusal {
                why: format!(
                    "{label}, which runs, has not proved itself healthy yet, and the other slot is \
                     the one to go back to"
                ),
                can_be_forced: true,
            }
            .into());
        }
    }
    Ok(())
}
