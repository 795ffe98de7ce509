//! What others put into a store, and stores that are another's.

use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, geteuid, mkfifo};

use super::*;

fn gc(root: &Path) -> Result<Vec<PathBuf>> {
    Store::gc(root, Duration::ZERO, false).map(|report| report.removed)
}

fn found(store: &Store, bytes: &[u8]) -> bool {
    matches!(store.find(&by_sha256(bytes)).unwrap(), Lookup::Found(_))
}

#[test]
fn a_directory_of_something_else_is_left_as_it_is() {
    for there in ["photo.jpg", "blobs/photo.jpg", "built/x", "partial/x"] {
        let dir = tempfile::tempdir().unwrap();
        let photo = dir.path().join(there);
        fs::create_dir_all(photo.parent().unwrap()).unwrap();
        fs::write(&photo, "x").unwrap();
        let error = Store::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is not a store of nodeimg"), "{error}");
        let error = gc(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is not a store of nodeimg"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read(&photo).unwrap(), b"x");
    }
}

/// As a cache of CI restores them.
#[test]
fn blobs_alone_are_a_store() {
    let (whole, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blob = put(&Store::open(whole.path()).unwrap(), b"hello");
    let below = blob.path().strip_prefix(whole.path()).unwrap();
    let to = copy.path().join(below);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(blob.path(), &to).unwrap();
    assert!(found(&Store::open(copy.path()).unwrap(), b"hello"));
}

#[test]
fn a_store_is_marked_when_it_is_opened_an_older_one_too() {
    let dir = tempfile::tempdir().unwrap();
    // A file system of its own, with a tag of the administrator's.
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# mine\n";
    fs::write(dir.path().join(mark::MARK), tag).unwrap();
    let path = put(&Store::open(dir.path()).unwrap(), b"hello")
        .path()
        .to_owned();
    let mark = dir.path().join(mark::MARK);
    let text = fs::read_to_string(&mark).unwrap();
    assert!(
        text.starts_with(tag) && text.contains("nodeimg-store: 1\n"),
        "{text}"
    );
    fs::remove_file(&mark).unwrap();
    assert!(gc(dir.path()).is_err(), "no mark, no removal");
    assert!(path.exists());
    assert!(found(&Store::open(dir.path()).unwrap(), b"hello"));
    assert!(mark.exists());
    fs::write(&mark, text.replace("store: 1", "store: 2")).unwrap();
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("has format 2"), "{error}");
}

#[test]
fn what_lies_in_a_stores_place_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (nothing, file, circle) = ("nothing", "file", "circle");
    symlink(dir.path().join("absent"), dir.path().join(nothing)).unwrap();
    fs::write(dir.path().join(file), "mine").unwrap();
    symlink(circle, dir.path().join(circle)).unwrap();
    for (name, wanted) in [
        (nothing, "it is a link to a directory that is not there"),
        (circle, "it is a link to a directory that is not there"),
        (file, "it is not a directory"),
    ] {
        let error = format!("{:#}", Store::open(&dir.path().join(name)).unwrap_err());
        assert!(error.ends_with(wanted), "{error}");
        assert!(error.contains("--store DIR"), "{error}");
    }
    assert_eq!(fs::read(dir.path().join(file)).unwrap(), b"mine");
}

#[test]
fn many_may_make_one_store_at_once() {
    for _ in 0..30 {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| Store::open(&root).unwrap());
            }
        });
    }
}

#[test]
fn only_what_the_store_has_made_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, b"hello");
    let hex = "a".repeat(64);
    let theirs = [
        "blobs/photo.jpg".to_owned(),
        format!("blobs/{hex}"),
        format!("blobs/bb/{hex}"),
        format!("built/{hex}.txt"),
        "partial/notes".to_owned(),
        "derived/notes".to_owned(),
        "sha512/notes".to_owned(),
    ];
    for name in &theirs {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    let report = store.verify().unwrap();
    assert!(report.dropped.is_empty(), "{:?}", report.dropped);
    assert_eq!(report.foreign.len(), 3);
    drop(store);
    let report = Store::gc(dir.path(), Duration::ZERO, false).unwrap();
    assert_eq!(report.foreign.len(), theirs.len());
    assert!(report.removed.len() >= 2, "{report:?}");
    for name in &theirs {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"mine");
    }
}

#[test]
fn a_link_is_not_followed_out_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (root, victims) = (dir.path().join("store"), dir.path().join("victims"));
    drop(Store::open(&root).unwrap());
    fs::create_dir(&victims).unwrap();
    let victim = victims.join("b".repeat(128));
    fs::write(&victim, "precious").unwrap();
    fs::remove_dir(root.join("sha512")).unwrap();
    symlink(&victims, root.join("sha512")).unwrap();
    assert!(gc(&root).is_err());
    let error = format!("{:#}", Store::open(&root).unwrap_err());
    assert!(error.contains("a link to one is not followed"), "{error}");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn nothing_behind_a_link_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = Store::open(&root).unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    let key = Digest::sha256(b"https://example/x");
    for end in ["", ".lock", ".validator"] {
        symlink(&victim, root.join(format!("partial/{}{end}", key.hex()))).unwrap();
    }
    let blob = put(&store, b"hello");
    assert!(fs::symlink_metadata(blob.path()).unwrap().is_file());
    fs::create_dir(root.join("derived/upper-1")).unwrap();
    let record = format!("derived/upper-1/{}.record", blob.sha256().hex());
    symlink(&victim, root.join(record)).unwrap();
    let derived = store.derive(&blob, "upper-1", |_, out| Ok(out.write_all(b"HELLO")?));
    assert_eq!(derived.unwrap().sha256(), &Digest::sha256(b"HELLO"));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
}

/// By links, hard links and renames; all of them are of this very store.
#[test]
fn the_record_of_another_derived_file_is_worth_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let key = |text: &str| Digest::sha256(text.as_bytes());
    let path = |text: &str, end: &str| {
        let name = format!("derived/blocks-1/{}{end}", key(text).hex());
        dir.path().join(name)
    };
    for how in ["rename", "link", "hard link"] {
        store.keep("blocks-1", &key("a"), b"of a").unwrap();
        store.keep("blocks-1", &key("b"), b"of b").unwrap();
        for end in ["", ".record"] {
            fs::remove_file(path("b", end)).unwrap();
            match how {
                "rename" => fs::rename(path("a", end), path("b", end)).unwrap(),
                "link" => symlink(path("a", end), path("b", end)).unwrap(),
                _ => fs::hard_link(path("a", end), path("b", end)).unwrap(),
            }
        }
        assert_eq!(store.kept("blocks-1", &key("b")).unwrap(), None, "{how}");
        store.keep("blocks-1", &key("b"), b"of b").unwrap();
        let kept = store.kept("blocks-1", &key("b")).unwrap();
        assert_eq!(kept.as_deref(), Some(&b"of b"[..]), "{how}");
        if how != "rename" {
            let kept = store.kept("blocks-1", &key("a")).unwrap();
            assert!(kept.is_none_or(|kept| kept == b"of a"), "{how}");
        }
    }
}

#[test]
fn whatever_lies_in_a_blobs_place_the_store_heals() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, b"hello").unwrap();
    type Put = fn(&Path, &Path);
    let table: [(&str, Put); 5] = [
        ("a directory", |at, _| {
            fs::create_dir(at).unwrap();
            fs::write(at.join("mine"), "x").unwrap();
        }),
        ("a named pipe", |at, _| mkfifo(at, Mode::S_IRWXU).unwrap()),
        ("a symbolic link", |at, _| symlink("nowhere", at).unwrap()),
        // Even with the right bytes behind it.
        ("a symbolic link", |at, to| symlink(to, at).unwrap()),
        ("a socket", |at, _| {
            std::os::unix::net::UnixListener::bind(at).unwrap();
        }),
    ];
    for (kind, put_there) in table {
        for verify in [false, true] {
            let path = put(&store, b"hello").path().to_owned();
            fs::remove_file(&path).unwrap();
            put_there(&path, &elsewhere);
            if verify {
                // A directory is looked at when its blob is wanted.
                store.verify().unwrap();
            }
            match store.find(&by_sha256(b"hello")).unwrap() {
                Lookup::DroppedCorrupt { why, .. } => assert_eq!(why, format!("it is {kind}")),
                Lookup::Missing => assert!(verify, "{kind}"),
                Lookup::Found(_) => panic!("{kind} is not a blob"),
            }
            put(&store, b"hello");
            assert!(found(&store, b"hello"), "{kind}");
        }
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), b"hello");
    let aside: Vec<_> = walkdir::WalkDir::new(dir.path().join("blobs"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.ends_with("mine"))
        .collect();
    assert_eq!(
        aside.len(),
        2,
        "what was in the directories is not ours: {aside:?}"
    );
}

#[test]
fn odd_things_in_other_places_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blob = put(&store, b"hello");
    let derive = || {
        let made = store.derive(&blob, "upper-1", |_, out| Ok(out.write_all(b"HELLO")?));
        made.unwrap().sha256().clone()
    };
    let derived = dir.path().join("derived/upper-1").join(blob.sha256().hex());
    let want = derive();
    for at in [derived.clone(), derived.with_extension("record")] {
        fs::remove_file(&at).unwrap();
        fs::create_dir(&at).unwrap();
        assert_eq!(derive(), want);
        fs::remove_file(&at).unwrap();
        mkfifo(&at, Mode::S_IRWXU).unwrap();
        assert_eq!(derive(), want);
        fs::remove_file(&at).unwrap();
        symlink("nowhere", &at).unwrap();
        assert_eq!(derive(), want);
    }
    // In the place of the directory of blobs, and of an alias.
    let directory = blob.path().parent().unwrap();
    fs::remove_dir_all(directory).unwrap();
    fs::write(directory, "mine").unwrap();
    fs::remove_dir_all(dir.path().join("sha512")).unwrap();
    let sha512 = sha512_of(b"hello").unwrap();
    fs::create_dir_all(dir.path().join("sha512").join(sha512.hex())).unwrap();
    put(&store, b"hello");
    assert!(found(&store, b"hello"));
    let by_sha512 = Expected {
        sha512: Some(sha512),
        ..Expected::default()
    };
    assert!(matches!(store.find(&by_sha512).unwrap(), Lookup::Found(_)));
}

#[test]
fn what_no_header_can_hold_is_no_validator() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let partial = store.partial("k", &[]).unwrap();
    let path = dir.path().join("partial").join(Digest::sha256(b"k").hex());
    let validator = path.with_extension("validator");
    for bytes in [
        &[0; 8][..],
        b"\"a\"\nX: y",
        b"\xff\xfe",
        b"",
        b"  ",
        &[b'x'; 5000],
    ] {
        fs::write(&validator, bytes).unwrap();
        assert_eq!(partial.validator(), None, "{bytes:?}");
    }
    partial.set_validator(Some("\"a b\"")).unwrap();
    assert_eq!(partial.validator().as_deref(), Some("\"a b\""));
    partial.set_validator(None).unwrap();
    assert!(!validator.exists());
}

#[test]
fn a_store_that_others_could_write_to_is_closed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    // Nobody has put anything into an empty one, as a new file system is.
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o1777)).unwrap();
    assert!(!Store::open(&root).unwrap().was_open());
    assert_eq!(mode(&root), 0o755);
    for path in [root.clone(), root.join("blobs")] {
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        assert!(Store::open(&root).unwrap().was_open());
        assert_eq!(mode(&path), 0o755);
    }
    let store = Store::open(&root).unwrap();
    assert!(!store.was_open());
    // What they could change is not used.
    let blob = put(&store, b"hello");
    let derived = store
        .derive(&blob, "upper-1", |_, out| Ok(out.write_all(b"HELLO")?))
        .unwrap();
    for path in [derived.path(), &derived.path().with_extension("record")] {
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        let again = store.derive(&blob, "upper-1", |_, out| Ok(out.write_all(b"again")?));
        assert_eq!(again.unwrap().sha256(), &Digest::sha256(b"again"));
        store.keep("upper-1", blob.sha256(), b"HELLO").unwrap();
    }
    fs::set_permissions(blob.path(), Permissions::from_mode(0o666)).unwrap();
    let before = fs::metadata(blob.path()).unwrap().ino();
    assert!(found(&store, b"hello"));
    let after = fs::metadata(blob.path()).unwrap();
    assert_eq!(
        (after.mode() & 0o777, after.ino() == before),
        (0o444, false)
    );
}

/// Makes `root` one that is only read: another user's if this one is root, who
/// can write to everything else.
fn only_readable(root: &Path) {
    if geteuid().is_root() {
        let done = Command::new("chown")
            .arg("-R")
            .arg("65534")
            .arg(root)
            .status();
        assert!(done.unwrap().success());
    } else {
        fs::set_permissions(root, Permissions::from_mode(0o555)).unwrap();
    }
}

#[test]
fn a_store_that_is_only_read_gives_blobs_and_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = Store::open(&root).unwrap();
    let blob = put(&store, b"hello");
    store
        .derive(&blob, "upper-1", |_, out| Ok(out.write_all(b"poison")?))
        .unwrap();
    drop(store);
    only_readable(&root);
    let list = || {
        let walk = walkdir::WalkDir::new(&root).sort_by_file_name();
        let all = walk.into_iter().map(|entry| entry.unwrap().into_path());
        all.collect::<Vec<_>>()
    };
    let before = list();
    let store = Store::open(&root).unwrap();
    assert!(store.only_read().is_some());
    assert_eq!(store.root(), root);
    let Lookup::Found(blob) = store.find(&by_sha256(b"hello")).unwrap() else {
        panic!("it is in the store");
    };
    if geteuid().is_root() {
        // Its owner can change the file after it was hashed.
        assert!(!blob.path().starts_with(&root));
    }
    // What another user has derived is not believed.
    let derived = store.derive(&blob, "upper-1", |_, out| Ok(out.write_all(b"HELLO")?));
    assert_eq!(derived.unwrap().sha256(), &Digest::sha256(b"HELLO"));
    let new = put(&store, b"new").path().to_owned();
    assert!(found(&store, b"new") && !new.starts_with(&root));
    let by_sha512 = Expected {
        sha512: sha512_of(b"hello"),
        ..Expected::default()
    };
    assert!(matches!(store.find(&by_sha512).unwrap(), Lookup::Found(_)));
    assert!(store.verify().is_err() && gc(&root).is_err());
    drop(store);
    assert_eq!(list(), before);
    assert!(!new.exists());
}

#[test]
fn the_file_of_another_user_is_copied() {
    if !geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let path = put(&store, b"hello").path().to_owned();
    chown(&path, Some(Uid::from_raw(65534)), None).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    assert!(found(&store, b"hello"));
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.ino() == before), (0, false));
}
