//! What two images share, by blocks of dm-verity: what an update need not bring.

use std::collections::BTreeSet;

use super::*;

const BLOCK: usize = 4096;

/// Programs of several blocks, and small files that share fragment blocks.
fn files() -> Vec<(ImagePath, Node)> {
    let large = (0..12).map(|n| {
        let len = 140_000 + 37_003 * n;
        (
            path(&format!("/usr/bin/p{n:02}")),
            file(program(len, n as u64 + 1), 0o755),
        )
    });
    let small = (0..200).map(|n| {
        let len = 300 + 41 * n;
        (
            path(&format!("/usr/share/s{n:03}")),
            file(program(len, n as u64 + 99), 0o644),
        )
    });
    large.chain(small).collect()
}

/// How many of the blocks of `new` are not in `old`, and how many there are.
fn to_bring(old: &[u8], new: &[u8]) -> (usize, usize) {
    let known: BTreeSet<&[u8]> = old.chunks(BLOCK).collect();
    let fresh = new.chunks(BLOCK).filter(|block| !known.contains(block));
    (fresh.count(), new.len() / BLOCK)
}

/// What another image has otherwise.
type Change = dyn Fn(&mut Vec<(ImagePath, Node)>);

#[test]
fn one_small_file_more_or_less_changes_few_blocks() {
    let old = image(&tree(files()), &options(2));
    let with = |changed: &Change| {
        let mut all = files();
        changed(&mut all);
        image(&tree(all), &options(2))
    };
    let added = with(&|all| all.push((path("/usr/bin/aaa"), file("one more\n", 0o755))));
    let changed = with(&|all| {
        let (_, node) = all
            .iter_mut()
            .find(|(path, _)| path.as_str() == "/usr/share/s100")
            .unwrap();
        *node = file(program(5000, 4711), 0o644);
    });
    let grown = with(&|all| {
        let (_, node) = all
            .iter_mut()
            .find(|(path, _)| path.as_str() == "/usr/bin/p00")
            .unwrap();
        *node = file(program(150_001, 4712), 0o644);
    });
    let gone = with(&|all| all.retain(|(path, _)| path.as_str() != "/usr/bin/p03"));
    // A fragment block or two of 128 KiB, the changed file, and the tables at the end.
    for (what, new, most) in [
        ("added", added, 80),
        ("changed", changed, 80),
        ("grown", grown, 80),
        ("gone", gone, 20),
    ] {
        let (fresh, all) = to_bring(&old, &new);
        assert!(all > 400, "{what}: {all} blocks");
        assert!(fresh <= most, "{what}: {fresh} of {all} blocks are new");
    }
}
