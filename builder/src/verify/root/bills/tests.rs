//! Bills that all say the same, and are wrong.
#![allow(clippy::unwrap_used)]

use nodeimg_formats::go_buildinfo::{Build, Module};
use serde_json::json;

use super::super::contents::File;
use super::*;

const STATUS_TEXT: &str = "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n\
    Architecture: amd64\n\nPackage: tzdata\nStatus: install ok installed\nVersion: 2026a\n\
    Architecture: all\n\n";

fn listing() -> Listing {
    let mut listing = Listing::default();
    listing.texts.insert(STATUS.to_owned(), STATUS_TEXT.into());
    let module = |name: &str, version: &str| Module {
        name: name.into(),
        version: version.into(),
        sum: String::new(),
    };
    let build = Build {
        go: "go1.24.4".into(),
        modules: vec![module("example.org/a", "v1.2.3")],
        ..Build::default()
    };
    let program = BuildInfo::Readable(build);
    listing.programs.insert("/usr/bin/tool".into(), program);
    let binary = File {
        mode: 0o755,
        uid: 0,
        gid: 0,
        what: What::File {
            size: 1,
            sha256: Digest::sha256(b"first boot"),
        },
    };
    listing.files.insert(BINARY_PATH.into(), binary);
    listing
}

/// A bill that fits, in SPDX.
fn document() -> serde_json::Value {
    let part = |id: &str, name: &str, version: &str| json!({ "SPDXID": format!("SPDXRef-{id}"), "name": name, "versionInfo": version });
    let deb = |name: &str, version: &str, arch: &str| {
        let mut part = part(&format!("Package-{name}"), name, version);
        let purl = format!("pkg:deb/debian/{name}@{version}?arch={arch}&distro=debian-13");
        part["externalRefs"] = json!([{ "referenceType": "purl", "referenceLocator": purl }]);
        part
    };
    let mut program = part("Application-1", "tool", "1");
    program["packageFileName"] = "/usr/bin/tool".into();
    let mut binary = part("FirstBoot-1", "nodeimg-firstboot", "1");
    let digest = Digest::sha256(b"first boot");
    binary["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": digest.hex() }]);
    let relation = |to: &str| {
        json!({
            "spdxElementId": "SPDXRef-Application-1", "relationshipType": "DEPENDS_ON",
            "relatedSpdxElement": format!("SPDXRef-{to}"),
        })
    };
    json!({
        "packages": [
            deb("bash", "5.2-1", "amd64"),
            deb("tzdata", "2026a", "all"),
            program,
            binary,
            part("Module-1", "example.org/a", "v1.2.3"),
            part("Module-2", "stdlib", "1.24.4"),
        ],
        "relationships": [relation("Module-1"), relation("Module-2")],
    })
}

fn said(document: &serde_json::Value) -> Option<String> {
    let bill = Bill::spdx("bill", document.to_string().as_bytes()).unwrap();
    let checked = of_tree_itself(&listing(), &bill, None);
    let fault = checked.err()?;
    Some(format!(
        "{} @ {}",
        fault.what,
        fault.place.unwrap_or_default()
    ))
}

#[test]
fn a_bill_of_just_what_is_there_holds() {
    assert_eq!(said(&document()), None);
}

#[test]
fn whatever_is_wrong_in_a_bill_is_named_with_its_place() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, &str, Change); 9] = [
        ("dpkg has `bash 5.2-1` installed", STATUS, |all| {
            all["packages"].as_array_mut().unwrap().remove(0);
        }),
        ("dpkg has `bash 5.2-1` installed", STATUS, |all| {
            all["packages"][0]["versionInfo"] = "5.2-2".into();
        }),
        ("architecture amd64", STATUS, |all| {
            let purl = "pkg:deb/debian/bash@5.2-1?arch=arm64&distro=debian-13";
            all["packages"][0]["externalRefs"][0]["referenceLocator"] = purl.into();
        }),
        ("`evil 1`, but dpkg does not have it", "bill", |all| {
            let more = json!({ "SPDXID": "SPDXRef-Package-x", "name": "evil", "versionInfo": "1" });
            all["packages"].as_array_mut().unwrap().push(more);
        }),
        ("a program that Go has linked", "/usr/bin/tool", |all| {
            all["packages"].as_array_mut().unwrap().remove(2);
        }),
        (
            "`example.org/a v1.2.3`, but bill says `example.org/a v1.2.4`",
            "/usr/bin/tool",
            |all| {
                all["packages"][4]["versionInfo"] = "v1.2.4".into();
            },
        ),
        (
            "`example.org/a v1.2.3`, which bill does not list",
            "/usr/bin/tool",
            |all| {
                all["relationships"].as_array_mut().unwrap().remove(0);
            },
        ),
        ("`/usr/bin/other` is not a program", "bill", |all| {
            let mut more = all["packages"][2].clone();
            more["SPDXID"] = "SPDXRef-Application-2".into();
            more["packageFileName"] = "/usr/bin/other".into();
            all["packages"].as_array_mut().unwrap().push(more);
        }),
        ("which bill does not list", BINARY_PATH, |all| {
            all["packages"][3]["checksums"][0]["checksumValue"] = "0".repeat(64).into();
        }),
    ];
    for (what, place, change) in cases {
        let mut changed = document();
        change(&mut changed);
        let said = said(&changed).unwrap();
        assert!(
            said.contains(what) && said.contains(place),
            "{what}: {said}"
        );
    }
}
