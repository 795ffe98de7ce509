//! Accounts, and what no image may hold: by shadow's own checkers, and by
//! looking at every entry of the archive.

use super::{ARCHS, HOST, images, node};
use nodeimg_test_support::image::listed_in;

#[test]
fn shadow_finds_nothing_wrong_with_the_accounts() {
    let Some(images) = images() else { return };
    let root = images.root(HOST);
    // It exits with 2 if it has anything to say.
    let Some(ran) = node::run(&root, "pwck -r || test $? = 2") else {
        return;
    };
    let ran = ran.good();
    let said = ran.out + &ran.err;
    let real: Vec<_> = said
        .lines()
        // Homes are in /var, which is the node's.
        .filter(|line| {
            !(line.starts_with("user '")
                && line.ends_with("' does not exist")
                && line.contains(": directory '"))
        })
        .filter(|line| *line != "pwck: no changes")
        .collect();
    assert!(real.is_empty(), "{real:?}");
    let ran = node::run(&root, "grpck -r").unwrap().good();
    assert_eq!(ran.out + &ran.err, "");
    // Both read the files that count.
    let ran = node::run(
        &root,
        "getent passwd root systemd-network && getent group shadow",
    );
    let out = ran.unwrap().good().out;
    assert_eq!(out.lines().count(), 3, "{out}");
}

#[test]
fn nobody_can_log_in_and_no_identity_is_shared() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let shadow = images.text(arch, "/etc/shadow");
        assert!(shadow.lines().count() > 10, "{shadow}");
        for line in shadow.lines() {
            let password = line.split(':').nth(1).unwrap();
            assert!(["*", "!", "!*"].contains(&password), "{arch}: {line}");
        }
        // No unit of the image asks for systemd's first boot.
        assert_eq!(images.text(arch, "/etc/machine-id"), "");
        let list = listed_in(&images.archive(arch));
        assert!(list.len() > 4000, "{arch}: {} entries", list.len());
        for entry in list {
            let path = entry.path.as_str();
            let key = path.starts_with("/etc/ssh/ssh_host") || path.ends_with("/random-seed");
            assert!(!key, "{arch}: {path}");
            // What belongs to the node is not in the image: directories on
            // the way to a link, the links, and what scanners of images read.
            let below = ["/var/", "/run/", "/tmp/"]
                .iter()
                .any(|top| path.starts_with(top));
            let file = below && entry.mode.starts_with('-') && path != "/var/lib/dpkg/status";
            assert!(!file, "{arch}: {path}");
            let known = entry.mode.starts_with(['-', 'd', 'l']);
            assert!(known, "{arch}: {entry:?}");
            let shadow = ["/etc/shadow", "/etc/gshadow"].contains(&path);
            assert!(
                !shadow || entry.mode == "-rw-r-----" && entry.owner == "0/42",
                "{entry:?}"
            );
        }
    }
}
