//! Each step on a small tree, looked at as lines and texts.

use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use super::super::{BaseFacts, Package, configure, seal};
use crate::image::units::text_at;
use crate::input::recipe::value::Word;
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:*:0:\nmail:*:8:\nshadow:*:42:\nutmp:*:43:\nnogroup:*:65534:\n";
const DAY: u64 = 20_000;

fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

fn node(text: &str) -> Node {
    Node::file(
        Content::inline(text.as_bytes().to_vec()),
        0o644,
        Origin::Package("a".into()),
    )
}

fn base_files() -> Tree {
    let mut tree = Tree::default();
    for (at, text) in [
        ("/usr/share/base-passwd/passwd.master", PASSWD),
        ("/usr/share/base-passwd/group.master", GROUP),
        ("/usr/lib/systemd/systemd", "x"),
    ] {
        tree.insert(path(at), node(text)).unwrap();
    }
    tree
}

fn with(files: &[(&str, &str)]) -> Tree {
    let mut tree = base_files();
    for (at, text) in files {
        tree.insert(path(at), node(text)).unwrap();
    }
    tree
}

fn facts() -> BaseFacts<'static> {
    BaseFacts {
        arch: Arch::Amd64,
        epoch: Epoch(DAY * 86_400 + 5),
        packages: &[],
        enable: &[],
        build_directory: None,
    }
}

fn configured(files: &[(&str, &str)]) -> Tree {
    let mut tree = with(files);
    configure(&mut tree, facts())
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    tree
}

fn sealed(files: &[(&str, &str)]) -> Tree {
    let mut tree = configured(files);
    seal(&mut tree, facts())
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    tree
}

/// Why sealing a configured tree with `files` put in last is refused.
fn refusal(files: &[(&str, &str)]) -> String {
    let mut tree = configured(&[]);
    for (at, text) in files {
        tree.replace(path(at), node(text)).unwrap();
    }
    format!("{:#}", seal(&mut tree, facts()).unwrap_err())
}

fn text(tree: &Tree, at: &str) -> String {
    text_at(tree, &path(at))
        .unwrap()
        .unwrap_or_else(|| panic!("no file {at}"))
}

fn target(tree: &Tree, at: &str) -> Option<String> {
    match &tree.get(&path(at))?.kind {
        Kind::Symlink(target) => Some(target.clone()),
        _ => None,
    }
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_default()
}

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
    assert_eq!(
        target(&tree, "/var/lib/dpkg").as_deref(),
        Some("../../usr/lib/sysimage/dpkg")
    );
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
    let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    for (at, content, why) in [
        ("/etc/shadow", shadow, "gives an account a password"),
        (
            "/etc/passwd",
            "root::0:0::/:/bin/sh\n",
            "gives an account a password",
        ),
        ("/etc/ssh/ssh_host_rsa_key", "x", "is a host key"),
        ("/etc/x.pem", pem, "is a private key"),
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
