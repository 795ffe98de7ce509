//! A bill as SPDX 2.3 in JSON
//! ([schema](https://github.com/spdx/spdx-spec/blob/support/2.3/schemas/spdx-schema.json)).
//!
//! # Invariants
//! The namespace is that of the content: no two documents that differ have one.

use anyhow::{Context, Result};
use nodeimg_values::key::KeyWriter;
use serde::Serialize;

use super::bill::{Bill, How, Kind, Part, Supplier};
use crate::output::HOME;

const UNKNOWN: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'a str,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<Licence<'a>>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version_info: &'a str,
    supplier: String,
    download_location: &'a str,
    files_analyzed: bool,
    license_concluded: &'static str,
    license_declared: &'a str,
    copyright_text: &'static str,
    primary_package_purpose: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<Reference<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum<'a> {
    algorithm: String,
    checksum_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Licence<'a> {
    license_id: &'a str,
    name: &'a str,
    extracted_text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The text of the document.
pub fn text(bill: &Bill) -> Result<String> {
    let mut document = document(bill);
    let context = "writing the SPDX document";
    let content = serde_json::to_vec(&document).context(context)?;
    let mut key = KeyWriter::new("spdx-1");
    key.add("lock", bill.lock.to_string());
    key.add("content", content);
    let key = key.finish();
    document.document_namespace = format!("{HOME}/spdx/{}-{}", bill.name, key.hex());
    Ok(serde_json::to_string_pretty(&document).context(context)? + "\n")
}

fn document(bill: &Bill) -> Document<'_> {
    let described = Relationship {
        spdx_element_id: DOCUMENT.to_owned(),
        relationship_type: "DESCRIBES",
        related_spdx_element: reference(bill.root.as_str()),
    };
    let relations = bill.relations.iter().map(|(from, how, to)| Relationship {
        spdx_element_id: reference(from.as_str()),
        relationship_type: match how {
            How::Contains => "CONTAINS",
            How::DependsOn => "DEPENDS_ON",
            How::Links => "STATIC_LINK",
            How::GeneratedFrom => "GENERATED_FROM",
        },
        related_spdx_element: reference(to.as_str()),
    });
    let licences = bill.others.iter().map(|(id, (name, whose))| Licence {
        license_id: id,
        name,
        extracted_text: explained(name, whose.iter().map(String::as_str)),
    });
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: &bill.name,
        document_namespace: String::new(),
        creation_info: CreationInfo {
            created: bill.created(),
            creators: vec![
                "Organization: nodeimg".to_owned(),
                format!("Tool: nodeimg-{}", env!("CARGO_PKG_VERSION")),
            ],
        },
        packages: bill
            .parts
            .iter()
            .map(|(id, part)| package(id.as_str(), part))
            .collect(),
        has_extracted_licensing_infos: licences.collect(),
        relationships: std::iter::once(described).chain(relations).collect(),
    }
}

/// The text itself is in the image.
fn explained<'a>(name: &str, whose: impl Iterator<Item = &'a str>) -> String {
    let places: Vec<String> = whose
        .map(|package| format!("/usr/share/doc/{package}/copyright"))
        .collect();
    format!(
        "What Debian's copyright files call `{name}`; the text is in {}",
        places.join(", ")
    )
}

fn reference(id: &str) -> String {
    format!("SPDXRef-{id}")
}

fn package<'a>(id: &str, part: &'a Part) -> Package<'a> {
    let checksums = part.digests.iter().map(|digest| Checksum {
        algorithm: digest.algorithm().name().to_uppercase(),
        checksum_value: digest.hex(),
    });
    let purl = part.purl.iter().map(|purl| Reference {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl,
    });
    // The line of the lock's file of proofs.
    let proof = part.properties.get("nodeimg:proof").map(|proof| Reference {
        reference_category: "OTHER",
        reference_type: "nodeimg-proof",
        reference_locator: proof,
    });
    Package {
        id: reference(id),
        name: &part.name,
        version_info: &part.version,
        supplier: supplier(&part.supplier),
        download_location: part.url.as_deref().unwrap_or(UNKNOWN),
        files_analyzed: false,
        license_concluded: UNKNOWN,
        license_declared: part.licence.as_deref().unwrap_or(UNKNOWN),
        copyright_text: UNKNOWN,
        primary_package_purpose: purpose(part.kind),
        package_file_name: part.file.as_deref(),
        source_info: part.note.as_deref(),
        checksums: checksums.collect(),
        external_refs: purl.chain(proof).collect(),
    }
}

fn purpose(kind: Kind) -> &'static str {
    match kind {
        Kind::Image | Kind::System => "OPERATING-SYSTEM",
        Kind::Package | Kind::Module => "LIBRARY",
        Kind::Source => "SOURCE",
        Kind::Artifact | Kind::Program | Kind::FirstBoot => "APPLICATION",
        Kind::Container => "CONTAINER",
        Kind::Boot | Kind::Output => "FILE",
    }
}

/// The mail of a group is nobody's own.
fn supplier(supplier: &Supplier) -> String {
    let kind = match supplier.is_person {
        true => "Person",
        false => "Organization",
    };
    match &supplier.mail {
        Some(mail) => format!("{kind}: {} ({mail})", supplier.name),
        None => format!("{kind}: {}", supplier.name),
    }
}
