//! The base system of recipes/container-host.toml, from a real Debian mirror,
//! judged by everyone who will read it: GNU tar, dpkg, shadow's pwck and
//! grpck, systemd, openssl, file, the loader of libc, and the image's own
//! programs. tests/support/src/debian.rs says which mirror, recipe and store.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod determinism;
mod disk;
mod first_boot;
mod golden;
mod hard_way;
mod host_keys;
mod initrd;
mod inspect;
mod modules;
mod node;
mod packages;
mod programs;
mod publishers;
mod relock;
mod scanners;
mod signed;
mod tampered;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use nodeimg_test_support::debian::{ARCHS, fetched, recipe, store, verb, with_network};
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, clean};

/// The architecture whose programs run on this machine.
const HOST: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

/// Of the recipe's own output the parts, and its tree as GNU tar reads it.
const OUTPUTS: [&str; 8] = [
    "--output",
    "disk",
    "--output",
    "root",
    "--output",
    "uki",
    "--output",
    "rootfs-tar",
];

/// What a lock says of one package.
#[derive(Deserialize)]
struct Package {
    name: String,
    arch: String,
    version: String,
    path: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

/// Both images, built once for all tests.
struct Images {
    directory: PathBuf,
    packages: Vec<Package>,
    /// Another run of these tests waits.
    _mine: Flock<File>,
}

/// A blob of the tests' store.
fn blob(package: &Package) -> PathBuf {
    let digest = &package.sha256;
    store().join("blobs").join(&digest[..2]).join(digest)
}

/// `None`, with a printed skip, if there is no mirror; an error in CI.
fn images() -> Option<&'static Images> {
    static IMAGES: OnceLock<Option<Images>> = OnceLock::new();
    IMAGES.get_or_init(Images::build).as_ref()
}

impl Images {
    fn build() -> Option<Images> {
        let mut build = verb("build", &ARCHS);
        build.args(OUTPUTS);
        for arch in ARCHS {
            let binary = real::firstboot(arch)?;
            build.arg("--firstboot");
            build.arg(format!("{arch}={}", binary.display()));
        }
        let directory = real::directory("base");
        let lock = File::create(real::directory("").join("base.lock")).unwrap();
        let mine = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, e)| e)
            .unwrap();
        if !fetched() {
            return None;
        }
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        // It will hold setuid programs.
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        // The disk holds the same tree, packed for a machine.
        build.args(["--output", "rootfs-tar"]);
        build.args(["--force", "--offline", "--out"]);
        Ran::of(build.arg(&directory)).good();
        let text = fs::read_to_string(recipe().with_extension("lock")).unwrap();
        let lock: Lock = toml::from_str(&text).unwrap();
        let images = Images {
            directory,
            packages: lock.package,
            _mine: mine,
        };
        for arch in ARCHS {
            images.extract(arch);
        }
        Some(images)
    }

    fn extract(&self, arch: &str) {
        fs::create_dir(self.root(arch)).unwrap();
        let mut tar = clean(Command::new("tar"));
        tar.args(["--zstd", "--numeric-owner", "-xpf"]);
        tar.arg(self.archive(arch)).arg("-C").arg(self.root(arch));
        Ran::of(&mut tar).good();
    }

    /// The output directory for `arch`.
    fn image(&self, arch: &str) -> PathBuf {
        real::output_for(&self.directory, arch)
    }

    fn archive(&self, arch: &str) -> PathBuf {
        self.image(arch).join("rootfs.tar.zst")
    }

    /// The tree as GNU tar unpacks it, with its owners where root runs the
    /// tests. Not to be written to.
    fn root(&self, arch: &str) -> PathBuf {
        self.directory.join(format!("root-{arch}"))
    }

    fn text(&self, arch: &str, path: &str) -> String {
        let file = self.root(arch).join(path.trim_start_matches('/'));
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }

    fn of_arch(&self, arch: &str) -> Vec<&Package> {
        let packages = self.packages.iter();
        packages.filter(|package| package.arch == arch).collect()
    }
}
