//! An image as other people's tools read it: GNU tar, zstd, sha256sum.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::run::{Ran, clean};

/// `manifest.json` of an output directory.
pub fn manifest(image: &Path) -> Value {
    let text = fs::read_to_string(image.join("manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// `sha256sum --strict -c SHA256SUMS` by coreutils.
pub fn sums_hold(image: &Path) {
    let mut command = clean(Command::new("sha256sum"));
    command
        .args(["--strict", "-c", "SHA256SUMS"])
        .current_dir(image);
    Ran::of(&mut command).good();
}

/// The overlay, unpacked by GNU tar.
pub struct Extracted {
    directory: TempDir,
}

impl Extracted {
    pub fn of(image: &Path) -> Extracted {
        let directory = tempfile::Builder::new()
            .prefix("nodeimg-root-")
            .tempdir()
            .unwrap();
        let mut command = clean(Command::new("tar"));
        command
            .args(["--zstd", "--no-same-owner", "-xpf"])
            .arg(image.join("overlay.tar.zst"))
            .arg("-C")
            .arg(directory.path());
        Ran::of(&mut command).good();
        Extracted { directory }
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A path of the image on this machine.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root().join(absolute.trim_start_matches('/'))
    }

    #[track_caller]
    pub fn text(&self, absolute: &str) -> String {
        match fs::read_to_string(self.path(absolute)) {
            Ok(text) => text,
            Err(e) => panic!("{absolute}: {e}"),
        }
    }
}

/// Lines `MODE OWNER/GROUP SIZE PATH[ -> TARGET]` as GNU tar lists the overlay.
pub fn listed(image: &Path) -> Vec<Listed> {
    listed_in(&image.join("overlay.tar.zst"))
}

/// The same of any archive.
pub fn listed_in(archive: &Path) -> Vec<Listed> {
    let mut command = clean(Command::new("tar"));
    command
        .env("TZ", "UTC")
        .args([
            "--zstd",
            "--numeric-owner",
            "--full-time",
            "--quoting-style=literal",
            "-tvf",
        ])
        .arg(archive);
    listed_text(&Ran::of(&mut command).good().out)
}

/// The same of what GNU tar printed.
pub fn listed_text(text: &str) -> Vec<Listed> {
    text.lines().map(Listed::parse).collect()
}

/// One line of `tar -tv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As in `-rwxr-xr-x`.
    pub mode: String,
    /// As in `0/0`.
    pub owner: String,
    /// As in `2026-09-21 14:13:20`.
    pub time: String,
    /// Absolute, without a slash at the end.
    pub path: String,
    pub target: Option<String>,
}

impl Listed {
    fn parse(line: &str) -> Listed {
        let mut words = line.split_whitespace();
        let mut word = || {
            words
                .next()
                .unwrap_or_else(|| panic!("tar says {line:?}"))
                .to_owned()
        };
        let (mode, owner, _size, date, clock, name) =
            (word(), word(), word(), word(), word(), word());
        let target = words.next_back().filter(|_| mode.starts_with('l'));
        Listed {
            mode,
            owner,
            time: format!("{date} {clock}"),
            path: absolute(&name),
            target: target.map(str::to_owned),
        }
    }
}

/// `./a/b/`, as Debian's packages have it, and `a/b` are both `/a/b`.
fn absolute(name: &str) -> String {
    let name = name.strip_prefix("./").unwrap_or(name);
    format!("/{}", name.trim_matches('/'))
}
