#![allow(clippy::unwrap_used)]
mod foreign;

use std::fs;

use nodeimg_values::progress::{Mode, Progress};

use super::*;
use crate::input::debian::mirror::{Mirror, PACKAGES};
use crate::input::debian::release::canonical;
use crate::input::fetch::Options;
use crate::input::recipe::Repository;
use crate::input::recipe::tests::recipe;
use crate::store::Store;

mod elsewhere;

const NOW: &str = "20231115T000000Z";

fn resolve(mirror: &Mirror, more: &str, keyring: Keyring) -> Result<Resolved> {
    resolve_with(mirror, more, keyring, Vec::new(), &[])
}

fn resolve_with(
    mirror: &Mirror,
    more: &str,
    keyring: Keyring,
    repositories: Vec<Repository>,
    known: &[Index],
) -> Result<Resolved> {
    let text =
        format!("[base]\nsuite = \"trixie\"\npackages = [\"tool\"]\nprovided = [\"perl\"]\n{more}");
    let mut base = recipe(&text).base.unwrap();
    base.repositories = repositories;
    resolve_base(mirror, base, keyring, known)
}

fn resolve_base(
    mirror: &Mirror,
    base: Base,
    keyring: Keyring,
    known: &[Index],
) -> Result<Resolved> {
    let store = Store::open(&mirror.path("store")).unwrap();
    let archives =
        ["debian", "debian-security"].map(|name| (name.to_owned(), vec![mirror.url(name)]));
    let options = Options {
        offline: true,
        mirrors: Mirrors::new(&[mirror.rule()], None, &[])
            .unwrap()
            .with_archives(archives.into())
            .unwrap(),
        ..Options::default()
    };
    let progress = Progress::new(Mode::choose(true, false));
    let fetcher = Fetcher::new(&store, options, &progress);
    let resolver = Resolver::new(&fetcher, &base, keyring, NOW.parse().unwrap());
    resolver.not_before(known).resolve()
}

fn refusal(mirror: &Mirror) -> String {
    format!(
        "{:#}",
        resolve(mirror, "", mirror.key.keyring()).unwrap_err()
    )
}

#[test]
fn a_recipe_becomes_pinned_packages_of_both_architectures() {
    let mirror = Mirror::new();
    let resolved = resolve(&mirror, "", mirror.key.keyring()).unwrap();
    let lines: Vec<_> = resolved
        .packages
        .packages
        .iter()
        .map(|p| match &p.place {
            Place::Archive { suite, path, .. } => {
                format!("{} {suite} {path} {}", p.what(), p.size)
            }
            Place::Url { url } => format!("{} {url} {}", p.what(), p.size),
        })
        .collect();
    assert_eq!(
        lines,
        [
            "helper 2 (amd64) trixie-security pool/updates/main/h/helper.deb 12",
            "tool 1.0-1 (amd64) trixie pool/main/t/tool.deb 10",
            "helper 2 (arm64) trixie-security pool/updates/main/h/helper.deb 12",
            "tool 1.0-1 (arm64) trixie pool/main/t/tool.deb 10",
        ]
    );
    // As it was a day after the index, which stays.
    assert_eq!(
        resolved
            .packages
            .url(&resolved.packages.packages[0])
            .unwrap(),
        "https://snapshot.debian.org/archive/debian-security/20231115T221300Z/pool/updates/main/h/helper.deb"
    );
    assert_eq!(
        resolved.notes,
        ["base.provided: Debian has no package `perl`: is it spelt right?"]
    );
}

#[test]
fn pins_and_what_they_lack() {
    let mirror = Mirror::new();
    let newer = PACKAGES
        .replace("1.0-1", "3.0-1")
        .replace("Version: 1\n", "Version: 9\n");
    mirror.suite(
        "debian",
        "sid",
        &newer,
        "Valid-Until: Tue, 14 Nov 2023 23:00:00 UTC\n",
    );
    let pins = "pins = { tool = \"sid\" }\n";
    let error = resolve(&mirror, pins, mirror.key.keyring()).unwrap_err();
    assert!(
        format!("{error:#}").contains("`sid` to `base.allow_expired`"),
        "{error:#}"
    );
    let allowed = format!("{pins}allow_expired = [\"sid\"]\n");
    let packages = resolve(&mirror, &allowed, mirror.key.keyring())
        .unwrap()
        .packages;
    let versions: Vec<_> = packages.packages.iter().map(PinnedPackage::what).collect();
    assert_eq!(versions[..2], ["helper 2 (amd64)", "tool 3.0-1 (amd64)"]);
    let lacking = "pins = { nothing = \"sid\" }\nallow_expired = [\"sid\"]\n";
    let error = resolve(&mirror, lacking, mirror.key.keyring()).unwrap_err();
    assert!(
        format!("{error:#}").contains("sid has no package `nothing`"),
        "{error:#}"
    );
}

#[test]
fn indexes_that_are_not_to_be_trusted() {
    let mirror = Mirror::new();
    let error = resolve(&mirror, "", Keyring::debian().unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("trusted key"), "{error:#}");

    let mirror = Mirror::new();
    fs::copy(
        mirror.path("debian/dists/trixie-updates/InRelease"),
        mirror.path("debian/dists/trixie/InRelease"),
    )
    .unwrap();
    assert!(refusal(&mirror).contains("belongs to the suite `trixie-updates`"));

    let mirror = Mirror::new();
    // The same bytes for both: one good file would do for the other.
    for arch in Arch::ALL {
        let list = mirror.path(&format!(
            "debian/dists/trixie/main/binary-{arch}/Packages.xz"
        ));
        let mut bytes = fs::read(&list).unwrap();
        bytes[40] ^= 1;
        fs::write(&list, bytes).unwrap();
    }
    let error = refusal(&mirror);
    assert!(
        error.contains("the package list of trixie (arm64)"),
        "{error}"
    );

    let mirror = Mirror::new();
    fs::remove_file(mirror.path("debian/dists/trixie/InRelease")).unwrap();
    assert!(refusal(&mirror).contains("--debian-mirror"));

    let mirror = Mirror::new();
    mirror.suite(
        "debian",
        "trixie",
        &PACKAGES.replace("pool/main/t", "../t"),
        "",
    );
    assert!(refusal(&mirror).contains("not a valid path in an archive"));
}

/// Every one of them is signed; only the lock knows that there was a later one.
#[test]
fn an_index_older_than_the_locks_is_refused() {
    let mirror = Mirror::new();
    let now = resolve(&mirror, "", mirror.key.keyring()).unwrap();
    let known = |suite: &str, date: &str| {
        let mut indexes = now.packages.indexes.clone();
        let index = indexes.iter_mut().find(|i| i.suite.as_str() == suite);
        index.unwrap().date = date.parse().unwrap();
        indexes
    };
    let after =
        |known: &[Index]| resolve_with(&mirror, "", mirror.key.keyring(), Vec::new(), known);
    after(&now.packages.indexes).unwrap();
    after(&known("trixie", "20231114T221259Z")).unwrap();
    for suite in ["trixie", "trixie-security"] {
        let error = format!(
            "{:#}",
            after(&known(suite, "20231114T221301Z")).unwrap_err()
        );
        assert!(
            error.contains("already has the one of 20231114T221301Z")
                && error.contains("--allow-older")
                && error.contains(&format!("suite {suite}")),
            "{error}"
        );
    }
}

#[test]
fn line_ends_do_not_choose_a_digest() {
    let text = "Codename: trixie\nSHA256:\n abc 1 x\n";
    assert_eq!(canonical(text), text);
    for same in [
        text.replace('\n', "\r\n"),
        text.replace('\n', " \t\n"),
        text.trim_end().to_owned(),
    ] {
        assert_eq!(canonical(&same), text);
    }
}

/// A mirror that has a firmware in another component.
fn with_firmware() -> Mirror {
    let mirror = Mirror::new();
    let firmware = "Package: firmware-x\nVersion: 5\nFilename: pool/non-free-firmware/f/x.deb\nSize: 7\nSHA256: HASH\n";
    let components = [("main", PACKAGES), ("non-free-firmware", firmware)];
    mirror.components("debian", "trixie", &components, "");
    mirror
}

#[test]
fn a_component_is_read_when_it_is_named_and_told_when_it_is_not() {
    let mirror = with_firmware();
    let more = "arch_packages = { amd64 = [\"firmware-x\"] }\n";
    let error = resolve(&mirror, more, mirror.key.keyring()).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("`firmware-x`: in Debian's component non-free-firmware")
            && error.contains("components = [\"non-free-firmware\"]"),
        "{error}"
    );
    let read = format!("{more}components = [\"non-free-firmware\"]\n");
    let packages = resolve(&mirror, &read, mirror.key.keyring())
        .unwrap()
        .packages;
    let components: Vec<String> = packages
        .packages
        .iter()
        .map(|p| format!("{} {}", p.what(), p.component()))
        .collect();
    assert_eq!(
        components,
        [
            "firmware-x 5 (amd64) non-free-firmware",
            "helper 2 (amd64) main",
            "tool 1.0-1 (amd64) main",
            "helper 2 (arm64) main",
            "tool 1.0-1 (arm64) main",
        ]
    );
    let lacking = format!("{more}components = [\"contrib\"]\n");
    let error = resolve(&mirror, &lacking, mirror.key.keyring()).unwrap_err();
    assert!(
        format!("{error:#}").contains("no component `contrib`"),
        "{error:#}"
    );
    let nowhere = "arch_packages = { amd64 = [\"nvidia-x\"] }\n";
    let error = resolve(&mirror, nowhere, mirror.key.keyring()).unwrap_err();
    assert!(
        format!("{error:#}").contains("its components main"),
        "{error:#}"
    );
}

#[test]
fn names_are_judged_by_architecture() {
    let mirror = Mirror::new();
    let more = "arch_exclude = { arm64 = [\"helper\"] }\n";
    let resolved = resolve(&mirror, more, mirror.key.keyring()).unwrap();
    let names: Vec<String> = resolved
        .packages
        .packages
        .iter()
        .map(PinnedPackage::what)
        .collect();
    assert_eq!(
        names,
        [
            "helper 2 (amd64)",
            "tool 1.0-1 (amd64)",
            "tool 1.0-1 (arm64)"
        ]
    );
    assert!(
        resolved
            .notes
            .iter()
            .any(|note| note.contains("`helper` is left out")),
        "{:?}",
        resolved.notes
    );
}
