//! recipes/container-host.toml from a real Debian mirror.
//!
//! The mirror is whichever this system has (`NODEIMG_DEBIAN_MIRROR` or apt's).
//! `NODEIMG_TEST_BASE_RECIPE` is a recipe whose lock fits it, the committed one
//! unless it is set; `NODEIMG_TEST_STORE` is where the packages are kept, so
//! that they are fetched once. ci/test sets both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::run::{Ran, host_program, nodeimg};
use super::{judge, place};

pub const ARCHS: [&str; 2] = ["amd64", "arm64"];

/// Where the recipe is that fits this system's mirror of Debian.
pub fn recipe() -> PathBuf {
    let committed = place::top().join("recipes/container-host.toml");
    std::env::var_os("NODEIMG_TEST_BASE_RECIPE").map_or(committed, PathBuf::from)
}

/// The same folder as in ci/lib/common.sh, outside of every build directory.
pub fn store() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = || {
        let home = || variable("HOME").map(|home| home.join(".cache"));
        let caches = variable("XDG_CACHE_HOME").or_else(home);
        let caches = caches.expect("HOME is not set: set NODEIMG_TEST_STORE");
        variable("NODEIMG_CI_CACHE").unwrap_or_else(|| caches.join("nodeimg-ci"))
    };
    variable("NODEIMG_TEST_STORE").unwrap_or_else(|| cache().join("store"))
}

/// A recipe in `directory` that asks for systemd's initrd, and is [`recipe`] in all else.
pub fn with_systemds_initrd(directory: &Path) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    let file = directory.join("systemd-initrd.toml");
    fs::copy(recipe().with_extension("lock"), file.with_extension("lock")).unwrap();
    let from = fs::canonicalize(recipe()).unwrap();
    let text = format!(
        "extends = \"{}\"\n[disk]\ninitrd = \"systemd\"\n",
        from.display()
    );
    fs::write(&file, text).unwrap();
    file
}

/// `nodeimg VERB` of the recipe and the store, for `archs`.
pub fn verb(verb: &str, archs: &[&str]) -> Command {
    verb_of(&recipe(), verb, archs)
}

/// The same of another recipe.
pub fn verb_of(recipe: &Path, verb: &str, archs: &[&str]) -> Command {
    let mut command = nodeimg();
    command.args([verb, "--quiet", "--recipe"]).arg(recipe);
    command.arg("--store").arg(store());
    for arch in archs {
        command.args(["--arch", arch]);
    }
    command
}

/// The mirror of Debian that this system has.
pub fn mirror() -> String {
    if let Ok(named) = std::env::var("NODEIMG_DEBIAN_MIRROR") {
        return named;
    }
    let mut apt = host_program("apt-get");
    let said = Ran::of(apt.args(["indextargets", "--format", "$(REPO_URI)"])).good();
    let mut all = said.out.lines();
    let mirror = all.find(|line| line.trim_end_matches('/').ends_with("/debian"));
    mirror.expect("apt has no mirror of Debian").to_owned()
}

/// The way to a mirror is this system's.
pub fn with_network(command: &mut Command) -> &mut Command {
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
    command
}

/// A recipe in `directory` of [`recipe`] with the kernel for metal, and of this initrd; its
/// lock is still to be made ([`locked`]).
pub fn with_generic_kernel(directory: &Path, initrd: &str) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    let file = directory.join("generic-kernel.toml");
    let from = fs::canonicalize(recipe()).unwrap();
    let text = format!(
        "extends = \"{}\"\n[disk]\ninitrd = \"{initrd}\"\n[base]\n\
         exclude = [\"linux-image-cloud-amd64\", \"linux-image-cloud-arm64\"]\n\
         [base.arch_packages]\namd64 = [\"linux-image-amd64\"]\narm64 = [\"linux-image-arm64\"]\n",
        from.display()
    );
    fs::write(&file, text).unwrap();
    file
}

/// tests/known_packages/every.toml, every package whose scripts nodeimg knows, in `directory`,
/// where its lock is still to be made ([`locked`]).
pub fn every_known_package(directory: &Path) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    let file = directory.join("every.toml");
    fs::copy(place::top().join("tests/known_packages/every.toml"), &file).unwrap();
    file
}

/// Locks a recipe by this system's mirror of Debian, and brings its packages into the store;
/// false, with a printed skip, if no mirror answers.
pub fn locked(recipe: &Path) -> bool {
    let mut lock = verb_of(recipe, "lock", &[]);
    with_network(lock.args(["--update", "base"]));
    if !reached(Ran::of(&mut lock)) {
        return false;
    }
    let mut fetch = verb_of(recipe, "fetch", &[]);
    reached(Ran::of(with_network(&mut fetch)))
}

/// False, with a printed skip, if no mirror answered; anything else must have worked.
fn reached(ran: Ran) -> bool {
    if ran.code == Some(1) && ran.err.contains("cannot connect") {
        judge::missing("a mirror of Debian");
        return false;
    }
    ran.good();
    true
}

/// Brings the packages into the store; false, with a printed skip, if no
/// mirror answers.
pub fn fetched() -> bool {
    let mut fetch = verb("fetch", &ARCHS);
    with_network(fetch.args(["--retries", "1"]));
    // Once: without a mirror, each test would wait for it again.
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
