//! Packages whose scripts nodeimg knows: what they have in an image, compared with what dpkg
//! makes of the same packages in a chroot, by their own scripts.
//!
//! dpkg.sh makes the chroot, which takes root, mmdebstrap and a minute; what it prints is kept
//! beside the tests' store. The lists below are all that is otherwise in an image, and why.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use nodeimg_test_support::debian::{every_known_package, locked, store, verb_of, with_network};
use nodeimg_test_support::image::manifest;
use nodeimg_test_support::run::{Ran, clean};
use nodeimg_test_support::{judge, place, real};

/// Where an image's programs run.
const ARCH: &str = "amd64";

/// Beginnings of lines of dpkg.sh that no image has.
const OTHERWISE: [(&str, &str); 32] = [
    ("user _apt ", "apt is only in the chroot"),
    ("user root ", "a shell"),
    ("user sync ", "of base-passwd"),
    (
        "user uuidd ",
        "its sysusers.d names another home than its script",
    ),
    (
        "enabled /etc/systemd/system/apparmor.service",
        "of the base",
    ),
    (
        "enabled /etc/systemd/system/sysinit.target.wants/apparmor.service",
        "of the base: nodeimg loads the profiles itself",
    ),
    (
        "enabled /etc/systemd/system/timers.target.wants/apt-",
        "apt is only in the chroot",
    ),
    (
        "enabled /etc/systemd/system/timers.target.wants/dpkg-",
        "dpkg is only in the chroot",
    ),
    (
        "enabled /etc/systemd/system/timers.target.wants/e2scrub",
        "masked",
    ),
    (
        "enabled /etc/systemd/system/getty.target.wants/",
        "a template's instance",
    ),
    ("enabled /etc/systemd/system/sshd.service", "an alias"),
    ("enabled /etc/systemd/system/dbus.service", "an alias"),
    ("enabled /etc/systemd/system/ssh.socket.wants/", "not used"),
    ("enabled /etc/systemd/system/sshd", "not used"),
    ("path /etc/.pwd.lock ", "of building"),
    (
        "path /etc/apparmor.d/",
        "profiles of programs that are not here",
    ),
    ("path /etc/apt", "apt is only in the chroot"),
    ("path /etc/fstab ", "of mmdebstrap"),
    ("path /etc/hostname ", "of mmdebstrap"),
    (
        "path /etc/hosts.",
        "missing ones allow everyone, as the empty ones do",
    ),
    (
        "path /etc/initramfs-tools",
        "the initrd is made with the image",
    ),
    (
        "path /etc/iscsi/initiatorname.iscsi ",
        "each node makes its own",
    ),
    ("path /etc/ld.so.cache ", "libraries are found without"),
    ("path /etc/modules ", "an empty one adds none"),
    ("path /etc/nvme/host", "each node makes its own"),
    ("path /etc/opt ", "of base-files"),
    ("path /etc/rc", "no service is an init script"),
    ("path /etc/resolv.conf ", "of mmdebstrap"),
    ("path /etc/ssh/ssh_host_", "each node makes its own"),
    ("path /usr/lib/udev/hwdb.bin ", "no hwdb in an image"),
    ("path /usr/local", "directories of base-files"),
    ("path /usr/share/info", "for people"),
];

/// The same by the end of a name.
const OTHERWISE_ENDS: [&str; 4] = ["-", ".gz", "/mt", "/README"];

/// Files that are in an image, with another content or mode.
const OTHER_CONTENT: [&str; 25] = [
    "/etc/alternatives/pager",
    "/etc/default/locale",
    "/etc/default/mdadm",
    "/etc/environment",
    "/etc/group",
    "/etc/gshadow",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/mdadm/mdadm.conf",
    "/etc/motd",
    "/etc/mtab",
    "/etc/networks",
    "/etc/nsswitch.conf",
    "/etc/pam.d/common-account",
    "/etc/pam.d/common-auth",
    "/etc/pam.d/common-password",
    "/etc/pam.d/common-session",
    "/etc/pam.d/common-session-noninteractive",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/shells",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/vconsole.conf",
];

/// The output directory.
fn image(recipe: &Path) -> Option<PathBuf> {
    if !locked(recipe) {
        return None;
    }
    let directory = real::directory("known-packages");
    let mut build = verb_of(recipe, "build", &[ARCH]);
    let binary = real::firstboot(ARCH)?;
    build.arg("--firstboot");
    build.arg(format!("{ARCH}={}", binary.display()));
    build.args(["--force", "--output", "rootfs-tar", "--out"]);
    with_network(build.arg(&directory));
    Ran::of(&mut build).good();
    Some(directory.join(format!("every-13.0-{ARCH}")))
}

/// What dpkg makes, from an earlier run if the packages are the same.
fn reference(recipe: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(recipe).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let names = table["base"]["packages"].as_array().unwrap();
    let names: Vec<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
    let all = format!(
        "systemd,systemd-sysv,dbus-broker,openssh-server,iptables,kmod,udev,apparmor,{}",
        names.join(",")
    );
    let kept = store().parent().unwrap().join("known-packages.txt");
    let head = format!("# {all}");
    let there = fs::read_to_string(&kept).unwrap_or_default();
    let there = match there.lines().next() == Some(&head) {
        true => there,
        false => {
            if !judge::is_root() {
                judge::missing("root, for a chroot");
                return None;
            }
            let mut script = clean(Command::new(
                place::top().join("tests/known_packages/dpkg.sh"),
            ));
            with_network(script.arg(&all));
            script.envs(std::env::vars_os().filter(|(name, _)| name == "NODEIMG_TEST_CHROOT"));
            let ran = Ran::of(&mut script);
            if ran.err.contains("mmdebstrap: not found") {
                judge::missing("the command `mmdebstrap`");
                return None;
            }
            let made = format!("{head}\n{}", ran.good().out);
            fs::write(&kept, &made).unwrap();
            made
        }
    };
    Some(there.lines().skip(1).map(str::to_owned).collect())
}

/// A file of the image's tree.
fn text(image: &Path, path: &str) -> String {
    let mut tar = clean(Command::new("tar"));
    tar.args(["--zstd", "-xOf"])
        .arg(image.join("rootfs.tar.zst"));
    Ran::of(tar.arg(path)).good().out
}

/// What the image has, as dpkg.sh says it.
struct Tree {
    lines: BTreeSet<String>,
    paths: BTreeMap<String, String>,
}

impl Tree {
    fn of(image: &Path) -> Tree {
        let (passwd, group) = (text(image, "etc/passwd"), text(image, "etc/group"));
        let table = |text: &str| -> BTreeMap<String, String> {
            let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
            fields.map(|f| (f[2].to_owned(), f[0].to_owned())).collect()
        };
        let (users, groups) = (table(&passwd), table(&group));
        let mut lines = BTreeSet::new();
        for line in passwd.lines() {
            let f: Vec<&str> = line.split(':').collect();
            let group = groups.get(f[3]).map_or("", String::as_str);
            lines.insert(format!("user {} {} {} {group}", f[0], f[5], f[6]));
        }
        lines.extend(groups.values().map(|name| format!("group {name}")));
        let mut paths = BTreeMap::new();
        for file in manifest(image)["files"].as_array().unwrap() {
            let word = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
            let id = |key: &str| file[key].as_u64().unwrap().to_string();
            let path = word("path");
            if path.starts_with("/etc/systemd/system/") && word("type") == "symlink" {
                lines.insert(format!("enabled {path}"));
            }
            let name = |names: &BTreeMap<String, String>, id: &str| {
                names.get(id).cloned().unwrap_or_default()
            };
            paths.insert(
                path.clone(),
                format!(
                    "{} {} {} {} {}",
                    &word("type")[..1].replace('s', "l"),
                    word("mode").trim_start_matches('0'),
                    name(&users, &id("uid")),
                    name(&groups, &id("gid")),
                    shown(file)
                ),
            );
        }
        Tree { lines, paths }
    }
}

fn shown(file: &Value) -> String {
    let of = |key: &str| file[key].as_str().map(str::to_owned);
    let digest = of("sha256").map(|digest| digest.trim_start_matches("sha256:").to_owned());
    of("target").or(digest).unwrap_or_else(|| "-".to_owned())
}

fn is_otherwise(line: &str) -> bool {
    let path = line.split(' ').nth(1).unwrap_or_default();
    OTHERWISE.iter().any(|(start, _)| line.starts_with(start))
        || OTHERWISE_ENDS.iter().any(|end| path.ends_with(end))
}

#[test]
fn an_image_has_what_dpkg_makes_of_the_same_packages() {
    let recipe = every_known_package(&real::directory("known-packages"));
    let Some(image) = image(&recipe) else { return };
    let Some(want) = reference(&recipe) else {
        return;
    };
    assert!(want.len() > 200, "only {} lines", want.len());
    let tree = Tree::of(&image);
    let mut problems = Vec::new();
    for line in want.iter().filter(|line| !is_otherwise(line)) {
        let Some(rest) = line.strip_prefix("path ") else {
            if !tree.lines.contains(line) {
                problems.push(format!("{line}: not in the image"));
            }
            continue;
        };
        let (path, want) = rest.split_once(' ').unwrap();
        match tree.paths.get(path) {
            Some(found) if found == want || OTHER_CONTENT.contains(&path) => {}
            found => problems.push(format!("{path}: {found:?} instead of {want:?}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // What the lists above would hide.
    for (user, home) in [
        ("statd", "/var/lib/nfs"),
        ("_rpc", "/run/rpcbind"),
        ("_chrony", "/var/lib/chrony"),
    ] {
        let start = format!("user {user} {home} ");
        assert!(
            tree.lines.iter().any(|line| line.starts_with(&start)),
            "{start}"
        );
    }
    assert_eq!(tree.paths["/etc/audit/audit.rules"][..6], *"f 640 ");
}
