//! The base system below a worker of the hard way, whose programs are artifacts
//! of the mirror of ci/lab.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{HOST, fetched, node};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::image::{Listed, listed_in, manifest, sums_hold};
use nodeimg_test_support::run::{Ran, clean};
use nodeimg_test_support::{judge, real};

/// What the kubelet, network plugins and people call.
const HOST_PROGRAMS: [&str; 12] = [
    "/usr/bin/killall",
    "/usr/bin/kmod",
    "/usr/bin/mount",
    "/usr/bin/socat",
    "/usr/sbin/brctl",
    "/usr/sbin/conntrack",
    "/usr/sbin/ebtables",
    "/usr/sbin/ethtool",
    "/usr/sbin/ip",
    "/usr/sbin/ipset",
    "/usr/sbin/iptables",
    "/usr/sbin/nft",
];

/// Of artifacts, where a package could have brought another.
const OWN_PROGRAMS: [&str; 7] = [
    "/opt/cni/bin/bridge",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/local/bin/crictl",
    "/usr/local/bin/kube-proxy",
    "/usr/local/bin/kubelet",
    "/usr/local/bin/runc",
];

/// Their artifacts, of which one is an archive of all plugins.
const ARTIFACTS: [&str; 6] = [
    "cni-plugins",
    "containerd",
    "crictl",
    "kube-proxy",
    "kubelet",
    "runc",
];

/// The output directory; `None`, with a printed skip, if there is no mirror
/// of artifacts; an error in CI.
fn build(outputs: &[&str], into: &str) -> Option<PathBuf> {
    let directory = real::directory(into);
    real::build_whole(&directory, &[HOST], outputs)?;
    Some(real::output_for(&directory, HOST))
}

#[test]
fn a_whole_worker_has_its_host_programs_and_its_own() {
    if !fetched() {
        return;
    }
    let Some(image) = build(&["overlay", "rootfs-tar"], "hard-way") else {
        return;
    };
    let archive = image.join("rootfs.tar.zst");
    let there: BTreeMap<String, Listed> = listed_in(&archive)
        .into_iter()
        .map(|one| (one.path.clone(), one))
        .collect();
    for path in HOST_PROGRAMS {
        assert!(there.contains_key(path), "{path} is missing");
    }
    for path in OWN_PROGRAMS {
        assert_eq!(there[path].mode, "-rwxr-xr-x", "{path}");
    }
    assert!(!there.contains_key("/usr/sbin/runc"), "two of them");
    assert!(!there.contains_key("/usr/lib/cni"), "two of each plugin");
    // `/var` is the node's; what must be there is made at boot. (A scanner looks
    // for the package database before that.)
    let var: Vec<_> = there
        .keys()
        .filter(|path| path.starts_with("/var/"))
        .collect();
    let admin = ["available", "diversions", "info", "statoverride", "status"];
    let admin = admin.map(|name| format!("/var/lib/dpkg/{name}"));
    let want: Vec<String> = ["/var/lib", "/var/lib/dpkg"]
        .map(str::to_owned)
        .into_iter()
        .chain(admin)
        .collect();
    assert_eq!(var.into_iter().cloned().collect::<Vec<_>>(), want);
    let manifest = manifest(&image);
    assert!(manifest["packages"].as_array().unwrap().len() > 100);
    let artifacts = manifest["artifacts"].as_array().unwrap().iter();
    let names: Vec<_> = artifacts.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ARTIFACTS);
    sums_hold(&image);
    programs_run(&archive);

    // What lies over a base of one's own is the same where none is built.
    let Some(alone) = build(&["overlay"], "hard-way-alone") else {
        return;
    };
    let digest = |image: &Path| sha256(&fs::read(image.join("overlay.tar.zst")).unwrap());
    assert_eq!(digest(&image), digest(&alone));
}

/// Each with the libraries of the base system.
fn programs_run(archive: &Path) {
    let root = real::directory("hard-way-root");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    let mut tar = clean(Command::new("tar"));
    tar.args(["--zstd", "--numeric-owner", "-xpf"]).arg(archive);
    if !judge::is_root() {
        tar.arg("--no-same-owner");
    }
    Ran::of(tar.arg("-C").arg(&root)).good();
    let script = "kubelet --version; kube-proxy --version; containerd --version; runc --version
        ctr --version; socat -V >/dev/null; conntrack --version; ipset --version
        iptables --version; ethtool --version
        CNI_COMMAND=VERSION /opt/cni/bin/bridge </dev/null";
    let Some(ran) = node::run(&root, script) else {
        return;
    };
    let out = ran.good().out;
    for said in ["Kubernetes v", "containerd", "nf_tables", "cniVersion"] {
        assert!(out.contains(said), "{said}: {out}");
    }
}
