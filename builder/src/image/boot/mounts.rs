//! What of a running node can be written to, and what lies behind it.
//!
//! | path | mount |
//! |---|---|
//! | `/` | the verified file system, read-only |
//! | `/var` | the state partition |
//! | `/etc` | an overlay: the verified files below, the node's own on the state |
//! | every other path of `writable` | an overlay of its own, likewise |
//! | `/tmp`, `/run` | memory |
//!
//! `/home`, `/root`, `/srv` and `/mnt` are links into `/var`.

use anyhow::{Result, bail};
use nodeimg_seed::contract::initrd_plan::OVERLAYS;
use serde::{Deserialize, Serialize};

use crate::input::recipe::Recipe;
use crate::tree::ImagePath;

/// What a path's content is kept in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// The state partition.
    State,
    /// The image's files, with the node's over them on the state partition.
    Overlay,
    /// Gone at the next boot.
    Memory,
}

/// A path that can be written to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mount {
    pub path: ImagePath,
    pub backing: Backing,
}

/// Always there, whatever the recipe says.
const FIXED: [(&str, Backing); 4] = [
    ("/etc", Backing::Overlay),
    ("/run", Backing::Memory),
    ("/tmp", Backing::Memory),
    ("/var", Backing::State),
];
/// The kernel's own.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Where the node's own files of the overlay at `path` are, and what the kernel
/// needs beside them: `upper` and `work` below this. Flat: a path's parts are
/// told apart as in a unit's name.
pub fn place(path: &ImagePath) -> String {
    format!("{OVERLAYS}/{}", escaped(path.as_str()))
}

/// What of `mounts` is an overlay.
pub fn overlays(mounts: &[Mount]) -> impl Iterator<Item = &ImagePath> {
    let overlays = mounts
        .iter()
        .filter(|mount| mount.backing == Backing::Overlay);
    overlays.map(|mount| &mount.path)
}

/// Every mount, by path.
pub fn of(recipe: &Recipe) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for (path, backing) in FIXED {
        let path = path.parse()?;
        mounts.push(Mount { path, backing });
    }
    let mut wanted: Vec<&ImagePath> = recipe.writable.iter().collect();
    wanted.sort();
    for path in wanted {
        check(path)?;
        if !mounts.iter().any(|mount| path.is_within(&mount.path)) {
            mounts.push(Mount {
                path: path.clone(),
                backing: Backing::Overlay,
            });
        }
    }
    mounts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(mounts)
}

fn check(path: &ImagePath) -> Result<()> {
    if *path == ImagePath::root() {
        bail!("writable: the disk verifies `/`, which stays read-only: name directories below it");
    }
    for kernels in KERNELS {
        if path.is_within(&kernels.parse()?) {
            bail!("writable: `{path}` belongs to the kernel, not to the image: leave it out");
        }
    }
    // They part the options of a mount.
    if path.as_str().contains([',', ':', '\\']) {
        bail!("writable: `{path}` cannot be mounted: `,`, `:` and `\\` separate a mount's options");
    }
    Ok(())
}

/// A path as the name of a unit has it
/// ([systemd.unit(5)](https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#String%20Escaping%20for%20Inclusion%20in%20Unit%20Names)).
pub fn escaped(path: &str) -> String {
    let mut name = String::new();
    for (index, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if index == 0 => name.push_str("\\x2e"),
            b'.' | b'_' | b':' => name.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;
    use nodeimg_test_support::judge;

    #[test]
    fn systemd_escapes_alike() {
        for path in [
            "/opt/cni/bin",
            "/a-b/.c/d.e",
            "/.x",
            "/ä/b c_d:e",
            "/usr/x@y",
        ] {
            let mut command = Command::new("systemd-escape");
            let Some(told) = judge::run(command.args(["--path", path])) else {
                return;
            };
            let want = String::from_utf8(told.stdout).unwrap();
            assert_eq!(escaped(path), want.trim_end());
        }
    }
}
