//! Building real images from the mirror of ci/mirror.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::judge;
use super::run::nodeimg;

/// A directory of these tests in the build directory, made where it is not there.
pub fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("real")
        .join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Where the recipe is that fits the mirror.
pub fn recipe() -> PathBuf {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/debian.toml");
    std::env::var_os("NODEIMG_TEST_RECIPE").map_or(committed, PathBuf::from)
}

/// The rule that sends every download to the mirror.
pub fn mirror() -> Option<String> {
    let Ok(url) = std::env::var("NODEIMG_TEST_MIRROR") else {
        judge::missing("a mirror (ci/test makes one and sets NODEIMG_TEST_MIRROR)");
        return None;
    };
    Some(format!("https://={url}"))
}

/// The first-boot binary where nodeimg itself would look.
pub fn firstboot(arch: &str) -> Option<PathBuf> {
    let given = std::env::var_os(format!("NODEIMG_FIRSTBOOT_{}", arch.to_uppercase()));
    let target = Path::new(env!("CARGO_BIN_EXE_nodeimg")).ancestors().nth(2);
    let found = given.map(PathBuf::from).or_else(|| {
        let path = target?
            .join("firstboot")
            .join(arch)
            .join("nodeimg-firstboot");
        path.is_file().then_some(path)
    });
    if found.is_none() {
        judge::missing(&format!(
            "the first-boot binary for {arch} (`ci/firstboot {arch}` makes it)"
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
        .arg(recipe());
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
