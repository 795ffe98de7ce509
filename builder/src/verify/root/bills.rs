//! SBOMs against what is there, and against one another.

use std::collections::{BTreeMap, BTreeSet};

use nodeimg_formats::go_buildinfo::BuildInfo;
use nodeimg_seed::contract::paths::BINARY_PATH;
use nodeimg_values::digest::Digest;

use super::contents::{IMAGES, Listing, NAMES, STATUS, What};
use crate::input::debian::stanza::stanzas;
use crate::output::manifest::Manifest;
use crate::output::sbom::{INSIDE, go};
use crate::verify::bill::{Bill, Part, shown};
use crate::verify::step::Fault;

/// Compares the bills in the tree with the outer one, and that with the tree. `false` if there
/// is none to compare with.
pub fn check(
    listing: &Listing,
    outer: Option<&Bill>,
    manifest: Option<&Manifest>,
    notes: &mut Vec<String>,
) -> Result<bool, Fault> {
    let mut inner = Vec::new();
    for (path, is_spdx) in INSIDE.into_iter().zip([true, false]) {
        let Some(text) = listing.texts.get(path) else {
            notes.push(format!("there is no SBOM `{path}` in the image"));
            continue;
        };
        inner.push(match is_spdx {
            true => Bill::spdx(path, text)?,
            false => Bill::cyclonedx(path, text)?,
        });
    }
    let of_tree = outer.map(Bill::of_the_tree);
    let Some(bill) = of_tree.as_ref().or(inner.first()) else {
        notes.push("there is no SBOM: what the image is made of was not compared".to_owned());
        return Ok(false);
    };
    for one in &inner {
        if let Some(differs) = bill.difference(one) {
            return Err(Fault::new(differs).at(format!("`{}`", one.name)));
        }
    }
    of_tree_itself(listing, bill, manifest)?;
    Ok(true)
}

/// A bill against what is there.
fn of_tree_itself(
    listing: &Listing,
    bill: &Bill,
    manifest: Option<&Manifest>,
) -> Result<(), Fault> {
    packages(listing, bill)?;
    programs(listing, bill)?;
    containers(listing, bill, manifest)?;
    first_boot(listing, bill)?;
    match manifest {
        Some(manifest) => inputs(bill, manifest),
        None => Ok(()),
    }
}

fn missing(bill: &Bill, what: &str, place: &str) -> Fault {
    Fault::new(format!("{what}, which {} does not list", bill.name)).at(place.to_owned())
}

fn surplus(bill: &Bill, part: &Part, what: &str) -> Fault {
    Fault::new(format!("it lists {}, {what}", shown(part))).at(bill.name.clone())
}

/// Debian's, by name and version, with the architecture from the package URL.
fn packages(listing: &Listing, bill: &Bill) -> Result<(), Fault> {
    let status = listing.texts.get(STATUS);
    let status = String::from_utf8_lossy(status.map_or(&[][..], Vec::as_slice)).into_owned();
    let mut listed: BTreeMap<(&str, &str), &Part> = BTreeMap::new();
    for (_, part) in bill.of_kind("Package") {
        listed.insert((&part.name, &part.version), part);
    }
    for stanza in stanzas(&status) {
        let field = |name: &str| stanza.field(name).unwrap_or_default();
        let (name, version, arch) = (field("Package"), field("Version"), field("Architecture"));
        let place = format!("`{STATUS}`");
        let Some(part) = listed.remove(&(name, version)) else {
            return Err(missing(
                bill,
                &format!("dpkg has `{name} {version}` installed"),
                &place,
            ));
        };
        let purl = part.purl.as_deref().unwrap_or_default();
        if !purl.contains(&format!("arch={arch}&")) && !purl.ends_with(&format!("arch={arch}")) {
            return Err(Fault::new(format!(
                "{} is of the architecture {arch}, but {} says `{purl}`",
                shown(part),
                bill.name
            ))
            .at(place));
        }
    }
    match listed.values().next() {
        None => Ok(()),
        Some(part) => Err(surplus(bill, part, "but dpkg does not have it installed")),
    }
}

/// What Go says of each program against its modules in the bill.
fn programs(listing: &Listing, bill: &Bill) -> Result<(), Fault> {
    let mut listed: BTreeMap<&str, (&str, &Part)> = BTreeMap::new();
    for (id, part) in bill.of_kind("Application") {
        listed.insert(part.file.as_deref().unwrap_or_default(), (id, part));
    }
    for (path, info) in &listing.programs {
        let place = format!("`{}`", path.escape_debug());
        let Some((id, _)) = listed.remove(path.as_str()) else {
            return Err(missing(bill, "it is a program that Go has linked", &place));
        };
        let there: BTreeSet<(String, String)> = match info {
            BuildInfo::Unreadable(_) => BTreeSet::new(),
            BuildInfo::Readable(build) => go::with_standard(build.clone())
                .into_iter()
                .map(|module| (module.name, module.version))
                .collect(),
        };
        let modules = bill.below(id, "Module");
        let wanted: BTreeSet<(String, String)> = modules
            .map(|part| (part.name.clone(), part.version.clone()))
            .collect();
        if let Some((name, version)) = there.difference(&wanted).next() {
            let what = match wanted.iter().find(|(other, _)| other == name) {
                Some((_, listed)) => {
                    return Err(Fault::new(format!(
                        "it has the Go module `{name} {version}`, but {} says `{name} {listed}`",
                        bill.name
                    ))
                    .at(place));
                }
                None => format!("it has the Go module `{name} {version}`"),
            };
            return Err(missing(bill, &what, &place));
        }
        if let Some((name, version)) = wanted.difference(&there).next() {
            return Err(Fault::new(format!(
                "{} lists the Go module `{name} {version}` of it, which is not in it",
                bill.name
            ))
            .at(place));
        }
    }
    match listed.values().next() {
        None => Ok(()),
        Some((_, part)) => Err(surplus(
            bill,
            part,
            &format!(
                "but `{}` is not a program that Go has linked",
                part.file.as_deref().unwrap_or_default()
            ),
        )),
    }
}

/// Container images: those of the manifest, and where they are archives those of the tree.
fn containers(listing: &Listing, bill: &Bill, manifest: Option<&Manifest>) -> Result<(), Fault> {
    let listed: BTreeSet<&Digest> = bill
        .of_kind("Container")
        .flat_map(|(_, part)| &part.digests)
        .collect();
    let Some(manifest) = manifest else {
        return Ok(());
    };
    for image in &manifest.container_images {
        if !listed.contains(&image.digest) {
            let what = format!(
                "manifest.json has the container image `{}` ({})",
                image.image, image.digest
            );
            return Err(missing(bill, &what, "manifest.json"));
        }
    }
    let pinned: BTreeSet<&Digest> = manifest
        .container_images
        .iter()
        .map(|image| &image.digest)
        .collect();
    for (_, part) in bill.of_kind("Container") {
        if part.digests.iter().all(|digest| !pinned.contains(digest)) {
            return Err(surplus(
                bill,
                part,
                "a container image that manifest.json does not",
            ));
        }
    }
    let manifests: BTreeSet<String> = manifest
        .container_images
        .iter()
        .map(|image| image.manifest.to_string())
        .collect();
    for (path, text) in &listing.texts {
        let is_names = path.starts_with(IMAGES) && path.ends_with(NAMES);
        let text = String::from_utf8_lossy(text);
        let digest = text.lines().next().unwrap_or_default();
        if is_names && !manifests.contains(digest) {
            return Err(Fault::new(format!(
                "it is the container image {digest}, which manifest.json does not list"
            ))
            .at(format!("`{}`", path.escape_debug())));
        }
    }
    Ok(())
}

fn first_boot(listing: &Listing, bill: &Bill) -> Result<(), Fault> {
    let Some(What::File { sha256, .. }) = listing.files.get(BINARY_PATH).map(|file| &file.what)
    else {
        return Ok(());
    };
    let mut all = bill.of_kind("FirstBoot");
    match all.find(|(_, part)| part.digests.contains(sha256)) {
        Some(_) => Ok(()),
        None => Err(missing(
            bill,
            &format!("it is {sha256}"),
            &format!("`{BINARY_PATH}`"),
        )),
    }
}

/// What the lock pinned: artifacts and packages, by digest.
fn inputs(bill: &Bill, manifest: &Manifest) -> Result<(), Fault> {
    let digests = |kind: &'static str| -> BTreeSet<&Digest> {
        let parts = bill.of_kind(kind);
        parts.flat_map(|(_, part)| &part.digests).collect()
    };
    let artifacts = digests("Artifact");
    for artifact in &manifest.artifacts {
        let digest = artifact.sha256.as_ref().or(artifact.sha512.as_ref());
        if let Some(digest) = digest.filter(|digest| !artifacts.contains(digest)) {
            let what = format!(
                "manifest.json has the artifact `{} {}` ({digest})",
                artifact.name, artifact.version
            );
            return Err(missing(bill, &what, "manifest.json"));
        }
    }
    let packages = digests("Package");
    // Without a base system among its files none is in the image.
    if packages.is_empty() {
        return Ok(());
    }
    for package in &manifest.packages {
        if !packages.contains(&package.sha256) {
            let what = format!(
                "manifest.json has the package `{} {}`",
                package.name, package.version
            );
            return Err(missing(bill, &what, "manifest.json"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
