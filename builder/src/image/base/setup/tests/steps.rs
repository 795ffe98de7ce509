//! Each step on a small tree, looked at as lines and texts.

use super::super::configure;
use super::small::{base_files, configured, facts, line, path, sealed, target, text, with};
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

#[test]
fn of_apparmor_there_is_what_profiles_include() {
    let mut tree = base_files();
    for (package, at) in [
        ("apparmor", "/etc/apparmor.d/firefox"),
        ("apparmor", "/etc/apparmor.d/tunables/global"),
        ("chrony", "/etc/apparmor.d/usr.sbin.chronyd"),
    ] {
        let content = Content::inline(b"x".to_vec());
        let file = Node::file(content, 0o644, Origin::Package(package.into()));
        tree.insert(path(at), file).unwrap();
    }
    configure(&mut tree, facts()).unwrap();
    let left = tree.iter().map(|(path, _)| path.as_str());
    let left: Vec<_> = left
        .filter(|path| path.starts_with("/etc/apparmor.d/"))
        .collect();
    assert_eq!(
        left,
        [
            "/etc/apparmor.d/tunables",
            "/etc/apparmor.d/tunables/global",
            "/etc/apparmor.d/usr.sbin.chronyd"
        ]
    );
}

#[test]
fn accounts_have_no_password_and_ids_that_stay() {
    let sysusers = "u! systemd-network - \"systemd Network\"\nu foo 77:nogroup - /foo\nu bar -\ng baz 78\nm foo baz\nu root 0\n";
    let tree = configured(&[("/usr/lib/sysusers.d/a.conf", sysusers)]);
    let passwd = text(&tree, "/etc/passwd");
    assert_eq!(line(&passwd, "root:"), "root:x:0:0:root:/root:/bin/bash");
    assert_eq!(
        line(&passwd, "systemd-network:"),
        "systemd-network:x:990:990:systemd Network:/:/usr/sbin/nologin"
    );
    assert_eq!(
        line(&passwd, "foo:"),
        "foo:x:77:65534::/foo:/usr/sbin/nologin"
    );
    let group = text(&tree, "/etc/group");
    assert_eq!(line(&group, "baz:"), "baz:x:78:foo");
    assert_eq!(line(&group, "systemd-network:"), "systemd-network:x:990:");
    let shadow = text(&tree, "/etc/shadow");
    assert_eq!(line(&shadow, "root:"), "root:*:20000:0:99999:7:::");
    assert_eq!(line(&shadow, "foo:"), "foo:!*:20000:0:99999:7:::");
    assert_eq!(shadow.lines().count(), passwd.lines().count());
    let stat = &tree.get(&path("/etc/shadow")).unwrap().stat;
    assert_eq!((stat.mode, stat.uid, stat.gid), (0o640, 0, 42));

    let alone = configured(&[("/usr/lib/sysusers.d/z.conf", "u bar -\n")]);
    let id = |tree: &Tree| line(&text(tree, "/etc/passwd"), "bar:").to_owned();
    assert_eq!(
        id(&tree),
        id(&alone),
        "another package moved the id of `bar`"
    );
}

#[test]
fn two_accounts_of_one_id_are_refused() {
    let mut tree = with(&[("/usr/lib/sysusers.d/a.conf", "u a 8\n")]);
    let error = format!("{:#}", configure(&mut tree, facts()).unwrap_err());
    assert!(error.contains("`a` and `mail` both claim uid 8"), "{error}");
}

#[test]
fn alternatives_lead_to_the_programs_that_debian_prefers() {
    let tree = configured(&[
        ("/usr/sbin/iptables-nft", "x"),
        ("/usr/sbin/iptables-nft-save", "x"),
        ("/usr/bin/which.debianutils", "x"),
    ]);
    for (link, to) in [
        ("/usr/sbin/iptables", "/etc/alternatives/iptables"),
        ("/etc/alternatives/iptables", "/usr/sbin/iptables-nft"),
        (
            "/etc/alternatives/iptables-save",
            "/usr/sbin/iptables-nft-save",
        ),
        ("/usr/bin/which", "/etc/alternatives/which"),
        ("/etc/alternatives/which", "/usr/bin/which.debianutils"),
    ] {
        assert_eq!(target(&tree, link).as_deref(), Some(to));
    }
    assert_eq!(target(&tree, "/usr/sbin/ebtables"), None);
    assert_eq!(target(&tree, "/usr/bin/pager"), None);
}

#[test]
fn certificates_are_one_file_in_order() {
    let mozilla = "/usr/share/ca-certificates/mozilla";
    let (b, a) = (format!("{mozilla}/B.crt"), format!("{mozilla}/A.crt"));
    let tree = configured(&[(&b, "two"), (&a, "one\n")]);
    assert_eq!(
        text(&tree, "/etc/ssl/certs/ca-certificates.crt"),
        "one\ntwo\n"
    );
    assert_eq!(
        text(&tree, "/etc/ca-certificates.conf"),
        "mozilla/A.crt\nmozilla/B.crt\n"
    );
    assert!(target(&tree, "/usr/lib/ssl/cert.pem").is_some());
}

#[test]
fn pam_stacks_exist_where_pam_does() {
    assert!(configured(&[]).get(&path("/etc/pam.d")).is_none());
    let tree = configured(&[("/etc/pam.d/login", "")]);
    assert!(text(&tree, "/etc/pam.d/common-session").contains("pam_systemd.so"));
    assert!(!text(&tree, "/etc/pam.d/common-session-noninteractive").contains("pam_systemd.so"));
}

#[test]
fn name_services_name_only_what_is_there() {
    let plain = configured(&[]);
    assert_eq!(
        line(&text(&plain, "/etc/nsswitch.conf"), "hosts:"),
        "hosts: files dns"
    );
    assert!(plain.get(&path("/etc/resolv.conf")).is_none());
    let tree = configured(&[
        ("/usr/lib/x86_64-linux-gnu/libnss_resolve.so.2", "x"),
        ("/usr/lib/systemd/systemd-resolved", "x"),
    ]);
    let nsswitch = text(&tree, "/etc/nsswitch.conf");
    assert_eq!(
        line(&nsswitch, "hosts:"),
        "hosts: files resolve [!UNAVAIL=return] dns"
    );
    assert!(
        target(&tree, "/etc/resolv.conf")
            .unwrap()
            .ends_with("stub-resolv.conf")
    );
}

#[test]
fn the_systems_files_and_the_top_of_the_tree() {
    let tree = configured(&[
        ("/usr/share/zoneinfo/Etc/UTC", "TZif"),
        ("/usr/bin/dash", "x"),
        ("/usr/share/openssh/sshd_config", "Include"),
        ("/usr/lib64/ld", "x"),
        ("/root/.profile", "x"),
        (
            "/usr/lib/tmpfiles.d/provision.conf",
            "d- /root :0700 root :root -\n",
        ),
        ("/usr/lib/tmpfiles.d/home.conf", "Q /home\n"),
        ("/usr/lib/systemd/system/ldconfig.service", "[Unit]"),
    ]);
    assert_eq!(text(&tree, "/etc/machine-id"), "uninitialized\n");
    assert_eq!(text(&tree, "/etc/shells"), "/bin/dash\n/usr/bin/dash\n");
    assert_eq!(text(&tree, "/etc/ssh/sshd_config"), "Include");
    assert!(text(&tree, "/usr/lib/tmpfiles.d/provision.conf").contains(" /var/roothome "));
    assert!(tree.get(&path("/usr/lib/tmpfiles.d/home.conf")).is_none());
    for (link, to) in [
        ("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
        ("/root", "var/roothome"),
        (
            "/usr/lib/systemd/system/default.target",
            "multi-user.target",
        ),
        ("/usr/sbin/init", "../lib/systemd/systemd"),
        ("/etc/systemd/system/ldconfig.service", "/dev/null"),
    ] {
        assert_eq!(target(&tree, link).as_deref(), Some(to), "{link}");
    }
    let links: Vec<_> = tree
        .iter()
        .filter(|(path, node)| {
            path.parent() == Some(ImagePath::root()) && matches!(node.kind, Kind::Symlink(_))
        })
        .map(|(path, _)| path.as_str())
        .collect();
    let want = [
        "/bin", "/home", "/lib", "/lib64", "/mnt", "/root", "/sbin", "/srv",
    ];
    assert_eq!(links, want);
    assert_eq!(tree.get(&path("/tmp")).unwrap().stat.mode, 0o1777);
}

#[test]
fn the_same_tree_gives_the_same_tree() {
    let lines = |tree: &Tree| -> Vec<String> {
        tree.iter()
            .map(|(path, node)| format!("{path} {:?} {:?}", node.stat, node.kind))
            .collect()
    };
    let files = [("/usr/sbin/iptables-nft", "x"), ("/var/lib/x/y", "z")];
    assert_eq!(lines(&sealed(&files)), lines(&sealed(&files)));
}

#[test]
fn units_that_find_nothing_to_do_start_no_program() {
    let units = "/usr/lib/systemd/system";
    let at = |unit: &str| format!("{units}/{unit}");
    let (ssh, generator) = (at("ssh.service"), at("systemd-network-generator.service"));
    let kmod = at("kmod-static-nodes.service");
    let tree = configured(&[(&ssh, "x"), (&generator, "x"), (&kmod, "x")]);
    let unless_made = format!(
        "ConditionPathExists=!{}",
        crate::image::modules::STATIC_NODES
    );
    line(
        &text(&tree, &format!("{kmod}.d/10-nodeimg.conf")),
        &unless_made,
    );
    assert_eq!(
        text(&tree, &format!("{ssh}.d/10-nodeimg.conf")),
        "[Service]\nExecStartPre=\n"
    );
    let conditions = text(&tree, &format!("{generator}.d/10-nodeimg.conf"));
    // Each of them is enough for the unit to run.
    let (section, rest) = conditions.split_once('\n').unwrap();
    assert_eq!(section, "[Unit]");
    for line in rest.lines() {
        assert!(
            line.starts_with("Condition") && line.contains("=|"),
            "{line}"
        );
    }
    for condition in [
        "ConditionKernelCommandLine=|ip",
        "ConditionDirectoryNotEmpty=|/run/credentials/@system",
    ] {
        line(&conditions, condition);
    }
    let absent = at("systemd-udev-load-credentials.service.d/10-nodeimg.conf");
    assert!(tree.get(&path(&absent)).is_none(), "beside no unit");
}
