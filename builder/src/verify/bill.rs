//! A bill of materials, read again from either of its forms, as far as both have it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};
use serde_json::Value;

use super::known::Known;
use crate::output::sbom::{CYCLONEDX, SPDX};

/// Before every identifier in SPDX.
const REFERENCE: &str = "SPDXRef-";
const DOCUMENT: &str = "DOCUMENT";
/// Before the root hash, in the words about the root.
const ROOT_HASH: &str = "its dm-verity root hash is ";

/// One part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub name: String,
    pub version: String,
    pub purl: Option<String>,
    pub digests: BTreeSet<Digest>,
    /// Its path in the image, or the file's name beside the bill.
    pub file: Option<String>,
}

/// A bill: parts by identifier (`Package-0123456789abcdef`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bill {
    /// The file's, for people.
    pub name: String,
    pub parts: BTreeMap<String, Part>,
    /// What belongs to what.
    pub relations: BTreeSet<(String, String)>,
    /// Of the disk's root.
    pub root_hash: Option<String>,
}

impl Bill {
    /// That of the outputs; `None` if none is listed.
    pub fn listed(known: &Known) -> Result<Option<Bill>> {
        let text = known.bytes(SPDX)?;
        text.map(|text| Bill::spdx(SPDX, &text)).transpose()
    }

    /// The same in the other form.
    pub fn listed_in_cyclonedx(known: &Known) -> Result<Option<Bill>> {
        let text = known.bytes(CYCLONEDX)?;
        text.map(|text| Bill::cyclonedx(CYCLONEDX, &text))
            .transpose()
    }

    /// From SPDX 2.3 in JSON.
    pub fn spdx(name: &str, text: &[u8]) -> Result<Bill> {
        let document = json(name, text)?;
        let mut bill = Bill::empty(name);
        for package in list(&document, "packages") {
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            let id = text("SPDXID").unwrap_or_default();
            let references = list(package, "externalRefs");
            let purl = references
                .filter(|one| one["referenceType"] == "purl")
                .find_map(|one| one["referenceLocator"].as_str().map(str::to_owned));
            let digests = list(package, "checksums")
                .filter_map(|one| digest(&one["algorithm"], &one["checksumValue"]));
            let part = Part {
                name: text("name").unwrap_or_default(),
                version: text("versionInfo").unwrap_or_default(),
                purl,
                digests: digests.collect(),
                file: text("packageFileName"),
            };
            let about = text("sourceInfo").unwrap_or_default();
            if let Some((_, hash)) = about.split_once(ROOT_HASH) {
                bill.root_hash = Some(hash.to_owned());
            }
            bill.add(id.trim_start_matches(REFERENCE), part)?;
        }
        for relation in list(&document, "relationships") {
            let id = |key: &str| {
                let id = relation[key].as_str().unwrap_or_default();
                id.trim_start_matches(REFERENCE).to_owned()
            };
            let (from, to) = (id("spdxElementId"), id("relatedSpdxElement"));
            if from != DOCUMENT {
                bill.relations.insert((from, to));
            }
        }
        Ok(bill)
    }

    /// From CycloneDX 1.6 in JSON.
    pub fn cyclonedx(name: &str, text: &[u8]) -> Result<Bill> {
        let document = json(name, text)?;
        let mut bill = Bill::empty(name);
        let whole = document["metadata"].get("component");
        for component in whole.into_iter().chain(list(&document, "components")) {
            let text = |key: &str| component[key].as_str().map(str::to_owned);
            let property = |key: &str| {
                let mut all = list(component, "properties");
                let found = all.find(|one| one["name"] == key)?;
                found["value"].as_str().map(str::to_owned)
            };
            let digests =
                list(component, "hashes").filter_map(|one| digest(&one["alg"], &one["content"]));
            let part = Part {
                name: text("name").unwrap_or_default(),
                version: text("version").unwrap_or_default(),
                purl: text("purl"),
                digests: digests.collect(),
                file: property("nodeimg:file"),
            };
            if let Some(hash) = property("nodeimg:dm-verity-root-hash") {
                bill.root_hash = Some(hash);
            }
            bill.add(&text("bom-ref").unwrap_or_default(), part)?;
        }
        for dependency in list(&document, "dependencies") {
            let from = dependency["ref"].as_str().unwrap_or_default();
            for to in list(dependency, "dependsOn").filter_map(Value::as_str) {
                bill.relations.insert((from.to_owned(), to.to_owned()));
            }
        }
        Ok(bill)
    }

    fn empty(name: &str) -> Bill {
        Bill {
            name: name.to_owned(),
            parts: BTreeMap::new(),
            relations: BTreeSet::new(),
            root_hash: None,
        }
    }

    fn add(&mut self, id: &str, part: Part) -> Result<()> {
        if id.is_empty() {
            bail!("{}: `{}` has no identifier", self.name, part.name);
        }
        if self.parts.insert(id.to_owned(), part).is_some() {
            bail!("{}: two parts are called `{id}`", self.name);
        }
        Ok(())
    }

    /// Parts of a kind, by the first word of their identifiers.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, &Part)> {
        let parts = self.parts.iter();
        parts
            .filter(move |(id, _)| is_of(id, kind))
            .map(|(id, part)| (id.as_str(), part))
    }

    /// The SHA-256 of a part of a disk: `uki`, `linux`.
    pub fn digest_of_boot(&self, name: &str) -> Option<&Digest> {
        let (_, part) = self.of_kind("Boot").find(|(_, part)| part.name == name)?;
        let mut digests = part.digests.iter();
        digests.find(|digest| digest.algorithm() == Algorithm::Sha256)
    }

    /// What belongs to a part, of a kind.
    pub fn below<'a>(
        &'a self,
        id: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Part> + use<'a> {
        let all = self.relations.range((id.to_owned(), String::new())..);
        all.take_while(move |(from, _)| from == id)
            .filter(move |(_, to)| is_of(to, kind))
            .filter_map(|(_, to)| self.parts.get(to))
    }

    /// Without what is only known of outputs: as it is in the image.
    pub fn of_the_tree(&self) -> Bill {
        let outer = |id: &str| is_of(id, "Output") || is_of(id, "Boot");
        let mut bill = self.clone();
        bill.parts.retain(|id, _| !outer(id));
        bill.relations
            .retain(|(from, to)| !outer(from) && !outer(to));
        bill.root_hash = None;
        bill
    }

    /// The first thing that differs, in words; both are named.
    pub fn difference(&self, other: &Bill) -> Option<String> {
        let ids: BTreeSet<&String> = self.parts.keys().chain(other.parts.keys()).collect();
        for id in ids {
            let (one, two) = (self.parts.get(id), other.parts.get(id));
            if one == two {
                continue;
            }
            let (here, there) = (&self.name, &other.name);
            return Some(match (one, two) {
                (Some(part), None) => format!("{here} lists {}, {there} does not", shown(part)),
                (None, Some(part)) => format!("{there} lists {}, {here} does not", shown(part)),
                (Some(part), Some(second)) => format!(
                    "{here} and {there} say different things of {}: {}",
                    shown(part),
                    field(part, second)
                ),
                (None, None) => continue,
            });
        }
        let mut one_only = self.relations.symmetric_difference(&other.relations);
        one_only.next().map(|(from, to)| {
            let name = |id: &str| {
                let part = self.parts.get(id).or_else(|| other.parts.get(id));
                part.map_or_else(|| format!("`{id}`"), shown)
            };
            format!(
                "only one of {} and {} says that {} belongs to {}",
                self.name,
                other.name,
                name(to),
                name(from)
            )
        })
    }
}

fn is_of(id: &str, kind: &str) -> bool {
    id.strip_prefix(kind)
        .is_some_and(|rest| rest.starts_with('-'))
}

/// `bash 5.2.37-2`.
pub fn shown(part: &Part) -> String {
    format!(
        "`{} {}`",
        part.name.escape_debug(),
        part.version.escape_debug()
    )
}

fn field(one: &Part, other: &Part) -> String {
    let fields = [
        ("name", Some(one.name.clone()), Some(other.name.clone())),
        (
            "version",
            Some(one.version.clone()),
            Some(other.version.clone()),
        ),
        ("package URL", one.purl.clone(), other.purl.clone()),
        ("file", one.file.clone(), other.file.clone()),
    ];
    let text = |value: &Option<String>| {
        value
            .as_ref()
            .map_or("none".to_owned(), |text| format!("`{text}`"))
    };
    for (name, one, other) in &fields {
        if one != other {
            return format!(
                "its {name} is {} in one, {} in the other",
                text(one),
                text(other)
            );
        }
    }
    "its digests differ".to_owned()
}

fn json(name: &str, text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text).with_context(|| format!("{name} is not JSON"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

/// `SHA256` and `SHA-256`.
fn digest(algorithm: &Value, hex: &Value) -> Option<Digest> {
    let name = algorithm.as_str()?.replace('-', "").to_lowercase();
    format!("{name}:{}", hex.as_str()?).parse().ok()
}
