//! Programs, libraries, certificates and units, by who loads them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ARCHS, HOST, images, node};
use nodeimg_test_support::run::{Ran, clean, listing, tool};

#[test]
fn the_programs_for_containers_run() {
    let Some(images) = images() else { return };
    for (script, says) in [
        (
            "containerd --version",
            "containerd github.com/containerd/containerd ",
        ),
        ("containerd config dump", "disabled_plugins"),
        ("runc --version", "runc version "),
        (
            "CNI_COMMAND=VERSION /usr/lib/cni/loopback",
            "\"supportedVersions\"",
        ),
        (
            "CNI_COMMAND=VERSION /opt/cni/bin/bridge",
            "\"supportedVersions\"",
        ),
        ("iptables -V", "(nf_tables)"),
        ("ip6tables-save -V", "(nf_tables)"),
        ("nft --version", "nftables v"),
        ("ip -V", "iproute2"),
        ("systemctl --version", "systemd 25"),
    ] {
        let Some(ran) = node::run(&images.root(HOST), script) else {
            return;
        };
        let ran = ran.good();
        assert!(ran.out.contains(says), "{script}: {}{}", ran.out, ran.err);
    }
    // Not because everything succeeds in there.
    let wrong = node::run(&images.root(HOST), "runc --no-such-flag").unwrap();
    assert_eq!(wrong.code, Some(1), "{}", wrong.err);
}

/// Programs and libraries of `root` as `file` describes them: path and words.
fn elves(root: &Path) -> Option<Vec<(String, String)>> {
    let script = "cd \"$1\" && find . -type f -print0 | xargs -0 file --no-pad -N -h -F '|'";
    let mut command = clean(Command::new("file"));
    tool(command.arg("--version"))?.good();
    let mut command = clean(Command::new("sh"));
    let ran = Ran::of(command.args(["-c", script, "sh"]).arg(root)).good();
    let entry = |line: &str| {
        let (path, words) = line.split_once("| ")?;
        let path = path.strip_prefix('.')?;
        words
            .starts_with("ELF ")
            .then(|| (path.to_owned(), words.to_owned()))
    };
    Some(ran.out.lines().filter_map(entry).collect())
}

#[test]
fn every_program_is_for_the_images_architecture() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let cpu = if arch == "amd64" {
            ", x86-64, "
        } else {
            ", ARM aarch64, "
        };
        let Some(found) = elves(&images.root(arch)) else {
            return;
        };
        assert!(found.len() > 800, "{arch}: only {}", found.len());
        for (path, words) in found {
            let right = words.starts_with("ELF 64-bit LSB ") && words.contains(cpu);
            assert!(right, "{arch}: {path}: {words}");
        }
    }
}

/// libc's loader, in the image, finds what every program and library names.
#[test]
fn the_loader_finds_every_library() {
    let Some(images) = images() else { return };
    let root = images.root(HOST);
    let Some(found) = elves(&root) else { return };
    let dynamic: Vec<_> = found
        .iter()
        .filter(|(_, words)| words.contains("dynamically linked"))
        .map(|(path, _)| format!("'{path}'"))
        .collect();
    assert!(dynamic.len() > 800, "only {}", dynamic.len());
    let loader = match HOST {
        "amd64" => "/lib64/ld-linux-x86-64.so.2",
        _ => "/lib/ld-linux-aarch64.so.1",
    };
    // systemd's libraries for itself alone lie beside each other: who loads one
    // has the others already.
    let script = format!(
        "LC_ALL=C; export LC_ALL; checked=0\nfor f in {}; do\n  \
         own=; case $f in */systemd/libsystemd-*) own=${{f%/*}};; esac\n  \
         {loader} --library-path \"$own\" --list \"$f\" >/tmp/said 2>&1 || echo \"$f: exit $?\"\n  \
         while read -r line; do\n    case $line in *'not found'* | *cannot*) echo \"$f: $line\";; esac\n  \
         done </tmp/said\n  checked=$((checked + 1))\ndone\necho \"checked $checked\"",
        dynamic.join(" ")
    );
    let Some(ran) = node::run(&root, &script) else {
        return;
    };
    assert_eq!(ran.good().out, format!("checked {}\n", dynamic.len()));
}

/// Units that the image enables, by the links.
fn enabled(root: &Path) -> Vec<String> {
    let links = listing(&root.join("etc/systemd/system"));
    let mut units: Vec<_> = links
        .iter()
        .filter_map(|path| path.split_once(".wants/"))
        .map(|(_, unit)| unit.to_owned())
        .collect();
    units.sort();
    units.dedup();
    units
}

/// systemd of the image: another version has other settings.
#[test]
fn systemd_finds_nothing_wrong_with_the_enabled_units() {
    let Some(images) = images() else { return };
    let root = images.root(HOST);
    let units = enabled(&root);
    for unit in [
        "containerd.service",
        "nodeimg-firstboot.service",
        "ssh.service",
        "sshd-keygen.service",
        "systemd-networkd.service",
        "systemd-resolved.service",
        "systemd-timesyncd.service",
    ] {
        assert!(
            units.iter().any(|u| u == unit),
            "{unit} is not in {units:?}"
        );
    }
    let verify = "systemd-analyze verify --man=no --recursive-errors=yes";
    let script = format!("{verify} default.target {}", units.join(" "));
    let Some(ran) = node::run(&root, &script) else {
        return;
    };
    let ran = ran.good();
    assert_eq!(ran.out + &ran.err, "");
    // It would see a wrong one.
    let broken =
        "mkdir /tmp/u; printf '[Service]\\nExecStart=/usr/bin/nothing\\n' >/tmp/u/x.service";
    let ran = node::run(&root, &format!("{broken}; {verify} /tmp/u/x.service")).unwrap();
    assert!(
        ran.code == Some(1) && ran.err.contains("not executable"),
        "{}",
        ran.err
    );
}

#[test]
fn the_certificates_are_all_in_the_bundle() {
    let Some(images) = images() else { return };
    let root = images.root(HOST);
    let bundle = root.join("etc/ssl/certs/ca-certificates.crt");
    let text = fs::read_to_string(&bundle).unwrap();
    let begun = text.matches("-----BEGIN CERTIFICATE-----").count();
    assert!(begun > 100, "only {begun} certificates");
    let directory = root.join("usr/share/ca-certificates/mozilla");
    let files: Vec<PathBuf> = listing(&directory)
        .iter()
        .map(|name| directory.join(name))
        .collect();
    assert_eq!(files.len(), begun);
    let mut verify = clean(Command::new("openssl"));
    verify.args([
        "verify",
        "-no_check_time",
        "-no-CApath",
        "-no-CAstore",
        "-CAfile",
    ]);
    let Some(ran) = tool(verify.arg(&bundle).args(&files)) else {
        return;
    };
    let ran = ran.good();
    assert_eq!(
        ran.out
            .lines()
            .filter(|line| line.ends_with(": OK"))
            .count(),
        begun
    );
}
