//! Each kind of contradiction on a small tree, and what is none.
#![allow(clippy::unwrap_used)]

mod judged;
mod kubernetes;
mod lines;
mod runtime;
mod units;

use super::*;
use crate::input::recipe::Recipe;
use crate::input::recipe::tests::{disk_recipe, recipe};
use crate::tree::{Content, Kind};

/// A root with a shell, `env`, and what `files` lay over it: (path, mode, text).
fn root(files: &[(&str, u32, &[u8])]) -> Tree {
    let mut tree = Tree::default();
    let package = || Origin::Package("p".to_owned());
    for path in ["/usr/bin/dash", "/usr/bin/env", "/usr/bin/python3"] {
        let node = Node::file(Content::inline(&b"\x7fELF"[..]), 0o755, package());
        tree.insert(path.parse().unwrap(), node).unwrap();
    }
    let link = Node::symlink("dash", package());
    tree.insert("/usr/bin/sh".parse().unwrap(), link).unwrap();
    let accounts = [
        ("/etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        ("/etc/group", "root:x:0:\nadm:x:4:\n"),
    ];
    for (path, text) in accounts {
        let node = Node::file(Content::inline(text.as_bytes()), 0o644, package());
        tree.insert(path.parse().unwrap(), node).unwrap();
    }
    for (path, mode, bytes) in files {
        let node = Node::file(Content::inline(*bytes), *mode, overlay());
        tree.insert(path.parse().unwrap(), node).unwrap();
    }
    tree
}

fn with_writable() -> Recipe {
    disk_recipe("writable = [\"/opt/cni/bin\"]\n")
}

fn overlay() -> Origin {
    Origin::Overlay("ov".to_owned())
}

/// What is said of `tree`: the refusal, or else the warnings.
fn said_of(tree: &Tree, recipe: &Recipe) -> (bool, String) {
    let kernels = [Modules::of_names(
        "6.12-test",
        &["br_netfilter", "nf_conntrack", "overlay", "nouveau"],
        &["ext4"],
    )];
    let judged = Judged {
        recipe,
        arch: Arch::Amd64,
        tree,
        kernels: &kernels,
        runtime: Some(&"2.2.4".parse().unwrap()),
        kubernetes: Some(&"1.36.3".parse().unwrap()),
    };
    match judged.judge() {
        Ok(warnings) => (false, warnings.join("\n")),
        Err(error) => (true, format!("{error:#}")),
    }
}

/// Of the modules that the recipe names, since somebody needs those.
#[test]
fn a_module_of_the_recipe_without_its_firmware_is_told() {
    let kernels = [
        Modules::of_names("6.12-test", &["bnx2", "other", "overlay"], &["ext4"])
            .with_firmware("bnx2", &["bnx2/a.fw", "bnx2/b.fw"])
            .with_firmware("other", &["other.fw"]),
    ];
    let recipe = disk_recipe("modules = [\"bnx2\", \"overlay\"]\n");
    let said = |tree: &Tree| {
        let judged = Judged {
            recipe: &recipe,
            arch: Arch::Amd64,
            tree,
            kernels: &kernels,
            runtime: None,
            kubernetes: None,
        };
        judged.judge().unwrap().join("\n")
    };
    let told = said(&root(&[]));
    assert!(
        told.contains("mine.toml:") && told.contains("`bnx2` may ask for firmware"),
        "{told}"
    );
    assert!(
        told.contains("(bnx2/a.fw, bnx2/b.fw)") && !told.contains("other"),
        "{told}"
    );
    // One of them is enough: the others are of other devices.
    let one = root(&[("/usr/lib/firmware/bnx2/b.fw.zst", 0o644, b"x")]);
    assert_eq!(said(&one), "");
}

fn refused(files: &[(&str, u32, &[u8])], parts: &[&str]) {
    let (is_refused, said) = said_of(&root(files), &with_writable());
    assert!(is_refused, "{files:?} passes: {said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

fn warned(files: &[(&str, u32, &[u8])], parts: &[&str]) {
    let (is_refused, said) = said_of(&root(files), &with_writable());
    assert!(!is_refused && !said.is_empty(), "{files:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

fn taken(files: &[(&str, u32, &[u8])]) {
    let (is_refused, said) = said_of(&root(files), &with_writable());
    assert!(!is_refused && said.is_empty(), "{files:?}: {said}");
}

#[test]
fn modules_are_those_of_the_kernel() {
    let load = "/etc/modules-load.d/x.conf";
    let place = "`/etc/modules-load.d/x.conf:3` (from overlay `ov`)";
    for (name, hint) in [
        ("nf_conntrack_ipv4", "part of `nf_conntrack`"),
        ("br_netfitler", "did you mean `br_netfilter`?"),
        ("br-netfitler", "did you mean `br_netfilter`?"),
        ("overlay.ko", "without `.ko`"),
        ("zfs", "choose another kernel"),
    ] {
        let text = format!("# modules\n\n{name}\r\n");
        refused(
            &[(load, 0o644, text.as_bytes())],
            &[place, "6.12-test", name, hint],
        );
    }
    taken(&[(load, 0o644, b"; c\nbr-netfilter\next4\n  overlay \n")]);
    // What a file of the same name, or a link, takes away is not loaded.
    taken(&[
        ("/usr/lib/modules-load.d/x.conf", 0o644, b"zfs\n"),
        (load, 0o644, b""),
    ]);
}

#[test]
fn modules_of_packages_are_a_warning() {
    let mut tree = root(&[]);
    let node = Node::file(
        Content::inline(&b"ib_iser\n"[..]),
        0o644,
        Origin::Package("open-iscsi".into()),
    );
    tree.insert(
        "/usr/lib/modules-load.d/open-iscsi.conf".parse().unwrap(),
        node,
    )
    .unwrap();
    let (is_refused, said) = said_of(&tree, &with_writable());
    assert!(
        !is_refused && said.contains("ib_iser") && said.contains("open-iscsi"),
        "{said}"
    );
}

#[test]
fn modprobes_own_files_may_name_what_is_not_there() {
    let conf = "/etc/modprobe.d/x.conf";
    warned(
        &[(conf, 0o644, b"options br_netfitler x=1\n")],
        &["x.conf:1", "br_netfilter"],
    );
    warned(&[(conf, 0o644, b"softdep overlay pre: zfs\n")], &["`zfs`"]);
    warned(
        &[(conf, 0o644, b"blacklist nouveua\n")],
        &["did you mean `nouveau`?"],
    );
    taken(&[(
        conf,
        0o644,
        b"blacklist firewire-core\ninstall cramfs /bin/false\nblacklist nouveau\n",
    )]);
}

#[test]
fn the_recipes_own_modules_have_their_line() {
    let recipe = disk_recipe(
        "modules = [\"overlay\", \"zfs\"]\n[disk]\nkernel_args = [\"modules-load=ovrelay\"]\n",
    );
    let (is_refused, said) = said_of(&root(&[]), &recipe);
    assert!(
        is_refused && said.contains("mine.toml:5:23: modules: "),
        "{said}"
    );
    assert!(
        said.contains("`modules-load=ovrelay`") && said.contains("did you mean `overlay`"),
        "{said}"
    );
}

#[test]
fn scripts_can_be_started() {
    let at = "/usr/local/bin/x";
    for (text, why) in [
        (&b"#!/bin/sh\r\necho\r\n"[..], "`/bin/sh\\r`"),
        (b"#!/usr/bin/env python3\r\n", "Windows line ends"),
        (b"#!/bin/sh -e\r\n", "Windows line ends"),
        (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
        (b"\xff\xfe#\0!\0/\0", "UTF-16"),
        (b"#! \n", "no interpreter"),
        (b"#!sh\n", "#!/usr/bin/env sh"),
        (b"#!/bin/zsh\n", "`/bin/zsh`, which is not in the image"),
        (b"#!/usr/bin\n", "is a directory"),
        (b"#!/usr/bin/env ruby\n", "`ruby`"),
        (b"#!/usr/bin/env -S A=b ruby -w\n", "`ruby`"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "git-lfs",
        ),
        (b"/annex/objects/SHA256E-s1--1\n", "git-annex"),
    ] {
        refused(&[(at, 0o755, text)], &[at, "overlay `ov`", why]);
    }
    refused(&[("/opt/x.txt", 0o644, b"#!/bin/sh\r\n")], &["/opt/x.txt"]);
    refused(
        &[("/etc/profile.d/x.sh", 0o644, b"export A=b\r\n")],
        &["Windows line ends"],
    );
    for text in [
        &b"#!/bin/sh\necho '\r\n'\n"[..],
        b"#! /bin/sh\n",
        b"#!/usr/bin/env -S python3 -u\n",
        b"#!/usr/bin/env -i PATH=/bin python3\n",
        b"#!/opt/cni/bin/x\n",
        b"#!/run/x\n",
        b"",
    ] {
        taken(&[(at, 0o755, text)]);
    }
    // Not run by itself; a unit's own carriage returns are taken off by systemd.
    taken(&[
        ("/opt/x", 0o644, b"#!/bin/zsh\n"),
        ("/etc/x.conf", 0o644, b"a\r\n"),
    ]);
}

#[test]
fn elf_files_are_for_the_machine() {
    let elf = |machine: u16, data: u8| {
        let mut bytes = b"\x7fELF\x02".to_vec();
        bytes.push(data);
        bytes.resize(64, 0);
        let machine = if data == 1 {
            machine.to_le_bytes()
        } else {
            machine.to_be_bytes()
        };
        bytes[18..20].copy_from_slice(&machine);
        bytes
    };
    refused(
        &[("/usr/local/bin/x", 0o755, &elf(183, 1))],
        &["arm64", "amd64"],
    );
    refused(&[("/opt/x", 0o644, &elf(8, 2))], &["big-endian"]);
    taken(&[
        ("/usr/local/bin/x", 0o755, &elf(62, 1)),
        ("/usr/lib/bpf/x.o", 0o644, &elf(247, 1)),
        ("/usr/lib/bpf/x_bpfeb.o", 0o644, &elf(247, 2)),
        ("/usr/share/cuda.fatbin", 0o644, &elf(190, 1)),
        ("/usr/lib/firmware/x.elf", 0o644, &elf(40, 1)),
    ]);
}

/// A base that is not known may have every interpreter.
#[test]
fn an_overlay_alone_is_not_asked_for_what_is_below_it() {
    let bad = "/usr/local/bin/x";
    let given = |text: &[u8]| said_of(&root(&[(bad, 0o755, text)]), &recipe(""));
    assert!(!given(b"#!/bin/zsh\n").0);
    assert!(given(b"#!/bin/sh\r\n").0);
    let (is_refused, said) = given(b"x\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n");
    assert!(is_refused && said.contains("line 2"), "{said}");
}

#[test]
fn secrets_are_found_anywhere() {
    let jwt = "eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJrdWJlcm5l.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
    let packed = "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlF";
    let long = format!(
        "{}\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n",
        "#\n".repeat(600_000)
    );
    for (text, what) in [
        ("\n-----BEGIN PRIVATE KEY-----\nMIIEvQ\n".to_owned(), "private key at line 2"),
        ("-----BEGIN PRIVATE KEY-----\n".to_owned(), "private key at line 1"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN ENCRYPTED PRIVATE KEY-----\r\nMIIE\r\n".to_owned(), "line 4"),
        ("  key: |\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    b3BlbnNz\n".to_owned(), "line 2"),
        ("{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\n\"}".to_owned(), "private key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_owned(), "private key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYB\n".to_owned(), "private key"),
        (long, "private key"),
        (format!("data:\n  tls.key: {packed}\n"), "base64"),
        ("users:\n- user:\n    client-key-data: Zm9v\n".to_owned(), "client-key-data"),
        ("kind: Config\nusers:\n- name: x\n  user:\n    token: abcdef.0123456789abcdef\n".to_owned(), "token"),
        (format!("x={jwt}\n"), "token"),
        ("{\"auths\": {\"a\": {\n\"auth\": \"dXNlcjpwdw==\"}}}".to_owned(), "registry"),
        (format!("[WireGuard]\nPrivateKey={}=\n", "A".repeat(43)), "WireGuard"),
    ] {
        refused(&[("/etc/x", 0o600, text.as_bytes())], &["/etc/x", "overlay `ov`", what]);
        let (_, said) = said_of(&root(&[("/etc/x", 0o600, text.as_bytes())]), &with_writable());
        assert!(!said.contains("MIIE") && !said.contains("abcdef.") && !said.contains(jwt), "{said}");
    }
}

#[test]
fn what_only_looks_like_a_secret_is_none() {
    for text in [
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n",
        "grep -q -- '-----BEGIN PRIVATE KEY-----' \"$1\"\n",
        "# a PRIVATE KEY goes here\n",
        "-----BEGIN PRIVATE KEY-----\n...\n",
        "client-key-data: {{ key }}\nclient-key-data: \"\"\nclient-key: /etc/x.key\n",
        "kind: Config\nusers:\n- user:\n    tokenFile: /run/token\n    token: ${TOKEN}\n",
        "eyJhbGciOiJSUzI1NiIs is a header\n",
        "{\"auths\": {}}",
        "PrivateKeyFile=/run/key\n[WireGuard]\nPrivateKey=@wg.key\n",
        "password: x\ntoken: y\n",
    ] {
        taken(&[("/etc/x", 0o644, text.as_bytes())]);
    }
    let key = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n";
    let mut tree = root(&[]);
    for origin in [Origin::Package("p".into()), Origin::Artifact("a".into())] {
        let is_program = matches!(origin, Origin::Artifact(_));
        let bytes = if is_program {
            [&b"\x7fELF\x02\x01"[..], &[0; 60], key].concat()
        } else {
            key.to_vec()
        };
        let name = if is_program {
            "/opt/program"
        } else {
            "/usr/share/doc/x/key.pem"
        };
        let mut bytes = bytes;
        if is_program {
            bytes[18] = 62;
        }
        let node = Node::file(Content::inline(bytes), 0o644, origin);
        tree.insert(name.parse().unwrap(), node).unwrap();
    }
    assert_eq!(said_of(&tree, &with_writable()), (false, String::new()));
    let node = Node::file(
        Content::inline(&key[..]),
        0o644,
        Origin::Artifact("a".into()),
    );
    tree.insert("/opt/key".parse().unwrap(), node).unwrap();
    assert!(said_of(&tree, &with_writable()).1.contains("artifact `a`"));
    assert!(
        tree.iter()
            .any(|(_, node)| matches!(node.kind, Kind::Symlink(_)))
    );
}
