//! The steps on a small tree, looked at as lines and texts.
#![allow(clippy::unwrap_used)]

use super::mounts::Backing;
use super::*;
use crate::image::units::text_at;
use crate::input::recipe::tests::disk_recipe;
use crate::tree::{Content, Kind};

const RELEASE: &str = "6.12-x";

fn insert(tree: &mut Tree, path: &str, text: &str) {
    let content = Content::inline(text.as_bytes().to_vec());
    let node = Node::file(content, 0o644, Origin::Package("p".into()));
    tree.insert(path.parse().unwrap(), node).unwrap();
}

fn root() -> Tree {
    let mut tree = Tree::default();
    for path in [
        "/boot/System.map-6.12-x",
        "/boot/config-6.12-x",
        "/boot/vmlinuz-6.12-x",
        "/usr/lib/modules/6.12-x/kernel/a.ko.xz",
        "/usr/lib/systemd/boot/efi/addonx64.efi.stub",
        "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
    ] {
        insert(&mut tree, path, path);
    }
    let release = "NAME=\"Debian GNU/Linux\"\nIMAGE_ID=old\nID=debian\n";
    insert(&mut tree, "/usr/lib/os-release", release);
    tree
}

fn prepared(tree: &mut Tree) -> Result<Parts> {
    let recipe = disk_recipe("version = \"1+a\"\n");
    Ok(prepare(tree, &recipe, Arch::Amd64, Epoch(1_789_200_000))?.unwrap())
}

#[test]
fn what_boots_the_root_leaves_it() {
    let mut tree = root();
    let parts = prepared(&mut tree).unwrap();
    let files: Vec<&str> = tree
        .iter()
        .filter(|(_, node)| matches!(node.kind, Kind::File(_)))
        .map(|(path, _)| path.as_str())
        .collect();
    let want = [
        "/usr/lib/modules/6.12-x/config",
        "/usr/lib/modules/6.12-x/kernel/a.ko.xz",
        "/usr/lib/os-release",
    ];
    assert_eq!(files, want);
    assert!(tree.get(&"/boot".parse().unwrap()).is_some());
    assert_eq!(parts.release, RELEASE);
    let texts = [&parts.kernel, &parts.stub, &parts.loader]
        .map(|content| String::from_utf8(content.head(99).unwrap()).unwrap());
    let want = [
        "/boot/vmlinuz-6.12-x",
        "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
    ];
    assert_eq!(texts, want);
}

#[test]
fn the_image_says_which_it_is() {
    let mut tree = root();
    prepared(&mut tree).unwrap();
    let text = text_at(&tree, &name::OS_RELEASE.parse().unwrap()).unwrap();
    let want =
        "NAME=\"Debian GNU/Linux\"\nID=debian\nIMAGE_ID=mine\nIMAGE_VERSION=1.a-202609120800\n";
    assert_eq!(text.as_deref(), Some(want));
}

#[test]
fn a_part_that_is_missing_names_its_package() {
    for (path, package) in [
        ("/boot/vmlinuz-6.12-x", "`linux-image-6.12-x`"),
        ("/usr/lib/os-release", "`base-files`"),
        (
            "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
            "`systemd-boot-efi`",
        ),
        (
            "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
            "`systemd-boot-efi`",
        ),
        ("/usr/lib/modules/6.12-x/kernel/a.ko.xz", "no kernel"),
    ] {
        let mut tree = root();
        tree.take(&path.parse().unwrap());
        let error = format!("{:#}", prepared(&mut tree).err().unwrap());
        assert!(error.contains(package), "{path}: {error}");
        assert!(error.contains("base.packages"), "{path}: {error}");
    }
}

#[test]
fn a_kernel_beside_its_modules_boots_and_leaves_the_root() {
    let mut tree = root();
    tree.take(&"/boot".parse().unwrap());
    let beside = "/usr/lib/modules/6.12-x/vmlinuz";
    insert(&mut tree, beside, "the kernel");
    let parts = prepared(&mut tree).unwrap();
    assert_eq!(parts.kernel.head(64).unwrap(), b"the kernel");
    assert!(tree.get(&beside.parse().unwrap()).is_none());
}

#[test]
fn one_kernel_boots() {
    for path in ["/boot/vmlinuz-6.1-y", "/usr/lib/modules/6.1-y/kernel/a.ko"] {
        let mut tree = root();
        insert(&mut tree, path, "");
        let error = format!("{:#}", prepared(&mut tree).err().unwrap());
        assert!(
            error.contains("6.1-y") && error.contains(RELEASE),
            "{error}"
        );
    }
}

#[test]
fn a_tree_of_no_disk_keeps_its_kernel() {
    let mut tree = root();
    let recipe = crate::input::recipe::tests::recipe("");
    assert!(
        prepare(&mut tree, &recipe, Arch::Amd64, Epoch(7))
            .unwrap()
            .is_none()
    );
    assert_eq!(tree.iter().count(), root().iter().count());
}

#[test]
fn each_writable_path_has_one_mount() {
    let recipe = disk_recipe(
        "writable = [\"/etc/x\", \"/var/lib/y\", \"/opt/cni\", \"/opt/cni/bin\", \"/usr/local/z\"]\n",
    );
    let found = mounts::of(&recipe).unwrap();
    let found: Vec<_> = found.iter().map(|m| (m.path.as_str(), m.backing)).collect();
    let want = [
        ("/etc", Backing::Overlay),
        ("/opt/cni", Backing::Overlay),
        ("/run", Backing::Memory),
        ("/tmp", Backing::Memory),
        ("/usr/local/z", Backing::Overlay),
        ("/var", Backing::State),
    ];
    assert_eq!(found, want);
}

#[test]
fn what_cannot_be_writable_is_told() {
    for (path, part) in [
        ("/", "stays read-only"),
        ("/proc/x", "belongs to the kernel"),
        ("/dev", "belongs to the kernel"),
        ("/opt/a,b", "cannot be mounted"),
        ("/opt/a:b", "cannot be mounted"),
    ] {
        let recipe = disk_recipe(&format!("writable = [\"{path}\"]\n"));
        let error = mounts::of(&recipe).unwrap_err().to_string();
        assert!(error.contains(path) && error.contains(part), "{error}");
    }
}
