#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nodeimg_test_support::judge;

use super::*;

fn params() -> Params {
    Params {
        salt: std::array::from_fn(|i| i as u8),
        uuid: Guid::derived(&["verity test"]),
    }
}

/// `blocks` blocks, no two alike.
fn data(blocks: u64) -> Vec<u8> {
    let mut bytes = vec![0; (blocks * BLOCK) as usize];
    for (index, block) in bytes.chunks_exact_mut(BLOCK_LEN).enumerate() {
        block[..8].copy_from_slice(&(index as u64 + 1).to_le_bytes());
        block[BLOCK_LEN - 1] = 0x5a;
    }
    bytes
}

/// The tree of the bytes of `path` from `start` on.
fn tree_of(path: &Path, start: u64) -> (Vec<u8>, RootHash) {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len() - start;
    let mut tree = Vec::new();
    let data = Data {
        file: &file,
        start,
        size,
    };
    let root = write(data, &params(), &mut tree).unwrap();
    assert_eq!(tree.len() as u64, size_for(size));
    (tree, root)
}

fn veritysetup(verb: &str, data: &Path, tree: &Path, more: &[&str]) -> Option<Output> {
    judge::run(
        Command::new("veritysetup")
            .arg(verb)
            .arg(data)
            .arg(tree)
            .args(more),
    )
}

#[test]
fn the_bytes_are_those_of_veritysetup() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("data");
    // One block, then each side of every place where a level is added.
    for blocks in [1, 2, 127, 128, 129, 256, 257, 128 * 128, 128 * 128 + 1] {
        fs::write(&image, data(blocks)).unwrap();
        let (tree, root) = tree_of(&image, 0);
        let theirs = dir.path().join("tree");
        let salt: String = params().salt.iter().map(|b| format!("{b:02x}")).collect();
        let uuid = params().uuid.to_string();
        let Some(told) = veritysetup(
            "format",
            &image,
            &theirs,
            &["--salt", &salt, "--uuid", &uuid],
        ) else {
            return;
        };
        assert!(told.status.success(), "{told:?}");
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains(&root.to_string()), "{blocks} blocks: {told}");
        // It leaves the rest of the superblock's block out if nothing follows.
        let mut want = fs::read(&theirs).unwrap();
        want.resize(want.len().next_multiple_of(BLOCK_LEN), 0);
        assert!(tree == want, "{blocks} blocks: another tree");
    }
}

#[test]
fn one_flipped_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (image, hashes) = (dir.path().join("data"), dir.path().join("tree"));
    let good = data(300);
    fs::write(&image, &good).unwrap();
    let (tree, root) = tree_of(&image, 0);
    let verify = |data: &[u8], tree: &[u8]| {
        fs::write(&image, data).unwrap();
        fs::write(&hashes, tree).unwrap();
        veritysetup("verify", &image, &hashes, &[&root.to_string()])
            .map(|told| told.status.success())
    };
    let Some(accepted) = verify(&good, &tree) else {
        return;
    };
    assert!(accepted);
    for at in [0, 5000, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(verify(&bad, &tree), Some(false), "data byte {at}");
    }
    // The top level, the first hash of level 0, the last one.
    for at in [4096, 8192, 8192 + 299 * HASH] {
        let mut bad = tree.clone();
        bad[at] ^= 1;
        assert_eq!(verify(&good, &bad), Some(false), "tree byte {at}");
    }
}

#[test]
fn a_range_of_a_larger_file_is_its_own_data() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, alone) = (dir.path().join("disk"), dir.path().join("alone"));
    let part = data(BATCH as u64 * 3 + 1);
    fs::write(&alone, &part).unwrap();
    fs::write(&whole, [data(2), part].concat()).unwrap();
    assert_eq!(tree_of(&alone, 0), tree_of(&whole, 2 * BLOCK));
}

#[test]
fn the_root_hash_is_pinned_and_its_halves_are_guids() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("data");
    fs::write(&image, data(130)).unwrap();
    let (_, root) = tree_of(&image, 0);
    let text = root.to_string();
    assert_eq!(
        text,
        "773db907ce070b88d24b471ced3e5297d37d158c545339292570f84e5ff4309a"
    );
    let (first, second) = root.halves();
    assert_eq!(format!("{first}{second}").replace('-', ""), text);
}

#[test]
fn what_has_no_whole_blocks_is_refused() {
    let file = tempfile::tempfile().unwrap();
    for size in [0, 1, BLOCK + 512] {
        let data = Data {
            file: &file,
            start: 0,
            size,
        };
        let error = write(data, &params(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains(&format!("{size} bytes")));
    }
    // Shorter than was said.
    let data = Data {
        file: &file,
        start: 0,
        size: BLOCK,
    };
    assert!(write(data, &params(), &mut Vec::new()).is_err());
}

#[test]
fn a_tree_that_was_written_is_read_and_every_changed_byte_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("data");
    for blocks in [1, 2, 128, 129, 128 * 128 + 1] {
        let bytes = data(blocks);
        fs::write(&image, &bytes).unwrap();
        let (tree, root) = tree_of(&image, 0);
        let leaves = Leaves::verified(&tree, root).unwrap();
        assert_eq!(leaves.count() as u64, blocks);
        for (index, block) in bytes.chunks_exact(BLOCK_LEN).enumerate() {
            assert!(leaves.fits(index, block));
        }
        let read = |bytes: &mut [u8], at: u64| {
            bytes.copy_from_slice(&tree[at as usize..at as usize + bytes.len()]);
            Ok(())
        };
        let (superblock, hints) = Leaves::hints(read).unwrap();
        assert_eq!(superblock.salt, params().salt);
        if blocks > 1 {
            assert_eq!(&hints[..HASH], leaves.of(0));
            assert_eq!(hints.len(), blocks as usize * HASH);
        }
        for at in (BLOCK_LEN..tree.len()).step_by(1009) {
            let mut bad = tree.clone();
            bad[at] ^= 1;
            assert!(Leaves::verified(&bad, root).is_err(), "byte {at}");
        }
        for (at, value) in [
            (0, b'x'),
            (8, 2),
            (12, 0),
            (33, b'x'),
            (66, 1),
            (72, 0),
            (81, 9),
        ] {
            let mut bad = tree.clone();
            bad[at] = value;
            assert!(Leaves::verified(&bad, root).is_err(), "superblock {at}");
        }
        assert!(Leaves::verified(&tree[..tree.len() - 1], root).is_err());
        assert_eq!(root.to_string().parse::<RootHash>().unwrap(), root);
    }
    for bad in [
        "",
        "ab",
        &"+1".repeat(32),
        &"gg".repeat(32),
        &"ab".repeat(33),
        &"ä".repeat(32),
    ] {
        assert!(bad.parse::<RootHash>().is_err(), "{bad}");
    }
}
