//! What is in an initrd, and its bytes.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

use nodeimg_seed::contract::initrd_plan;
use nodeimg_seed::contract::paths::BINARY_PATH;
use nodeimg_test_support::judge;
use nodeimg_values::epoch::Epoch;

use super::*;
use crate::image::modules::tests::ko::Ko;
use crate::input::recipe::tests::disk_recipe;

mod own;

const RELEASE: &str = "6.12-x";
/// First boot's, none that could run.
const BINARY: &str = "the first-boot binary";
const UNITS: &str = "/usr/lib/systemd/system";
const KINDS: [InitrdKind; 2] = [InitrdKind::Nodeimg, InitrdKind::Systemd];
const BUILT_IN: [&str; 4] = ["dm-verity", "ext4", "overlay", "squashfs"];

fn insert(tree: &mut Tree, path: &str, bytes: impl AsRef<[u8]>) {
    let content = Content::inline(bytes.as_ref());
    let node = Node::file(content, 0o755, Origin::Package("p".into()));
    tree.insert(path.parse().unwrap(), node).unwrap();
}

/// A root with every program, none of them real, and a kernel with all built in.
fn root() -> Tree {
    let mut tree = Tree::default();
    for (path, _) in systemd::PROGRAMS {
        insert(&mut tree, path, path);
    }
    insert(&mut tree, BINARY_PATH, BINARY);
    insert(&mut tree, "/usr/lib/os-release", "ID=debian\n");
    for unit in [
        "initrd-fs.target",
        "initrd-cleanup.service",
        "sysinit.target",
        "kmod-static-nodes.service",
    ] {
        insert(&mut tree, &format!("{UNITS}/{unit}"), "[Unit]\n");
    }
    for (link, target) in [
        (
            "sysinit.target.wants/kmod-static-nodes.service",
            "../kmod-static-nodes.service",
        ),
        (
            "sysinit.target.wants/ldconfig.service",
            "../ldconfig.service",
        ),
    ] {
        let node = Node::symlink(target, Origin::Package("p".into()));
        tree.insert(format!("{UNITS}/{link}").parse().unwrap(), node)
            .unwrap();
    }
    let built_in = BUILT_IN.map(|name| format!("kernel/x/{name}.ko\n"));
    let built_in = built_in.concat();
    let modules = format!("/usr/lib/modules/{RELEASE}");
    insert(&mut tree, &format!("{modules}/modules.builtin"), built_in);
    insert(
        &mut tree,
        &format!("{modules}/a/virtio-blk.ko.zst"),
        packed(&module()),
    );
    tree
}

/// The smallest one: an ELF header, and a section that there always is.
fn module() -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    for (at, number) in [(40, 64), (58, 64), (60, 1)] {
        bytes[at] = number;
    }
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn made(tree: &Tree, store: &Store) -> Result<Initrd> {
    made_of(InitrdKind::Systemd, tree, store)
}

fn made_of(kind: InitrdKind, tree: &Tree, store: &Store) -> Result<Initrd> {
    let mut recipe = disk_recipe("writable = [\"/etc/a\", \"/opt/cni/bin\"]\n");
    recipe.disk.initrd = Some(kind);
    of(&InitrdInputs {
        tree,
        recipe: &recipe,
        arch: Arch::Amd64,
        release: RELEASE,
        slot: Slot::of(1 << 28),
        store,
    })
}

fn in_store<T>(work: impl FnOnce(&Store) -> T) -> T {
    let place = tempfile::tempdir().unwrap();
    work(&Store::open(place.path()).unwrap())
}

fn text(initrd: &Initrd, path: &str) -> String {
    let text = text_at(initrd.tree(), &path.parse().unwrap()).unwrap();
    text.unwrap_or_else(|| panic!("no file {path}"))
}

#[test]
fn the_units_mount_what_is_writable() {
    let initrd = in_store(|store| made(&root(), store)).unwrap();
    let var = text(&initrd, &format!("{UNITS}/sysroot-var.mount"));
    for line in [
        "What=/dev/disk/by-partlabel/state",
        "Where=/sysroot/var",
        "Type=ext4",
    ] {
        assert!(var.lines().any(|other| other == line), "{var}");
    }
    let cni = text(&initrd, &format!("{UNITS}/sysroot-opt-cni-bin.mount"));
    let options = "Options=lowerdir=/sysroot/opt/cni/bin,\
        upperdir=/sysroot/var/lib/nodeimg/overlay/opt-cni-bin/upper,\
        workdir=/sysroot/var/lib/nodeimg/overlay/opt-cni-bin/work";
    assert!(cni.lines().any(|line| line == options), "{cni}");
    let state = text(&initrd, &format!("{UNITS}/nodeimg-state.service"));
    assert!(state.contains("/overlay/etc/upper"), "{state}");
    assert!(!state.contains("Requires="), "{state}");
    // While nothing is mounted over the image's /etc; a node boots without it, too.
    let merge = "ExecStart=-/usr/lib/nodeimg/init merge-etc";
    assert!(state.lines().any(|line| line == merge), "{state}");
    for unit in [
        "sysroot-etc.mount",
        "sysroot-opt-cni-bin.mount",
        "sysroot-var.mount",
    ] {
        let link = format!("{UNITS}/initrd-fs.target.requires/{unit}");
        assert!(
            initrd.tree().get(&link.parse().unwrap()).is_some(),
            "{link}"
        );
    }
    let etc_a = format!("{UNITS}/sysroot-etc-a.mount");
    assert!(initrd.tree().get(&etc_a.parse().unwrap()).is_none());
}

#[test]
fn only_links_between_its_own_units_come_along() {
    let initrd = in_store(|store| made(&root(), store)).unwrap();
    let has = |path: &str| {
        let path = format!("{UNITS}/{path}").parse().unwrap();
        initrd.tree().get(&path).is_some()
    };
    assert!(has("sysinit.target.wants/kmod-static-nodes.service"));
    assert!(!has("sysinit.target.wants/ldconfig.service"));
    assert!(has("initrd.target.wants/initrd-cleanup.service"));
}

#[test]
fn systemd_sees_no_partition_before_the_disk_is_chosen() {
    let mut tree = root();
    let binary = BINARY_PATH.parse().unwrap();
    tree.stat_mut(&binary).unwrap().mode = 0o555;
    let initrd = in_store(|store| made(&tree, store)).unwrap();
    let helper = initrd_plan::HELPER.parse().unwrap();
    assert_eq!(initrd.tree().get(&helper).unwrap().stat.mode, 0o755);
    assert_eq!(text(&initrd, initrd_plan::HELPER), BINARY);
    let rules = text(&initrd, "/usr/lib/udev/rules.d/99-zz-nodeimg.rules");
    let rules: Vec<&str> = rules
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let want = "SUBSYSTEM==\"block\", ENV{DEVTYPE}==\"partition\", ACTION!=\"remove\", \
        TEST!=\"/run/nodeimg-initrd/booted-$parent\", SYMLINK:=\"\", ENV{SYSTEMD_READY}=\"0\"";
    assert_eq!(rules, [want]);
    let disk = text(&initrd, &format!("{UNITS}/nodeimg-disk.service"));
    for line in [
        "ExecStart=/usr/lib/nodeimg/init choose-disk",
        "OnFailure=emergency.target",
    ] {
        assert!(disk.lines().any(|other| other == line), "{disk}");
    }
    let link = format!("{UNITS}/initrd-root-device.target.wants/nodeimg-disk.service");
    assert!(initrd.tree().get(&link.parse().unwrap()).is_some());
    // Not while the table may be read again, nor beside systemd-repart.
    let guids = text(&initrd, &format!("{UNITS}/nodeimg-guids.service"));
    assert!(guids.contains("After=sysroot.mount\n"), "{guids}");
    let repart = format!("{UNITS}/systemd-repart.service.d/10-nodeimg.conf");
    let repart = text(&initrd, &repart);
    assert!(repart.contains("After=sysroot.mount nodeimg-guids.service\n"));
}

#[test]
fn partitions_to_come_are_defined() {
    let initrd = in_store(|store| made(&root(), store)).unwrap();
    let part = |name: &str| text(&initrd, &format!("/usr/lib/repart.d/{name}.conf"));
    let size = "SizeMinBytes=536870912\nSizeMaxBytes=536870912\n";
    assert_eq!(
        part("21-root-a"),
        format!("[Partition]\nType=root\nWeight=0\n{size}Priority=10\n")
    );
    let free = "Priority=10\nLabel=_empty\n";
    assert_eq!(
        part("31-root-b"),
        format!("[Partition]\nType=root\nWeight=0\n{size}{free}")
    );
    assert!(part("50-state").contains("Label=state\nFormat=ext4\n"));
}

#[test]
fn what_is_missing_is_named() {
    for (path, part) in [
        ("/usr/bin/systemd-repart", "the package `systemd-repart`"),
        (
            "/usr/lib/systemd/systemd-veritysetup",
            "the package `systemd-cryptsetup`",
        ),
        (BINARY_PATH, "but the initrd runs it"),
        (
            "/usr/lib/modules/6.12-x/modules.builtin",
            "has no `dm_verity`",
        ),
    ] {
        let mut tree = root();
        tree.take(&path.parse().unwrap());
        let error = in_store(|store| made(&tree, store)).err().unwrap();
        let error = format!("{error:#}");
        assert!(error.contains(part), "{path}: {error}");
    }
}

#[test]
fn modules_are_stored_as_they_are_loaded() {
    for kind in KINDS {
        let initrd = in_store(|store| made_of(kind, &root(), store)).unwrap();
        let directory = format!("/usr/lib/modules/{RELEASE}");
        let dep = text(&initrd, &format!("{directory}/modules.dep"));
        assert_eq!(dep, "a/virtio-blk.ko:\n");
        let bytes = in_store(|store| initrd.packed(Epoch(7), store)).unwrap();
        let archive = zstd::decode_all(&bytes[..]).unwrap();
        let whole = module();
        assert!(archive.windows(whole.len()).any(|part| part == whole));
    }
}

/// The kernel asks for it before there is a root.
#[test]
fn the_firmware_of_its_modules_comes_along() {
    let mut tree = root();
    let module = |folder: &str, name: &str, info: &[&str]| {
        let path = format!("/usr/lib/modules/{RELEASE}/kernel/{folder}/{name}.ko");
        let info = Ko {
            info,
            ..Ko::default()
        };
        (path, info.bytes())
    };
    for (path, bytes) in [
        module(
            "drivers/scsi",
            "qla",
            &["firmware=ql_fw.bin", "firmware=ql/ql-*.bin"],
        ),
        module("drivers/net", "nic", &["firmware=nic.bin"]),
    ] {
        insert(&mut tree, &path, bytes);
    }
    for file in [
        "ql_fw-1.bin.xz",
        "ql/ql-2.bin",
        "ql/ql-3.bin.zst",
        "ql/ql-2.txt",
        "ql/more/ql-4.bin",
        "nic.bin",
    ] {
        insert(&mut tree, &format!("/usr/lib/firmware/{file}"), file);
    }
    let link = Node::symlink("ql_fw-1.bin.xz", Origin::Package("p".into()));
    let path = "/usr/lib/firmware/ql_fw.bin.xz".parse().unwrap();
    tree.insert(path, link).unwrap();
    for kind in KINDS {
        let initrd = in_store(|store| made_of(kind, &tree, store)).unwrap();
        let place = "/usr/lib/firmware".parse().unwrap();
        let firmware = initrd.tree().below(&place);
        let files = firmware.filter(|(_, node)| !matches!(node.kind, Kind::Directory));
        let files: Vec<_> = files.map(|(path, _)| path.name().to_owned()).collect();
        assert_eq!(
            files,
            ["ql-2.bin", "ql-3.bin.zst", "ql_fw-1.bin.xz", "ql_fw.bin.xz"]
        );
        let place = ImagePath::merged_usr(false).find(|(_, target)| *target == "usr/lib");
        let lib = initrd.tree().get(&place.unwrap().0).unwrap();
        assert!(matches!(&lib.kind, Kind::Symlink(target) if target == "usr/lib"));
    }
    // Without any, nothing more is in it.
    let initrd = in_store(|store| made_of(InitrdKind::Nodeimg, &root(), store)).unwrap();
    let place = ImagePath::merged_usr(false).find(|(_, target)| *target == "usr/lib");
    assert!(initrd.tree().get(&place.unwrap().0).is_none());
}

#[test]
fn the_store_has_it_the_second_time() {
    for (kind, file) in [
        (InitrdKind::Systemd, format!("{UNITS}/initrd-fs.target")),
        (InitrdKind::Nodeimg, BINARY_PATH.to_owned()),
    ] {
        in_store(|store| {
            let first = made_of(kind, &root(), store).unwrap();
            let first = first.packed(Epoch(7), store).unwrap();
            let initrd = made_of(kind, &root(), store).unwrap();
            assert_eq!(first, initrd.packed(Epoch(7), store).unwrap());
            let elsewhere = in_store(|other| initrd.packed(Epoch(7), other)).unwrap();
            assert_eq!(first, elsewhere);
            assert_ne!(first, initrd.packed(Epoch(8), store).unwrap());
            let mut tree = root();
            tree.take(&file.parse().unwrap());
            insert(&mut tree, &file, "of another version");
            let other = made_of(kind, &tree, store).unwrap();
            assert_ne!(first, other.packed(Epoch(7), store).unwrap());
        });
    }
}

#[test]
fn cpio_lists_what_is_in_it() {
    for kind in KINDS {
        let initrd = in_store(|store| made_of(kind, &root(), store)).unwrap();
        let bytes = in_store(|store| initrd.packed(Epoch(7), store)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("initrd");
        fs::write(&file, zstd::decode_all(&bytes[..]).unwrap()).unwrap();
        let mut cpio = Command::new("cpio");
        let Some(told) = judge::run(cpio.args(["-t", "--quiet", "-F"]).arg(&file)) else {
            return;
        };
        let text = String::from_utf8(told.stdout).unwrap();
        let paths = initrd.tree().iter().map(|(path, _)| path.relative());
        let want: Vec<&str> = paths.filter(|path| !path.is_empty()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), want);
    }
}
