//! What the tree has of each package, by dpkg's own tools.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

use super::{ARCHS, HOST, Package, blob, images};
use nodeimg_test_support::image::{Listed, listed_in, listed_text, manifest, sums_hold};
use nodeimg_test_support::run::{Ran, clean, tool};

/// What an immutable image does otherwise than the packages: path, mode,
/// owner, target.
const OTHERWISE: [(&str, &str, &str, &str); 6] = [
    ("/home", "lrwxrwxrwx", "0/0", "var/home"),
    ("/root", "lrwxrwxrwx", "0/0", "var/roothome"),
    ("/srv", "lrwxrwxrwx", "0/0", "var/srv"),
    ("/proc", "dr-xr-xr-x", "0/0", ""),
    ("/sys", "dr-xr-xr-x", "0/0", ""),
    (
        "/usr/lib/systemd/system/default.target",
        "lrwxrwxrwx",
        "0/0",
        "multi-user.target",
    ),
];

/// The one mode that a package's script sets: the package is openssh-client,
/// the group `_ssh`.
const BY_SCRIPT: &str = "/usr/bin/ssh-agent";

/// What may be left out: beginnings of paths.
const LEFT_OUT: [&str; 51] = [
    // In the EFI system partition.
    "/boot/",
    "/usr/lib/systemd/boot",
    "/etc/X11",
    "/etc/apport",
    "/etc/containerd/config.toml",
    "/etc/cron",
    "/etc/dhcp",
    "/etc/init.d",
    "/etc/insserv",
    "/etc/kernel",
    "/etc/logrotate.d",
    "/etc/network",
    "/etc/rc",
    "/etc/runit",
    "/etc/sv",
    "/etc/ufw",
    "/etc/xdg",
    "/usr/bin/containerd-shim",
    "/usr/lib/dracut",
    "/usr/lib/kernel",
    "/usr/lib/systemd/catalog",
    "/usr/lib/systemd/system-generators/systemd-hibernate-resume-generator",
    "/usr/lib/systemd/system-generators/systemd-ssh-generator",
    "/usr/lib/systemd/system-generators/systemd-system-update-generator",
    "/usr/lib/systemd/system/sysinit.target.wants/sys-fs-fuse-connections.mount",
    "/usr/lib/systemd/system/sysinit.target.wants/sys-kernel-config.mount",
    "/usr/lib/tmpfiles.d/20-systemd-ssh-generator.conf",
    "/usr/lib/tmpfiles.d/home.conf",
    "/usr/lib/udev/hwdb",
    "/usr/share/applications",
    "/usr/share/apport",
    "/usr/share/bash-completion",
    "/usr/share/bug",
    "/usr/share/debconf",
    "/usr/share/doc",
    "/usr/share/fish",
    "/usr/share/gcc",
    "/usr/share/gdb",
    "/usr/share/i18n",
    "/usr/share/info",
    "/usr/share/initramfs-tools",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
    "/usr/share/menu",
    "/usr/share/metainfo",
    "/usr/share/perl5",
    "/usr/share/pixmaps",
    "/usr/share/polkit-1",
    "/usr/share/runit",
    "/usr/share/zsh",
];

/// Of AppArmor's profiles there is only what they include.
fn is_profile(path: &str) -> bool {
    path.rsplit_once('/')
        .is_some_and(|(above, _)| above == "/etc/apparmor.d")
}

fn tree(arch: &str) -> Option<BTreeMap<String, Listed>> {
    let list = listed_in(&images()?.archive(arch));
    Some(
        list.into_iter()
            .map(|one| (one.path.clone(), one))
            .collect(),
    )
}

/// `name version digest` of what the manifest says the image is made of.
fn in_manifest(image: &Path) -> BTreeSet<String> {
    let manifest = manifest(image);
    let packages = manifest["packages"].as_array().unwrap();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
    let line = |p: &Value| {
        let digest = text(p, "sha256");
        let digest = digest.trim_start_matches("sha256:");
        format!("{} {} {digest}", text(p, "name"), text(p, "version"))
    };
    packages.iter().map(line).collect()
}

fn in_lock(packages: &[&Package]) -> BTreeSet<String> {
    let line = |p: &&Package| format!("{} {} {}", p.name, p.version, p.sha256);
    packages.iter().map(line).collect()
}

#[test]
fn dpkg_knows_the_packages_of_the_lock_and_no_others() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        sums_hold(&images.image(arch));
        // Where dpkg looks, and through links where a node has it.
        let admin = images.root(arch).join("var/lib/dpkg");
        let mut query = clean(Command::new("dpkg-query"));
        query.arg("--admindir").arg(admin).args([
            "-W",
            "-f",
            "${Package} ${Version} ${Status} ${Architecture}\n",
        ]);
        let Some(ran) = tool(&mut query) else {
            return;
        };
        let mut found: Vec<_> = ran.good().out.lines().map(str::to_owned).collect();
        for line in &mut found {
            let of = line.rfind(' ').unwrap();
            assert!(
                [" all", &format!(" {arch}")].contains(&&line[of..]),
                "{line}"
            );
            line.truncate(of);
        }
        found.sort();
        let line = |p: &&Package| format!("{} {} install ok installed", p.name, p.version);
        let mut want: Vec<_> = images.of_arch(arch).iter().map(line).collect();
        want.sort();
        assert!(want.len() > 100, "only {} packages", want.len());
        assert_eq!(found, want, "{arch}");
        assert_eq!(
            in_manifest(&images.image(arch)),
            in_lock(&images.of_arch(arch))
        );
    }
}

/// dpkg reads every file again and compares it with the package's digest.
#[test]
fn every_file_has_the_content_that_its_package_says() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let root = images.root(arch);
        let mut verify = clean(Command::new("dpkg"));
        verify.arg(format!("--root={}", root.display()));
        let admin = root.join("var/lib/dpkg");
        verify.arg(format!("--admindir={}", admin.display()));
        let Some(ran) = tool(verify.arg("--verify")) else {
            return;
        };
        let ran = ran.good();
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{arch}");
        // It did have something to read.
        let mut lines = 0;
        for entry in std::fs::read_dir(admin.join("info")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md5sums") {
                lines += std::fs::read_to_string(path).unwrap().lines().count();
            }
        }
        assert!(lines > 2000, "{arch}: only {lines} digests");
    }
}

/// As dpkg-deb and GNU tar list it.
fn members(deb: &Path) -> Option<Vec<Listed>> {
    let list = "dpkg-deb --fsys-tarfile \"$1\" | tar --numeric-owner --full-time \
                --quoting-style=literal -tvf -";
    let mut command = clean(Command::new("sh"));
    command.env("TZ", "UTC").args(["-c", list, "sh"]).arg(deb);
    let ran = Ran::of(&mut command);
    if ran.err.contains("dpkg-deb: not found") {
        nodeimg_test_support::judge::missing("the command `dpkg-deb`");
        return None;
    }
    Some(listed_text(&ran.good().out))
}

/// All packages, on two cores.
fn all_members(packages: &[&Package]) -> Option<Vec<Listed>> {
    let work = Mutex::new(packages.iter());
    let next = || work.lock().unwrap().next();
    let one = || {
        let mut found = Some(Vec::new());
        while let (Some(package), Some(list)) = (next(), found.as_mut()) {
            match members(&blob(package)) {
                Some(more) => list.extend(more),
                None => found = None,
            }
        }
        found
    };
    let (mut first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(one);
        (one(), other.join().unwrap())
    });
    first.as_mut()?.extend(second?);
    first
}

fn expected(mut member: Listed, ssh: &str) -> Listed {
    for (path, mode, owner, target) in OTHERWISE {
        if member.path == path {
            member.mode = mode.to_owned();
            member.owner = owner.to_owned();
            member.target = Some(target.to_owned()).filter(|target| !target.is_empty());
        }
    }
    if member.path == BY_SCRIPT {
        member.mode = "-rwxr-sr-x".to_owned();
        member.owner = format!("0/{ssh}");
    }
    member
}

/// Modes, owners and targets are those of the packages; what is missing is
/// what was meant to be; a setuid or setgid program is in its package.
#[test]
fn every_member_of_every_package_is_there_as_its_package_has_it() {
    let Some(images) = images() else { return };
    let Some(tree) = tree(HOST) else { return };
    let Some(all) = all_members(&images.of_arch(HOST)) else {
        return;
    };
    assert!(all.len() > 4000, "only {} members", all.len());
    let groups = images.text(HOST, "/etc/group");
    let ssh = groups.lines().find_map(|line| line.strip_prefix("_ssh:x:"));
    let ssh = ssh.unwrap().trim_end_matches(':');
    let mut problems = Vec::new();
    let mut special = Vec::new();
    for member in all {
        let want = expected(member, ssh);
        if want.mode.contains(['s', 'S']) {
            special.push(want.path.clone());
        }
        match tree.get(&want.path) {
            Some(found)
                if (&found.mode, &found.owner, &found.target)
                    == (&want.mode, &want.owner, &want.target) => {}
            Some(found) => problems.push(format!("{found:?} instead of {want:?}")),
            None if want.path == "/" || want.path.starts_with("/var/") => {}
            None if LEFT_OUT.iter().any(|start| want.path.starts_with(start))
                && !want.path.ends_with("/copyright") => {}
            None if is_profile(&want.path) => {}
            None => problems.push(format!("{} is missing", want.path)),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let stray: Vec<_> = tree
        .values()
        .filter(|found| found.mode.contains(['s', 'S']) && !special.contains(&found.path))
        .collect();
    assert!(stray.is_empty(), "{stray:?}");
    assert!(special.len() > 9, "{special:?}");
}
