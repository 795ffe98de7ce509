#![allow(clippy::unwrap_used)]
use std::fs::{self, Permissions};
use std::path::PathBuf;

use super::*;

fn measured(bytes: &[u8]) -> nodeimg_values::digest::Measured {
    Hasher::measure(bytes, &[Algorithm::Sha512]).unwrap()
}

fn want(bytes: &[u8], sha512_only: bool) -> Expected {
    let got = measured(bytes);
    Expected {
        sha256: (!sha512_only).then_some(got.sha256),
        sha512: sha512_only.then_some(got.sha512).flatten(),
        size: None,
    }
}

fn put(store: &Store, bytes: &[u8]) -> VerifiedBlob {
    let mut partial = store.partial("x", &[]).unwrap();
    partial.restart(&[]).unwrap();
    partial.write(bytes).unwrap();
    partial.commit(&want(bytes, false)).unwrap().unwrap()
}

fn has(store: &Store, want: &Expected) -> bool {
    matches!(store.find(want).unwrap(), Lookup::Found(_))
}

/// A store with two blobs and their bundle; the second is known by SHA-512 too.
fn bundle(dir: &Path) -> PathBuf {
    let store = Store::open(&dir.join("from")).unwrap();
    let (one, two) = (put(&store, b"one"), put(&store, &[7; 300_000]));
    // As the store finds it for a lock that pins a SHA-512.
    let both = Expected {
        sha512: measured(&[7; 300_000]).sha512,
        ..want(&[7; 300_000], false)
    };
    let Lookup::Found(both) = store.find(&both).unwrap() else {
        panic!("the blob is in the store");
    };
    let path = dir.join("bundle.tar");
    store.export_bundle(&[&two, &one, &both], &path).unwrap();
    path
}

fn import(dir: &Path, bundle: &Path) -> (Store, Result<ImportReport>) {
    let store = Store::open(&dir.join("to")).unwrap();
    let report = store.import_bundle(bundle);
    (store, report)
}

#[test]
fn there_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = bundle(dir.path());
    let (store, report) = import(dir.path(), &path);
    let wanted = ImportReport {
        added: 2,
        present: 0,
        size: 300_003,
    };
    assert_eq!(report.unwrap(), wanted);
    assert!(has(&store, &want(b"one", false)));
    assert!(!has(&store, &want(b"one", true)), "nobody told its SHA-512");
    assert!(has(&store, &want(&[7; 300_000], false)));
    assert!(has(&store, &want(&[7; 300_000], true)));
    let again = store.import_bundle(&path).unwrap();
    assert_eq!((again.added, again.present), (0, 2));
    // An alias that is lost comes back with the bundle, also to a process that has hashed nothing.
    fs::remove_dir_all(dir.path().join("to/sha512")).unwrap();
    fs::create_dir(dir.path().join("to/sha512")).unwrap();
    let store = Store::open(&dir.path().join("to")).unwrap();
    assert_eq!(store.import_bundle(&path).unwrap().added, 1);
    assert!(has(&store, &want(&[7; 300_000], true)));
}

#[test]
fn the_same_blobs_give_the_same_bytes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (bundle(a.path()), bundle(b.path()));
    assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
}

#[test]
fn a_failed_export_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("from")).unwrap();
    let blob = put(&store, b"hello");
    fs::set_permissions(blob.path(), Permissions::from_mode(0o644)).unwrap();
    fs::write(blob.path(), b"hellO").unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let error = store
        .export_bundle(&[&blob], &out.join("b.tar"))
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("changed while it was read"),
        "{error:#}"
    );
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    let error = store
        .export_bundle(&[], &dir.path().join("no/b.tar"))
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("writing the bundle"),
        "{error:#}"
    );
}

/// Version, listed in the index, there, what the error says.
type Forged<'a> = (u32, &'a [&'a [u8]], &'a [Member<'a>], &'a str);

type Member<'a> = (&'a str, EntryType, &'a [u8]);

/// A tar with an index over `listed` and these members.
fn forged(dir: &Path, version: u32, listed: &[&[u8]], members: &[Member<'_>]) -> PathBuf {
    let index = Index {
        version,
        blobs: listed
            .iter()
            .map(|bytes| Indexed {
                sha256: Digest::sha256(bytes),
                sha512: None,
                size: bytes.len() as u64,
            })
            .collect(),
    };
    let mut tar = Builder::new(Vec::new());
    let text = serde_json::to_vec(&index).unwrap();
    append(&mut tar, INDEX, text.len() as u64, text.as_slice()).unwrap();
    for (name, kind, bytes) in members {
        let mut header = Header::new_ustar();
        // Past set_path, which refuses what an attacker would not.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_entry_type(*kind);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    let path = dir.join("forged.tar");
    fs::write(&path, tar.into_inner().unwrap()).unwrap();
    path
}

#[test]
fn what_is_no_sound_bundle() {
    let good = format!("blobs/{}", Digest::sha256(b"good").hex());
    let file = EntryType::Regular;
    let table: &[Forged<'_>] = &[
        (2, &[], &[], "its version is 2"),
        (1, &[b"good"], &[], "1 of its members are missing"),
        (1, &[b"good", b"good"], &[], "twice"),
        (1, &[], &[(&good, file, b"good")], "not in its index"),
        (
            1,
            &[b"good"],
            &[(&good, file, b"good"), (&good, file, b"good")],
            "there twice",
        ),
        (
            1,
            &[b"good"],
            &[("../../etc/passwd", file, b"good")],
            "not in its index",
        ),
        (
            1,
            &[b"good"],
            &[(&good, EntryType::Symlink, b"good")],
            "not a regular file",
        ),
        (
            1,
            &[b"good"],
            &[(&good, file, b"goods")],
            "has 5 bytes, its index says 4",
        ),
        (
            1,
            &[b"good"],
            &[(&good, file, b"evil")],
            "the bytes were dropped",
        ),
    ];
    for (version, listed, members, wanted) in table {
        let dir = tempfile::tempdir().unwrap();
        let path = forged(dir.path(), *version, listed, members);
        let (store, report) = import(dir.path(), &path);
        let error = format!("{:#}", report.unwrap_err());
        assert!(error.contains(wanted), "{error}");
        assert!(error.starts_with("reading the bundle "), "{error}");
        assert!(!has(&store, &want(b"evil", false)));
    }
}

#[test]
fn a_cut_bundle_is_told_wherever_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = bundle(dir.path());
    let whole = fs::read(&path).unwrap();
    for end in [0, 1, 511, 512, 700, 1024, 1500, 2048, 100_000, 200_000] {
        let to = tempfile::tempdir().unwrap();
        let cut = to.path().join("cut.tar");
        fs::write(&cut, &whole[..end]).unwrap();
        let (_store, report) = import(to.path(), &cut);
        let error = format!("{:#}", report.unwrap_err());
        assert!(error.starts_with("reading the bundle "), "{end}: {error}");
        let partial = fs::read_dir(to.path().join("to/partial")).unwrap();
        let left: Vec<_> = partial
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        assert!(left.is_empty(), "{end}: {left:?}");
    }
    let other = dir.path().join("other.tar");
    fs::write(&other, b"#!/bin/sh\necho no tar\n").unwrap();
    assert!(import(dir.path(), &other).1.is_err());
    assert!(import(dir.path(), Path::new("/nowhere.tar")).1.is_err());
}

/// A few bytes on disk, and as much memory as their headers say.
#[test]
fn headers_of_any_size_take_no_memory() {
    const HUGE: u64 = 1 << 32;
    for kind in [
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::GNULongLink,
    ] {
        for listed in [&[][..], &[&b"good"[..]]] {
            let dir = tempfile::tempdir().unwrap();
            let path = match listed.is_empty() {
                true => dir.path().join("forged.tar"),
                false => forged(dir.path(), 1, listed, &[]),
            };
            let mut bytes = fs::read(&path).unwrap_or_default();
            // Without the end mark.
            bytes.truncate(bytes.len().saturating_sub(1024));
            let mut header = Header::new_ustar();
            header.set_path("x").unwrap();
            header.set_entry_type(kind);
            header.set_size(HUGE);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
            fs::write(&path, &bytes).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(bytes.len() as u64 + HUGE + 1024).unwrap();
            let error = format!("{:#}", import(dir.path(), &path).1.unwrap_err());
            assert!(error.contains("longer than 65536 bytes"), "{error}");
        }
    }
}
