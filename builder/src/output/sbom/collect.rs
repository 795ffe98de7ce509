//! From the inputs of an image and its tree to the bill of it.

use anyhow::Result;
use nodeimg_seed::contract::paths::BINARY_PATH;
use nodeimg_values::arch::Arch;

use super::bill::{Bill, How, Kind, Part, Supplier};
use super::{debian, go, purl};
use crate::input::bring::Fetched;
use crate::input::lock::{Locked, PinnedArtifact, Vouch};
use crate::input::recipe::Recipe;
use crate::tree::{Kind as NodeKind, Tree};

const OWN: &str = "nodeimg";

/// What a bill is of.
pub struct Subject<'a> {
    pub recipe: &'a Recipe,
    pub locked: &'a Locked,
    pub arch: Arch,
    pub fetched: &'a Fetched<'a>,
}

/// What `tree`, of that image, is made of.
pub fn of(subject: &Subject<'_>, tree: &Tree) -> Result<Bill> {
    let Subject { recipe, locked, .. } = subject;
    let name = recipe.image_name(subject.arch);
    let supplier = Supplier::organization(OWN);
    let mut image = Part::new(
        Kind::Image,
        recipe.name.as_str(),
        recipe.version.as_str(),
        supplier,
    );
    image.note = Some(match &recipe.description {
        Some(description) => format!("{name}, built by nodeimg: {description}"),
        None => format!("{name}, built by nodeimg"),
    });
    let mut bill = Bill::new(&name, image, locked.epoch(), locked.digest());
    let root = bill.root.clone();
    for artifact in &subject.fetched.artifacts {
        let (key, part) = (
            artifact.pin.request.name.as_str(),
            of_artifact(artifact.pin),
        );
        bill.add(&root, How::Contains, key, part);
    }
    for image in &subject.fetched.images {
        let request = &image.pin.request;
        let mut part = container(
            request,
            &image.pin.bytes.digest,
            &image.bytes.manifest.digest,
        );
        vouched(&mut part, &image.pin.vouch);
        bill.add(&root, How::Contains, request.name.as_str(), part);
    }
    if let Some(part) = first_boot(tree)? {
        bill.add(&root, How::Contains, BINARY_PATH, part);
    }
    debian::add(
        &mut bill,
        tree,
        &subject.fetched.packages,
        &locked.pins().packages,
    )?;
    go::add(&mut bill, tree)?;
    Ok(bill)
}

fn of_artifact(pin: &PinnedArtifact) -> Part {
    let request = &pin.request;
    let (name, version) = (request.name.as_str(), request.version.as_str());
    let supplier = Supplier::organization(&publisher(&request.url));
    let mut part = Part::new(Kind::Artifact, name, version, supplier);
    let digests = [&pin.bytes.sha256, &pin.bytes.sha512];
    part.digests = digests.into_iter().flatten().cloned().collect();
    let digest = pin.bytes.sha256.as_ref().or(pin.bytes.sha512.as_ref());
    part.purl = Some(purl::artifact(name, version, &request.url, digest));
    part.url = Some(request.url.clone());
    vouched(&mut part, &pin.vouch);
    part
}

/// Who vouches for its bytes.
fn vouched(part: &mut Part, vouch: &Vouch) {
    let facts = vouch.facts();
    let fact = |wanted: &str| {
        let mut all = facts.iter();
        all.find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    if let (Some(how), Some(signer)) = (fact("nodeimg:verified"), fact("nodeimg:signer")) {
        let by = match fact("nodeimg:issuer") {
            Some(issuer) => format!("{signer} (issuer {issuer})"),
            None => signer.clone(),
        };
        let at = fact("nodeimg:signedAt").map(|at| format!(" at {at}"));
        let from = fact("nodeimg:source").map(|source| format!(", built from {source}"));
        let said = format!(
            "vouched for ({how}) by {by}{}{}",
            at.unwrap_or_default(),
            from.unwrap_or_default()
        );
        part.note = Some(match part.note.take() {
            Some(note) => format!("{note}; {said}"),
            None => said,
        });
    }
    part.properties.extend(facts);
}

/// Of a URL: the owner at GitHub, else the host.
fn publisher(url: &str) -> String {
    if let Some((owner, ..)) = purl::github_release(url) {
        return format!("github.com/{owner}");
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    match host {
        "" => OWN.to_owned(),
        host => host.to_owned(),
    }
}

fn container(
    request: &crate::input::recipe::request::ImageRequest,
    pinned: &nodeimg_values::digest::Digest,
    manifest: &nodeimg_values::digest::Digest,
) -> Part {
    let image = &request.image;
    let repository = image.repository();
    let host = repository.split('/').next().unwrap_or(OWN).to_owned();
    let version = image
        .tag()
        .map_or_else(|| pinned.to_string(), str::to_owned);
    let supplier = Supplier::organization(&host);
    let mut part = Part::new(Kind::Container, &repository, &version, supplier);
    part.purl = Some(purl::oci(image, pinned, request.arch));
    part.digests.insert(pinned.clone());
    let properties = &mut part.properties;
    properties.insert("nodeimg:manifest", manifest.to_string());
    part.note = Some(format!("baked into the image; its manifest is {manifest}"));
    part
}

/// With the digest of its bytes: two programs of one version may differ.
pub fn first_boot(tree: &Tree) -> Result<Option<Part>> {
    let Some(node) = tree.get(&BINARY_PATH.parse()?) else {
        return Ok(None);
    };
    let NodeKind::File(content) = &node.kind else {
        return Ok(None);
    };
    let version = env!("CARGO_PKG_VERSION");
    let supplier = Supplier::organization(OWN);
    let mut part = Part::new(Kind::FirstBoot, "nodeimg-firstboot", version, supplier);
    let digest = content.measured()?;
    part.purl = Some(purl::firstboot(version, &digest));
    part.digests.insert(digest);
    part.licence = Some(env!("CARGO_PKG_LICENSE").to_owned());
    part.file = Some(BINARY_PATH.to_owned());
    Ok(Some(part))
}
