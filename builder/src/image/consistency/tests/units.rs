//! Units against the tree.

use super::*;

const UNITS: &str = "/etc/systemd/system";

fn at(name: &str) -> String {
    format!("{UNITS}/{name}")
}

fn service(text: &str) -> (bool, String) {
    let place = at("x.service");
    let text = format!("[Service]\n{text}\n");
    let files = [
        (place.as_str(), 0o644, text.as_bytes()),
        ("/usr/local/bin/prep", 0o755, b"#!/bin/sh\n"),
        ("/usr/local/share/data", 0o644, b"x"),
    ];
    said_of(&root(&files), &with_writable())
}

#[test]
fn programs_of_units_are_there() {
    for (text, parts) in [
        (
            "ExecStart=/usr/local/bin/perp",
            &[
                "x.service:2",
                "ExecStart=/usr/local/bin/perp",
                "did you mean `prep`",
            ][..],
        ),
        (
            "ExecStart=/usr/bin/prep --a",
            &["the image has `/usr/local/bin/prep`"],
        ),
        ("ExecStart=perp", &["no such program is in /usr/local/sbin"]),
        (
            "ExecStart=bin/prep",
            &["neither a whole path nor a bare name"],
        ),
        ("ExecStart=$PROGRAM x", &["no variable"]),
        ("ExecStart=@/opt/none name", &["/opt/none"]),
        ("ExecStart=+!!/opt/none", &["/opt/none"]),
        ("ExecStart=:/opt/none", &["/opt/none"]),
        ("ExecStart=\"/opt/my none\" x", &["/opt/my none"]),
        (
            "ExecStart=/bin/sh\nExecStartPre=\\\n  /opt/none",
            &["x.service:3", "ExecStartPre"],
        ),
        ("ExecStart=/bin/sh\nExecStop=/opt/none", &["ExecStop"]),
        (
            "ExecStart=/bin/sh\nExecCondition=/opt/none",
            &["ExecCondition"],
        ),
        (
            "Type=oneshot\nExecStart=/bin/sh ; /opt/none",
            &["/opt/none"],
        ),
        ("ExecStart=/usr/local/share/data", &["is not executable"]),
        ("ExecStart=/usr/local/share", &["is a directory"]),
        (
            "ExecStart=/bin/sh\nExecStartPre=/usr/bin/env x\nExecStart=/bin/sh",
            &["2 ExecStart=", "oneshot"],
        ),
        ("Restart=always", &["no ExecStart="]),
    ] {
        let (is_refused, said) = service(text);
        assert!(is_refused, "{text} passes: {said}");
        for part in parts.iter().chain(&["(from overlay `ov`)"]) {
            assert!(said.contains(part), "{text}: no {part:?} in {said}");
        }
    }
}

#[test]
fn what_is_right_is_taken() {
    for text in [
        "ExecStart=/usr/local/bin/prep %i $A",
        "ExecStart=prep",
        "ExecStart=/bin/sh -c '/opt/none'",
        "ExecStart=/opt/none\nExecStart=\nExecStart=/bin/sh",
        "ExecStart=/usr/local/bin/%i",
        "ExecStart=/run/later",
        "ExecStart=/opt/cni/bin/later",
        "ExecStart=/bin/sh\nRootDirectory=/srv/x\nExecStartPre=/opt/none",
        "ExecStart=none\nExecSearchPath=/opt/cni/bin",
        "[Unit]\nConditionPathExists=/opt/none\n[Service]\nExecStart=/opt/none",
        "[Unit]\nConditionFileIsExecutable=/opt/none/x\n[Service]\nExecStart=/opt/none/x",
        "Type=oneshot\nExecStart=/bin/sh\nExecStart=/bin/sh",
        "ExecStart=/bin/sh\r\nUser=root\r",
        "ExecStart=/bin/sh\nUser=none\nDynamicUser=yes",
        "ExecStart=/bin/sh\nUser=1000\nGroup=adm\nSupplementaryGroups=adm 4",
    ] {
        assert_eq!(service(text), (false, String::new()), "{text}");
    }
    let (is_refused, said) = service("ExecStart=/bin/sh\nExecStartPre=-/opt/none");
    assert!(!is_refused && said.contains("/opt/none"), "{said}");
}

#[test]
fn users_and_groups_are_known_or_told() {
    for (text, parts) in [
        ("User=rooot", &["x.service:3", "did you mean `root`?"][..]),
        ("Group=nothere", &["group"]),
        (
            "SupplementaryGroups=adm nothere",
            &["SupplementaryGroups=nothere"],
        ),
    ] {
        let (is_refused, said) = service(&format!("ExecStart=/bin/sh\n{text}"));
        assert!(!is_refused, "{said}");
        for part in parts {
            assert!(said.contains(part), "{text}: no {part:?} in {said}");
        }
    }
    let files = [
        (
            "/etc/systemd/system/x.service",
            0o644,
            &b"[Service]\nExecStart=/bin/sh\nUser=mine\nGroup=mine\n"[..],
        ),
        ("/usr/lib/sysusers.d/x.conf", 0o644, b"u! mine - \"x\"\n"),
    ];
    taken(&files);
}

#[test]
fn drop_ins_are_judged_with_their_unit() {
    let package = |tree: &mut Tree, name: &str, text: &str| {
        let node = Node::file(
            Content::inline(text.as_bytes()),
            0o644,
            Origin::Package("p".into()),
        );
        tree.insert(
            format!("/usr/lib/systemd/system/{name}").parse().unwrap(),
            node,
        )
        .unwrap();
    };
    let said = |drop_in: &str, unit: &str| {
        let place = at("ssh.service.d/x.conf");
        let mut tree = root(&[(&place, 0o644, drop_in.as_bytes())]);
        package(&mut tree, "ssh.service", unit);
        said_of(&tree, &with_writable())
    };
    let unit = "[Service]\nExecStart=/usr/sbin/of-a-package\n";
    assert_eq!(
        said("[Service]\nExecStart=\nExecStart=/bin/sh\n", unit),
        (false, String::new())
    );
    let (is_refused, text) = said("[Service]\nExecStart=/bin/sh\n", unit);
    assert!(
        is_refused && text.contains("begins with an empty `ExecStart=`"),
        "{text}"
    );
    let (is_refused, text) = said("[Service]\nExecStartPre=/opt/none\n", unit);
    assert!(is_refused && text.contains("x.conf:2"), "{text}");

    let place = at("shs.service.d/x.conf");
    let mut tree = root(&[(&place, 0o644, b"[Service]\nExecStartPre=/bin/sh\n")]);
    package(&mut tree, "ssh.service", unit);
    let (is_refused, text) = said_of(&tree, &with_writable());
    assert!(
        !is_refused && text.contains("no effect") && text.contains("`ssh.service`"),
        "{text}"
    );
}

#[test]
fn other_units_are_there() {
    let one = |name: &str, text: &str| {
        let place = at(name);
        said_of(
            &root(&[
                (&place, 0o644, text.as_bytes()),
                (
                    "/etc/systemd/system/there.service",
                    0o644,
                    b"[Service]\nExecStart=/bin/sh\n",
                ),
                ("/etc/systemd/system/multi-user.target", 0o644, b"[Unit]\n"),
            ]),
            &with_writable(),
        )
    };
    for (name, text, part) in [
        (
            "x.timer",
            "[Timer]\nOnBootSec=1\n",
            "`x.service`, which is not in the image",
        ),
        (
            "x.timer",
            "[Timer]\nUnit=thre.service\n",
            "did you mean `there.service`",
        ),
        ("x.path", "[Path]\nPathExists=/x\n", "`x.service`"),
        ("x.socket", "[Socket]\nAccept=yes\n", "`x@.service`"),
        (
            "y.target",
            "[Unit]\nRequires=none.service\n",
            "does not start without it",
        ),
        (
            "y.target",
            "[Unit]\nBindsTo=none.socket\n",
            "does not start without it",
        ),
    ] {
        let (is_refused, said) = one(name, text);
        assert!(is_refused && said.contains(part), "{name}: {said}");
    }
    for (text, part) in [
        (
            "[Install]\nWantedBy=multi-usr.target\n",
            "did you mean `multi-user.target`?",
        ),
        ("[Install]\nWantedBy=none.target\n", "does nothing"),
        (
            "[Unit]\nAfter=thre.service\n",
            "did you mean `there.service`?",
        ),
    ] {
        let (is_refused, said) = one("y.target", text);
        assert!(!is_refused && said.contains(part), "{said}");
    }
    for (name, text) in [
        ("there.timer", "[Timer]\nOnBootSec=1\n"),
        ("x.timer", "[Timer]\nUnit=there.service\n"),
        (
            "y.target",
            "[Unit]\nWants=none.service\nAfter=network.target\nRequires=data.mount %i.service\n",
        ),
        ("y.target", "[Install]\nWantedBy=multi-user.target\n"),
    ] {
        assert_eq!(one(name, text), (false, String::new()), "{name} {text}");
    }
}

#[test]
fn links_that_enable_lead_to_a_unit() {
    let mut tree = root(&[]);
    let link = Node::symlink("../none.service", overlay());
    tree.insert(
        at("multi-user.target.wants/none.service").parse().unwrap(),
        link,
    )
    .unwrap();
    let (is_refused, said) = said_of(&tree, &with_writable());
    assert!(
        is_refused && said.contains("enables `none.service`"),
        "{said}"
    );
}

/// nodeimg's own overlays have some, for packages that a base may lack.
#[test]
fn the_drop_in_of_an_absent_unit_starts_nothing() {
    let place = at("absent.service.d/x.conf");
    let files = [(
        place.as_str(),
        0o644,
        &b"[Service]\nExecStart=none\nUser=nobody-here\n"[..],
    )];
    let (is_refused, said) = said_of(&root(&files), &with_writable());
    assert!(!is_refused && !said.contains("nobody-here"), "{said}");
}
