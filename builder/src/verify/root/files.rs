//! A listing against `manifest.json`.

use std::collections::{BTreeMap, BTreeSet};

use nodeimg_values::digest::Digest;

use super::contents::{File, Listing, What};
use super::short;
use crate::output::manifest::{self, FileType, Manifest};
use crate::output::sbom::INSIDE;
use crate::verify::step::Fault;

/// Both have the same paths, and the same is said of each.
///
/// # Errors
/// The first path that differs, and how many more do.
pub fn check(listing: &Listing, manifest: &Manifest) -> Result<(), Fault> {
    let mut differ = Vec::new();
    let mut rest: BTreeMap<&str, &manifest::File> = BTreeMap::new();
    for file in &manifest.files {
        rest.insert(file.path.as_str(), file);
    }
    for (path, there) in &listing.files {
        match rest.remove(path.as_str()) {
            // The root itself is in no archive, nor in every manifest.
            None if path == "/" => {}
            None => differ.push((path.clone(), "manifest.json does not list it".to_owned())),
            Some(wanted) => {
                differ.extend(difference(there, wanted).map(|what| (path.clone(), what)))
            }
        }
    }
    for path in rest.keys().filter(|path| **path != "/") {
        differ.push((
            (*path).to_owned(),
            "manifest.json lists it, but it is not there".to_owned(),
        ));
    }
    match differ.split_first() {
        None => Ok(()),
        Some(((path, what), others)) => {
            let more = match others.len() {
                0 => String::new(),
                1 => " (1 other path differs too)".to_owned(),
                count => format!(" ({count} other paths differ too)"),
            };
            Err(Fault::new(format!("{what}{more}")).at(format!("`{}`", path.escape_debug())))
        }
    }
}

fn difference(there: &File, wanted: &manifest::File) -> Option<String> {
    let differs = |what: &str, there: String, wanted: String| {
        Some(format!(
            "its {what} is {there}, but manifest.json says {wanted}"
        ))
    };
    let kind = match there.what {
        What::Directory => Some(FileType::Directory),
        What::File { .. } => Some(FileType::File),
        What::Symlink(_) => Some(FileType::Symlink),
        What::Other => None,
    };
    if kind != Some(wanted.file_type) {
        let word = |kind: Option<FileType>| match kind {
            Some(FileType::Directory) => "a directory",
            Some(FileType::File) => "a file",
            Some(FileType::Symlink) => "a link",
            None => "a device, a pipe or a socket",
        };
        return differs(
            "kind",
            word(kind).to_owned(),
            word(Some(wanted.file_type)).to_owned(),
        );
    }
    let mode = format!("{:04o}", there.mode);
    // Of a link no system asks for one.
    if kind != Some(FileType::Symlink) && mode != wanted.mode {
        return differs("mode", mode, wanted.mode.clone());
    }
    let owner = (there.uid, there.gid);
    let wanted_owner = (u64::from(wanted.uid), u64::from(wanted.gid));
    if owner != wanted_owner {
        let text = |(uid, gid)| format!("{uid}:{gid}");
        return differs("owner", text(owner), text(wanted_owner));
    }
    match &there.what {
        What::Symlink(target) if Some(target) != wanted.target.as_ref() => differs(
            "target",
            target.clone(),
            wanted.target.clone().unwrap_or_default(),
        ),
        What::File { sha256, .. } if Some(sha256) != wanted.sha256.as_ref() => differs(
            "content",
            short(sha256),
            wanted.sha256.as_ref().map_or("nothing".to_owned(), short),
        ),
        What::File { size, .. } if Some(*size) != wanted.size => differs(
            "size",
            size.to_string(),
            wanted
                .size
                .map_or("nothing".to_owned(), |size| size.to_string()),
        ),
        _ => None,
    }
}

/// Every file of a system extension has the content of some file of the image, but for those
/// that only an extension has. What the image has of it, the extension must have too if
/// `is_whole`: there is no base system among its files.
pub fn known_contents(listing: &Listing, manifest: &Manifest, is_whole: bool) -> Result<(), Fault> {
    let digests: BTreeSet<&Digest> = manifest
        .files
        .iter()
        .filter_map(|file| file.sha256.as_ref())
        .collect();
    let own = |path: &str| {
        let units = format!("/usr/lib/systemd/system/nodeimg-{}", manifest.image.name);
        let drop_in = format!("/10-nodeimg-{}.conf", manifest.image.name);
        path.starts_with("/usr/lib/extension-release.d/extension-release.")
            || path == "/usr/lib/tmpfiles.d/nodeimg-sysext.conf"
            || path.starts_with(&units)
            || path.ends_with(&drop_in)
            // Of the smaller tree, if there is a larger one.
            || (!is_whole && INSIDE.contains(&path))
    };
    let mut found = BTreeSet::new();
    for (path, file) in &listing.files {
        match &file.what {
            What::File { sha256, .. } => {
                found.insert(sha256);
                if !digests.contains(sha256) && !own(path) && is_whole {
                    return Err(Fault::new(format!(
                        "its content is {}, which no file in manifest.json has",
                        short(sha256)
                    ))
                    .at(format!("`{}`", path.escape_debug())));
                }
            }
            What::Other => {
                return Err(Fault::new("it is a device, a pipe or a socket")
                    .at(format!("`{}`", path.escape_debug())));
            }
            What::Directory | What::Symlink(_) => {}
        }
    }
    let missing = manifest.files.iter().find(|file| {
        is_whole
            && file
                .sha256
                .as_ref()
                .is_some_and(|digest| !found.contains(digest))
    });
    match missing {
        None => Ok(()),
        Some(file) => Err(Fault::new(
            "manifest.json lists it, but nothing with its content is there",
        )
        .at(format!("`{}`", file.path))),
    }
}
