//! `nodeimg inspect` and `nodeimg diff`: look inside built images.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_inspect::image::Image;
use nodeimg_inspect::report::{self, Beside, Owner, OwnerKind, Report};
use nodeimg_inspect::root::{Kind, Node, Root};
use nodeimg_inspect::{difference, page, text};
use nodeimg_values::atomic;
use serde_json::json;

use super::Session;
use crate::cli::{DiffArgs, InspectArgs};
use crate::output::manifest::Manifest;
use crate::tree::Origin;

/// The manifest's name, beside a disk.
const MANIFEST: &str = "manifest.json";

pub fn run(session: &Session<'_>, args: &InspectArgs) -> Result<()> {
    let image = Image::open(&args.image)?;
    if let Some(path) = &args.path {
        return look_at(session, &image.root, path);
    }
    let report = report(&args.image, &image)?;
    if let Some(file) = &args.html {
        return write(session, "inspected", file, &page::page(&report));
    }
    print(session, &report, || text::report(&report))
}

pub fn diff(session: &Session<'_>, args: &DiffArgs) -> Result<()> {
    let before = Image::open(&args.before)?;
    let after = Image::open(&args.after)?;
    let reports = (report(&args.before, &before)?, report(&args.after, &after)?);
    let difference = difference::between((&before, &reports.0), (&after, &reports.1))?;
    if let Some(file) = &args.html {
        let page = page::difference(&difference, &reports.0, &reports.1);
        return write(session, "compared", file, &page);
    }
    print(session, &difference, || difference.text())
}

/// A page into a file.
fn write(session: &Session<'_>, event: &str, file: &Path, page: &str) -> Result<()> {
    atomic::write_file(file, page.as_bytes())?;
    session.say(
        &json!({ "event": event, "path": file }),
        &format!("wrote {}", file.display()),
    );
    Ok(())
}

/// One JSON object in a line, or the text.
fn print(
    session: &Session<'_>,
    object: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> Result<()> {
    let text = if session.global.json {
        serde_json::to_string(object)? + "\n"
    } else {
        text()
    };
    put(text.as_bytes())
}

/// To standard output; a reader that has seen enough is not an error.
fn put(bytes: &[u8]) -> Result<()> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("writing to standard output"),
    }
}

fn report(given: &Path, image: &Image) -> Result<Report> {
    let beside = beside(given, image)?;
    report::of(image, &beside).with_context(|| format!("reading {}", image.medium.path.display()))
}

/// What the manifest knows, if there is one that lists this image.
fn beside(given: &Path, image: &Image) -> Result<Beside> {
    let directory = match given.is_dir() {
        true => given,
        false => given.parent().unwrap_or(Path::new("")),
    };
    let path = directory.join(MANIFEST);
    let Ok(bytes) = fs::read(&path) else {
        return Ok(Beside::default());
    };
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a manifest of nodeimg", path.display()))?;
    let name = image.medium.path.file_name().unwrap_or_default();
    if !manifest
        .outputs
        .iter()
        .any(|output| name == output.file.as_str())
    {
        return Ok(Beside::default());
    }
    let origin = |file: crate::output::manifest::File| {
        Some((file.path.as_str().to_owned(), owner(&file.origin)?))
    };
    let artifacts: BTreeMap<_, _> = manifest
        .artifacts
        .into_iter()
        .map(|artifact| (artifact.name, artifact.version))
        .collect();
    Ok(Beside {
        origins: manifest.files.into_iter().filter_map(origin).collect(),
        artifacts,
    })
}

/// Whose the file is; `None` for a directory that only has others' files.
fn owner(origin: &Origin) -> Option<Owner> {
    let (kind, name) = match origin {
        Origin::Package(name) => (OwnerKind::Package, name.clone()),
        Origin::Artifact(name) => (OwnerKind::Artifact, name.clone()),
        Origin::Implied => return None,
        other => (OwnerKind::Image, other.to_string()),
    };
    Some(Owner { kind, name })
}

/// Lists a directory or prints a file.
fn look_at(session: &Session<'_>, root: &Root, path: &str) -> Result<()> {
    let found = root.resolve(path)?;
    let Some(node) = root.node(&found) else {
        bail!("`{}` is not in the image", found.escape_debug());
    };
    match &node.kind {
        Kind::Directory => {
            let lines =
                root.list(&found)
                    .map(|(name, node)| match session.global.json {
                        true => entry(&format!("{}/{name}", found.trim_end_matches('/')), node)
                            .to_string(),
                        false => line(name, node),
                    });
            put((lines.collect::<Vec<_>>().join("\n") + "\n").as_bytes())
        }
        Kind::File(_) if session.global.json => {
            put((entry(&found, node).to_string() + "\n").as_bytes())
        }
        Kind::File(_) => {
            let mut content = root.content(&found)?;
            let context = || format!("printing `{}`", found.escape_debug());
            match io::copy(&mut content, &mut io::stdout().lock()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                result => result.map(drop).with_context(context),
            }
        }
        _ => bail!(
            "`{}` is neither a file nor a directory",
            found.escape_debug()
        ),
    }
}

fn entry(path: &str, node: &Node) -> serde_json::Value {
    let (kind, size, target) = match &node.kind {
        Kind::Directory => ("directory", None, None),
        Kind::File(size) => ("file", Some(size), None),
        Kind::Symlink(target) => ("symlink", None, Some(target)),
        Kind::Other => ("other", None, None),
    };
    let mode = format!("{:04o}", node.mode);
    json!({
        "path": path, "type": kind, "mode": mode, "uid": node.uid, "gid": node.gid,
        "size": size, "target": target,
    })
}

fn line(name: &str, node: &Node) -> String {
    let (kind, size, after) = match &node.kind {
        Kind::Directory => ('d', String::new(), "/".to_owned()),
        Kind::File(size) => ('-', size.to_string(), String::new()),
        Kind::Symlink(target) => ('l', String::new(), format!(" -> {target}")),
        Kind::Other => ('?', String::new(), String::new()),
    };
    let Node { mode, uid, gid, .. } = node;
    let line = format!("{kind} {mode:04o} {uid:>5} {gid:>5} {size:>12}  {name}{after}");
    text::visible(&line)
}
