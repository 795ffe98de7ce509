//! Bills of materials and provenance, as other programs read them: spdx-tools, NTIA's checker,
//! CycloneDX's strict schema, in-toto's own types. Scanners of a real root are in `tests/base`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::image::{Extracted, manifest, sums_hold};
use nodeimg_test_support::judge;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;
use serde_json::Value;

const FILES: [&str; 2] = ["sbom.spdx.json", "sbom.cdx.json"];
const INSIDE: [&str; 2] = [
    "/usr/share/nodeimg/spdx.json",
    "/usr/share/nodeimg/cyclonedx.json",
];

/// A program with what Go's linker writes, of two modules.
fn go_program(machine: [u8; 2]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(0x200, 0);
    file[16] = 2;
    file[18..20].copy_from_slice(&machine);
    // One writable segment, which is all of the rest.
    file[32] = 64;
    file[54] = 56;
    file[56] = 1;
    file[64] = 1;
    file[68] = 6;
    file[72..74].copy_from_slice(&[0, 2]);
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    let modules = "path\texample.org/tool\nmod\texample.org/tool\tv1.0.0\t\n\
        dep\tgithub.com/BurntSushi/toml\tv1.2.3+incompatible\th1:abc=\n";
    let modules = format!("{}{modules}{}", "m".repeat(16), "n".repeat(16));
    for text in ["go1.27.1", &modules] {
        info.push(text.len() as u8 & 0x7f | if text.len() > 0x7f { 0x80 } else { 0 });
        if text.len() > 0x7f {
            info.push((text.len() >> 7) as u8);
        }
        info.extend(text.as_bytes());
    }
    file[96..98].copy_from_slice(&(info.len() as u16).to_le_bytes());
    file.extend(info);
    file
}

fn world() -> World {
    let mut world = World::warm();
    // As the command line of the test's world says, too: `recipe show` prints it.
    world.edit("profile = ", "outputs = [\"overlay\"]\nprofile = ");
    let tool = world.path("overlay/root/usr/local/bin/tool");
    fs::create_dir_all(tool.parent().unwrap()).unwrap();
    fs::write(tool, go_program([62, 0])).unwrap();
    Ran::of(world.build().args(["--arch", "amd64"])).good();
    world
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn purls(cyclonedx: &Value) -> BTreeSet<String> {
    let all = cyclonedx["components"].as_array().unwrap().iter();
    all.filter_map(|one| Some(one["purl"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn both_forms_name_the_same_things() {
    let world = world();
    let image = world.image("amd64");
    let (spdx, cyclonedx) = (json(&image.join(FILES[0])), json(&image.join(FILES[1])));
    let purls = purls(&cyclonedx);
    let packages = spdx["packages"].as_array().unwrap();
    let same: BTreeSet<_> = packages
        .iter()
        .filter_map(|one| {
            Some(
                one["externalRefs"][0]["referenceLocator"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(same, purls);
    for want in [
        "pkg:golang/example.org/tool@v1.0.0",
        "pkg:golang/github.com/BurntSushi/toml@v1.2.3%2Bincompatible",
        "pkg:golang/stdlib@1.27.1",
        "pkg:generic/containerd@2.3.4?checksum=sha256:",
        "pkg:generic/nodeimg-firstboot@",
    ] {
        assert!(
            purls.iter().any(|purl| purl.starts_with(want)),
            "{want}: {purls:?}"
        );
    }
    let outputs: BTreeSet<_> = packages
        .iter()
        .filter(|one| {
            one["SPDXID"]
                .as_str()
                .unwrap()
                .starts_with("SPDXRef-Output-")
        })
        .map(|one| format!("{} {}", one["name"], one["checksums"][0]["checksumValue"]))
        .collect();
    let digest = sha256(&fs::read(image.join("overlay.tar.zst")).unwrap());
    assert_eq!(
        outputs,
        BTreeSet::from([format!("\"overlay.tar.zst\" \"{digest}\"")])
    );
    // Of the lock's time, and of this image only.
    assert_eq!(
        spdx["creationInfo"]["created"],
        cyclonedx["metadata"]["timestamp"]
    );
    let inside = Extracted::of(&image);
    let [inner, _] = INSIDE.map(|path| json(&inside.path(path)));
    assert_ne!(inner["documentNamespace"], spdx["documentNamespace"]);
    assert_eq!(
        inner["packages"].as_array().unwrap().len() + 1,
        packages.len()
    );
}

#[test]
fn the_statement_is_of_every_file_and_names_every_input() {
    let world = world();
    let image = world.image("amd64");
    sums_hold(&image);
    let statement = json(&image.join("provenance.json"));
    let sums = fs::read_to_string(image.join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<String> = sums
        .lines()
        .filter(|line| !line.ends_with(" provenance.json"))
        .map(str::to_owned)
        .collect();
    let subjects = statement["subject"].as_array().unwrap().iter();
    let subjects: BTreeSet<String> = subjects
        .map(|one| {
            let (digest, name) = (&one["digest"]["sha256"], &one["name"]);
            format!("{}  {}", digest.as_str().unwrap(), name.as_str().unwrap())
        })
        .collect();
    assert_eq!(subjects, listed);
    let definition = &statement["predicate"]["buildDefinition"];
    let inputs = definition["resolvedDependencies"].as_array().unwrap();
    let digest = |name: &str| {
        let found = inputs.iter().find(|one| one["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{name}"));
        found["digest"]["sha256"].as_str().unwrap().to_owned()
    };
    let of_file = |path: &str| sha256(&fs::read(world.path(path)).unwrap());
    assert_eq!(digest("lock"), of_file("recipe.lock"));
    let shown = Ran::of(
        world
            .nodeimg("recipe")
            .args(["show", "--recipe", "recipe.toml"]),
    )
    .good();
    assert_eq!(digest("recipe"), sha256(shown.out.as_bytes()));
    let tool = "overlay/overlay/root/usr/local/bin/tool";
    assert_eq!(digest(tool), of_file("overlay/root/usr/local/bin/tool"));
    let firstboot = fs::read(world.firstboot("amd64")).unwrap();
    assert_eq!(digest("nodeimg-firstboot"), sha256(&firstboot));
    let artifacts = manifest(&image)["artifacts"].as_array().unwrap().len();
    let named = inputs
        .iter()
        .filter(|one| one["name"].as_str().unwrap().starts_with("artifact/"));
    assert_eq!(
        named
            .filter(|one| one["downloadLocation"].is_string())
            .count(),
        artifacts
    );
    // Nothing of this machine or this run.
    let text = statement.to_string();
    assert!(!text.contains(&*world.path("").to_string_lossy()), "{text}");
    for key in ["invocationId", "startedOn", "finishedOn"] {
        assert!(!text.contains(key), "{key}");
    }
}

/// A change to one input changes its line, and no other input's.
#[test]
fn another_file_is_another_input() {
    let world = world();
    let inputs = || {
        let statement = json(&world.image("amd64").join("provenance.json"));
        let definition = statement["predicate"]["buildDefinition"].clone();
        let all = definition["resolvedDependencies"]
            .as_array()
            .unwrap()
            .clone();
        all.iter().map(Value::to_string).collect::<BTreeSet<_>>()
    };
    let before = inputs();
    fs::write(world.path("overlay/root/usr/local/bin/tool"), "#!/bin/sh\n").unwrap();
    Ran::of(world.build().args(["--arch", "amd64"])).good();
    let after = inputs();
    assert_eq!(before.difference(&after).count(), 1);
    assert_eq!(after.difference(&before).count(), 1);
}

fn python(judges: &Path, arguments: &[&str]) -> Ran {
    Ran::of(judge::python(judges).args(arguments))
}

#[test]
fn other_peoples_programs_accept_every_document() {
    let Some(judges) = judge::sbom() else { return };
    let world = world();
    let image = world.image("amd64");
    let inside = Extracted::of(&image);
    let file = |name: &str| image.join(name).to_str().unwrap().to_owned();
    let inner = INSIDE.map(|path| inside.path(path).to_str().unwrap().to_owned());
    let program = |name: &str| judges.join("bin").join(name).to_str().unwrap().to_owned();
    // It knows a form by the end of the name.
    let copy = inside.path("inner.spdx.json");
    fs::copy(&inner[0], &copy).unwrap();
    for spdx in [file(FILES[0]), copy.to_str().unwrap().to_owned()] {
        let ran = python(&judges, &[&program("pyspdxtools"), "-i", &spdx]).good();
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{spdx}");
    }
    let checked = [
        &program("sbomcheck"),
        "--comply",
        "ntia",
        "--file",
        &file(FILES[0]),
    ];
    let ran = python(&judges, &checked.map(|word| word as &str)).good();
    assert!(ran.out.contains("Conformant: True"), "{}", ran.out);
    let strict = "import sys\nfrom cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        for path in sys.argv[1:]:\n    \
            found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(path).read())\n    \
            assert found is None, found\n";
    python(&judges, &["-c", strict, &file(FILES[1]), &inner[1]]).good();
    let statement = "import sys\nfrom google.protobuf import json_format\n\
        import in_toto_attestation.v1.statement_pb2 as form\n\
        from in_toto_attestation.v1.statement import Statement\n\
        from in_toto_attestation.predicates.provenance.v1 import provenance_pb2 as slsa\n\
        read = json_format.Parse(open(sys.argv[1]).read(), form.Statement())\n\
        Statement.copy_from_pb(read).validate()\n\
        text = json_format.MessageToJson(read.predicate)\n\
        json_format.Parse(text, slsa.Provenance())\n";
    python(&judges, &["-c", statement, &file("provenance.json")]).good();
    // The judges can refuse.
    let text = fs::read_to_string(file(FILES[1])).unwrap();
    fs::write(&copy, text.replace("\"CycloneDX\"", "\"Cyclone\"")).unwrap();
    let ran = python(&judges, &["-c", strict, copy.to_str().unwrap()]);
    assert_ne!(ran.code, Some(0));
}
