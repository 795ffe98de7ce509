//! How an image was built, for whoever wants to check it: an in-toto statement
//! ([v1](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md)) with SLSA's
//! provenance ([v1](https://slsa.dev/spec/v1.1/provenance)).
//!
//! `provenance.json` is the statement as it is, unsigned; its bytes are what a signature is
//! made for. What it means is in `docs/how-to/sbom-and-provenance.md`, which `buildType` names.
//!
//! # Invariants
//! - Everything that decides the bytes of an image is in `externalParameters` or among the
//!   `resolvedDependencies`.
//! - No time, name of a machine or number of a run is in it: the same image has the same
//!   statement.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_formats::verity::RootHash;
use nodeimg_values::digest::Digest;
use serde::Serialize;

use super::manifest::Output;
use super::reuse::{Inputs, Key};
use super::sbom::{self, purl};
use super::{Built, HOME};
use crate::image::brought::Brought;
use crate::input::recipe::portable;
use crate::tree::{Content, ImagePath, Kind, Node};

/// Beside the outputs.
pub const FILE: &str = "provenance.json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

#[derive(Serialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: Predicate,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    build_type: String,
    external_parameters: Parameters,
    internal_parameters: Internal,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Serialize)]
struct Parameters {
    recipe: String,
    version: String,
    arch: String,
    outputs: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Internal {
    /// By which a registry is asked for this image; see [`Key::shared`].
    build_key: String,
}

#[derive(Serialize)]
struct RunDetails {
    builder: Builder,
    byproducts: Vec<Resource>,
}

#[derive(Serialize)]
struct Builder {
    id: String,
    version: BTreeMap<&'static str, &'static str>,
}

/// in-toto's ResourceDescriptor.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_location: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

impl Resource {
    fn named(name: impl Into<String>) -> Resource {
        Resource {
            name: name.into(),
            ..Resource::default()
        }
    }

    fn with(mut self, digest: &Digest) -> Resource {
        self.digest
            .insert(digest.algorithm().name(), digest.hex().to_owned());
        self
    }
}

/// What dm-verity checks of an output by one hash.
#[derive(Clone, Debug)]
pub struct Verified {
    /// `root` of a disk, or the name of an extension.
    pub name: String,
    pub hash: RootHash,
}

/// The statement's bytes, for `provenance.json` and for whoever signs it. `outputs` are all
/// files of the image but itself and the sums.
pub fn statement(built: &Built<'_>, outputs: &[Output], verified: &[Verified]) -> Result<Vec<u8>> {
    let files = outputs
        .iter()
        .map(|output| Resource::named(&output.file).with(&output.sha256));
    // A root hash is a SHA-256 too, of the whole tree.
    let hashes = verified.iter().map(|verified| {
        let name = format!("dm-verity:{}", verified.name);
        let mut resource = Resource::named(name);
        resource.digest.insert("sha256", verified.hash.to_string());
        resource
    });
    let mut subject: Vec<Resource> = files.chain(hashes).collect();
    subject.sort_by(|a, b| a.name.cmp(&b.name));
    let about = ["manifest.json", sbom::SPDX, sbom::CYCLONEDX];
    let byproducts = subject
        .iter()
        .filter(|one| about.contains(&one.name.as_str()));
    let byproducts = byproducts.cloned().collect();
    let recipe = built.recipe;
    let mut names: Vec<_> = recipe
        .outputs
        .iter()
        .map(|kind| kind.name.to_owned())
        .collect();
    names.sort();
    let statement = Statement {
        kind: STATEMENT,
        subject,
        predicate_type: PREDICATE,
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: format!("{HOME}/how-to/sbom-and-provenance.html#build-type-v1"),
                external_parameters: Parameters {
                    recipe: recipe.name.to_string(),
                    version: recipe.version.to_string(),
                    arch: built.arch.to_string(),
                    outputs: names,
                },
                internal_parameters: Internal {
                    build_key: key(built)?,
                },
                resolved_dependencies: dependencies(built)?,
            },
            run_details: RunDetails {
                builder: Builder {
                    id: format!("{HOME}/builder/local"),
                    version: BTreeMap::from([("nodeimg", env!("CARGO_PKG_VERSION"))]),
                },
                byproducts,
            },
        },
    };
    let mut text = serde_json::to_vec_pretty(&statement).context("writing the provenance")?;
    text.push(b'\n');
    Ok(text)
}

fn key(built: &Built<'_>) -> Result<String> {
    let key = Key::shared(&Inputs {
        recipe: built.recipe,
        brought: built.brought,
        locked: built.locked.digest(),
        arch: built.arch,
        firstboot: built.firstboot,
    })?;
    Ok(key.short().to_owned())
}

/// The build key that a statement has.
pub fn build_key(statement: &[u8]) -> Option<String> {
    let statement: serde_json::Value = serde_json::from_slice(statement).ok()?;
    let key = &statement["predicate"]["buildDefinition"]["internalParameters"]["buildKey"];
    let is_key = |key: &&str| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit());
    key.as_str().filter(is_key).map(str::to_owned)
}

fn dependencies(built: &Built<'_>) -> Result<Vec<Resource>> {
    let recipe = portable(&built.recipe.effective);
    let text = toml::to_string_pretty(&recipe).context("printing the recipe")?;
    let mut all = vec![
        // As `nodeimg recipe show` prints it, but for paths, with the outputs of `--output`.
        Resource::named("recipe").with(&Digest::sha256(text.as_bytes())),
        Resource::named("lock").with(&Digest::sha256(built.locked.lock().text().as_bytes())),
        Resource::named("nodeimg-firstboot").with(&built.firstboot.measured()?),
    ];
    for host in built.recipe.registries.keys() {
        // With the text of certificates, which the recipe names by path.
        let text = serde_json::to_vec(&built.recipe.registries[host])?;
        all.push(Resource::named(format!("registry/{host}")).with(&Digest::sha256(&text)));
    }
    brought(built.brought, &mut all)?;
    fetched(built, &mut all)?;
    Ok(all)
}

/// The recipe's overlays and files.
fn brought(brought: &Brought, all: &mut Vec<Resource>) -> Result<()> {
    for (name, overlay) in &brought.overlays {
        for (path, node) in &overlay.root {
            all.push(file(&format!("overlay/{name}/root"), path, node)?);
        }
        for (path, text) in &overlay.templates {
            let name = format!("overlay/{name}/templates{path}");
            all.push(Resource::named(name).with(&Digest::sha256(text.as_bytes())));
        }
    }
    for (path, node) in &brought.files {
        all.push(file("file", path, node)?);
    }
    Ok(())
}

/// A link is its text, a directory only its mode.
fn file(place: &str, path: &ImagePath, node: &Node) -> Result<Resource> {
    let mut resource = Resource::named(format!("{place}{path}"));
    match &node.kind {
        Kind::File(content) => resource = resource.with(&Content::measured(content)?),
        Kind::Symlink(target) => resource.content = Some(STANDARD.encode(target)),
        Kind::Directory => resource.content = Some(String::new()),
    }
    let mode = format!("{:04o}", node.stat.mode);
    resource.annotations.insert("mode", mode);
    Ok(resource)
}

/// What the lock pins.
fn fetched(built: &Built<'_>, all: &mut Vec<Resource>) -> Result<()> {
    for artifact in &built.fetched.artifacts {
        let request = &artifact.pin.request;
        let (name, version) = (request.name.as_str(), request.version.as_str());
        let bytes = &artifact.pin.bytes;
        let digest = bytes.sha256.as_ref().or(bytes.sha512.as_ref());
        let mut resource = Resource::named(format!("artifact/{name}"));
        for digest in [&bytes.sha256, &bytes.sha512].into_iter().flatten() {
            resource = resource.with(digest);
        }
        resource.uri = Some(purl::artifact(name, version, &request.url, digest));
        resource.download_location = Some(request.url.clone());
        all.push(resource);
    }
    for image in &built.fetched.images {
        let request = &image.pin.request;
        let digest = &image.pin.bytes.digest;
        let mut resource = Resource::named(format!("image/{}", request.name)).with(digest);
        resource.uri = Some(purl::oci(&request.image, digest, request.arch));
        all.push(resource);
    }
    let pinned = &built.locked.pins().packages;
    for (pin, _) in &built.fetched.packages {
        let mut resource = Resource::named(format!("package/{}", pin.name)).with(&pin.sha256);
        resource.uri = built.bill.purl_of_package(pin.name.as_str());
        resource.download_location = Some(pinned.url(pin)?);
        all.push(resource);
    }
    Ok(())
}
