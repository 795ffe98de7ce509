//! The steps that see the whole tree: what they write, and what they refuse.

use super::super::{BaseFacts, Package, seal};
use super::libraries::program;
use super::small::{configured, facts, node, path, refusal, target, text};
use crate::input::recipe::value::Word;
use crate::tree::{Content, Node, Origin};

#[test]
fn presets_enable_what_is_named_and_nothing_else() {
    let unit = |name: &str| format!("/usr/lib/systemd/system/{name}");
    let install = "[Install]\nWantedBy=multi-user.target\n";
    let files = [
        unit("ssh.service"),
        unit("other.service"),
        unit("mine.service"),
        unit("getty@.service"),
    ];
    let getty = "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n";
    let mut tree = configured(&[
        (&files[0], install),
        (&files[1], install),
        (&files[2], install),
        (&files[3], getty),
    ]);
    let enable: [Word; 1] = ["mine.service".parse().unwrap()];
    let facts = BaseFacts {
        enable: &enable,
        ..facts()
    };
    seal(&mut tree, facts).unwrap();
    let wants = "/etc/systemd/system/multi-user.target.wants";
    assert!(target(&tree, &format!("{wants}/ssh.service")).is_some());
    assert!(target(&tree, &format!("{wants}/mine.service")).is_some());
    assert!(target(&tree, &format!("{wants}/other.service")).is_none());
    assert!(
        target(
            &tree,
            "/etc/systemd/system/getty.target.wants/getty@tty1.service"
        )
        .is_some()
    );
    let preset = text(&tree, "/usr/lib/systemd/system-preset/00-nodeimg.preset");
    assert!(preset.contains("enable mine.service\n") && preset.ends_with("disable *\n"));
}

#[test]
fn var_and_run_become_tmpfiles_lines() {
    let mut tree = configured(&[
        ("/var/lib/kubelet/config.yaml", "k"),
        ("/usr/lib/tmpfiles.d/var.conf", "d /var/lib 0755 - - -\n"),
    ]);
    let mut directory = Node::directory(0o2775, Origin::Implied);
    directory.stat.gid = 43;
    tree.insert(path("/var/log/a b%"), directory.clone())
        .unwrap();
    tree.insert(path("/run/x"), directory).unwrap();
    tree.insert(path("/var/lib/l"), Node::symlink("../x", Origin::Implied))
        .unwrap();
    seal(&mut tree, facts()).unwrap();
    let left: Vec<_> = tree
        .iter()
        .map(|(path, _)| path.as_str())
        .filter(|path| path.starts_with("/var") || path.starts_with("/run"))
        .collect();
    assert_eq!(left, ["/run", "/var"]);
    assert_eq!(
        text(&tree, "/usr/share/factory/var/lib/kubelet/config.yaml"),
        "k"
    );
    let conf = text(&tree, "/usr/lib/tmpfiles.d/nodeimg-var.conf");
    for want in [
        "L+ /var/lib/kubelet/config.yaml - - - - /usr/share/factory/var/lib/kubelet/config.yaml",
        "d /var/lib/kubelet 0755 0 0 -",
        "d \"/var/log/a b%%\" 2775 0 43 -",
        "d /run/x 2775 0 43 -",
        "L /var/lib/l - - - - ../x",
        "d /var/roothome 0700 root root -",
    ] {
        assert!(
            conf.lines().any(|line| line == want),
            "{want} is not in\n{conf}"
        );
    }
    assert!(
        !conf.contains("d /var/lib 0755"),
        "var.conf has it:\n{conf}"
    );
}

#[test]
fn the_package_database_names_what_is_left() {
    let packages = [Package {
        name: "a".into(),
        control:
            "Package: a\nVersion: 1\nArchitecture: amd64\nMulti-Arch: same\nDescription: x\n y\n"
                .into(),
        md5sums: "0 usr/bin/kept\n".replace("0 ", "00  ") + "11  usr/share/gone\n",
    }];
    let mut tree = configured(&[("/usr/bin/kept", "x")]);
    let facts = BaseFacts {
        packages: &packages,
        ..facts()
    };
    seal(&mut tree, facts).unwrap();
    let admin = "/usr/lib/sysimage/dpkg";
    let status = text(&tree, &format!("{admin}/status"));
    assert!(
        status.starts_with("Package: a\nStatus: install ok installed\nVersion: 1\n"),
        "{status}"
    );
    assert!(status.ends_with(" y\n\n"));
    assert_eq!(text(&tree, &format!("{admin}/info/format")), "1\n");
    let list = text(&tree, &format!("{admin}/info/a:amd64.list"));
    assert!(
        list.starts_with("/.\n/usr\n/usr/bin\n/usr/bin/kept\n"),
        "{list}"
    );
    assert_eq!(
        text(&tree, &format!("{admin}/info/a:amd64.md5sums")),
        "00  usr/bin/kept\n"
    );
    // A scanner follows no link to it; dpkg follows those to the rest.
    assert_eq!(text(&tree, "/var/lib/dpkg/status"), status);
    for name in ["available", "diversions", "info", "statoverride"] {
        assert_eq!(
            target(&tree, &format!("/var/lib/dpkg/{name}")),
            Some(format!("../../..{admin}/{name}"))
        );
    }
}

/// Whether systemd is to take a node's first start for a first boot.
#[test]
fn a_first_boot_is_only_where_a_unit_asks() {
    let asks = "[Unit]\nConditionFirstBoot=yes\n";
    let (unit, drop_in) = (
        "/usr/lib/systemd/system/a.service",
        "/etc/systemd/system/a.service.d/10-b.conf",
    );
    for (files, expected) in [
        (&[][..], ""),
        (&[(unit, "[Unit]\n")], ""),
        (&[(unit, asks)], "uninitialized\n"),
        (&[(unit, "[Unit]\n"), (drop_in, asks)], "uninitialized\n"),
        (
            &[(unit, asks), (drop_in, "[Unit]\nConditionFirstBoot=\n")],
            "",
        ),
        (
            &[(unit, asks), (drop_in, "[Unit]\nConditionPathExists=\n")],
            "",
        ),
        (
            &[(unit, asks), (drop_in, "[Unit]\nAfter=\n")],
            "uninitialized\n",
        ),
        (
            &[("/usr/lib/systemd/system/first-boot-complete.target", asks)],
            "",
        ),
        (
            &[("/usr/lib/systemd/system/systemd-firstboot.service", asks)],
            "",
        ),
        (
            &[(unit, asks), ("/etc/systemd/system/a.service", "[Unit]\n")],
            "",
        ),
        (&[("/usr/share/doc/a.service", asks)], ""),
    ] {
        let mut tree = configured(files);
        seal(&mut tree, facts()).unwrap();
        assert_eq!(text(&tree, "/etc/machine-id"), expected, "{files:?}");
    }
}

#[test]
fn what_no_image_may_hold_is_refused_by_name() {
    let shadow = "root:$y$j9T$x:1::::::\n";
    for (at, content, why) in [
        ("/etc/shadow", shadow, "gives an account a password"),
        (
            "/etc/passwd",
            "root::0:0::/:/bin/sh\n",
            "gives an account a password",
        ),
        ("/etc/ssh/ssh_host_rsa_key", "x", "is a host key"),
        (
            "/etc/machine-id",
            "0123456789abcdef0123456789abcdef\n",
            "is an identity",
        ),
        ("/etc/x.dpkg-new", "x", "is left over"),
        ("/etc/passwd-", "x", "is left over"),
        ("/tmp/x", "x", "is left over"),
    ] {
        let error = refusal(&[(at, content)]);
        assert!(error.contains(at) && error.contains(why), "{at}: {error}");
    }
}

#[test]
fn what_is_a_containers_own_is_not_the_nodes() {
    let place = |name: &str| {
        path(&format!(
            "/usr/lib/containers/storage/overlay/x/diff/{name}"
        ))
    };
    let mut tree = configured(&[]);
    for (name, text) in [
        ("etc/ssl/key.pem", "-----BEGIN PRIVATE KEY-----\n"),
        ("etc/x.dpkg-old", "x"),
        ("etc/open", "see /build/here/x"),
    ] {
        tree.insert(place(name), node(text)).unwrap();
    }
    tree.stat_mut(&place("etc/open")).unwrap().mode = 0o666;
    let program = program(&["libc.musl.so"], None, "/lib/ld-musl.so");
    let program = Content::inline(program);
    let program = Node::file(program, 0o755, Origin::Artifact("image".into()));
    tree.insert(place("bin/busybox"), program).unwrap();
    let facts = BaseFacts {
        build_directory: Some("/build/here"),
        ..facts()
    };
    seal(&mut tree, facts).unwrap();
    assert!(tree.get(&place("etc/x.dpkg-old")).is_some());
}

#[test]
fn open_modes_and_build_paths_are_refused() {
    let mut tree = configured(&[("/etc/open", "x")]);
    tree.stat_mut(&path("/etc/open")).unwrap().mode = 0o666;
    tree.insert(path("/etc/trace"), node("see /build/here/x"))
        .unwrap();
    let facts = BaseFacts {
        build_directory: Some("/build/here"),
        ..facts()
    };
    let error = format!("{:#}", seal(&mut tree, facts).unwrap_err());
    assert!(
        error.contains("`/etc/open` (from package `a`) can be written"),
        "{error}"
    );
    assert!(
        error.contains("`/etc/trace`") && error.contains("built in"),
        "{error}"
    );
}
