//! The base system's packages, from the database that dpkg itself reads.

use std::collections::BTreeMap;

use anyhow::Result;

use super::bill::{Bill, How, Id, Kind, Part, Supplier};
use super::licence::Licences;
use super::purl::{self, Deb};
use super::text_at;
use crate::input::bring::FetchedPackage;
use crate::input::debian::stanza::{Stanza, stanzas};
use crate::input::lock::Packages;
use crate::tree::Tree;

const STATUS: &str = "/usr/lib/sysimage/dpkg/status";
const OS_RELEASE: [&str; 2] = ["/usr/lib/os-release", "/etc/os-release"];
const VERSION: &str = "/etc/debian_version";

/// The distribution.
struct System {
    /// `debian`.
    vendor: String,
    /// `debian-13`.
    distro: String,
    id: Id,
}

/// Adds every package of `tree`; nothing if it has no base system.
pub fn add(
    bill: &mut Bill,
    tree: &Tree,
    fetched: &[FetchedPackage<'_>],
    pinned: &Packages,
) -> Result<()> {
    let Some(status) = text_at(tree, STATUS)? else {
        return Ok(());
    };
    let packages: Vec<Stanza<'_>> = stanzas(&status).collect();
    let system = system(bill, tree)?;
    let licences = Licences::read(tree, &packages)?;
    let pins: BTreeMap<&str, _> = fetched
        .iter()
        .map(|(pin, _)| (pin.name.as_str(), *pin))
        .collect();
    let mut ids = BTreeMap::new();
    for stanza in &packages {
        let mut part = part(stanza, &system);
        part.licence = licences.of(stanza, &mut bill.others);
        if let Some(pin) = pins.get(part.name.as_str()) {
            part.digests.insert(pin.sha256.clone());
            part.url = Some(pinned.url(pin)?);
        }
        let key = part.name.clone();
        let id = bill.add(&system.id, How::Contains, &key, part);
        sources(bill, &id, stanza, &system);
        ids.insert(key, id);
    }
    for stanza in &packages {
        depend(bill, stanza, &ids);
    }
    Ok(())
}

fn system(bill: &mut Bill, tree: &Tree) -> Result<System> {
    let mut release = None;
    for path in OS_RELEASE {
        release = release.or(text_at(tree, path)?);
    }
    let release = release.unwrap_or_default();
    let word = |key: &str| {
        let mut lines = release.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    };
    let vendor = word("ID").unwrap_or_else(|| "debian".to_owned());
    let number = word("VERSION_ID").unwrap_or_default();
    let point = text_at(tree, VERSION)?.unwrap_or_default();
    let version = match point.trim() {
        "" => number.clone(),
        point => point.to_owned(),
    };
    let supplier = Supplier::organization(if vendor == "debian" {
        "Debian"
    } else {
        &vendor
    });
    let part = Part::new(Kind::System, &vendor, &version, supplier);
    let root = bill.root.clone();
    let id = bill.add(&root, How::Contains, &vendor, part);
    let distro = match number.as_str() {
        "" => vendor.clone(),
        number => format!("{vendor}-{number}"),
    };
    Ok(System { vendor, distro, id })
}

fn part(stanza: &Stanza<'_>, system: &System) -> Part {
    let field = |name: &str| stanza.field(name).unwrap_or_default();
    let (name, version) = (field("Package"), field("Version"));
    let (source, source_version) = source(stanza);
    let upstream = match (source == name, source_version == version) {
        (true, true) => String::new(),
        (false, true) => source.to_owned(),
        (_, false) => format!("{source}@{source_version}"),
    };
    let mut part = Part::new(Kind::Package, name, version, supplier(field("Maintainer")));
    part.purl = Some(purl::deb(
        &system.vendor,
        &Deb {
            name,
            version,
            arch: field("Architecture"),
            distro: &system.distro,
            upstream: &upstream,
        },
    ));
    // trivy and syft take the source, which advisories name, from these words.
    part.note = Some(format!("built package from: {source} {source_version}"));
    part.properties.insert("nodeimg:source", source.to_owned());
    part.properties
        .insert("nodeimg:source-version", source_version.to_owned());
    part
}

/// Name and version of the source package: `Source: bash (5.2.37-2)`, if they differ.
pub fn source<'a>(stanza: &Stanza<'a>) -> (&'a str, &'a str) {
    let field = |name: &str| stanza.field(name);
    let version = field("Version").unwrap_or_default();
    let Some(source) = field("Source") else {
        return (field("Package").unwrap_or_default(), version);
    };
    match source.split_once(char::is_whitespace) {
        Some((name, rest)) => (name, rest.trim().trim_matches(['(', ')'])),
        None => (source, version),
    }
}

/// `Debian GCC Maintainers <debian-gcc@lists.debian.org>`. A list, or what is
/// called a team, is not a person.
fn supplier(maintainer: &str) -> Supplier {
    let (name, mail) = match maintainer.split_once('<') {
        Some((name, mail)) => (name, Some(mail.trim_end().trim_end_matches('>'))),
        None => (maintainer, None),
    };
    let plain = |text: &str| text.replace(['(', ')', '"'], "").trim().to_owned();
    let lower = maintainer.to_lowercase();
    let group = [
        "team",
        "maintainer",
        "group",
        "project",
        "developers",
        "lists.",
        "tracker.",
        "packagers",
    ];
    match plain(name).as_str() {
        "" => Supplier::organization("Debian"),
        name => Supplier {
            name: name.to_owned(),
            mail: mail.map(plain).filter(|mail| mail.contains('@')),
            is_person: !group.iter().any(|word| lower.contains(word)),
        },
    }
}

/// Whose code is in it, though no dependency says so: of Debian's Go and Rust programs, and of
/// what was built from another package's source
/// ([Debian Policy 7.8](https://www.debian.org/doc/debian-policy/ch-relationships.html#additional-source-packages-used-to-build-the-binary-built-using)).
fn sources(bill: &mut Bill, of: &Id, stanza: &Stanza<'_>, system: &System) {
    for (field, how) in [
        ("Built-Using", How::GeneratedFrom),
        ("Static-Built-Using", How::Links),
    ] {
        for relation in stanza.field(field).unwrap_or_default().split(',') {
            let Some((name, version)) = relation.trim().split_once(char::is_whitespace) else {
                continue;
            };
            let version = version.trim_matches(['(', ')', '=', ' ']);
            let supplier = Supplier::organization("Debian");
            let mut part = Part::new(Kind::Source, name, version, supplier);
            part.purl = Some(purl::deb(
                &system.vendor,
                &Deb {
                    name,
                    version,
                    arch: "source",
                    distro: &system.distro,
                    upstream: "",
                },
            ));
            bill.add(of, how, &format!("{name} {version}"), part);
        }
    }
}

/// What it needs, of what is there.
fn depend(bill: &mut Bill, stanza: &Stanza<'_>, ids: &BTreeMap<String, Id>) {
    let Some(own) = stanza.field("Package").and_then(|name| ids.get(name)) else {
        return;
    };
    for field in ["Pre-Depends", "Depends"] {
        for clause in stanza.field(field).unwrap_or_default().split(',') {
            let there = clause.split('|').find_map(|one| {
                let name = one.trim().split([' ', '\n', '(', ':']).next()?;
                ids.get(name)
            });
            if let Some(there) = there.filter(|there| *there != own) {
                bill.relate(own, How::DependsOn, there);
            }
        }
    }
}
