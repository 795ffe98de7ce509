//! Images of the real programs, judged by everyone who will read them: GNU
//! tar, sha256sum, file, systemd, containerd, kubelet, kube-proxy, a YAML
//! library, and the image's own first-boot binary.
//!
//! The programs come from the mirror of ci/lab, whose address is in
//! `NODEIMG_TEST_MIRROR`; ci/test sets it. `NODEIMG_TEST_RECIPES` is the
//! folder of recipes whose locks fit that mirror, `tests/lab/recipes` unless it is set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod configuration;
mod contract;
mod first_boot;
mod import;
mod programs;
mod units;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, clean};

/// Both images, built once for all tests.
struct Images {
    directory: PathBuf,
    /// Another run of these tests waits.
    _mine: Flock<File>,
}

const ARCHS: [&str; 2] = ["amd64", "arm64"];

/// The architecture whose programs run on this machine.
const HOST: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

/// `None`, with a printed skip, if there is no mirror; an error in CI.
fn images() -> Option<&'static Images> {
    static IMAGES: OnceLock<Option<Images>> = OnceLock::new();
    IMAGES.get_or_init(Images::build).as_ref()
}

impl Images {
    fn build() -> Option<Images> {
        let mut build = real::build(&ARCHS)?;
        let directory = real::directory("image");
        let lock = File::create(real::directory("").join("image.lock")).unwrap();
        let mine = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, e)| e)
            .unwrap();
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Ran::of(build.arg("--out").arg(&directory)).good();
        let images = Images {
            directory,
            _mine: mine,
        };
        for arch in ARCHS {
            let root = images.root(arch);
            fs::create_dir(&root).unwrap();
            let mut tar = clean(Command::new("tar"));
            tar.args(["--zstd", "--no-same-owner", "-xpf"]);
            tar.arg(images.image(arch).join("overlay.tar.zst"))
                .arg("-C")
                .arg(&root);
            Ran::of(&mut tar).good();
        }
        Some(images)
    }

    /// The output directory for `arch`.
    fn image(&self, arch: &str) -> PathBuf {
        real::output_for(&self.directory, arch)
    }

    /// The overlay as GNU tar unpacks it. Not to be written to: see [`Copy`].
    fn root(&self, arch: &str) -> PathBuf {
        self.directory.join(format!("root-{arch}"))
    }

    fn text(&self, arch: &str, path: &str) -> String {
        let file = self.root(arch).join(path.trim_start_matches('/'));
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }
}

/// A root to be written to. Files are links to those of the image: whoever
/// changes one must put another in its place, as all programs here do.
struct Copy {
    directory: TempDir,
}

impl Copy {
    fn of(root: &Path) -> Copy {
        // On the same file system as the image.
        let directory = TempDir::new_in(real::directory("")).unwrap();
        let to = directory.path().join("root");
        Ran::of(clean(Command::new("cp")).arg("-al").arg(root).arg(&to)).good();
        Copy { directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn path(&self, absolute: &str) -> PathBuf {
        self.root().join(absolute.trim_start_matches('/'))
    }

    #[track_caller]
    fn text(&self, absolute: &str) -> String {
        fs::read_to_string(self.path(absolute)).unwrap_or_else(|e| panic!("{absolute}: {e}"))
    }
}
