//! What is in the initrd of nodeimg's own.

use nodeimg_seed::contract::initrd_plan::{self, InitrdPlan, Overlay};

use super::*;

fn own(tree: &Tree) -> Result<Initrd> {
    in_store(|store| made_of(InitrdKind::Nodeimg, tree, store))
}

fn plan(tree: &Tree) -> InitrdPlan {
    let text = text(&own(tree).unwrap(), initrd_plan::PATH);
    assert!(text.ends_with("}\n"), "{text}");
    serde_json::from_str(&text).unwrap()
}

fn link(tree: &mut Tree, path: &str, target: &str) {
    let node = Node::symlink(target, Origin::Package("p".into()));
    tree.insert(path.parse().unwrap(), node).unwrap();
}

#[test]
fn one_program_and_what_it_reads() {
    let mut tree = root();
    let binary = BINARY_PATH.parse().unwrap();
    tree.stat_mut(&binary).unwrap().mode = 0o555;
    let initrd = own(&tree).unwrap();
    let kinds = initrd.tree().iter().map(|(path, node)| {
        let kind = match &node.kind {
            Kind::Directory => "directory".to_owned(),
            Kind::File(content) => format!("file {}", content.len() > 0),
            Kind::Symlink(target) => format!("link {target}"),
        };
        format!("{path} {:o} {kind}", node.stat.mode)
    });
    let found: Vec<String> = kinds.collect();
    let modules = "/usr/lib/modules/6.12-x";
    let want = [
        "/ 755 directory",
        "/dev 755 directory",
        "/etc 755 directory",
        "/etc/initrd-release 777 link ../usr/lib/initrd-release",
        "/etc/nodeimg 755 directory",
        "/etc/nodeimg/initrd.json 644 file true",
        "/init 755 file true",
        "/proc 555 directory",
        "/run 755 directory",
        "/sys 555 directory",
        "/sysroot 755 directory",
        "/tmp 1777 directory",
        "/usr 755 directory",
        "/usr/lib 755 directory",
        "/usr/lib/initrd-release 644 file true",
        "/usr/lib/modules 755 directory",
        modules,
        "/usr/lib/repart.d 755 directory",
    ];
    let rest =
        |line: &&String| !line.starts_with(&format!("{modules}/")) && !line.contains("/repart.d/");
    let shown: Vec<&str> = found
        .iter()
        .filter(rest)
        .map(|line| match line.starts_with(modules) {
            true => modules,
            false => line,
        })
        .collect();
    assert_eq!(shown, want);
    let below = |directory: &str| -> Vec<&str> {
        let start = format!("{directory}/");
        let lines = found.iter().filter_map(|line| line.strip_prefix(&start));
        lines.filter_map(|line| line.split(' ').next()).collect()
    };
    let index = [
        "a",
        "a/virtio-blk.ko",
        "modules.alias",
        "modules.dep",
        "modules.softdep",
    ];
    assert_eq!(below(modules), index);
    assert_eq!(below(initrd_plan::DEFINITIONS).len(), 6);
    assert_eq!(text(&initrd, "/init"), BINARY);
}

#[test]
fn the_plan_is_of_this_image() {
    let plan = plan(&root());
    assert_eq!(plan.release, RELEASE);
    assert_eq!(plan.state, "state");
    // Those that are built in are named as well: the program knows what it has.
    let modules = [
        "dm_verity",
        "ext4",
        "overlay",
        "squashfs",
        "loop",
        "efivarfs",
    ];
    assert_eq!(plan.modules, modules);
    let overlay = |path: &str, place: &str| Overlay {
        path: path.to_owned(),
        place: format!("/var/lib/nodeimg/overlay/{place}"),
    };
    let overlays = [
        overlay("/etc", "etc"),
        overlay("/opt/cni/bin", "opt-cni-bin"),
    ];
    assert_eq!(plan.overlays, overlays);
}

#[test]
fn files_to_read_ahead_are_where_they_really_are() {
    let mut tree = root();
    for path in [
        "/usr/bin/containerd",
        "/usr/bin/ctr",
        "/usr/bin/kubelet",
        "/usr/lib/cni/bridge",
        "/usr/local/bin/kubelet-1.36",
        "/usr/local/bin/runc",
        "/usr/sbin/runc",
    ] {
        insert(&mut tree, path, path);
    }
    link(&mut tree, "/usr/local/bin/kubelet", "kubelet-1.36");
    let systemd = "/usr/lib/systemd/systemd-udevd";
    tree.take(&systemd.parse().unwrap());
    link(&mut tree, systemd, "../../bin/udevadm");
    let want = [
        "/usr/lib/systemd/systemd",
        "/usr/lib/systemd/systemd-executor",
        "/usr/lib/systemd/systemd-journald",
        "/usr/bin/udevadm",
        "/usr/lib/systemd/systemd-modules-load",
        "/usr/bin/systemd-tmpfiles",
        "/usr/bin/nodeimg-firstboot",
        "/usr/bin/containerd",
        "/usr/local/bin/kubelet-1.36",
        "/usr/local/bin/runc",
        "/usr/lib/cni/bridge",
    ];
    assert_eq!(plan(&tree).read_ahead, want);
}

#[test]
fn every_program_that_it_runs_has_a_package() {
    let programs = programs(InitrdKind::Nodeimg).iter();
    let paths: Vec<&str> = programs.map(|(path, _)| *path).collect();
    assert_eq!(paths, initrd_plan::PROGRAMS);
}

#[test]
fn what_it_cannot_do_without_is_named() {
    let modules = format!("/usr/lib/modules/{RELEASE}/modules.builtin");
    for (path, part) in [
        (BINARY_PATH, "but the initrd runs it"),
        ("/usr/bin/systemd-repart", "the package `systemd-repart`"),
        ("/usr/sbin/mkfs.ext4", "the package `e2fsprogs`"),
        (&modules, "has no `dm_verity`"),
    ] {
        let mut tree = root();
        tree.take(&path.parse().unwrap());
        let error = format!("{:#}", own(&tree).err().unwrap());
        assert!(error.contains(part), "{path}: {error}");
    }
    let mut tree = root();
    // Of systemd's own initrd alone.
    for path in ["/usr/bin/kmod", "/usr/lib/systemd/systemd-veritysetup"] {
        tree.take(&path.parse().unwrap());
    }
    assert!(own(&tree).is_ok());
}
