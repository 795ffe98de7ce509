//! A small mirror of both archives in a directory, for tests, signed with a key
//! of nobody's.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::keyring::tests::TestKey;

/// Of trixie itself; the digests are those of one byte, `x`.
pub const PACKAGES: &str = "Package: tool\nVersion: 1.0-1\nDepends: helper, perl | nothing\nFilename: pool/main/t/tool.deb\nSize: 10\nSHA256: HASH\n\nPackage: helper\nVersion: 1\nFilename: pool/main/h/helper.deb\nSize: 11\nSHA256: HASH\n";
const SECURITY: &str = "Package: helper\nVersion: 2\nFilename: pool/updates/main/h/helper.deb\nSize: 12\nSHA256: HASH\n";

/// The mirror; its directory goes with it.
pub struct Mirror {
    dir: tempfile::TempDir,
    pub key: TestKey,
}

impl Mirror {
    pub fn new() -> Mirror {
        let mirror = Mirror {
            dir: tempfile::tempdir().unwrap(),
            key: TestKey::new(None),
        };
        mirror.suite("debian", "trixie", PACKAGES, "");
        mirror.suite("debian", "trixie-updates", "", "");
        mirror.suite("debian-security", "trixie-security", SECURITY, "");
        mirror
    }

    /// Writes and signs the indexes of a suite; `more` are lines of its Release file.
    pub fn suite(&self, archive: &str, name: &str, packages: &str, more: &str) {
        self.components(archive, name, &[("main", packages)], more);
    }

    /// The same, of several components.
    pub fn components(&self, archive: &str, name: &str, components: &[(&str, &str)], more: &str) {
        self.indexes(archive, name, |_| components.to_vec(), more);
    }

    /// The same, with `packages` for one architecture; the others have [`PACKAGES`].
    pub fn of_arch(&self, archive: &str, name: &str, arch: Arch, packages: &str) {
        let of = |other: Arch| {
            let text = if other == arch { packages } else { PACKAGES };
            vec![("main", text)]
        };
        self.indexes(archive, name, of, "");
    }

    /// `of` has the components of an architecture.
    fn indexes<'t>(
        &self,
        archive: &str,
        name: &str,
        of: impl Fn(Arch) -> Vec<(&'t str, &'t str)>,
        more: &str,
    ) {
        let place = self.dir.path().join(archive).join("dists").join(name);
        let mut files = String::new();
        for arch in Arch::ALL {
            for (component, packages) in of(arch) {
                let packages = packages.replace("HASH", Digest::sha256(b"x").hex());
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(packages.as_bytes()).unwrap();
                let packed = encoder.finish().unwrap();
                let below = format!("{component}/binary-{arch}");
                let directory = place.join(&below);
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join("Packages.xz"), &packed).unwrap();
                for (file, bytes) in [("Packages", packages.as_bytes()), ("Packages.xz", &packed)] {
                    let hash = Digest::sha256(bytes);
                    files += &format!(" {} {} {below}/{file}\n", hash.hex(), bytes.len());
                }
            }
        }
        let release = format!(
            "Codename: {name}\nDate: Tue, 14 Nov 2023 22:13:00 UTC\n{more}SHA256:\n{files}"
        );
        fs::write(place.join("InRelease"), self.key.sign(&release)).unwrap();
    }

    /// Another publisher's repository, at `https://repo.example/deb` by [`Mirror::rule`].
    pub fn foreign(&self, flat: bool, packages: &str, date: &str, key: &TestKey) {
        let packages = packages.replace("HASH", Digest::sha256(b"x").hex());
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(packages.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let top = self.dir.path().join("repo/deb");
        let place = match flat {
            true => top,
            false => top.join("dists/stable"),
        };
        let mut files = String::new();
        for arch in Arch::ALL {
            let below = match flat {
                true => String::new(),
                false => format!("main/binary-{arch}/"),
            };
            fs::create_dir_all(place.join(&below)).unwrap();
            fs::write(place.join(&below).join("Packages.gz"), &packed).unwrap();
            for (file, bytes) in [("Packages", packages.as_bytes()), ("Packages.gz", &packed)] {
                let hash = Digest::sha256(bytes);
                files += &format!(" {} {} {below}{file}\n", hash.hex(), bytes.len());
            }
        }
        let release = format!("Date: {date}\nSHA256:\n{files}");
        fs::write(place.join("InRelease"), key.sign(&release)).unwrap();
    }

    /// The same index with its signature beside it, and without what it is unpacked.
    pub fn signed_beside(&self, flat: bool, key: &TestKey) {
        let top = self.dir.path().join("repo/deb");
        let place = match flat {
            true => top,
            false => top.join("dists/stable"),
        };
        let signed = fs::read_to_string(place.join("InRelease")).unwrap();
        let from = signed.find("Date:").unwrap();
        let to = signed.find("-----BEGIN PGP SIGNATURE").unwrap();
        let lines = signed[from..to].lines();
        let packed = lines.filter(|line| !line.ends_with("Packages"));
        let release: String = packed.map(|line| format!("{line}\n")).collect();
        fs::write(place.join("Release.gpg"), key.sign_beside(&release)).unwrap();
        fs::write(place.join("Release"), release).unwrap();
        fs::remove_file(place.join("InRelease")).unwrap();
    }

    /// For `--mirror`.
    pub fn rule(&self) -> String {
        format!(
            "https://repo.example=file://{}",
            self.path("repo").display()
        )
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Of an archive, for `--debian-mirror`.
    pub fn url(&self, archive: &str) -> String {
        format!("file://{}", self.path(archive).display())
    }
}
