#![allow(clippy::unwrap_used)]
use std::fs;

use nodeimg_values::digest::Algorithm;

use super::*;

mod theirs;

fn put(store: &Store, bytes: &[u8]) -> VerifiedBlob {
    let mut partial = store
        .partial("https://example/x", &[Algorithm::Sha512])
        .unwrap();
    partial.write(bytes).unwrap();
    let want = Expected {
        sha256: Some(Digest::sha256(bytes)),
        ..Expected::default()
    };
    partial.commit(&want).unwrap().unwrap()
}

fn by_sha256(bytes: &[u8]) -> Expected {
    Expected {
        sha256: Some(Digest::sha256(bytes)),
        ..Expected::default()
    }
}

#[test]
fn a_blob_is_found_by_either_digest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = put(&store, b"hello");
    assert_eq!(
        fs::metadata(blob.path()).unwrap().permissions().mode() & 0o777,
        0o444
    );
    let sha512 = Hasher::measure(&b"hello"[..], &[Algorithm::Sha512])
        .unwrap()
        .sha512;
    let want = Expected {
        sha512,
        ..Expected::default()
    };
    assert!(
        matches!(store.find(&want).unwrap(), Lookup::Found(found) if found.sha256() == blob.sha256())
    );
    assert!(matches!(
        store.find(&by_sha256(b"other")).unwrap(),
        Lookup::Missing
    ));
    let wrong_size = Expected {
        size: Some(6),
        ..by_sha256(b"hello")
    };
    assert!(matches!(store.find(&wrong_size).unwrap(), Lookup::Missing));
}

fn sha512_of(bytes: &[u8]) -> Option<Digest> {
    Hasher::measure(bytes, &[Algorithm::Sha512]).unwrap().sha512
}

#[test]
fn both_digests_must_belong_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, b"hello");
    let both = |sha512| Expected {
        sha512,
        ..by_sha256(b"hello")
    };
    let found = |want: &Expected| match store.find(want).unwrap() {
        Lookup::Found(blob) => blob.sha512().cloned(),
        _ => None,
    };
    let right = both(sha512_of(b"hello"));
    assert_eq!(found(&right), right.sha512);
    // One of nothing that is stored, and one of another blob.
    assert_eq!(found(&both(sha512_of(b"other"))), None);
    put(&store, b"other");
    assert_eq!(found(&both(sha512_of(b"other"))), None);
}

/// That they belong together is seen once; what says so must be this store's own.
#[test]
fn a_second_digest_is_computed_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, b"hello");
    let want = Expected {
        sha512: sha512_of(b"hello"),
        ..by_sha256(b"hello")
    };
    let wrong = Expected {
        sha512: sha512_of(b"other"),
        ..by_sha256(b"hello")
    };
    let alias = alias_path(dir.path(), want.sha512.as_ref().unwrap());
    fs::remove_file(&alias).unwrap();
    assert!(!store.belong_together(&want));
    for _ in 0..2 {
        assert!(
            matches!(store.find(&want).unwrap(), Lookup::Found(blob) if blob.sha512() == want.sha512.as_ref())
        );
        assert!(store.belong_together(&want));
        assert!(matches!(store.find(&wrong).unwrap(), Lookup::Missing));
    }
    fs::set_permissions(&alias, Permissions::from_mode(0o666)).unwrap();
    assert!(!store.belong_together(&want), "others can write it");
}

#[test]
fn a_corrupt_blob_is_named_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let path = put(&store, b"hello").path().to_owned();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, b"hellO").unwrap();
    assert!(matches!(store.find(&by_sha256(b"hello")).unwrap(),
        Lookup::DroppedCorrupt { path: named, .. } if named == path));
    assert!(matches!(
        store.find(&by_sha256(b"hello")).unwrap(),
        Lookup::Missing
    ));
}

#[test]
fn wrong_bytes_never_get_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut partial = store.partial("k", &[]).unwrap();
    partial.write(b"evil").unwrap();
    let rejected = partial.commit(&by_sha256(b"good")).unwrap().unwrap_err();
    assert_eq!(rejected.got, Digest::sha256(b"evil").to_string());
    assert!(matches!(
        store.find(&by_sha256(b"evil")).unwrap(),
        Lookup::Missing
    ));
    assert_eq!(store.partial("k", &[]).unwrap().len().unwrap(), 0);
}

#[test]
fn a_cut_download_goes_on_with_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut first = store.partial("k", &[]).unwrap();
    first.write(b"hel").unwrap();
    first.set_validator(Some("\"etag\"")).unwrap();
    drop(first);
    let mut second = store.partial("k", &[]).unwrap();
    assert_eq!(second.len().unwrap(), 3);
    assert_eq!(second.validator().as_deref(), Some("\"etag\""));
    second.write(b"lo").unwrap();
    assert!(second.commit(&by_sha256(b"hello")).unwrap().is_ok());
}

#[test]
fn derived_files_are_made_once_and_again_when_touched() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = put(&store, b"hello");
    let made = std::cell::Cell::new(0);
    let derive = || {
        store
            .derive(&blob, "upper-1", |_, out| {
                made.set(made.get() + 1);
                Ok(out.write_all(b"HELLO")?)
            })
            .unwrap()
    };
    let first = derive();
    assert_eq!(first.sha256(), derive().sha256());
    assert_eq!(made.get(), 1);
    fs::write(first.path(), b"EVIL!").unwrap();
    assert_eq!(derive().sha256(), &Digest::sha256(b"HELLO"));
    assert_eq!(made.get(), 2);
    // The same bytes in another file, as from a restored cache: made again.
    let copy = dir.path().join("copy");
    fs::copy(first.path(), &copy).unwrap();
    fs::rename(&copy, first.path()).unwrap();
    derive();
    assert_eq!(made.get(), 3);
}

#[test]
fn a_failed_derivation_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = put(&store, b"hello");
    assert!(store.derive(&blob, "bad-1", |_, _| bail!("no")).is_err());
    assert_eq!(
        fs::read_dir(dir.path().join("derived/bad-1"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn nothing_is_kept_of_a_source_that_changed_while_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = put(&store, b"hello");
    let write = |bytes: &[u8]| {
        fs::set_permissions(blob.path(), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(blob.path(), bytes).unwrap();
    };
    let derive = |before: &[u8], after: &[u8]| {
        store.derive(&blob, "copy-1", |from, to| {
            write(before);
            io::copy(from, to)?;
            write(after);
            Ok(())
        })
    };
    // Whatever it is afterwards, and whatever its reader thinks of it.
    let failing = store.derive(&blob, "copy-1", |_, _| {
        write(b"hellO");
        bail!("it is damaged")
    });
    for refused in [
        derive(b"hellO", b"hello"),
        derive(b"hell", b"hello"),
        failing,
    ] {
        let error = format!("{:#}", refused.unwrap_err());
        assert!(
            error.contains("has changed since it was verified"),
            "{error}"
        );
        let kept = fs::read_dir(dir.path().join("derived/copy-1")).unwrap();
        assert_eq!(kept.count(), 0);
    }
    assert!(
        derive(b"hello", b"hellO").is_err(),
        "changed after it was read"
    );
    write(b"hello");
    let whole = derive(b"hello", b"hello").unwrap();
    assert_eq!(whole.sha256(), &Digest::sha256(b"hello"));
}

#[test]
fn a_blob_that_was_written_to_is_hashed_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = put(&store, b"hello");
    blob.check_unchanged().unwrap();
    fs::set_permissions(blob.path(), fs::Permissions::from_mode(0o644)).unwrap();
    blob.check_unchanged().unwrap();
    fs::write(blob.path(), b"hellO").unwrap();
    let error = blob.check_unchanged().unwrap_err().to_string();
    assert!(error.contains("nodeimg store verify"), "{error}");
}

#[test]
fn verify_drops_and_gc_takes_only_what_is_old_and_unused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let path = put(&store, b"hello").path().to_owned();
    let refused = Store::gc(dir.path(), Duration::ZERO, false)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("in use"), "{refused}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, b"evil").unwrap();
    assert_eq!(store.verify().unwrap().dropped, [path]);
    let kept = put(&store, b"hello").path().to_owned();
    drop(store);
    assert!(
        Store::gc(dir.path(), Duration::from_secs(3600), false)
            .unwrap()
            .removed
            .is_empty()
    );
    assert!(
        Store::gc(dir.path(), Duration::ZERO, true)
            .unwrap()
            .removed
            .contains(&kept)
    );
    assert!(kept.exists());
    assert!(
        Store::gc(dir.path(), Duration::ZERO, false)
            .unwrap()
            .removed
            .contains(&kept)
    );
    assert!(!kept.exists());
}
