#![allow(clippy::unwrap_used)]
use std::io::Cursor;

use nodeimg_test_support::ar::archive;
use nodeimg_test_support::mutate::Mutator;
use nodeimg_values::digest::{Digest, Expected};

use super::*;
use crate::store::Lookup;

const CONTROL: &str = "Package: tool\nVersion: 1:2-3\nArchitecture: arm64\n";
const WANT: Identity<'static> = Identity {
    name: "tool",
    version: "1:2-3",
    arch: Arch::Arm64,
};

fn tar_of(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    fill(&mut builder);
    builder.into_inner().unwrap()
}

struct Item {
    name: &'static str,
    kind: tar::EntryType,
    /// Content, or a link's target.
    text: &'static str,
    mode: u32,
    ids: [u64; 2],
}

const FILE: Item = Item {
    name: "./usr/bin/tool",
    kind: tar::EntryType::Regular,
    text: "x",
    mode: 0o755,
    ids: [0, 0],
};

fn put(builder: &mut tar::Builder<Vec<u8>>, item: &Item) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(item.kind);
    header.set_mode(item.mode);
    header.set_uid(item.ids[0]);
    header.set_gid(item.ids[1]);
    let link = matches!(item.kind, tar::EntryType::Symlink | tar::EntryType::Link);
    header.as_gnu_mut().unwrap().name[..item.name.len()].copy_from_slice(item.name.as_bytes());
    let content = if link { "" } else { item.text };
    if link {
        header.set_link_name(item.text).unwrap();
    }
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content.as_bytes()).unwrap();
}

fn control_tar(text: &'static str) -> Vec<u8> {
    let item = Item {
        name: "./control",
        text,
        mode: 0o644,
        ..FILE
    };
    tar_of(|b| put(b, &item))
}

fn data_tar(items: &[Item]) -> Vec<u8> {
    tar_of(|b| items.iter().for_each(|item| put(b, item)))
}

fn deb(items: &[Item]) -> Vec<u8> {
    let control = zstd::encode_all(Cursor::new(control_tar(CONTROL)), 1).unwrap();
    let data = zstd::encode_all(Cursor::new(data_tar(items)), 1).unwrap();
    archive(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.zst", &control),
        ("data.tar.zst", &data),
    ])
}

fn read(bytes: &[u8]) -> Result<Package> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let sha256 = Digest::sha256(bytes);
    let mut partial = store.partial(&sha256.to_string(), &[]).unwrap();
    partial.write(bytes).unwrap();
    let want = Expected {
        sha256: Some(sha256),
        ..Expected::default()
    };
    partial.commit(&want).unwrap().unwrap();
    let find = || match store.find(&want).unwrap() {
        Lookup::Found(blob) => blob,
        other => panic!("{other:?}"),
    };
    let first = unpack(&store, &find(), WANT)?;
    // From the store's tar the second time.
    let second = unpack(&store, &find(), WANT)?;
    assert_eq!(lines(&first), lines(&second));
    Ok(first)
}

fn lines(package: &Package) -> Vec<String> {
    let line = |(path, node): &(ImagePath, Node)| {
        use crate::tree::Kind;
        let what = match &node.kind {
            Kind::Directory => "directory".to_owned(),
            Kind::Symlink(target) => format!("-> {target}"),
            Kind::File(content) => {
                let mut text = String::new();
                content.reader().read_to_string(&mut text).unwrap();
                format!("file {text}")
            }
        };
        let stat = &node.stat;
        format!("{path} {what} {:04o} {}:{}", stat.mode, stat.uid, stat.gid)
    };
    package.nodes.iter().map(line).collect()
}

#[test]
fn owners_modes_links_and_the_merged_usr() {
    let directory = tar::EntryType::Directory;
    let package = read(&deb(&[
        Item {
            name: "./",
            kind: directory,
            text: "",
            ..FILE
        },
        Item {
            name: "./bin",
            kind: tar::EntryType::Symlink,
            text: "usr/bin",
            ..FILE
        },
        Item {
            name: "./var/run",
            kind: tar::EntryType::Symlink,
            text: "../run",
            ..FILE
        },
        Item {
            name: "./usr/bin/",
            kind: directory,
            text: "",
            ..FILE
        },
        Item {
            mode: 0o4755,
            text: "first",
            ..FILE
        },
        Item {
            name: "./bin/hard",
            kind: tar::EntryType::Link,
            text: "./usr/bin/tool",
            ..FILE
        },
        Item {
            name: "./sbin/soft",
            kind: tar::EntryType::Symlink,
            text: "../bin/tool",
            mode: 0o777,
            ..FILE
        },
        Item {
            name: "./var/mail/",
            kind: directory,
            text: "",
            mode: 0o2775,
            ids: [0, 8],
        },
    ]))
    .unwrap();
    assert_eq!(
        lines(&package),
        [
            "/usr/bin directory 0755 0:0",
            "/usr/bin/hard file first 4755 0:0",
            "/usr/bin/tool file first 4755 0:0",
            "/usr/sbin/soft -> ../bin/tool 0777 0:0",
            "/var/mail directory 2775 0:8",
        ]
    );
    assert_eq!(package.control["control"], CONTROL.as_bytes());
}

#[test]
fn packages_that_are_not_what_they_should_be() {
    let good = deb(&[FILE]);
    assert!(read(&good).is_ok());
    let control = control_tar(CONTROL);
    let data = data_tar(&[FILE]);
    let binary: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let other = control_tar("Package: tool\nVersion: 1:2-4\nArchitecture: arm64\n");
    let amd64 = control_tar("Package: tool\nVersion: 1:2-3\nArchitecture: amd64\n");
    let whole = |control: &[u8], data: &[u8]| {
        archive(&[binary, ("control.tar", control), ("data.tar", data)])
    };
    let cut = zstd::encode_all(Cursor::new(&data), 1).unwrap();
    for (bytes, want) in [
        (
            b"<html>".to_vec(),
            "not a Debian package: it looks like a web page",
        ),
        (good[..good.len() - 9].to_vec(), "cut short"),
        (archive(&[("debian-binary", b"3.0\n")]), "format is 3.0"),
        (archive(&[("x", b"")]), "debian-binary"),
        (archive(&[binary, ("control.tar", &control)]), "`data.tar*`"),
        (whole(&other, &data), "it is the package tool 1:2-4 (arm64)"),
        (whole(&amd64, &data), "(amd64)"),
        (whole(&data, &data), "`control`"),
        (whole(&control, b"x"), "`data.tar`"),
        (
            archive(&[binary, ("control.tar", &control), ("data.tar.lz", b"x")]),
            "not compressed with",
        ),
        (
            archive(&[
                binary,
                ("control.tar", &control),
                ("data.tar.zst", &cut[..cut.len() - 5]),
            ]),
            "`data.tar.zst`",
        ),
        (
            deb(&[Item {
                name: "./dev/x",
                kind: tar::EntryType::Char,
                text: "",
                ..FILE
            }]),
            "device node",
        ),
        (
            deb(&[Item {
                ids: [1000, 0],
                ..FILE
            }]),
            "user 1000",
        ),
        (
            deb(&[Item {
                ids: [0, 999],
                ..FILE
            }]),
            "group 999",
        ),
        (deb(&[FILE, FILE]), "twice"),
        (
            deb(&[Item {
                name: "./../x",
                ..FILE
            }]),
            "..",
        ),
        (
            deb(&[Item {
                kind: tar::EntryType::Link,
                text: "./nothing",
                ..FILE
            }]),
            "does not exist",
        ),
    ] {
        let error = format!("{:#}", read(&bytes).unwrap_err());
        assert!(error.contains(want), "should say {want:?}: {error}");
    }
}

/// Whatever became of a good package: read or refused.
#[test]
fn mangled_packages_are_read_or_refused() {
    const WORDS: [&str; 10] = [
        "!<arch>\n",
        "`\n",
        "debian-binary",
        "control.tar.zst",
        "data.tar.xz",
        "2.0\n",
        "../",
        "\0",
        "9999999999",
        "/",
    ];
    let whole = deb(&[
        FILE,
        Item {
            name: "./usr/lib/tool",
            text: "../bin/tool",
            kind: tar::EntryType::Symlink,
            ..FILE
        },
    ]);
    let inner = data_tar(&[FILE]);
    let mut mutator = Mutator::new(3);
    let mut refused = 0;
    for run in 0..400 {
        let bytes = if run % 2 == 0 {
            mutator.input(std::slice::from_ref(&whole), &WORDS)
        } else {
            let data = mutator.input(std::slice::from_ref(&inner), &WORDS);
            let control = zstd::encode_all(Cursor::new(control_tar(CONTROL)), 1).unwrap();
            archive(&[
                ("debian-binary", b"2.0\n"),
                ("control.tar.zst", &control),
                ("data.tar", &data),
            ])
        };
        if read(&bytes).is_err() {
            refused += 1;
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}
