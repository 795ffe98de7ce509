//! A bill as CycloneDX 1.6 in JSON
//! ([schema](https://github.com/CycloneDX/specification/blob/1.6.1/schema/bom-1.6.schema.json)).
//!
//! # Invariants
//! The serial number is derived from the content.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use nodeimg_formats::guid::Guid;
use nodeimg_values::digest::{Algorithm, Digest};
use serde::Serialize;

use super::bill::{Bill, Kind, Part, Supplier};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools,
    component: Component<'a>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: &'a str,
    supplier: Entity<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Licence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property<'a>>,
}

#[derive(Serialize)]
struct Entity<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contact: Vec<Contact<'a>>,
}

#[derive(Serialize)]
struct Contact<'a> {
    email: &'a str,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Licence<'a> {
    expression: &'a str,
    acknowledgement: &'static str,
}

#[derive(Serialize)]
struct Reference<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
struct Property<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency<'a> {
    #[serde(rename = "ref")]
    reference: &'a str,
    depends_on: Vec<&'a str>,
}

/// The text of the document.
pub fn text(bill: &Bill) -> Result<String> {
    let context = "writing the CycloneDX document";
    let whole = bill.parts.get(&bill.root).context("a bill of nothing")?;
    let components = bill.parts.iter().filter(|(id, _)| **id != bill.root);
    let mut bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: String::new(),
        version: 1,
        metadata: Metadata {
            timestamp: bill.created(),
            tools: Tools {
                components: [Tool {
                    kind: "application",
                    name: "nodeimg",
                    version: env!("CARGO_PKG_VERSION"),
                }],
            },
            component: component(bill.root.as_str(), whole),
        },
        components: components
            .map(|(id, part)| component(id.as_str(), part))
            .collect(),
        dependencies: dependencies(bill),
    };
    let content = serde_json::to_vec(&bom).context(context)?;
    let content = Digest::sha256(&content).to_string();
    let serial = Guid::derived(&["cyclonedx", &bill.lock.to_string(), &content]);
    bom.serial_number = format!("urn:uuid:{serial}");
    Ok(serde_json::to_string_pretty(&bom).context(context)? + "\n")
}

/// Every relation is one of these here.
fn dependencies(bill: &Bill) -> Vec<Dependency<'_>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in bill.parts.keys() {
        all.entry(id.as_str()).or_default();
    }
    for (from, _, to) in &bill.relations {
        all.entry(from.as_str()).or_default().insert(to.as_str());
    }
    let one = |(reference, depends_on): (_, BTreeSet<_>)| Dependency {
        reference,
        depends_on: depends_on.into_iter().collect(),
    };
    all.into_iter().map(one).collect()
}

fn component<'a>(reference: &'a str, part: &'a Part) -> Component<'a> {
    let hashes = part.digests.iter().map(|digest| Hash {
        alg: match digest.algorithm() {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512 => "SHA-512",
        },
        content: digest.hex(),
    });
    let licences = part.licence.iter().map(|expression| Licence {
        expression,
        acknowledgement: "declared",
    });
    let places = part.url.iter().map(|url| Reference {
        kind: "distribution",
        url,
    });
    let file = part.file.iter().map(|file| ("nodeimg:file", file));
    let properties = part.properties.iter().map(|(name, value)| (*name, value));
    Component {
        kind: kind(part.kind),
        reference,
        supplier: entity(&part.supplier),
        name: &part.name,
        version: &part.version,
        description: part.note.as_deref(),
        hashes: hashes.collect(),
        licenses: licences.collect(),
        purl: part.purl.as_deref(),
        external_references: places.collect(),
        properties: file
            .chain(properties)
            .map(|(name, value)| Property { name, value })
            .collect(),
    }
}

fn entity(supplier: &Supplier) -> Entity<'_> {
    let mail = supplier.mail.iter();
    Entity {
        name: &supplier.name,
        contact: mail.map(|email| Contact { email }).collect(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Image => "platform",
        Kind::System => "operating-system",
        Kind::Package | Kind::Module | Kind::Source => "library",
        Kind::Artifact | Kind::Program | Kind::FirstBoot => "application",
        Kind::Container => "container",
        Kind::Boot | Kind::Output => "file",
    }
}
