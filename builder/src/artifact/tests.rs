//! Archives are made here, byte by byte where `tar` would refuse to make them.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::digest::{Digest, Expected};
use crate::tree::{Content, Kind as NodeKind};

/// One tar member, as raw as it gets.
struct Raw<'a> {
    name: &'a str,
    flag: u8,
    mode: u32,
    link: &'a str,
    bytes: Vec<u8>,
    /// What the header says of the size, if it is not the truth.
    size: Option<u64>,
}

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Raw<'_> {
    Raw {
        name,
        flag: b'0',
        mode: 0o755,
        link: "",
        bytes: bytes.into(),
        size: None,
    }
}

fn special<'a>(flag: u8, name: &'a str, link: &'a str) -> Raw<'a> {
    Raw {
        flag,
        link,
        ..file(name, "")
    }
}

fn tar(members: &[Raw<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..member.name.len()].copy_from_slice(member.name.as_bytes());
        raw.linkname[..member.link.len()].copy_from_slice(member.link.as_bytes());
        raw.linkflag = [member.flag];
        header.set_mode(member.mode);
        header.set_size(member.size.unwrap_or(member.bytes.len() as u64));
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&member.bytes);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An ELF header: class (2 = 64 bit), data (1 = little-endian), machine.
fn elf(class: u8, data: u8, machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 100];
    bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data]);
    let machine = match data {
        1 => machine.to_le_bytes(),
        _ => machine.to_be_bytes(),
    };
    bytes[18..20].copy_from_slice(&machine);
    bytes
}

fn arm64() -> Vec<u8> {
    elf(2, 1, 183)
}

fn rule(from: &str, to: &str) -> InstallRule {
    InstallRule {
        from: (!from.is_empty()).then(|| from.to_owned().try_into().unwrap()),
        to: to.to_owned().try_into().unwrap(),
        mode: Mode::default(),
    }
}

/// A store of its own with one artifact in it.
struct Case {
    dir: tempfile::TempDir,
    store: Store,
    blob: Arc<VerifiedBlob>,
    kind: Kind,
    max_unpacked: u64,
    allow_setuid: bool,
}

impl Case {
    fn new(bytes: &[u8]) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut partial = store.partial("x", &[]).unwrap();
        partial.write(bytes).unwrap();
        let want = Expected {
            sha256: Some(Digest::sha256(bytes)),
            ..Expected::default()
        };
        let blob = Arc::new(partial.commit(&want).unwrap().unwrap());
        Case {
            dir,
            store,
            blob,
            kind: Kind::Archive,
            max_unpacked: 1 << 20,
            allow_setuid: false,
        }
    }

    fn unpack(&self, rules: &[InstallRule]) -> Result<Vec<(ImagePath, Node)>> {
        let spec = Spec {
            name: "containerd",
            version: "2.3.4",
            arch: Arch::Arm64,
            kind: self.kind,
            rules,
            max_unpacked: self.max_unpacked,
            allow_setuid: self.allow_setuid,
        };
        unpack(&self.store, Arc::clone(&self.blob), &spec)
    }

    fn lines(&self, rules: &[InstallRule]) -> Vec<String> {
        self.unpack(rules).unwrap().iter().map(line).collect()
    }

    /// The refusal's text, after seeing that nothing is left in the store.
    fn refusal(&self, rules: &[InstallRule]) -> String {
        let error = match self.unpack(rules) {
            Err(error) => format!("{error:#}"),
            Ok(nodes) => panic!("not refused: {nodes:?}"),
        };
        assert!(
            error.starts_with("unpacking containerd 2.3.4 (arm64): "),
            "{error}"
        );
        assert_eq!(self.derived(), [""; 0], "{error}");
        error
    }

    fn derived(&self) -> Vec<String> {
        walkdir::WalkDir::new(self.dir.path().join("derived"))
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().display().to_string())
            .collect()
    }
}

fn line((path, node): &(ImagePath, Node)) -> String {
    let (what, detail) = match &node.kind {
        NodeKind::Directory => ("dir", String::new()),
        NodeKind::File(content) => ("file", short(&read(content))),
        NodeKind::Symlink(target) => ("->", target.clone()),
    };
    format!("{path} {what} {:04o} {detail}", node.stat.mode)
}

fn read(content: &Content) -> Vec<u8> {
    content.head(u64::MAX).unwrap()
}

fn short(bytes: &[u8]) -> String {
    Digest::sha256(bytes).hex()[..8].to_owned()
}

fn everything() -> Vec<Raw<'static>> {
    vec![
        special(b'5', "./", ""),
        special(b'5', "./bin/", ""),
        file("./bin/containerd", arm64()),
        special(b'1', "./bin/hard", "bin/containerd"),
        special(b'2', "./bin/soft", "containerd"),
        special(b'5', "./bin/deep/", ""),
        file("./bin/deep/x", "not picked"),
        file("./etc/config.toml", "version = 3\n"),
        special(b'2', "./away", "/usr/share/elsewhere"),
    ]
}

#[test]
fn every_packing_gives_the_same_nodes() {
    let plain = tar(&everything());
    let (half, rest) = plain.split_at(1000);
    let mut config = rule("etc/config.toml", "/etc/containerd/config.toml");
    config.mode = Mode::new(0o600).unwrap();
    let rules = [rule("bin/*", "/bin/"), config];
    let program = short(&arm64());
    let want = [
        format!(
            "/etc/containerd/config.toml file 0600 {}",
            short(b"version = 3\n")
        ),
        format!("/usr/bin/containerd file 0755 {program}"),
        format!("/usr/bin/hard file 0755 {program}"),
        "/usr/bin/soft -> 0777 containerd".to_owned(),
    ];
    let cases = [
        ("tar", plain.clone()),
        ("tar.gz", gz(&plain)),
        ("tar.gz of two members", [gz(half), gz(rest)].concat()),
        ("tar.zst", zst(&plain)),
        ("tar.zst of two frames", [zst(half), zst(rest)].concat()),
        (
            "tar.zst after a skippable frame",
            [&b"\x50\x2a\x4d\x18\x02\0\0\0ab"[..], &zst(&plain)].concat(),
        ),
        ("tar.xz", xz(&plain)),
        ("tar.xz of two streams", [xz(half), xz(rest)].concat()),
    ];
    for (name, bytes) in cases {
        let case = Case::new(&bytes);
        assert_eq!(case.lines(&rules), want, "{name}");
        let derived = if name == "tar" { 0 } else { 2 };
        assert_eq!(case.derived().len(), derived, "{name}");
        // Now from the tar that is kept.
        assert_eq!(case.lines(&rules), want, "{name}, again");
    }
}

#[test]
fn files_are_spans_of_the_kept_tar() {
    let case = Case::new(&gz(&tar(&everything())));
    let nodes = case.unpack(&[rule("bin/containerd", "/bin/")]).unwrap();
    let NodeKind::File(Content::Span { blob, offset, len }) = &nodes[0].1.kind else {
        panic!("no span: {nodes:?}");
    };
    assert!(
        blob.path()
            .starts_with(case.dir.path().join("derived/untar-1"))
    );
    assert_eq!((*offset, *len), (3 * 512, 100));
    assert_eq!(nodes[0].1.origin, Origin::Artifact("containerd".into()));
}

#[test]
fn hostile_members_are_named() {
    let long = "x".repeat(90);
    for (member, want) in [
        (file("../../etc/passwd", ""), "member `../../etc/passwd`: "),
        (file("bin/../../x", ""), "member `bin/../../x`: "),
        (
            file("/etc/passwd", ""),
            "member `/etc/passwd`: `/etc/passwd` is absolute",
        ),
        (file("a\nb", ""), "control character"),
        (
            special(b'2', "bin/up", "../../x"),
            "member `bin/up`: is a symbolic link to `../../x`, which leaves",
        ),
        (
            special(b'2', "bin/up", "a/../../../x"),
            "leaves the archive's root",
        ),
        (
            special(b'2', "bin/none", ""),
            "member `bin/none`: is a symbolic link to nothing",
        ),
        (
            special(b'1', "hard", "../etc/shadow"),
            "member `hard`: is a hard link that leaves the archive's root",
        ),
        (
            special(b'1', "hard", "/etc/shadow"),
            "member `hard`: is a hard link that leaves the archive's root",
        ),
        (
            special(b'3', "dev/null", ""),
            "member `dev/null`: is a device node",
        ),
        (
            special(b'4', "dev/sda", ""),
            "member `dev/sda`: is a device node",
        ),
        (special(b'6', "pipe", ""), "member `pipe`: is a named pipe"),
        (
            special(b'Z', "odd", ""),
            "member `odd`: is of the unknown type `Z`",
        ),
        (special(b'S', "sparse", ""), "sparse"),
        (file(&long, ""), ""),
    ] {
        let name = member.name.to_owned();
        let bytes = tar(&[file("bin/good", arm64()), member]);
        for bytes in [bytes.clone(), gz(&bytes)] {
            let case = Case::new(&bytes);
            let rules = [rule("bin/good", "/usr/bin/good")];
            if want.is_empty() {
                assert_eq!(case.lines(&rules).len(), 1, "{name}");
                continue;
            }
            let error = case.refusal(&rules);
            assert!(error.contains(want), "{name}: {error}");
        }
    }
}

#[test]
fn hostile_choices_are_named() {
    let setuid = || Raw {
        mode: 0o4755,
        ..file("bin/su", arm64())
    };
    let twice = || file("bin/twice", arm64());
    for (members, want) in [
        (
            vec![setuid()],
            "member `bin/su`: is setuid or setgid: set `allow_setuid",
        ),
        (
            vec![Raw {
                mode: 0o2755,
                ..setuid()
            }],
            "is setuid or setgid",
        ),
        (
            vec![setuid(), special(b'1', "bin/link", "bin/su")],
            "member `bin/link`: is setuid",
        ),
        (
            vec![twice(), twice()],
            "member `bin/twice`: is in the archive 2 times",
        ),
        (vec![file("bin/x", "")], "member `bin/x`: is empty, but"),
        (
            vec![file("bin/x", elf(2, 1, 62))],
            "member `bin/x`: is an ELF file for amd64, but the image is for arm64",
        ),
        (
            vec![file("bin/x", elf(1, 1, 40))],
            "is an ELF file for 32-bit arm",
        ),
        (vec![file("bin/x", elf(1, 1, 183))], "is a 32-bit ELF file"),
        (
            vec![file("bin/x", elf(2, 2, 183))],
            "is a big-endian ELF file",
        ),
        (
            vec![file("bin/x", &b"\x7fELF\x02"[..])],
            "ends within its header",
        ),
        (
            vec![
                special(b'1', "bin/a", "bin/b"),
                special(b'1', "bin/b", "bin/a"),
            ],
            "hard link to itself",
        ),
        (
            vec![special(b'1', "bin/a", "bin/gone")],
            "member `bin/a`: is a hard link to `bin/gone`, which: is not in the archive",
        ),
        (
            vec![special(b'5', "d", ""), special(b'1', "bin/a", "d")],
            "is a hard link to the directory `d`",
        ),
        (vec![special(b'5', "bin", "")], "it has no file for `bin/*`"),
    ] {
        let bytes = tar(&members);
        for bytes in [bytes.clone(), xz(&bytes)] {
            let error = Case::new(&bytes).refusal(&[rule("bin/*", "/usr/bin/")]);
            assert!(error.contains(want), "{want}: {error}");
        }
    }
}

#[test]
fn setuid_is_let_in_where_the_recipe_allows_it() {
    let mut asked = rule("su", "/usr/bin/su");
    asked.mode = Mode::new(0o4755).unwrap();
    let mut case = Case::new(&gz(&tar(&[file("su", arm64())])));
    assert!(case.refusal(&[asked.clone()]).contains("allow_setuid"));
    case.allow_setuid = true;
    let want = format!("/usr/bin/su file 4755 {}", short(&arm64()));
    assert_eq!(case.lines(&[asked]), [want]);
}

#[test]
fn a_link_is_judged_by_where_it_comes_to_lie() {
    let bytes = tar(&[
        file("a/b/c/d/x", ""),
        special(b'2', "a/b/c/d/link", "../../../x"),
    ]);
    let case = Case::new(&bytes);
    assert_eq!(
        case.lines(&[rule("a/b/c/d/link", "/usr/lib/x/link")]),
        ["/usr/lib/x/link -> 0777 ../../../x"]
    );
    let error = case.refusal(&[rule("a/b/c/d/link", "/usr/link")]);
    assert!(
        error.contains("member `a/b/c/d/link`: is a symbolic link to `../../../x`, which leaves the image's root from `/usr/link`"),
        "{error}"
    );
}

#[test]
fn wrong_rules_say_what_to_write() {
    let bytes = tar(&[
        special(b'5', "bin", ""),
        file("bin/containerd", arm64()),
        file("bin/ctr", arm64()),
    ]);
    for (rules, want) in [
        (vec![], "its `files` are empty"),
        (vec![rule("", "/usr/bin/x")], "lacks `from`"),
        (
            vec![rule("bin", "/usr/bin/x")],
            "member `bin`: is a directory: write `from = \"bin/*\"`",
        ),
        (
            vec![rule("bin/*", "/usr/bin")],
            "write `to = \"/usr/bin/\"`",
        ),
        (
            vec![rule("containerd", "/usr/bin/")],
            "it has no member `containerd`: near it are `bin/containerd`",
        ),
        (
            vec![rule("bin/containrd", "/usr/bin/")],
            "near it are `bin/containerd`",
        ),
        (
            vec![rule("zzz", "/usr/bin/")],
            "its files are `bin/containerd`, `bin/ctr`",
        ),
        (
            vec![rule("sbin/*", "/usr/bin/")],
            "it has no file for `sbin/*`",
        ),
        (
            vec![
                rule("bin/ctr", "/usr/bin/x"),
                rule("bin/containerd", "/bin/x"),
            ],
            "`files` installs two things as `/usr/bin/x`",
        ),
    ] {
        let error = Case::new(&bytes).refusal(&rules);
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn a_bomb_is_refused_in_every_packing() {
    let zeros = vec![0; 3 << 20];
    let bomb = tar(&[file("bin/x", arm64()), file("zeros", zeros)]);
    for bytes in [bomb.clone(), gz(&bomb), zst(&bomb), xz(&bomb)] {
        let error = Case::new(&bytes).refusal(&[rule("bin/x", "/usr/bin/")]);
        assert!(
            error.contains("more than 1048576 bytes") && error.contains("`max_unpacked`"),
            "{error}"
        );
    }
    // A tar that is kept is held to a limit that was lowered since.
    let mut case = Case::new(&gz(&bomb));
    case.max_unpacked = 4 << 20;
    let rules = [rule("bin/x", "/usr/bin/")];
    assert_eq!(case.lines(&rules).len(), 1);
    case.max_unpacked = 2 << 20;
    let error = format!("{:#}", case.unpack(&rules).unwrap_err());
    assert!(error.contains("`max_unpacked`"), "{error}");
}

#[test]
fn a_name_as_long_as_a_bomb_is_not_read_into_memory() {
    for flag in [b'L', b'K', b'x', b'g'] {
        let name = Raw {
            flag,
            ..file("././@LongLink", vec![b'a'; 2 << 20])
        };
        let mut case = Case::new(&gz(&tar(&[name, file("x", arm64())])));
        case.max_unpacked = 8 << 20;
        let error = case.refusal(&[rule("x", "/usr/bin/")]);
        assert!(error.contains("longer than 1048576 bytes"), "{error}");
    }
}

#[test]
fn pax_records_for_all_members_and_sparse_records_are_refused() {
    for (flag, record, want) in [
        (
            b'g',
            "21 path=../../shadow\n",
            "sets `path` for every member",
        ),
        (b'x', "22 GNU.sparse.major=1\n", "is a sparse file"),
        (b'x', "99 path=y\n", "cannot be read"),
    ] {
        let pax = Raw {
            flag,
            ..file("pax", record)
        };
        let case = Case::new(&gz(&tar(&[pax, file("x", arm64())])));
        let error = case.refusal(&[rule("*", "/usr/bin/")]);
        assert!(error.contains(want), "{error}");
    }
    // What `git archive` writes is harmless.
    let comment = Raw {
        flag: b'g',
        ..file("pax_global_header", "22 comment=0123456789\n")
    };
    let case = Case::new(&gz(&tar(&[comment, file("x", arm64())])));
    assert_eq!(case.lines(&[rule("*", "/usr/bin/")]).len(), 1);
}

#[test]
fn damage_is_told_from_length_from_garbage() {
    let plain = tar(&[file("bin/x", arm64()), file("bin/y", vec![1; 5000])]);
    let no_end = plain[..plain.len() - 1024].to_vec();
    let mut after = plain.clone();
    after.extend_from_slice(b"garbage");
    let mut flipped = gz(&plain);
    // In the checksum, which comes after all of the data.
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 0xff;
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 5].to_vec();
    for (name, bytes, want) in [
        (
            "cut gz",
            cut(gz(&plain)),
            "cut short: its gzip data ends too early",
        ),
        (
            "cut zst",
            cut(zst(&plain)),
            "cut short: its zstd data ends too early",
        ),
        ("cut xz", cut(xz(&plain)), "its xz data"),
        ("cut tar", plain[..2000].to_vec(), "the archive"),
        (
            "no end",
            no_end.clone(),
            "cut short: its end mark is missing",
        ),
        (
            "no end, gz",
            gz(&no_end),
            "cut short: its end mark is missing",
        ),
        (
            "after the end",
            after.clone(),
            "something after the archive's end mark",
        ),
        (
            "after the end, zst",
            zst(&after),
            "something after the archive's end mark",
        ),
        (
            "after gz",
            [gz(&plain), b"garbage".to_vec()].concat(),
            "its gzip data",
        ),
        (
            "after zst",
            [zst(&plain), b"garbage!!".to_vec()].concat(),
            "its zstd data",
        ),
        (
            "after xz",
            [xz(&plain), b"garbage!".to_vec()].concat(),
            "its xz data",
        ),
        ("flipped", flipped, "its gzip data is damaged"),
        ("no tar in it", gz(b"hello"), "no tar archive"),
        (
            "program in it",
            gz(&[arm64(), vec![7; 2000]].concat()),
            "what it holds is no tar archive",
        ),
        ("empty in it", gz(b""), "cut short"),
        ("empty", vec![], "it is no tar archive: it is empty"),
        (
            "web page",
            b"\n<!DOCTYPE html><html>404".to_vec(),
            "looks like a web page",
        ),
        (
            "S3 error",
            b"<?xml version=\"1.0\"?><Error>".to_vec(),
            "looks like a web page or an error document",
        ),
        ("zip", b"PK\x03\x04rest".to_vec(), "it is a zip file"),
        ("deb", b"!<arch>\ndebian-binary".to_vec(), "Debian package"),
        ("program", arm64(), "`kind = \"binary\"`"),
        (
            "text",
            b"not found".to_vec(),
            "it begins with \"not found\"",
        ),
        ("zeros", vec![0; 2048], "it is no tar archive"),
    ] {
        let error = Case::new(&bytes).refusal(&[rule("bin/x", "/usr/bin/")]);
        assert!(error.contains(want), "{name}: {error}");
    }
}

#[test]
fn a_size_that_is_not_true_is_found() {
    for size in [1 << 19, 8_000_000_000] {
        let lying = Raw {
            size: Some(size),
            ..file("bin/x", arm64())
        };
        let bytes = tar(&[lying]);
        for bytes in [bytes.clone(), gz(&bytes)] {
            let error = Case::new(&bytes).refusal(&[rule("bin/x", "/usr/bin/")]);
            assert!(error.contains("archive"), "{error}");
        }
    }
}

#[test]
fn what_gnu_tar_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("bin/{}/{}", "d".repeat(120), "f".repeat(130));
    let target = dir.path().join(&long);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::write(&target, arm64()).unwrap();
    fs::hard_link(&target, dir.path().join("bin/zz")).unwrap();
    for format in ["gnu", "pax", "ustar", "v7"] {
        // ustar and v7 have no way to say the long name.
        let what = if ["gnu", "pax"].contains(&format) {
            "bin"
        } else {
            "bin/zz"
        };
        let made = Command::new("tar")
            .arg("-C")
            .arg(dir.path())
            .args(["-c", "--sort=name", "--format", format, what])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(made.status.success(), "{format}");
        let case = Case::new(&made.stdout);
        let lines = case.lines(&[rule("bin/zz", "/usr/bin/zz")]);
        assert_eq!(
            lines,
            [format!("/usr/bin/zz file 0755 {}", short(&arm64()))],
            "{format}"
        );
        if what == "bin" {
            assert_eq!(
                case.lines(&[rule(&long, "/usr/bin/x")]).len(),
                1,
                "{format}"
            );
        }
    }
}

#[test]
fn a_binary_is_a_program_of_the_architecture_or_a_script() {
    let unpack = |bytes: &[u8], rules: &[InstallRule]| {
        let case = Case {
            kind: Kind::Binary,
            ..Case::new(bytes)
        };
        case.unpack(rules)
            .map(|nodes| nodes.iter().map(line).collect::<Vec<_>>())
            .map_err(|error| format!("{error:#}"))
    };
    let bin = [rule("", "/usr/local/bin/kubelet")];
    let want = |bytes: &[u8]| {
        Ok(vec![format!(
            "/usr/local/bin/kubelet file 0755 {}",
            short(bytes)
        )])
    };
    assert_eq!(unpack(&arm64(), &bin), want(&arm64()));
    assert_eq!(unpack(b"#!/bin/sh\n", &bin), want(b"#!/bin/sh\n"));
    let named = format!("/usr/bin/containerd file 0755 {}", short(&arm64()));
    assert_eq!(unpack(&arm64(), &[rule("", "/bin/")]), Ok(vec![named]));
    for (bytes, rules, part) in [
        (elf(2, 1, 62), &bin[..], "is an ELF file for amd64"),
        (gz(b"x"), &bin, "it is no program: it is a gzip file"),
        (b"<html>".to_vec(), &bin, "web page"),
        (vec![], &bin, "it is empty"),
        (
            arm64(),
            &[rule("x", "/bin/x")],
            "`from = \"x\"` is for archives",
        ),
        (arm64(), &[], "its `files` are empty"),
    ] {
        let error = unpack(&bytes, rules).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn rules_are_read_from_toml() {
    #[derive(Debug, Deserialize)]
    struct Files {
        files: Vec<InstallRule>,
    }
    let read = |text: &str| toml::from_str::<Files>(&format!("files = [{text}]"));
    let rules = read(r#"{ from = "./bin/*", to = "/usr/bin/", mode = "0750" }, { to = "/bin/x" }"#)
        .unwrap()
        .files;
    assert_eq!(rules[0].from, Some(Selector::AllIn("bin".into())));
    assert_eq!(rules[0].to, Destination::Into("/usr/bin".parse().unwrap()));
    assert_eq!(rules[0].mode.bits(), 0o750);
    assert_eq!(rules[1], rule("", "/usr/bin/x"));
    for (text, part) in [
        (r#"{ from = "../x", to = "/x" }"#, "could leave"),
        (r#"{ from = "/x", to = "/x" }"#, "absolute"),
        (r#"{ from = "a*/b", to = "/x" }"#, "stands only at the end"),
        (r#"{ from = "kube*", to = "/x" }"#, "stands only at the end"),
        (r#"{ from = "./", to = "/x" }"#, "names no file"),
        (r#"{ to = "x" }"#, "not an absolute path"),
        (r#"{ to = "/x", mode = "0o755" }"#, "is not a mode"),
        (r#"{ to = "/x", mode = "0789" }"#, "is not a mode"),
        (
            r#"{ to = "/x", mode = "17777" }"#,
            "more than permission bits",
        ),
        (r#"{ to = "/x", made = "0755" }"#, "unknown field `made`"),
        (r#"{ from = "x" }"#, "missing field `to`"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    for text in ["bin/*", "*", "bin/x"] {
        assert_eq!(
            Selector::try_from(text.to_owned()).unwrap().to_string(),
            text
        );
    }
    for text in ["/usr/bin/", "/usr/bin", "/"] {
        assert_eq!(
            Destination::try_from(text.to_owned()).unwrap().to_string(),
            text
        );
    }
}

#[test]
fn a_static_program_has_no_interpreter() {
    let program = |types: &[u32]| {
        let mut bytes = arm64();
        bytes.resize(64, 0);
        bytes[24] = 1;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = types.len() as u8;
        for kind in types {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    };
    for (bytes, want) in [
        (program(&[1, 1]), true),
        (program(&[1, 3]), false),
        (program(&[]), false),
        (program(&[1, 1])[..170].to_vec(), false),
        (arm64(), false),
        (b"#!/bin/sh".to_vec(), false),
        (vec![], false),
    ] {
        let content = Content::inline(bytes.clone());
        assert_eq!(elf::is_static(&content).unwrap(), want, "{bytes:?}");
    }
}
