//! Blocks that were compressed once.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::store::Store;

fn stored<'a>(store: &'a Store, threads: usize) -> Options<'a> {
    Options {
        cache: Some(store),
        ..options(threads)
    }
}

/// What is kept, with the time when it was written.
fn kept(store: &Store) -> BTreeMap<PathBuf, SystemTime> {
    walkdir::WalkDir::new(store.root().join("derived"))
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| entry.path().extension().is_none())
        .map(|entry| {
            let at = entry.metadata().unwrap().modified().unwrap();
            (entry.into_path(), at)
        })
        .collect()
}

#[test]
fn a_second_build_takes_them_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let tree = everything();
    let plain = image(&tree, &options(2));
    assert!(image(&tree, &stored(&store, 2)) == plain);
    let first = kept(&store);
    // Five distinct large files, one of them two pieces, and the fragments.
    assert!(first.len() > 7, "{}", first.len());
    assert!(image(&tree, &stored(&store, 1)) == plain);
    assert_eq!(kept(&store), first);
}

#[test]
fn one_changed_file_is_compressed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let numbered = |n: u64| (path(&format!("/{n:04}")), file(program(3000, n), 0o644));
    let large = (path("/large"), file(program(40 * BLOCK, 1), 0o644));
    let mut tree = tree((0..1000).map(numbered).chain([large]));
    image(&tree, &stored(&store, 2));
    let first = kept(&store);
    let changed = file(b"now short", 0o644);
    tree.replace(path("/0003"), changed).unwrap();
    let again = image(&tree, &stored(&store, 2));
    assert!(again == image(&tree, &options(1)));
    let new: Vec<_> = kept(&store)
        .into_iter()
        .filter(|(path, at)| first.get(path) != Some(at))
        .collect();
    assert!((1..=4).contains(&new.len()), "{new:?}");
    assert!(first.len() > 20, "{}", first.len());
}

#[test]
fn a_changed_or_foreign_block_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let tree = everything();
    let plain = image(&tree, &options(2));
    image(&tree, &stored(&store, 2));
    let first = kept(&store);
    for path in first.keys() {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }
    assert!(image(&tree, &stored(&store, 2)) == plain);
    // The same bytes in another file, as a restored cache has them.
    for path in first.keys() {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        fs::File::open(&copy)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        fs::rename(copy, path).unwrap();
    }
    assert!(image(&tree, &stored(&store, 2)) == plain);
    assert!(
        kept(&store)
            .values()
            .all(|at| *at > SystemTime::UNIX_EPOCH + Duration::from_secs(1))
    );
}

#[test]
fn block_size_and_level_have_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let tree = everything();
    for (block_size, level) in [(131_072, 3), (131_072, 1), (65_536, 3)] {
        let plain = Options {
            block_size,
            level,
            ..options(2)
        };
        let with = Options {
            cache: Some(&store),
            ..plain
        };
        assert!(image(&tree, &with) == image(&tree, &plain));
        assert!(image(&tree, &with) == image(&tree, &plain));
    }
}
