#![allow(clippy::unwrap_used)]
use super::*;
use crate::tree::Stat;

fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

fn file(mode: u32) -> Node {
    Node::file(Content::inline(&b"x"[..]), mode, origin())
}

fn origin() -> Origin {
    Origin::Overlay("test".to_owned())
}

fn link(target: &str) -> Node {
    Node::symlink(target, origin())
}

/// Of the extension: every path but directories, and our lines of tmpfiles.d.
fn laid_out(nodes: &[(&str, Node)], writable: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut image = Tree::default();
    for (at, node) in nodes {
        image.insert(path(at), node.clone()).unwrap();
    }
    let writable: Vec<_> = writable.iter().map(|at| path(at)).collect();
    let Extension { tree, homes } = extension(&image, &writable).unwrap();
    for (at, home) in &homes {
        assert!(
            matches!(tree.get(home).unwrap().kind, Kind::File(_)),
            "{at}"
        );
    }
    let files = nodes
        .iter()
        .filter(|(_, n)| matches!(n.kind, Kind::File(_)));
    assert_eq!(homes.len(), files.count());
    let paths = tree
        .iter()
        .filter_map(|(at, node)| match &node.kind {
            Kind::Directory => None,
            Kind::File(_) => Some(format!("{at} {:04o}", node.stat.mode)),
            Kind::Symlink(target) => Some(format!("{at} -> {target}")),
        })
        .filter(|line| !line.starts_with(TMPFILES))
        .collect();
    let lines = text_at(&tree, &path(TMPFILES)).unwrap().unwrap_or_default();
    let lines = lines.lines().skip(1).map(str::to_owned).collect();
    (paths, lines)
}

#[test]
fn every_sort_of_path_has_its_place() {
    for (at, node, paths, lines) in [
        ("/usr/bin/runc", file(0o755), "/usr/bin/runc 0755", ""),
        ("/opt/x/y", file(0o755), "/opt/x/y 0755", ""),
        (
            "/opt/w/y",
            file(0o755),
            "/usr/share/factory/opt/w/y 0755",
            "L /opt/w/y - - - -",
        ),
        (
            "/etc/sysctl.d/k.conf",
            file(0o644),
            "/usr/lib/sysctl.d/k.conf 0644",
            "",
        ),
        (
            "/etc/sysctl.dir",
            file(0o644),
            "/usr/share/factory/etc/sysctl.dir 0644",
            "L /etc/sysctl.dir - - - -",
        ),
        (
            "/etc/w/own.conf",
            file(0o600),
            "/usr/share/factory/etc/w/own.conf 0600",
            "C /etc/w/own.conf 0600 0 0 -",
        ),
        (
            "/etc/a b%c",
            file(0o644),
            "/usr/share/factory/etc/a b%c 0644",
            "L /etc/a\\x20b%%c - - - -",
        ),
        ("/var/l", link("50%"), "", "L /var/l - - - - 50%%"),
        (
            "/var/empty",
            Node::directory(0o755, origin()),
            "",
            "d /var/empty 0755 0 0 -",
        ),
    ] {
        let (got, made) = laid_out(&[(at, node)], &["/etc/w", "/opt/w"]);
        assert_eq!(
            (got.join("\n"), made.join("\n")),
            (paths.into(), lines.into()),
            "{at}"
        );
    }
}

#[test]
fn directories_say_only_what_the_base_cannot_know() {
    let mut private = Node::directory(0o700, origin());
    private.stat = Stat {
        uid: 7,
        ..private.stat
    };
    let (_, lines) = laid_out(
        &[
            ("/etc", Node::directory(0o755, origin())),
            ("/etc/keys", private),
            ("/etc/keys/a", file(0o600)),
            ("/opt/implied/x", file(0o644)),
        ],
        &["/opt"],
    );
    assert_eq!(
        lines,
        [
            "d /etc/keys 0700 7 0 -",
            "L /etc/keys/a - - - -",
            "C /opt/implied/x 0644 0 0 -",
        ]
    );
}

#[test]
fn links_follow_what_moved() {
    let units = "/etc/systemd/system";
    let (paths, lines) = laid_out(
        &[
            (&format!("{units}/a.service"), file(0o644)),
            (&format!("{units}/b.service"), link("/dev/null")),
            (
                &format!("{units}/m.target.wants/a.service"),
                link("/etc/systemd/system/a.service"),
            ),
            (
                &format!("{units}/m.target.wants/r.service"),
                link("../a.service"),
            ),
            (
                &format!("{units}/m.target.wants/v.service"),
                link("/usr/lib/systemd/system/v.service"),
            ),
            ("/usr/bin/a", link("../../etc/systemd/system/a.service")),
            ("/usr/bin/b", link("runc")),
            ("/usr/bin/c", link("/etc/crictl.yaml")),
        ],
        &[],
    );
    assert_eq!(
        paths,
        [
            "/usr/bin/a -> /usr/lib/systemd/system/a.service",
            "/usr/bin/b -> runc",
            "/usr/bin/c -> /etc/crictl.yaml",
            "/usr/lib/systemd/system/a.service 0644",
            "/usr/lib/systemd/system/b.service -> /dev/null",
            "/usr/lib/systemd/system/m.target.wants/a.service -> /usr/lib/systemd/system/a.service",
            "/usr/lib/systemd/system/m.target.wants/r.service -> /usr/lib/systemd/system/a.service",
            "/usr/lib/systemd/system/m.target.wants/v.service -> /usr/lib/systemd/system/v.service",
        ]
    );
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn what_tmpfiles_of_the_image_make_is_left_to_them() {
    let conf = Node::file(
        Content::inline(&b"# d /var/c\nd  /var/a 0755 root root -\nL+ /var/b - - - - /x\n"[..]),
        0o644,
        origin(),
    );
    let (_, lines) = laid_out(
        &[
            ("/usr/lib/tmpfiles.d/x.conf", conf),
            ("/var/a", Node::directory(0o755, origin())),
            ("/var/b", link("/x")),
            ("/var/c", Node::directory(0o755, origin())),
        ],
        &[],
    );
    assert_eq!(lines, ["d /var/c 0755 0 0 -"]);
}

#[test]
fn one_unit_in_both_places_is_an_error() {
    let mut image = Tree::default();
    for at in [
        "/etc/systemd/system/a.service",
        "/usr/lib/systemd/system/a.service",
    ] {
        image.insert(path(at), file(0o644)).unwrap();
    }
    let error = extension(&image, &[]).err().unwrap().to_string();
    assert!(
        error.contains("/usr/lib/systemd/system/a.service"),
        "{error}"
    );
}

#[test]
fn links_in_a_container_stay_as_they_are() {
    let at = "/usr/lib/containers/storage/overlay/x/diff/etc/link";
    let (paths, lines) = laid_out(&[(at, link("/etc/sysctl.d/x"))], &[]);
    assert_eq!(paths, [format!("{at} -> /etc/sysctl.d/x")]);
    assert_eq!(lines, [""; 0]);
}
