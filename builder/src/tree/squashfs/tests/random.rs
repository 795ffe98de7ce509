//! Random small trees, extracted and compared.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::tree::Stat;

/// Few names, so that directories, order and equal prefixes meet.
const NAMES: &str = "[a-c.~-]{1,3}";

fn xattrs() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let name = "(user|trusted)\\.[a-c]{1,9}";
    prop_oneof![
        4 => Just(BTreeMap::new()),
        1 => btree_map(name, vec(any::<u8>(), 0..40), 1..4),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    // In blocks of 4096: on, below and above their borders; zeros; noise.
    let len = prop_oneof![
        3 => 0..6000_usize,
        1 => (0..5_usize, 0..3_usize).prop_map(|(blocks, more)| (blocks * 4096 + more).saturating_sub(1)),
    ];
    (len, 0..4_u64, any::<bool>()).prop_map(|(len, seed, zeros)| {
        let mut bytes = match seed {
            0 => noise(len),
            seed => program(len, seed),
        };
        if zeros {
            let half = len / 2;
            bytes[half..].fill(0);
        }
        bytes
    })
}

fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        6 => content().prop_map(|bytes| Kind::File(Content::inline(bytes))),
        1 => Just(Kind::Directory),
        2 => "[a-z./]{1,80}".prop_map(Kind::Symlink),
    ];
    (kind, 0..=0o7777_u32, 0..4_u32, any::<u32>(), xattrs()).prop_map(
        |(kind, mode, uid, gid, mut xattrs)| {
            let link = matches!(kind, Kind::Symlink(_));
            if link {
                // The kernel keeps no user attributes on links.
                xattrs.retain(|name, _| name.starts_with("trusted."));
            }
            // An id of all ones means "no change" to chown(2).
            let gid = gid.min(u32::MAX - 1);
            let mode = if link { 0o777 } else { mode };
            Node {
                stat: Stat {
                    mode,
                    uid,
                    gid,
                    xattrs,
                },
                kind,
                origin: origin(),
            }
        },
    )
}

fn trees() -> impl Strategy<Value = Tree> {
    let at = vec(NAMES, 1..5).prop_map(|parts| format!("/{}", parts.join("/")));
    vec((at, node()), 0..60).prop_map(|nodes| {
        let mut tree = Tree::default();
        for (at, node) in nodes {
            // Paths with `.` and files below files are not what is tested.
            if let Ok(at) = at.parse() {
                let _ = tree.insert(at, node);
            }
        }
        tree
    })
}

fn comes_back(tree: &Tree) -> TestCaseResult {
    let dir = tempfile::tempdir()?;
    let at = dir.path().join("image");
    let options = Options {
        block_size: 4096,
        ..options(2)
    };
    fs::write(&at, image(tree, &options))?;
    let to = dir.path().join("out");
    extract(&at, &to);
    prop_assert_eq!(dump(&to), lines(tree));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        // In milliseconds: a smaller example is worth no more.
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_tree_comes_back(tree in trees()) {
        if judge("unsquashfs") && judge("python3") && root() {
            comes_back(&tree)?;
        }
    }
}
