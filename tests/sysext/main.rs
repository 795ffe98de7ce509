//! The output `sysext`, judged by other people's tools: sfdisk and sgdisk for
//! the disk image, veritysetup for the hash tree, unsquashfs for what is in
//! it, systemd for the extension.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod extension;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use extension::{built, verified, with_mounts};
use nodeimg_test_support::image::{manifest, sums_hold};
use nodeimg_test_support::run::{Ran, clean, host_program, tool};
use nodeimg_test_support::synthetic::World;
use nodeimg_test_support::{archive, judge};
use serde_json::Value;

/// Everything in the store, the extension among the outputs, and a directory
/// of /opt that stays writable.
fn world() -> World {
    let mut world = World::warm();
    world.edit("\"/etc/nodeimg\",", "\"/etc/nodeimg\", \"/opt/cni/bin\",");
    world.edit(
        "profile =",
        "outputs = [\"overlay\", \"sysext\"]\nprofile =",
    );
    world
}

#[test]
fn the_disk_image_is_a_discoverable_one() {
    let world = world();
    for (arch, name, kinds) in [
        (
            "amd64",
            "root-x86-64",
            [
                "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
                "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
            ],
        ),
        (
            "arm64",
            "root-arm64",
            [
                "b921b045-1df0-41c3-af44-4c6f280d3fae",
                "df3300ce-d69f-4c92-978c-9bfb0f38d820",
            ],
        ),
    ] {
        let extension = built(&world, arch);
        sums_hold(&extension.image);
        let Some(table) = extension.table() else {
            return;
        };
        let root_hash = extension.root_hash();
        let names = [name.to_owned(), format!("{name}-verity")];
        let halves = root_hash.split_at(32);
        assert_eq!(table.len(), 2);
        for (partition, (kind, (name, half))) in table
            .iter()
            .zip(kinds.iter().zip(names.iter().zip([halves.0, halves.1])))
        {
            let text = |key: &str| partition[key].as_str().unwrap().to_lowercase();
            assert_eq!(text("type"), *kind);
            assert_eq!(text("uuid").replace('-', ""), half);
            assert_eq!(text("name"), *name);
            assert_eq!(text("attrs"), "guid:60");
        }
        let mut command = host_program("sgdisk");
        let Some(ran) = tool(command.arg("-v").arg(extension.raw())) else {
            return;
        };
        assert!(ran.good().out.contains("No problems found"));
    }
}

#[test]
fn one_flipped_byte_of_files_or_hashes_is_noticed() {
    let world = world();
    let extension = built(&world, "amd64");
    let dir = tempfile::tempdir().unwrap();
    let Some([data, tree]) = extension.cut(dir.path()) else {
        return;
    };
    let root_hash = extension.root_hash();
    let Some(accepted) = verified(&data, &tree, &root_hash) else {
        return;
    };
    assert!(accepted);
    for path in [&data, &tree] {
        let good = fs::read(path).unwrap();
        // Behind the superblock of the hash tree, which is not what is trusted.
        let mut bad = good.clone();
        bad[4096] ^= 1;
        fs::write(path, bad).unwrap();
        assert_eq!(
            verified(&data, &tree, &root_hash),
            Some(false),
            "{}",
            path.display()
        );
        fs::write(path, good).unwrap();
    }
}

#[test]
fn it_holds_what_systemd_wants_and_nothing_that_it_would_not_merge() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let extension = built(&world, "arm64");
    let Some(root) = extension.unpacked(dir.path()) else {
        return;
    };
    let mut top: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    top.sort();
    assert_eq!(top, ["usr"]);
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let release = format!(
        "usr/lib/extension-release.d/extension-release.{}",
        extension.name
    );
    assert_eq!(
        text(&release),
        "ID=_any\nARCHITECTURE=arm64\nIMAGE_ID=tiny\nIMAGE_VERSION=1.0.0\nEXTENSION_RELOAD_MANAGER=1\n"
    );
    let units = root.join("usr/lib/systemd/system");
    assert_eq!(
        fs::read_to_string(units.join("multi-user.target.d/10-nodeimg-tiny.conf")).unwrap(),
        "[Unit]\nUpholds=nodeimg-tiny.target\n"
    );
    let mut wanted: Vec<_> = fs::read_dir(units.join("nodeimg-tiny.target.wants"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .inspect(|entry| assert!(entry.path().exists(), "{:?} hangs", entry.path()))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    wanted.sort();
    assert_eq!(
        wanted,
        [
            "containerd.service",
            "kube-proxy.service",
            "kubelet.service",
            "nodeimg-firstboot.service",
            "nodeimg-tiny-setup.service",
        ]
    );
    let setup = text("usr/lib/systemd/system/nodeimg-tiny-setup.service");
    for line in [
        "Before=containerd.service kube-proxy.service kubelet.service nodeimg-firstboot.service",
        "ExecStart=-/usr/lib/systemd/systemd-modules-load \"kubernetes.conf\"",
        "ExecStart=/usr/lib/systemd/systemd-sysctl \"99-kubernetes.conf\"",
        "ExecStart=systemd-tmpfiles --create \"nodeimg-hard-way.conf\" \"nodeimg-sysext.conf\" \"nodeimg-writable.conf\"",
    ] {
        assert!(
            setup.lines().any(|l| l == line),
            "{line:?} is not in:\n{setup}"
        );
    }
}

#[test]
fn systemd_tmpfiles_makes_all_that_is_not_merged() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let extension = built(&world, "amd64");
    let Some(root) = extension.unpacked(dir.path()) else {
        return;
    };
    if !judge::is_root() {
        eprintln!("skipped: only root makes files of root's");
        return;
    }
    let own = root.join("etc/containerd/config.toml");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "mine").unwrap();
    let mut command = clean(Command::new("systemd-tmpfiles"));
    command
        .arg("--create")
        .arg(format!("--root={}", root.display()));
    let Some(ran) = tool(&mut command) else {
        return;
    };
    assert!(!ran.err.contains("nodeimg-sysext.conf"), "{}", ran.err);
    assert_eq!(fs::read_to_string(own).unwrap(), "mine");
    for file in manifest(&extension.image)["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        let Some(digest) = file["sha256"]
            .as_str()
            .filter(|_| path != "/etc/containerd/config.toml")
        else {
            continue;
        };
        let at = [path.to_owned(), path.replacen("/etc/", "/usr/lib/", 1)]
            .map(|path| root.join(&path[1..]))
            .into_iter()
            .find(|at| at.symlink_metadata().is_ok())
            .unwrap_or_else(|| panic!("{path} is not there"));
        let at = match fs::read_link(&at) {
            Ok(target) => root.join(target.strip_prefix("/").unwrap()),
            Err(_) => at,
        };
        let bytes = fs::read(&at).unwrap();
        assert_eq!(
            digest,
            format!("sha256:{}", archive::sha256(&bytes)),
            "{path}"
        );
    }
    let kind = |path: &str| root.join(path).symlink_metadata().unwrap().file_type();
    assert!(kind("etc/crictl.yaml").is_symlink());
    assert!(kind("opt/cni/bin/bridge").is_symlink());
    assert!(kind("etc/cni/net.d/99-loopback.conf").is_file());
}

#[test]
fn systemd_dissect_finds_an_extension_with_verity() {
    let world = world();
    let extension = built(&world, "amd64");
    if tool(clean(Command::new("systemd-dissect")).arg("--version")).is_none() {
        return;
    }
    let Some(ran) = with_mounts("systemd-dissect --json=short \"$1\"", &[&extension.raw()]) else {
        return;
    };
    let told: Value = serde_json::from_str(&ran.good().out).unwrap();
    let mounts = told["mounts"].as_array().unwrap();
    let column = |key: &str| -> Vec<&str> {
        let of = |mount: &Value| mount[key].as_str().map(str::len);
        assert!(mounts.iter().all(|mount| of(mount).is_some()), "{mounts:?}");
        mounts
            .iter()
            .filter_map(|mount| mount[key].as_str())
            .collect()
    };
    assert_eq!(column("designator"), ["root", "root-verity"]);
    assert_eq!(column("fstype"), ["squashfs", "DM_verity_hash"]);
    // By the file with the root hash beside the image.
    assert_eq!(mounts[0]["verity"], "yes");
    assert!(told.to_string().contains("IMAGE_ID=tiny"), "{told}");
}

#[test]
fn systemd_sysext_merges_it_under_any_name() {
    // Without the root hash: not every kernel here has dm-verity.
    const SCRIPT: &str = "
        mount --make-rprivate /
        mount -t tmpfs tmpfs /run
        mount --bind \"$1\" \"$1\"
        mount --make-rshared /
        quiet=$(systemd-sysext --help | grep -o -- --no-reload || true)
        systemd-sysext $quiet --root=\"$1\" merge
        cat \"$1/usr/local/bin/kubelet\" >/dev/null
        # The base's own /opt stays as it is: it is writable on the node.
        touch \"$1/opt/mine\"
        systemd-analyze verify --root=\"$1\" --man=no nodeimg-tiny.target
        systemd-sysext $quiet --root=\"$1\" unmerge";
    let world = world();
    let extension = built(&world, "amd64");
    let mut version = clean(Command::new("systemd-sysext"));
    if tool(version.arg("--version")).is_none() {
        return;
    }
    for name in [extension.name.as_str(), "kubernetes"] {
        let base = tempfile::tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        for directory in ["usr/lib/systemd/system", "opt", "var/lib/extensions"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        fs::write(at("usr/lib/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
        let to = at(&format!("var/lib/extensions/{name}.raw"));
        fs::copy(extension.raw(), to).unwrap();
        let Some(ran) = with_mounts(SCRIPT, &[base.path()]) else {
            return;
        };
        let ran = ran.good();
        // systemd 257 adds the file's ending.
        let said = ran.err.replace(".raw'", "'");
        assert!(said.contains(&format!("'{name}'")), "{said}");
    }
}

#[test]
fn the_bytes_are_the_same_from_another_place_umask_and_user() {
    let here = world();
    let one = built(&here, "amd64");
    let first = fs::read(one.raw()).unwrap();
    let other = world();
    fs::set_permissions(other.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let mut shell = clean(Command::new("sh"));
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    if judge::is_root() {
        Ran::of(
            clean(Command::new("chown"))
                .args(["-R", "65534:65534"])
                .arg(other.path("")),
        )
        .good();
        shell.args([
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ]);
    }
    shell.arg(env!("CARGO_BIN_EXE_nodeimg"));
    let mut command = other.prepared(shell, "build");
    command.args(["--arch", "amd64"]).env("TZ", "Asia/Seoul");
    Ran::of(&mut command).good();
    let second = fs::read(other.image("amd64").join(format!("{}.raw", one.name))).unwrap();
    assert!(first == second, "the same image has other bytes");
}

#[test]
fn alone_it_has_a_manifest_with_every_digest() {
    let mut world = world();
    let both = manifest(&built(&world, "amd64").image);
    world.edit("[\"overlay\", \"sysext\"]", "[\"sysext\"]");
    let extension = built(&world, "amd64");
    sums_hold(&extension.image);
    let alone = manifest(&extension.image);
    assert_eq!(alone["files"], both["files"]);
    let files: Vec<_> = alone["outputs"].as_array().unwrap().iter().collect();
    let names: Vec<_> = files
        .iter()
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            format!("{}.raw", extension.name),
            format!("{}.roothash", extension.name),
            "sbom.spdx.json".to_owned(),
            "sbom.cdx.json".to_owned(),
        ]
    );
}

#[test]
fn a_recipe_can_name_the_base() {
    let mut world = world();
    world.edit(
        "[units]",
        "[sysext]\nid = \"debian\"\nversion_id = \"13\"\n\n[units]",
    );
    let dir = tempfile::tempdir().unwrap();
    let extension = built(&world, "amd64");
    let Some(root) = extension.unpacked(dir.path()) else {
        return;
    };
    let release = root.join("usr/lib/extension-release.d");
    let text = fs::read_to_string(release.join(format!("extension-release.{}", extension.name)));
    let text = text.unwrap();
    assert!(
        text.starts_with("ID=debian\nVERSION_ID=13\nARCHITECTURE=x86-64\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_an_extension_is_refused() {
    let mut world = world();
    let recipe = world.recipe.clone();
    world.edit("[units]", "[sysext]\nversion_id = \"13\"\n\n[units]");
    let says = ["sysext.version_id", "set `id` as well"];
    Ran::of(&mut world.build()).refused(1, &says);

    world.write_recipe(&recipe);
    let release = world.path("overlay/root/usr/lib/os-release");
    fs::create_dir_all(release.parent().unwrap()).unwrap();
    fs::write(release, "ID=mine\n").unwrap();
    let says = ["/usr/lib/os-release", "overlay", "cannot extend another"];
    Ran::of(&mut world.build()).refused(1, &says);
    assert!(!world.path("out").join("tiny-1.0.0-amd64").exists());
}
