#![allow(clippy::unwrap_used)]
use super::super::tests::small::{
    base_files, facts, line, node, path, target, text as text_of, with,
};
use super::super::{BaseFacts, Package, configure, seal};
use super::PACKAGES;
use crate::input::debian::scripts;
use crate::tree::{Kind, Tree};

fn package(name: &str) -> Package {
    Package {
        name: name.to_owned(),
        control: format!("Package: {name}\nArchitecture: amd64\n"),
        md5sums: String::new(),
    }
}

/// A tree of these packages, whole.
fn image(packages: &[&str], files: &[(&str, &str)], late: &[(&str, &str)]) -> Tree {
    let packages: Vec<Package> = packages.iter().map(|name| package(name)).collect();
    let facts = BaseFacts {
        packages: &packages,
        ..facts()
    };
    let mut tree = with(files);
    configure(&mut tree, facts)
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    for (at, text) in late {
        tree.replace(path(at), node(text)).unwrap();
    }
    seal(&mut tree, facts)
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    tree
}

#[test]
fn rows_are_in_order_and_each_package_has_a_script_that_was_read() {
    let names: Vec<&str> = PACKAGES.iter().map(|known| known.package).collect();
    assert!(names.is_sorted());
    // What they enable by debhelper alone needs no line of the table.
    let idle = ["dmeventd", "multipath-tools"];
    for name in names.iter().filter(|name| !idle.contains(name)) {
        assert!(scripts::is_known_package(name), "{name}");
    }
}

#[test]
fn accounts_files_and_state_of_nfs_and_chrony() {
    let conffiles = "/usr/share/nfs-common/conffiles";
    let tree = image(
        &["chrony", "nfs-common", "rpcbind", "tpm-udev"],
        &[
            (&format!("{conffiles}/nfs.conf"), "[general]\n"),
            (&format!("{conffiles}/idmapd.conf"), "[General]\n"),
            ("/usr/share/chrony/chrony.conf", "pool x\n"),
            ("/usr/share/chrony/chrony.keys", "# keys\n"),
            ("/var/lib/nfs/sm/x", ""),
            (
                "/etc/apparmor.d/usr.sbin.chronyd",
                "include <local/usr.sbin.chronyd>\n",
            ),
        ],
        &[],
    );
    let passwd = text_of(&tree, "/etc/passwd");
    for (name, rest) in [
        ("statd:", ":65534::/var/lib/nfs:/usr/sbin/nologin"),
        ("_rpc:", ":65534::/run/rpcbind:/usr/sbin/nologin"),
        (
            "_chrony:",
            ":Chrony daemon:/var/lib/chrony:/usr/sbin/nologin",
        ),
        ("tss:", ":TPM software stack:/var/lib/tpm:/bin/false"),
    ] {
        assert!(line(&passwd, name).ends_with(rest), "{passwd}");
    }
    assert_eq!(text_of(&tree, "/etc/nfs.conf"), "[general]\n");
    let keys = tree.get(&path("/etc/chrony/chrony.keys")).unwrap();
    let group = text_of(&tree, "/etc/group");
    let gid = line(&group, "_chrony:").split(':').nth(2).unwrap();
    assert_eq!(
        (keys.stat.mode, keys.stat.gid.to_string()),
        (0o640, gid.to_owned())
    );
    let state = text_of(&tree, "/usr/lib/tmpfiles.d/nodeimg-var.conf");
    for want in [
        "d /var/lib/nfs/sm 0755 statd nogroup -",
        "f /var/lib/nfs/state 0644 statd root -",
        "d /var/lib/chrony 0750 _chrony _chrony -",
    ] {
        assert!(state.lines().any(|line| line == want), "{want}: {state}");
    }
    assert_eq!(state.matches(" /var/lib/nfs/sm ").count(), 1);
    assert_eq!(text_of(&tree, "/etc/apparmor.d/local/usr.sbin.chronyd"), "");
}

#[test]
fn a_node_makes_its_own_names_and_no_image_holds_one() {
    let unit = "[Install]\nWantedBy=sockets.target\n";
    let files = [
        ("/etc/iscsi/iscsid.conf", ""),
        ("/usr/lib/systemd/system/iscsid.socket", unit),
    ];
    let tree = image(&["nvme-cli", "open-iscsi"], &files, &[]);
    for wanted in [
        "/etc/systemd/system/sysinit.target.wants/nodeimg-iscsi-name.service",
        "/etc/systemd/system/sysinit.target.wants/nodeimg-nvme-host.service",
        "/etc/systemd/system/sockets.target.wants/iscsid.socket",
    ] {
        assert!(target(&tree, wanted).is_some(), "{wanted}");
    }
    let mut tree = base_files();
    configure(&mut tree, facts()).unwrap();
    let name = node("InitiatorName=iqn.2026-01.example:one\n");
    tree.replace(path("/etc/iscsi/initiatorname.iscsi"), name)
        .unwrap();
    let error = format!("{:#}", seal(&mut tree, facts()).unwrap_err());
    assert!(
        error.contains("every node of the image would share"),
        "{error}"
    );
}

#[test]
fn nothing_is_made_for_a_package_that_is_not_there() {
    let tree = image(&[], &[], &[]);
    for known in &PACKAGES {
        for file in known.files {
            assert!(tree.get(&path(file.path)).is_none(), "{}", file.path);
        }
    }
    assert!(!text_of(&tree, "/etc/passwd").contains("statd"));
}

#[test]
fn audit_rules_and_accounts_of_overlays_are_in_the_image() {
    let tree = image(
        &["auditd"],
        &[
            ("/usr/sbin/augenrules", "x"),
            ("/etc/audit/rules.d/audit.rules", "-D\n-b 8192\n"),
        ],
        &[
            ("/etc/audit/rules.d/10-mine.rules", "-w /etc/passwd -p wa\n"),
            (
                "/usr/lib/sysusers.d/mine.conf",
                "u mine - \"Mine\" /var/lib/mine\n",
            ),
        ],
    );
    assert!(
        text_of(&tree, "/etc/audit/audit.rules")
            .ends_with("-D\n-b 8192\n\n-w /etc/passwd -p wa\n\n")
    );
    let passwd = text_of(&tree, "/etc/passwd");
    assert!(line(&passwd, "mine:").ends_with(":Mine:/var/lib/mine:/usr/sbin/nologin"));
    let own = image(
        &[],
        &[],
        &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/etc/sysusers.d/a.conf", "u a -\n"),
        ],
    );
    assert_eq!(
        text_of(&own, "/etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\n"
    );
    assert!(matches!(
        own.get(&path("/etc/passwd")).unwrap().kind,
        Kind::File(_)
    ));
}
