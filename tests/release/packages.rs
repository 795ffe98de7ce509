//! The files of a release, each judged by the program that it is for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::debian::mirror;
use nodeimg_test_support::judge;
use nodeimg_test_support::place::{target, top};
use nodeimg_test_support::run::{Ran, host_program, listing};
use serde_json::Value;
use tempfile::TempDir;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
const ARCHS: [(&str, &str); 2] = [("amd64", "x86_64"), ("arm64", "aarch64")];

/// What both packages and the archive have.
const SHARED: [&str; 5] = [
    "/usr/bin/nodeimg",
    "/usr/share/bash-completion/completions/nodeimg",
    "/usr/share/fish/vendor_completions.d/nodeimg.fish",
    "/usr/share/doc/nodeimg/SECURITY.md",
    "/usr/share/man/man1/nodeimg.1.gz",
];

pub fn folder() -> PathBuf {
    let folder = std::env::var_os("NODEIMG_TEST_RELEASE");
    folder.map_or_else(|| target().join("release-files"), PathBuf::from)
}

pub fn file(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{}: ci/release makes it", path.display());
    path
}

pub fn own() -> (&'static str, &'static str) {
    ARCHS[usize::from(cfg!(target_arch = "aarch64"))]
}

fn program(name: &str) -> Command {
    host_program(name)
}

#[test]
#[ignore = "needs what ci/release makes"]
fn nothing_is_there_that_its_sums_do_not_list() {
    Ran::of(
        program("sha256sum")
            .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
            .current_dir(folder()),
    )
    .good();
    let sums = fs::read_to_string(file("SHA256SUMS")).unwrap();
    let listed: BTreeSet<_> = sums.lines().map(|line| line[66..].to_owned()).collect();
    let mut wanted = BTreeSet::from(
        ["nodeimg", "nodeimg-firstboot", "nodeimg-update"]
            .map(|name| format!("{name}-{VERSION}.cdx.json")),
    );
    for (arch, cpu) in ARCHS {
        wanted.insert(format!("nodeimg-{VERSION}-linux-{arch}"));
        wanted.insert(format!("nodeimg-{VERSION}-linux-{arch}.tar.gz"));
        wanted.insert(format!("nodeimg_{VERSION}_{arch}.deb"));
        wanted.insert(format!("nodeimg-{VERSION}-1.{cpu}.rpm"));
    }
    wanted.insert(format!("nodeimg-{VERSION}-oci.tar"));
    assert_eq!(listed, wanted);
    let mut there: BTreeSet<_> = listing(&folder()).into_iter().collect();
    assert!(there.remove("SHA256SUMS"));
    assert_eq!(there, wanted);
}

/// Another working directory, temporary directory and umask; the programs are those of ci/static,
/// whose bytes tests/same_bytes.rs proves.
#[test]
#[ignore = "needs what ci/release makes; a minute"]
fn packing_again_gives_the_same_bytes() {
    let before = fs::read_to_string(file("SHA256SUMS")).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let mut again = Command::new("sh");
    again.arg("-c").arg("umask 077; exec \"$1\"").arg("sh");
    again.arg(top().join("ci/release"));
    again
        .env("TMPDIR", elsewhere.path())
        .env("TZ", "Asia/Tokyo");
    again.env("NODEIMG_TEST_DECLARED", "1");
    // What cargo tells a test: with it, build scripts of crates run again, and nothing is warm.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            again.env_remove(&*name);
        }
    }
    Ran::of(again.current_dir("/")).good();
    assert_eq!(fs::read_to_string(file("SHA256SUMS")).unwrap(), before);
}

#[test]
#[ignore = "needs what ci/release makes"]
fn the_archive_is_nobodys_and_holds_what_it_should() {
    for (arch, _) in ARCHS {
        let name = format!("nodeimg-{VERSION}-linux-{arch}");
        let mut list = program("tar");
        list.args(["--list", "--verbose", "--numeric-owner", "--full-time"]);
        let said = Ran::of(list.arg("--file").arg(file(&format!("{name}.tar.gz")))).good();
        let mut times = BTreeSet::new();
        let mut names = BTreeSet::new();
        for line in said.out.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words[1], "0/0", "{line}");
            let executable = words[5].ends_with("/nodeimg") && !words[5].contains("completions");
            let mode = match (line.starts_with('d'), executable) {
                (true, _) => "drwxr-xr-x",
                (false, true) => "-rwxr-xr-x",
                (false, false) => "-rw-r--r--",
            };
            assert_eq!(words[0], mode, "{line}");
            times.insert(format!("{} {}", words[3], words[4]));
            names.insert(words[5].to_owned());
        }
        assert_eq!(times.len(), 1, "{times:?}");
        for wanted in [
            "nodeimg",
            "LICENSE",
            "SECURITY.md",
            "man/nodeimg.1",
            "man/nodeimg-build.1",
            "completions/_nodeimg",
        ] {
            assert!(
                names.contains(&format!("{name}/{wanted}")),
                "{wanted}: {names:?}"
            );
        }
    }
}

/// A Debian with nothing but what is essential.
fn fresh_debian() -> TempDir {
    let root = TempDir::new().unwrap();
    let mut make = program("mmdebstrap");
    make.args(["--quiet", "--variant=essential", "--include=dpkg", "trixie"]);
    Ran::of(make.arg(root.path()).arg(mirror())).good();
    root
}

#[test]
#[ignore = "needs what ci/release makes, and root; a minute"]
fn the_deb_installs_runs_and_goes() {
    let (arch, _) = own();
    let root = fresh_debian();
    let before = listing(root.path());
    let deb = file(&format!("nodeimg_{VERSION}_{arch}.deb"));
    fs::copy(&deb, root.path().join("tmp/nodeimg.deb")).unwrap();
    let inside = |words: &[&str]| {
        let mut command = program("chroot");
        command.arg(root.path());
        command.args(["/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
        Ran::of(command.args(words)).good().out
    };
    inside(&["dpkg", "--install", "/tmp/nodeimg.deb"]);
    assert!(inside(&["nodeimg", "--version"]).starts_with(&format!("nodeimg {VERSION}")));
    assert_eq!(inside(&["dpkg", "--verify", "nodeimg"]), "");
    let files = inside(&["dpkg", "--listfiles", "nodeimg"]);
    for wanted in SHARED.iter().chain(&[
        "/usr/share/zsh/vendor-completions/_nodeimg",
        "/usr/share/doc/nodeimg/copyright",
    ]) {
        assert!(
            files.lines().any(|line| line == *wanted),
            "{wanted}: {files}"
        );
    }
    let script = ". /usr/share/bash-completion/completions/nodeimg && complete -p nodeimg";
    assert!(inside(&["bash", "-c", script]).contains("nodeimg"));
    inside(&["dpkg", "--purge", "nodeimg"]);
    fs::remove_file(root.path().join("tmp/nodeimg.deb")).unwrap();
    let dpkgs_own = |path: &String| !path.contains("var/lib/dpkg") && !path.contains("var/log");
    let left: Vec<_> = listing(root.path()).into_iter().filter(dpkgs_own).collect();
    let before: Vec<_> = before.into_iter().filter(dpkgs_own).collect();
    assert_eq!(left, before);
}

#[test]
#[ignore = "needs what ci/release makes, and root; a minute"]
fn the_rpm_installs_runs_and_goes() {
    // Not Fedora's, but with the shell that runs a package's script.
    let root = fresh_debian();
    for (arch, cpu) in ARCHS {
        let rpm = file(&format!("nodeimg-{VERSION}-1.{cpu}.rpm"));
        let by = |words: &[&str]| {
            let mut command = program("rpm");
            command
                .arg("--root")
                .arg(root.path())
                .args(["--dbpath", "/var/lib/rpm"]);
            Ran::of(command.args(words)).good().out
        };
        by(&["--initdb"]);
        let path = rpm.display().to_string();
        by(&["--install", "--nodeps", "--ignorearch", &path]);
        let files = by(&["--query", "--list", "nodeimg"]);
        for wanted in SHARED.iter().chain(&[
            "/usr/share/zsh/site-functions/_nodeimg",
            "/usr/share/licenses/nodeimg/LICENSE",
        ]) {
            assert!(
                files.lines().any(|line| line == *wanted),
                "{wanted}: {files}"
            );
        }
        by(&["--verify", "--nodeps", "nodeimg"]);
        if own().0 == arch {
            let installed = root.path().join("usr/bin/nodeimg");
            let said = Ran::of(
                program("chroot")
                    .arg(root.path())
                    .args(["/usr/bin/nodeimg", "--version"]),
            );
            assert!(
                said.good().out.starts_with("nodeimg "),
                "{}",
                installed.display()
            );
        }
        by(&["--erase", "--nodeps", "nodeimg"]);
        let left: Vec<_> = listing(root.path())
            .into_iter()
            .filter(|path| path.contains("nodeimg"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
    }
}

/// What is in an SBOM of nodeimg is what cargo has locked.
#[test]
#[ignore = "needs what ci/release makes"]
fn the_sboms_are_valid_and_whole() {
    let lock = fs::read_to_string(top().join("Cargo.lock")).unwrap();
    for (name, expected) in [
        ("nodeimg", ["reqwest", "sequoia-openpgp", "mimalloc"]),
        ("nodeimg-update", ["rustls", "ring", "serde"]),
        ("nodeimg-firstboot", ["serde", "nix", "granit-parser"]),
    ] {
        let path = file(&format!("{name}-{VERSION}.cdx.json"));
        let text = fs::read_to_string(&path).unwrap();
        for alien in ["/home/", "/root/", "/tmp/", &top().display().to_string()] {
            assert!(!text.contains(alien), "{} has {alien}", path.display());
        }
        let bom: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bom["bomFormat"], "CycloneDX");
        assert_eq!(bom["metadata"]["component"]["name"], name);
        let components = bom["components"].as_array().unwrap();
        for wanted in expected {
            assert!(
                components.iter().any(|c| c["name"] == wanted),
                "{name}: {wanted}"
            );
        }
        for component in components {
            let line = format!(
                "name = {}\nversion = {}\n",
                component["name"], component["version"]
            );
            assert!(lock.contains(&line), "{line}");
        }
        is_strict_cyclonedx(&path);
    }
}

fn is_strict_cyclonedx(path: &Path) {
    let Some(judges) = std::env::var_os("NODEIMG_TEST_JUDGES") else {
        judge::missing("NODEIMG_TEST_JUDGES, for CycloneDX's schema");
        return;
    };
    let check = "import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
sys.exit(error and str(error))";
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", Path::new(&judges).join("sbom"));
    Ran::of(command.args(["-c", check]).arg(path)).good();
}
