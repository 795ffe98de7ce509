//! Building real images from the mirror of ci/lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian::{store, with_network};
use super::run::{Ran, nodeimg};
use super::{judge, place};

/// A directory of these tests in the build directory, made where it is not there.
pub fn directory(name: &str) -> PathBuf {
    let path = place::tmp().join("real").join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Where the shipped recipes are with versions and locks that fit the mirror.
pub fn recipes() -> PathBuf {
    let committed = place::top().join("tests/lab/recipes");
    std::env::var_os("NODEIMG_TEST_RECIPES").map_or(committed, PathBuf::from)
}

pub fn recipe(name: &str) -> PathBuf {
    recipes().join(format!("{name}.toml"))
}

/// The rule that sends every download to the mirror.
pub fn mirror() -> Option<String> {
    let Ok(url) = std::env::var("NODEIMG_TEST_MIRROR") else {
        judge::missing("a mirror (ci/test makes one and sets NODEIMG_TEST_MIRROR)");
        return None;
    };
    Some(format!("https://={url}"))
}

/// The first-boot binary for `arch` that was built.
pub fn firstboot(arch: &str) -> Option<PathBuf> {
    built("nodeimg-firstboot", "FIRSTBOOT", arch)
}

/// The updater, likewise.
pub fn updater(arch: &str) -> Option<PathBuf> {
    built("nodeimg-update", "UPDATE", arch)
}

/// The program that a variable of the environment names, or that `ci/firstboot` has left.
fn built(program: &str, variable: &str, arch: &str) -> Option<PathBuf> {
    let given = std::env::var_os(format!("NODEIMG_{variable}_{}", arch.to_uppercase()));
    let found = given.map(PathBuf::from).or_else(|| {
        let path = place::target().join("firstboot").join(arch).join(program);
        path.is_file().then_some(path)
    });
    if found.is_none() {
        judge::missing(&format!(
            "{program} for {arch} (`ci/firstboot --program {program} {arch}` makes it)"
        ));
    }
    found
}

/// `nodeimg build` of `archs`, of what lies over a base system: tests/base is of
/// that itself. The store is one that later runs find warm.
pub fn build(archs: &[&str]) -> Option<Command> {
    let mut command = nodeimg();
    command
        .args(["build", "--force", "--output", "overlay"])
        .arg("--recipe")
        .arg(recipe("hard-way"));
    command
        .args(["--mirror", &mirror()?])
        .arg("--store")
        .arg(directory("store"));
    for arch in archs {
        let binary = firstboot(arch)?;
        command.args(["--arch", arch]);
        command
            .arg("--firstboot")
            .arg(format!("{arch}={}", binary.display()));
    }
    Some(command)
}

/// Builds the whole recipe, its base system included, for `archs` into an
/// empty `directory`. `None`, with a printed skip, if there is no mirror of
/// artifacts; an error in CI.
pub fn build_whole(directory: &Path, archs: &[&str], outputs: &[&str]) -> Option<()> {
    let mirror = mirror()?;
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).unwrap();
    // A copy, whose lock may be re-created for this system's mirror of Debian.
    let mine = directory.join("mine.toml");
    fs::copy(recipe("hard-way"), &mine).unwrap();
    let lock = recipe("hard-way").with_extension("lock");
    fs::copy(&lock, mine.with_extension("lock")).unwrap();
    let lock = fs::read_to_string(&lock).unwrap();
    let epoch = lock.lines().find_map(|line| line.strip_prefix("epoch = "));

    let mut command = nodeimg();
    command.args(["build", "--relock-base", "--mirror", &mirror]);
    command.arg("--recipe").arg(&mine);
    command.arg("--store").arg(store());
    command.arg("--out").arg(directory);
    for arch in archs {
        let binary = firstboot(arch)?;
        command.args(["--arch", arch, "--firstboot"]);
        command.arg(format!("{arch}={}", binary.display()));
    }
    for output in outputs {
        command.args(["--output", output]);
    }
    with_network(command.env("SOURCE_DATE_EPOCH", epoch.unwrap()));
    // The mirror of artifacts is on this machine.
    let direct = std::env::var("NO_PROXY").unwrap_or_default();
    for name in ["NO_PROXY", "no_proxy"] {
        command.env(name, format!("127.0.0.1,{direct}"));
    }
    Ran::of(&mut command).good();
    Some(())
}

/// The output directory for `arch` below one that was built into.
pub fn output_for(directory: &Path, arch: &str) -> PathBuf {
    let suffix = format!("-{arch}");
    let entries = fs::read_dir(directory).unwrap();
    let found = entries.map(|entry| entry.unwrap().path()).find(|path| {
        path.to_string_lossy().ends_with(&suffix) && path.join("manifest.json").exists()
    });
    found.unwrap_or_else(|| panic!("no image for {arch} in {}", directory.display()))
}
