//! The base system of recipes/container-host.toml, from a real Debian mirror,
//! judged by everyone who will read it: GNU tar, dpkg, shadow's pwck and
//! grpck, systemd, openssl, file, the loader of libc, and the image's own
//! programs.
//!
//! The mirror is whichever this system has (`NODEIMG_DEBIAN_MIRROR` or apt's).
//! `NODEIMG_TEST_BASE_RECIPE` is a recipe whose lock fits it, the committed one
//! unless it is set; `NODEIMG_TEST_STORE` is where the packages are kept, so
//! that they are fetched once. ci/test sets both.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod determinism;
mod disk;
mod first_boot;
mod hard_way;
mod modules;
mod node;
mod packages;
mod programs;
mod relock;
mod tampered;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use support::run::{Ran, clean, nodeimg};
use support::{judge, real};

const ARCHS: [&str; 2] = ["amd64", "arm64"];

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

fn recipe() -> PathBuf {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/container-host.toml");
    std::env::var_os("NODEIMG_TEST_BASE_RECIPE").map_or(committed, PathBuf::from)
}

/// The same folder as in ci/lib/common.sh, outside of every build directory.
fn store() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = || {
        let home = || variable("HOME").map(|home| home.join(".cache"));
        let caches = variable("XDG_CACHE_HOME").or_else(home);
        let caches = caches.expect("HOME is not set: set NODEIMG_TEST_STORE");
        variable("NODEIMG_CI_CACHE").unwrap_or_else(|| caches.join("nodeimg-ci"))
    };
    variable("NODEIMG_TEST_STORE").unwrap_or_else(|| cache().join("store"))
}

/// A blob of that store.
fn blob(package: &Package) -> PathBuf {
    let digest = &package.sha256;
    store().join("blobs").join(&digest[..2]).join(digest)
}

/// `nodeimg VERB` of the recipe and the store, for `archs`.
fn verb(verb: &str, archs: &[&str]) -> Command {
    let mut command = nodeimg();
    command.args([verb, "--quiet", "--recipe"]).arg(recipe());
    command.arg("--store").arg(store());
    for arch in archs {
        command.args(["--arch", arch]);
    }
    command
}

/// The way to a mirror is this system's.
fn with_network(command: &mut Command) {
    for name in [
        "NODEIMG_DEBIAN_MIRROR",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTPS_PROXY",
        "NO_PROXY",
    ] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
}

/// Brings the packages into the store; false, with a printed skip, where no
/// mirror answers.
fn fetched() -> bool {
    let mut fetch = verb("fetch", &ARCHS);
    with_network(fetch.args(["--retries", "1"]));
    // Once: where there is no mirror, each test would wait for it anew.
    static RAN: OnceLock<Option<String>> = OnceLock::new();
    let refused = RAN.get_or_init(|| {
        let ran = Ran::of(&mut fetch);
        if ran.code == Some(1) && ran.err.contains("cannot connect") {
            return Some(ran.err);
        }
        ran.good();
        None
    });
    if let Some(said) = refused {
        let first: String = said
            .lines()
            .nth(1)
            .unwrap_or(said)
            .chars()
            .take(300)
            .collect();
        judge::missing(&format!("a mirror of Debian ({}...)", first.trim()));
        return false;
    }
    true
}

/// `None`, with a printed skip, where there is no mirror; an error in CI.
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
        let suffix = format!("-{arch}");
        let entries = fs::read_dir(&self.directory).unwrap();
        let found = entries.map(|entry| entry.unwrap().path()).find(|path| {
            path.to_string_lossy().ends_with(&suffix) && path.join("manifest.json").exists()
        });
        found.unwrap_or_else(|| panic!("no image for {arch}"))
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
