//! Every path that a finished hard-way worker must hold.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{ARCHS, Images, images};
use nodeimg_test_support::image::{Listed, listed, manifest, sums_hold};
use nodeimg_test_support::run::{Ran, clean, tool};

/// Programs; on a merged-usr root `/bin` is `/usr/bin`.
const PROGRAMS: [&str; 27] = [
    "/opt/cni/bin/bandwidth",
    "/opt/cni/bin/bridge",
    "/opt/cni/bin/dhcp",
    "/opt/cni/bin/dummy",
    "/opt/cni/bin/firewall",
    "/opt/cni/bin/host-device",
    "/opt/cni/bin/host-local",
    "/opt/cni/bin/ipvlan",
    "/opt/cni/bin/loopback",
    "/opt/cni/bin/macvlan",
    "/opt/cni/bin/portmap",
    "/opt/cni/bin/ptp",
    "/opt/cni/bin/sbr",
    "/opt/cni/bin/static",
    "/opt/cni/bin/tap",
    "/opt/cni/bin/tuning",
    "/opt/cni/bin/vlan",
    "/opt/cni/bin/vrf",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/bin/containerd-stress",
    "/usr/bin/ctr",
    "/usr/bin/nodeimg-firstboot",
    "/usr/local/bin/crictl",
    "/usr/local/bin/kube-proxy",
    "/usr/local/bin/kubelet",
    "/usr/local/bin/runc",
];

/// Files, and directories that are to be there at boot.
const FILES: [&str; 17] = [
    "/etc/cni/net.d/99-loopback.conf",
    "/etc/containerd/config.toml",
    "/etc/crictl.yaml",
    "/etc/modules-load.d/kubernetes.conf",
    "/etc/sysctl.d/99-kubernetes.conf",
    "/etc/systemd/system/containerd.service",
    "/etc/systemd/system/kube-proxy.service",
    "/etc/systemd/system/kubelet.service",
    "/etc/systemd/system/nodeimg-firstboot.service",
    "/usr/lib/nodeimg/firstboot.json",
    "/usr/lib/nodeimg/kube-proxy-config.yaml",
    "/usr/lib/nodeimg/kubelet-config.yaml",
    "/usr/lib/nodeimg/templates/etc/cni/net.d/10-bridge.conflist",
    "/usr/lib/nodeimg/templates/etc/kubernetes/kubelet.conf.d/50-nodeimg.conf",
    "/usr/lib/nodeimg/templates/etc/nodeimg/node.env",
    "/usr/lib/tmpfiles.d/nodeimg-hard-way.conf",
    "/usr/lib/tmpfiles.d/nodeimg-writable.conf",
];

const DIRECTORIES: [&str; 9] = [
    "/etc/cni/net.d",
    "/etc/containerd",
    "/etc/kubernetes",
    "/etc/nodeimg",
    "/opt/cni/bin",
    "/var/lib/containerd",
    "/var/lib/kube-proxy",
    "/var/lib/kubelet",
    "/var/lib/kubernetes",
];

const LINKS: [(&str, &str); 6] = [
    (
        "/etc/systemd/system/multi-user.target.wants/containerd.service",
        "/etc/systemd/system/containerd.service",
    ),
    (
        "/etc/systemd/system/multi-user.target.wants/kube-proxy.service",
        "/etc/systemd/system/kube-proxy.service",
    ),
    (
        "/etc/systemd/system/multi-user.target.wants/kubelet.service",
        "/etc/systemd/system/kubelet.service",
    ),
    (
        "/etc/systemd/system/multi-user.target.wants/nodeimg-firstboot.service",
        "/etc/systemd/system/nodeimg-firstboot.service",
    ),
    (
        "/var/lib/kube-proxy/kube-proxy-config.yaml",
        "/usr/lib/nodeimg/kube-proxy-config.yaml",
    ),
    (
        "/var/lib/kubelet/kubelet-config.yaml",
        "/usr/lib/nodeimg/kubelet-config.yaml",
    ),
];

fn by_path(images: &Images, arch: &str) -> BTreeMap<String, Listed> {
    let list = listed(&images.image(arch));
    list.into_iter()
        .map(|one| (one.path.clone(), one))
        .collect()
}

#[test]
fn every_path_of_the_contract_is_there_with_its_mode_and_owner() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let there = by_path(images, arch);
        let is = |path: &str, mode: &str| match there.get(path) {
            Some(found) => assert_eq!(found.mode, mode, "{arch} {path}"),
            None => panic!("{arch}: {path} is missing"),
        };
        PROGRAMS.iter().for_each(|path| is(path, "-rwxr-xr-x"));
        FILES.iter().for_each(|path| is(path, "-rw-r--r--"));
        DIRECTORIES.iter().for_each(|path| is(path, "drwxr-xr-x"));
        for (path, target) in LINKS {
            is(path, "lrwxrwxrwx");
            assert_eq!(there[path].target.as_deref(), Some(target), "{arch} {path}");
        }
        // One owner and one time for all; nothing is under /bin, /lib or /sbin.
        let first = there.values().next().unwrap();
        for one in there.values() {
            assert_eq!(
                (&one.owner, &one.time),
                (&"0/0".to_owned(), &first.time),
                "{arch} {}",
                one.path
            );
            let top = one.path.split('/').nth(1).unwrap();
            assert!(
                ["etc", "opt", "usr", "var"].contains(&top),
                "{arch}: {}",
                one.path
            );
        }
    }
}

#[test]
fn both_architectures_hold_the_same_paths() {
    let Some(images) = images() else { return };
    let [amd64, arm64] = ARCHS.map(|arch| by_path(images, arch));
    assert_eq!(amd64, arm64);
}

/// `e_machine` and what `file` calls it.
const MACHINES: [(&str, u16, &str); 2] = [("amd64", 62, "x86-64"), ("arm64", 183, "ARM aarch64")];

#[test]
fn every_program_is_of_the_images_architecture() {
    let Some(images) = images() else { return };
    for (arch, machine, name) in MACHINES {
        let root = images.root(arch);
        let mut programs = Vec::new();
        for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
            let entry = entry.unwrap();
            let executable = entry.metadata().unwrap().permissions().mode() & 0o111 != 0;
            if !entry.file_type().is_file() || !executable {
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            let shown = entry.path().display();
            // Of any architecture, and one of nodeimg's own.
            if entry.path().ends_with("usr/lib/nodeimg/bin/import-images") {
                assert!(bytes.starts_with(b"#!/bin/sh\n"), "{shown}");
                continue;
            }
            assert!(
                bytes.starts_with(b"\x7fELF\x02\x01"),
                "{shown} is no 64-bit ELF"
            );
            assert_eq!(
                u16::from_le_bytes([bytes[18], bytes[19]]),
                machine,
                "{shown}"
            );
            programs.push(entry.into_path());
        }
        assert!(programs.len() >= PROGRAMS.len(), "{programs:?}");
        let mut file = clean(Command::new("file"));
        let Some(ran) = tool(file.arg("-b").args(&programs)) else {
            return;
        };
        for (line, program) in ran.good().out.lines().zip(&programs) {
            let fits = line.starts_with("ELF 64-bit LSB") && line.contains(name);
            assert!(fits, "{}: {line}", program.display());
        }
    }
}

#[test]
fn the_manifest_is_what_gnu_tar_and_sha256sum_see() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let image = images.image(arch);
        let manifest = manifest(&image);
        let digests = digests(images, arch);
        let mut there = by_path(images, arch);
        for file in manifest["files"].as_array().unwrap() {
            let path = file["path"].as_str().unwrap();
            if path == "/" {
                continue;
            }
            let Some(found) = there.remove(path) else {
                panic!("{arch}: the tar lacks {path}")
            };
            let kind = match file["type"].as_str().unwrap() {
                "directory" => 'd',
                "file" => '-',
                _ => 'l',
            };
            assert!(found.mode.starts_with(kind), "{arch} {path}: {found:?}");
            assert_eq!(octal(&found.mode), file["mode"], "{arch} {path}");
            assert_eq!(
                found.owner,
                format!("{}/{}", file["uid"], file["gid"]),
                "{arch} {path}"
            );
            assert_eq!(
                found.target.as_deref(),
                file["target"].as_str(),
                "{arch} {path}"
            );
            let digest = digests.get(path).map(|hex| format!("sha256:{hex}"));
            assert_eq!(digest.as_deref(), file["sha256"].as_str(), "{arch} {path}");
        }
        assert!(there.is_empty(), "{arch}: not in the manifest: {there:?}");
        assert_eq!(manifest["artifacts"].as_array().unwrap().len(), 6);
        assert_eq!(manifest["image"]["arch"], arch);
        sums_hold(&image);
    }
}

/// `-rwxr-xr-x` as `0755`.
fn octal(mode: &str) -> String {
    let bits = mode
        .chars()
        .skip(1)
        .fold(0, |bits, c| bits << 1 | u32::from(c != '-'));
    assert!(!mode.contains(['s', 'S', 't', 'T']), "{mode}");
    format!("{bits:04o}")
}

/// SHA-256 of every regular file of the extracted tar, by coreutils.
fn digests(images: &Images, arch: &str) -> BTreeMap<String, String> {
    let mut find = clean(Command::new("find"));
    find.current_dir(images.root(arch));
    find.args([".", "-type", "f", "-exec", "sha256sum", "{}", "+"]);
    let line = |line: &str| {
        let (hex, path) = line.split_once("  .").unwrap();
        (path.to_owned(), hex.to_owned())
    };
    Ran::of(&mut find).good().out.lines().map(line).collect()
}
