//! Packed and plain, whole and damaged archives.
use std::fs;
use std::process::{Command, Stdio};

use super::*;

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
            "data after the archive's end mark",
        ),
        (
            "after the end, zst",
            zst(&after),
            "data after the archive's end mark",
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
        ("no tar in it", gz(b"hello"), "not a tar archive"),
        (
            "program in it",
            gz(&[arm64(), vec![7; 2000]].concat()),
            "its content is not a tar archive",
        ),
        ("empty in it", gz(b""), "cut short"),
        (
            "empty",
            vec![],
            "it is not a tar archive, nor a zip: it is empty",
        ),
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
        ("zip", b"PK\x03\x04rest".to_vec(), "its zip data is damaged"),
        ("deb", b"!<arch>\ndebian-binary".to_vec(), "Debian package"),
        ("program", arm64(), "`kind = \"binary\"`"),
        (
            "text",
            b"not found".to_vec(),
            "it begins with \"not found\"",
        ),
        ("zeros", vec![0; 2048], "it is not a tar archive"),
    ] {
        let error = Case::new(&bytes).refusal(&[rule("bin/x", "/usr/bin/")]);
        assert!(error.contains(want), "{name}: {error}");
    }
}

#[test]
fn a_size_that_is_not_true_is_found() {
    for size in [1 << 19, 8_000_000_000] {
        let lying = Member {
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
