#![allow(clippy::unwrap_used)]
use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;
use crate::debian::keyring::tests::TestKey;
use crate::fetch::Options;
use crate::progress::{Mode, Progress};
use crate::recipe::tests::recipe;
use crate::store::Store;

const NOW: &str = "20231115T000000Z";
const PACKAGES: &str = "Package: tool\nVersion: 1.0-1\nDepends: helper, perl | nothing\nFilename: pool/main/t/tool.deb\nSize: 10\nSHA256: HASH\n\nPackage: helper\nVersion: 1\nFilename: pool/main/h/helper.deb\nSize: 11\nSHA256: HASH\n";
const SECURITY: &str = "Package: helper\nVersion: 2\nFilename: pool/updates/main/h/helper.deb\nSize: 12\nSHA256: HASH\n";

/// A mirror in a directory, for both archives.
struct Mirror {
    dir: tempfile::TempDir,
    key: TestKey,
}

impl Mirror {
    fn new() -> Mirror {
        let mirror = Mirror {
            dir: tempfile::tempdir().unwrap(),
            key: TestKey::new(None),
        };
        mirror.suite("debian", "trixie", PACKAGES, "");
        mirror.suite("debian", "trixie-updates", "", "");
        mirror.suite("debian-security", "trixie-security", SECURITY, "");
        mirror
    }

    fn suite(&self, archive: &str, name: &str, packages: &str, more: &str) {
        let place = self.dir.path().join(archive).join("dists").join(name);
        let packages = packages.replace("HASH", Digest::sha256(b"x").hex());
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(packages.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let mut files = String::new();
        for arch in Arch::ALL {
            let directory = place.join(format!("main/binary-{arch}"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("Packages.xz"), &packed).unwrap();
            for (file, bytes) in [("Packages", packages.as_bytes()), ("Packages.xz", &packed)] {
                let hash = Digest::sha256(bytes);
                files += &format!(
                    " {} {} main/binary-{arch}/{file}\n",
                    hash.hex(),
                    bytes.len()
                );
            }
        }
        let release = format!(
            "Codename: {name}\nDate: Tue, 14 Nov 2023 22:13:00 UTC\n{more}SHA256:\n{files}"
        );
        fs::write(place.join("InRelease"), self.key.sign(&release)).unwrap();
    }

    fn resolve(&self, more: &str, keyring: Keyring) -> Result<Resolved> {
        let text = format!(
            "[base]\nsuite = \"trixie\"\npackages = [\"tool\"]\nprovided = [\"perl\"]\n{more}"
        );
        let base = recipe(&text).base.unwrap();
        let store = Store::open(&self.dir.path().join("store")).unwrap();
        let url = |archive: &str| {
            let path = self.dir.path().join(archive);
            (
                archive.to_owned(),
                vec![format!("file://{}", path.display())],
            )
        };
        let archives = BTreeMap::from([url("debian"), url("debian-security")]);
        let options = Options {
            offline: true,
            mirrors: Mirrors::default().with_archives(archives).unwrap(),
            ..Options::default()
        };
        let progress = Progress::new(Mode::choose(true, false));
        let fetcher = Fetcher::new(&store, options, &progress);
        Resolver::new(&fetcher, &base, keyring, NOW.parse().unwrap()).resolve()
    }

    fn refusal(&self) -> String {
        format!("{:#}", self.resolve("", self.key.keyring()).unwrap_err())
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(Path::new(path))
    }
}

#[test]
fn a_recipe_becomes_pinned_packages_of_both_architectures() {
    let mirror = Mirror::new();
    let resolved = mirror.resolve("", mirror.key.keyring()).unwrap();
    let lines: Vec<_> = resolved
        .packages
        .packages
        .iter()
        .map(|p| format!("{} {} {} {}", p.what(), p.suite, p.path, p.size))
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
    let error = mirror.resolve(pins, mirror.key.keyring()).unwrap_err();
    assert!(
        format!("{error:#}").contains("`sid` to `base.allow_expired`"),
        "{error:#}"
    );
    let allowed = format!("{pins}allow_expired = [\"sid\"]\n");
    let packages = mirror
        .resolve(&allowed, mirror.key.keyring())
        .unwrap()
        .packages;
    let versions: Vec<_> = packages.packages.iter().map(PinnedPackage::what).collect();
    assert_eq!(versions[..2], ["helper 2 (amd64)", "tool 3.0-1 (amd64)"]);
    let lacking = "pins = { nothing = \"sid\" }\nallow_expired = [\"sid\"]\n";
    let error = mirror.resolve(lacking, mirror.key.keyring()).unwrap_err();
    assert!(
        format!("{error:#}").contains("sid has no package `nothing`"),
        "{error:#}"
    );
}

#[test]
fn indexes_that_are_not_to_be_trusted() {
    let mirror = Mirror::new();
    let error = mirror.resolve("", Keyring::debian().unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("trusted key"), "{error:#}");

    let mirror = Mirror::new();
    fs::copy(
        mirror.path("debian/dists/trixie-updates/InRelease"),
        mirror.path("debian/dists/trixie/InRelease"),
    )
    .unwrap();
    assert!(mirror.refusal().contains("of the suite `trixie-updates`"));

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
    let error = mirror.refusal();
    assert!(
        error.contains("the package list of trixie (arm64)"),
        "{error}"
    );

    let mirror = Mirror::new();
    fs::remove_file(mirror.path("debian/dists/trixie/InRelease")).unwrap();
    assert!(mirror.refusal().contains("--debian-mirror"));

    let mirror = Mirror::new();
    mirror.suite(
        "debian",
        "trixie",
        &PACKAGES.replace("pool/main/t", "../t"),
        "",
    );
    assert!(mirror.refusal().contains("no place in an archive"));
}
