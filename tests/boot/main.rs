//! recipes/container-host.toml as a disk, booted in QEMU under emulation for
//! both architectures, by `nodeimg run`: what a node says of itself, what it
//! says without a seed, and that a tampered disk does not come up.
//!
//! A boot takes one to two minutes of a processor. support/guest.rs has how
//! facts come out of a guest; consoles are in `tmp/boot-logs` of the build
//! directory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod node;
mod seed;
mod tampered;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};

use support::debian::{ARCHS, fetched, verb};
use support::real;
use support::run::Ran;

/// Both disks, built once for all tests.
struct Images {
    directory: PathBuf,
    /// Another run of these tests waits.
    _mine: Flock<File>,
}

/// The output directory for `arch`; `None`, with a printed skip, where no
/// mirror of Debian is to be had.
fn image(arch: &str) -> Option<PathBuf> {
    static IMAGES: OnceLock<Option<Images>> = OnceLock::new();
    let images = IMAGES.get_or_init(Images::build).as_ref()?;
    let suffix = format!("-{arch}");
    let entries = fs::read_dir(&images.directory).unwrap();
    let found = entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(&suffix));
    Some(found.unwrap_or_else(|| panic!("no image for {arch}")))
}

impl Images {
    fn build() -> Option<Images> {
        let directory = real::directory("boot");
        let lock = File::create(real::directory("").join("boot.lock")).unwrap();
        let mine = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, e)| e)
            .unwrap();
        if !fetched() {
            return None;
        }
        let mut build = verb("build", &ARCHS);
        for arch in ARCHS {
            let binary = real::firstboot(arch)?;
            build.arg("--firstboot");
            build.arg(format!("{arch}={}", binary.display()));
        }
        build.args(["--offline", "--output", "disk", "--output", "root", "--out"]);
        Ran::of(build.arg(&directory)).good();
        Some(Images {
            directory,
            _mine: mine,
        })
    }
}

/// An empty directory for one test.
fn directory(name: &str) -> PathBuf {
    let path = real::directory("boot-work").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A NoCloud seed of a host name.
fn seed(directory: &Path, host_name: &str) -> PathBuf {
    let seed = directory.join(format!("seed-{host_name}"));
    fs::create_dir_all(&seed).unwrap();
    fs::write(
        seed.join("meta-data"),
        format!("instance-id: i-{host_name}\n"),
    )
    .unwrap();
    let user_data = format!("#cloud-config\nhostname: {host_name}\n");
    fs::write(seed.join("user-data"), user_data).unwrap();
    seed
}
