//! Lines that systemd's own programs read, and the table of what two of them say.

use super::{refused, root, said_of, taken, warned, with_writable};

/// `ci/judges lines` compares it with systemd 252 and 257 themselves.
const VERDICTS: &str = include_str!("verdicts.txt");

#[test]
fn verdicts_are_those_of_systemd() {
    let mut wrong = Vec::new();
    let rows = VERDICTS.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.splitn(3, ' ').collect()).collect();
    assert!(rows.len() > 180, "{}", rows.len());
    for row in &rows {
        let [kind, verdict, line] = row[..] else {
            panic!("{row:?} has not three parts");
        };
        let path = format!("/etc/{kind}.d/x.conf");
        let tree = root(&[(&path, 0o644, line.as_bytes())]);
        let (_, said) = said_of(&tree, &with_writable());
        if said.is_empty() != (verdict == "good") {
            wrong.push(format!("{kind}: {line} is {verdict}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn lines_are_told_with_their_place_and_what_to_write() {
    for (path, line, parts) in [
        (
            "tmpfiles.d/x.conf",
            "k /run/a",
            ["`k` is not a type", "x.conf:3`"],
        ),
        (
            "tmpfiles.d/x.conf",
            "d /run/a 0755 rot",
            ["no user `rot`", "did you mean `root`?"],
        ),
        (
            "tmpfiles.d/x.conf",
            "d /run/a 0755 root ad",
            ["no group `ad`", "`adm`?"],
        ),
        (
            "tmpfiles.d/x.conf",
            "d /run/a 0755 gone",
            ["no user `gone`", "`u gone -`"],
        ),
        (
            "tmpfiles.d/x.conf",
            "d /opt/mine 0755",
            ["read-only part", "/var"],
        ),
        (
            "sysusers.d/x.conf",
            "u my.user -",
            ["`my.user` is not a name", "x.conf:3`"],
        ),
        (
            "sysctl.d/x.conf",
            "net.ipv4.ip_forward 1",
            ["has no `=`", "x.conf:3`"],
        ),
        (
            "sysctl.d/x.conf",
            "sysctl -w vm.swappiness=1",
            ["write `vm.swappiness = VALUE`", ""],
        ),
        (
            "sysctl.d/x.conf",
            "/proc/sys/vm/swappiness=1",
            ["write `vm.swappiness`", ""],
        ),
        (
            "sysctl.d/x.conf",
            "vm.swappiness = 1 # low",
            ["a line of its own", ""],
        ),
        ("sysctl.d/x.conf", "swappiness=1", ["is not a key", ""]),
        (
            "udev/rules.d/x.rules",
            "KERNAL==\"sda\", RUN+=\"/bin/x\"",
            ["`KERNEL`?", "x.rules:3`"],
        ),
        (
            "udev/rules.d/x.rules",
            "KERNEL=\"sda\"",
            ["can only be compared", ""],
        ),
        (
            "udev/rules.d/x.rules",
            "KERNEL==\"sda\", MODE==\"0600\"",
            ["can only be set", ""],
        ),
        (
            "udev/rules.d/x.rules",
            "KERNEL==sda",
            ["does not stand between", ""],
        ),
    ] {
        let text = format!("# comment\n\n{line}\n");
        refused(&[(&format!("/etc/{path}"), 0o644, text.as_bytes())], &parts);
    }
    // Nothing is lost, but nothing is done with it either.
    let argument = b"d /run/a 0755 root root - x\n";
    warned(
        &[("/etc/tmpfiles.d/x.conf", 0o644, argument)],
        &["takes no argument"],
    );
    for path in [
        "tmpfiles.d/x",
        "sysusers.d/x.txt",
        "sysctl.d/x",
        "udev/rules.d/x.conf",
    ] {
        warned(
            &[(&format!("/etc/{path}"), 0o644, b"")],
            &["has no effect", "rename it"],
        );
    }
}

#[test]
fn what_people_have_is_taken() {
    taken(&[
        (
            "/etc/sysctl.d/99-kubernetes.conf",
            0o644,
            b"; a\nnet.ipv4.ip_forward = 1\nnet/ipv4/conf/eth0.1/forwarding=1\n-net.ipv4.conf.all.rp_filter\nnet.ipv4.conf.*.rp_filter=2\nkernel.core_pattern=|/bin/x %p # y\nvm.overcommit_memory=1\nnet.ipv4.tcp_rmem = 4096 87380 6291456\n",
        ),
        (
            "/etc/udev/rules.d/99-mine.rules",
            0o644,
            b"ACTION==\"add|change\", SUBSYSTEM==\"block\", KERNEL==\"sd[a-z]\", \\\n  ATTR{queue/scheduler}=\"none\", ENV{ID_X}!=\"?*\"\nSUBSYSTEM==\"net\", ATTR{address}==\"aa:bb:cc:dd:ee:ff\", NAME=\"lan0\"\nKERNEL==\"nvidia\", RUN+=\"/bin/bash -c '/usr/bin/nvidia-modprobe -c \\\"0\\\"'\"\nTEST==\"/x\", GOTO=\"end\"\nIMPORT{program}=\"/bin/x\", SYMLINK+=\"disk/by-x/$env{ID}\"\nSUBSYSTEMS==\"usb\", ATTRS{idVendor}==\"1d6b\", OWNER=\"root\", GROUP=\"adm\", MODE=\"0660\", TAG+=\"systemd\"\nLABEL=\"end\"\n",
        ),
        (
            "/etc/tmpfiles.d/mine.conf",
            0o644,
            b"d /var/lib/mine 0750 mine mine -\r\nL+ /etc/resolv.conf - - - - ../run/x\nd /opt/cni/bin 0755\n",
        ),
        ("/etc/sysusers.d/mine.conf", 0o644, b"u mine - \"Mine of all\" /var/lib/mine\nm mine adm\n"),
        // Another file takes its place.
        ("/usr/lib/tmpfiles.d/mine.conf", 0o644, b"k /run\n"),
        ("/etc/sysctl.d/README", 0o644, b"x\n"),
    ]);
}
