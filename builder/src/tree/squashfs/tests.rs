//! What all tests make their images of, and the images that need no judge.
#![allow(clippy::unwrap_used)]

mod blocks;
mod compare;
mod judged;
mod random;
mod store;

use std::fs;
use std::io::Cursor;
use std::num::NonZeroUsize;

use super::*;

use crate::tree::{Content, Node, Origin};
use compare::{assert_lines, dump, extract, judge, lines, root};

const EPOCH: Epoch = Epoch(1_700_000_000);

fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

fn origin() -> Origin {
    Origin::Overlay("test".to_owned())
}

fn file(bytes: impl Into<Vec<u8>>, mode: u32) -> Node {
    Node::file(Content::inline(bytes.into()), mode, origin())
}

fn tree(nodes: impl IntoIterator<Item = (ImagePath, Node)>) -> Tree {
    let mut tree = Tree::default();
    for (path, node) in nodes {
        tree.insert(path, node).unwrap();
    }
    tree
}

fn options(threads: usize) -> Options<'static> {
    Options {
        threads: NonZeroUsize::new(threads).unwrap(),
        ..Options::default()
    }
}

fn image(tree: &Tree, options: &Options<'_>) -> Vec<u8> {
    let mut image = Cursor::new(Vec::new());
    let written = write(tree, EPOCH, options, &mut image).unwrap();
    assert_eq!(written.size, image.get_ref().len() as u64);
    image.into_inner()
}

/// Bytes that compress like programs do: repeats, near and far, in noise.
fn program(len: usize, mut state: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let back = (state >> 20) as usize % (1 << 16) + 64;
        match bytes.len().checked_sub(back) {
            Some(from) if state >> 62 != 0 => bytes.extend_from_within(from..from + 48),
            _ => bytes.extend_from_slice(&state.to_be_bytes()),
        }
    }
    bytes.truncate(len);
    bytes
}

const BLOCK: usize = 128 * 1024;

/// A tree with one of everything.
fn everything() -> Tree {
    let mut capable = file(b"\x7fELF", 0o4755);
    let xattrs = &mut capable.stat.xattrs;
    xattrs.insert("security.capability".into(), capability());
    xattrs.insert("user.note".into(), b"a\nb\0".to_vec());
    xattrs.insert("trusted.overlay.opaque".into(), b"y".to_vec());
    let mut same_set = Node::symlink("nowhere", origin());
    same_set.stat.xattrs = [("trusted.x".to_owned(), Vec::new())].into();
    let mut marked = Node::directory(0o2750, origin());
    marked.stat.xattrs = same_set.stat.xattrs.clone();
    (marked.stat.uid, marked.stat.gid) = (3_000_000, 42);
    let mut capable_large = file(program(BLOCK + 1, 3), 0o755);
    capable_large
        .stat
        .xattrs
        .insert("user.big".into(), program(3000, 8));
    let mut holes = program(3 * BLOCK + 17, 1);
    holes[BLOCK..2 * BLOCK].fill(0);
    let mut nodes = vec![
        (path("/etc/empty"), file(b"", 0o644)),
        (path("/etc/hosts"), file(b"127.0.0.1 localhost\n", 0o644)),
        (
            path("/etc/hosts.copy"),
            file(b"127.0.0.1 localhost\n", 0o600),
        ),
        (path("/etc-first"), file(b"sorts between", 0o644)),
        (
            path("/etc/a\u{308}"),
            Node::symlink("../usr/bin/ping", origin()),
        ),
        (path("/etc/marked"), same_set),
        (path("/srv/marked/deep/er"), file(b"x", 0o000)),
        (path("/srv/marked"), marked),
        (path("/usr/bin/ping"), capable),
        (path("/usr/bin/capable-large"), capable_large),
        (path("/usr/lib/exact"), file(program(2 * BLOCK, 2), 0o644)),
        (
            path("/usr/lib/exact.copy"),
            file(program(2 * BLOCK, 2), 0o644),
        ),
        (path("/usr/lib/holes"), file(holes, 0o644)),
        (
            path("/usr/lib/all-hole"),
            file(vec![0; 5 * BLOCK + 5], 0o644),
        ),
        (path("/usr/lib/small-hole"), file(vec![0; 70_000], 0o644)),
        (path("/usr/lib/noise"), file(noise(BLOCK + 100), 0o644)),
        (path("/usr/lib/noise-small"), file(noise(3000), 0o644)),
        (
            path("/usr/lib/large"),
            file(program(20 * BLOCK + 333, 5), 0o644),
        ),
        (path("/var/tmp"), Node::directory(0o1777, origin())),
    ];
    // Listings, ids and inodes that fill several metadata blocks.
    for n in 0..3000 {
        let (number, width) = (n * 7919 % 3000, 4 + n as usize % 60);
        let mut node = file(format!("file {n}"), 0o644);
        node.stat.uid = 100_000 + n;
        nodes.push((path(&format!("/usr/share/many/{number:0width$}")), node));
    }
    tree(nodes)
}

/// cap_net_raw+ep, revision 2 (`struct vfs_cap_data`).
fn capability() -> Vec<u8> {
    [0x0200_0001_u32, 1 << 13, 0, 0, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let hash = Digest::sha256(&(bytes.len() as u64).to_le_bytes());
        bytes.extend(
            (0..64)
                .step_by(2)
                .map(|at| u8::from_str_radix(&hash.hex()[at..at + 2], 16).unwrap()),
        );
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn threads_and_order_change_no_byte() {
    let tree_one = everything();
    let one = image(&tree_one, &options(1));
    for threads in [2, 3, 4, 8] {
        assert!(image(&tree_one, &options(threads)) == one, "{threads}");
    }
    let mut nodes: Vec<_> = tree_one
        .iter()
        .map(|(path, node)| (path.clone(), node.clone()))
        .filter(|(path, _)| path.as_str() != "/")
        .collect();
    nodes.reverse();
    let backwards = tree(nodes);
    assert!(image(&backwards, &options(2)) == one);
    // A change of this digest is a change of every image's bytes.
    assert_eq!(Digest::sha256(&one).hex(), PINNED);
}

const PINNED: &str = "75f4edd6aa7cf6f427a94102317f0449f327db4bb46d698d5f35d2ba9c14dfea";

#[test]
fn equal_contents_are_stored_once_and_holes_not_at_all() {
    let large = || file(noise(3 * BLOCK), 0o644);
    let small = || file(noise(3000), 0o644);
    let one = tree([(path("/a"), large()), (path("/b"), small())]);
    let mut two = one.clone();
    two.insert(path("/c"), large()).unwrap();
    two.insert(path("/d"), small()).unwrap();
    two.insert(path("/e"), file(vec![0; 40 * BLOCK], 0o644))
        .unwrap();
    let (one, two) = (image(&one, &options(1)), image(&two, &options(1)));
    assert!(one.len() > 3 * BLOCK + 3000, "{}", one.len());
    assert!(two.len() <= one.len() + 4096, "{} {}", one.len(), two.len());
}

#[test]
fn it_starts_where_the_writer_stands() {
    let tree = everything();
    let mut to = Cursor::new(vec![7; 5000]);
    to.set_position(4096);
    let written = write(&tree, EPOCH, &options(2), &mut to).unwrap();
    assert_eq!(to.position(), 4096 + written.size);
    let bytes = to.into_inner();
    assert_eq!(bytes[..4096], [7; 4096]);
    assert!(bytes[4096..] == image(&tree, &options(1)));
    assert_eq!(written.digests.len(), 3015);
    assert_eq!(
        written.digests[&path("/etc/hosts.copy")],
        Digest::sha256(b"127.0.0.1 localhost\n")
    );
}

#[test]
fn what_it_cannot_hold_is_named() {
    let refused = |path_: &str, node: Node, options: &Options<'_>| {
        let mut to = Cursor::new(Vec::new());
        let tree = tree([(path(path_), node)]);
        let error = write(&tree, EPOCH, options, &mut to).unwrap_err();
        format!("{error:#}")
    };
    let mut acl = file(b"", 0o644);
    let name = "system.posix_acl_access".to_owned();
    acl.stat.xattrs.insert(name, Vec::new());
    let long = Node::symlink("x".repeat(4096), origin());
    let odd = Options {
        block_size: 4095,
        ..options(1)
    };
    let level = Options {
        level: 0,
        ..options(1)
    };
    let mut large = file(b"", 0o644);
    let name = "user.x".to_owned();
    large.stat.xattrs.insert(name, vec![0; 65_537]);
    for (text, parts) in [
        (
            refused("/a", acl, &options(1)),
            ["`/a` (from overlay `test`)", "`system.posix_acl_access`"],
        ),
        (refused("/b/l", long, &options(1)), ["`/b/l`", "4096 bytes"]),
        (refused("/c", large, &options(1)), ["`/c`", "65537"]),
        (refused("/d", file(b"", 0), &odd), ["4095", "power of two"]),
        (refused("/d", file(b"", 0), &level), ["0", "1 to 22"]),
    ] {
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let late = Epoch(1 << 32);
    let error = write(
        &Tree::default(),
        late,
        &options(1),
        &mut Cursor::new(Vec::new()),
    );
    assert!(error.unwrap_err().to_string().contains("4294967296"));
}
