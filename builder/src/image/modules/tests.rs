#![allow(clippy::unwrap_used)]

mod decode;
mod judged;
pub mod ko;

use std::io::Write;

use super::closure::Closure;
use super::object::Object;
use super::trie::Trie;
use super::*;

use decode::decode;
use ko::Ko;

const RELEASE: &str = "6.1.0-test";

fn insert(tree: &mut Tree, path: &str, bytes: impl Into<Vec<u8>>) {
    let origin = Origin::Package("linux".into());
    let node = Node::file(Content::inline(bytes.into()), 0o644, origin);
    tree.insert(path.parse().unwrap(), node).unwrap();
}

fn at(path: &str) -> String {
    format!("{MODULES}/{RELEASE}/{path}")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A kernel with all that an index is made of.
fn kernel() -> Tree {
    let mut tree = Tree::default();
    let virtio = Ko {
        info: &[
            "license=GPL",
            "alias=virtio:d00000002v*",
            "softdep=pre: crypto-crc32c",
        ],
        uses: &["ring_new", "printk", "blk_add", "ring_add"],
        ..Ko::default()
    };
    let ring = Ko {
        exports: &["ring_new", "ring_add"],
        uses: &["printk"],
        versions: true,
        ..Ko::default()
    };
    let block = Ko {
        exports: &["blk_add"],
        uses: &["ring_new"],
        versions: true,
        info: &["weakdep=snd-late"],
    };
    let crc = Ko {
        info: &["alias=crypto-crc32c", "alias=crypto-crc32[a-c]-generic"],
        ..Ko::default()
    };
    let fuse = Ko {
        info: &[
            "alias=devname:fuse",
            "alias=char-major-10-229",
            "alias=fs-fuse",
            "alias=[broken",
        ],
        ..Ko::default()
    };
    insert(
        &mut tree,
        &at("kernel/drivers/virtio-blk.ko.xz"),
        xz(&virtio.bytes()),
    );
    insert(&mut tree, &at("kernel/drivers/ring.ko"), ring.bytes());
    insert(
        &mut tree,
        &at("kernel/block/blk.ko.zst"),
        // With its size in the frame, as `zstd` writes it and kmod 34 wants it.
        zstd::bulk::compress(&block.bytes(), 1).unwrap(),
    );
    insert(&mut tree, &at("kernel/crypto/crc32c.ko"), crc.bytes());
    insert(&mut tree, &at("kernel/fs/fuse.ko"), fuse.bytes());
    insert(
        &mut tree,
        &at("kernel/sound/snd-late.ko"),
        Ko::default().bytes(),
    );
    insert(
        &mut tree,
        &at("modules.order"),
        "kernel/fs/fuse.ko\nkernel/drivers/virtio-blk.ko\nkernel/block/blk.ko\nkernel/drivers/ring.ko\nkernel/crypto/crc32c.ko\nkernel/sound/snd-late.ko\n",
    );
    insert(
        &mut tree,
        &at("modules.builtin"),
        "kernel/fs/ext4/ext4.ko\nkernel/lib/zlib-x.ko\n",
    );
    insert(
        &mut tree,
        &at("modules.builtin.modinfo"),
        "ext4.license=GPL\0ext4.alias=fs-ext4\0ext4.file=a.b=alias\0zlib_x.alias=crypto-z-[0-9]\0",
    );
    tree
}

fn read(tree: &Tree) -> Result<Modules> {
    Modules::read(tree, RELEASE, None)
}

fn file(files: &[(String, Vec<u8>)], name: &str) -> Vec<u8> {
    let found = files.iter().find(|(there, _)| there == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.clone()
}

fn text(files: &[(String, Vec<u8>)], name: &str) -> String {
    String::from_utf8(file(files, name)).unwrap()
}

fn paths(closure: &Closure) -> Vec<String> {
    let names = closure
        .modules
        .iter()
        .map(|path| module_name(path.as_str()));
    names.collect()
}

#[test]
fn the_index_has_every_file_and_follows_modules_order() {
    let modules = read(&kernel()).unwrap();
    let files = modules.index(None, Stored::AsTheyAre).unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let want = [
        "modules.alias",
        "modules.alias.bin",
        "modules.builtin.alias.bin",
        "modules.builtin.bin",
        "modules.dep",
        "modules.dep.bin",
        "modules.devname",
        "modules.softdep",
        "modules.symbols",
        "modules.symbols.bin",
        "modules.weakdep",
    ];
    assert_eq!(names, want);
    assert_eq!(
        text(&files, "modules.dep"),
        "kernel/fs/fuse.ko:\n\
         kernel/drivers/virtio-blk.ko.xz: kernel/block/blk.ko.zst kernel/drivers/ring.ko\n\
         kernel/block/blk.ko.zst: kernel/drivers/ring.ko\n\
         kernel/drivers/ring.ko:\n\
         kernel/crypto/crc32c.ko:\n\
         kernel/sound/snd-late.ko:\n"
    );
    assert!(text(&files, "modules.devname").ends_with("\nfuse fuse c10:229\n"));
    assert!(text(&files, "modules.weakdep").ends_with("\nweakdep blk snd-late\n"));
    let aliases = decode(&file(&files, "modules.alias.bin"));
    assert_eq!(
        aliases["virtio:d00000002v*"],
        [(1, "virtio_blk".to_owned())]
    );
    assert!(!aliases.contains_key("[broken"), "{aliases:?}");
    let built_in = decode(&file(&files, "modules.builtin.alias.bin"));
    assert_eq!(built_in["crypto_z_[0-9]"], [(0, "zlib_x".to_owned())]);
    assert_eq!(built_in.len(), 2);
}

#[test]
fn a_subset_is_indexed_as_if_it_were_all() {
    let modules = read(&kernel()).unwrap();
    let closure = modules.closure(&["virtio_blk"]).unwrap();
    let files = modules
        .index(Some(&closure.modules), Stored::Uncompressed)
        .unwrap();
    assert_eq!(
        text(&files, "modules.dep"),
        "kernel/drivers/virtio-blk.ko: kernel/block/blk.ko kernel/drivers/ring.ko\n\
         kernel/block/blk.ko: kernel/drivers/ring.ko\n\
         kernel/drivers/ring.ko:\n\
         kernel/crypto/crc32c.ko:\n\
         kernel/sound/snd-late.ko:\n"
    );
    let all = decode(&file(&files, "modules.dep.bin"));
    assert_eq!(all["ring"], [(2, "kernel/drivers/ring.ko:".to_owned())]);
}

#[test]
fn a_closure_has_hard_soft_and_weak_dependencies() {
    let modules = read(&kernel()).unwrap();
    let of = |names: &[&str]| modules.closure(names).unwrap();
    let all = of(&["virtio:d00000002v00001af4"]);
    assert_eq!(
        paths(&all),
        ["blk", "crc32c", "ring", "virtio_blk", "snd_late"]
    );
    assert_eq!(paths(&of(&["crypto-crc32b-generic"])), ["crc32c"]);
    let none = of(&["fs-ext4", "zlib-x", "fs-xfs", "crypto-crc32d-generic"]);
    assert_eq!(none.built_in, ["fs-ext4", "zlib-x"]);
    assert_eq!(none.missing, ["fs-xfs", "crypto-crc32d-generic"]);
    assert!(none.modules.is_empty());
    for (name, answers) in [
        ("crypto-crc32c", ["crc32c"].as_slice()),
        ("virtio:d00000002v00001af4", &["virtio_blk"]),
        ("ring", &["ring"]),
        ("fs-ext4", &[]),
        ("fs-xfs", &[]),
    ] {
        assert_eq!(modules.answering(name).unwrap(), answers, "{name}");
    }
    let closure = modules.closure(&["a]b"]).unwrap_err();
    let answering = modules.answering("a]b").unwrap_err();
    for error in [closure.to_string(), answering.to_string()] {
        assert!(error.contains("`a]b`"), "{error}");
    }
}

#[test]
fn what_was_read_once_comes_from_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let first = Modules::read(&kernel(), RELEASE, Some(&store)).unwrap();
    let kept = || {
        let files = walkdir::WalkDir::new(directory.path().join("derived"));
        files
            .into_iter()
            .filter(|e| e.as_ref().unwrap().file_type().is_file())
            .count()
    };
    assert_eq!(kept(), 2, "facts and their record");
    assert_eq!(
        Modules::read(&kernel(), RELEASE, Some(&store)).unwrap(),
        first
    );
    assert_eq!(kept(), 2);
    let mut other = kernel();
    let changed = Ko {
        info: &["alias=new"],
        ..Ko::default()
    };
    let node = Node::file(Content::inline(changed.bytes()), 0o644, Origin::FirstBoot);
    other
        .replace(at("kernel/fs/fuse.ko").parse().unwrap(), node)
        .unwrap();
    let second = Modules::read(&other, RELEASE, Some(&store)).unwrap();
    assert_eq!(paths(&second.closure(&["new"]).unwrap()), ["fuse"]);
    assert_eq!(kept(), 4);
}

#[test]
fn one_kernel_is_wanted() {
    let mut tree = Tree::default();
    insert(&mut tree, "/usr/lib/modules/empty/modules.order", "");
    let none = the_one_release(&tree).unwrap_err().to_string();
    assert!(none.contains("base.packages"), "{none}");
    tree = kernel();
    assert_eq!(the_one_release(&tree).unwrap(), RELEASE);
    insert(&mut tree, "/usr/lib/modules/6.1.0/a.ko", "");
    let two = the_one_release(&tree).unwrap_err().to_string();
    assert!(two.contains("2 kernels (6.1.0, 6.1.0-test)"), "{two}");
}

#[test]
fn a_bad_module_is_an_error_that_names_it() {
    let circle_a = Ko {
        exports: &["a"],
        uses: &["b"],
        ..Ko::default()
    };
    let circle_b = Ko {
        exports: &["b"],
        uses: &["a"],
        ..Ko::default()
    };
    let foreign = Ko {
        info: &["alias=caf\u{e9}"],
        ..Ko::default()
    };
    let good = Ko::default().bytes();
    for (files, wants) in [
        (
            vec![("kernel/x.ko", b"text".to_vec())],
            vec!["kernel/x.ko", "not a 64-bit"],
        ),
        (
            vec![("kernel/x.ko.xz", xz(&good)[..100].to_vec())],
            vec!["unpacking", "x.ko.xz"],
        ),
        (
            vec![("kernel/x.ko", foreign.bytes())],
            vec!["x.ko", "ASCII"],
        ),
        (
            vec![
                ("kernel/a.ko", circle_a.bytes()),
                ("kernel/b.ko", circle_b.bytes()),
            ],
            vec!["circle", "a, b"],
        ),
        (
            vec![
                ("kernel/a-b.ko", good.clone()),
                ("kernel/x/a_b.ko.xz", xz(&good)),
            ],
            vec!["a-b.ko", "a_b.ko.xz", "leave one"],
        ),
        (vec![], vec!["no kernel module", RELEASE]),
    ] {
        let mut tree = Tree::default();
        for (path, bytes) in files {
            insert(&mut tree, &at(path), bytes);
        }
        let error = format!("{:#}", read(&tree).unwrap_err());
        for want in wants {
            assert!(error.contains(want), "{want}: {error}");
        }
    }
}

#[test]
fn updates_win_over_the_kernels_own() {
    let mut tree = kernel();
    let newer = Ko {
        info: &["alias=newer"],
        ..Ko::default()
    };
    insert(&mut tree, &at("updates/dkms/fuse.ko"), newer.bytes());
    let modules = read(&tree).unwrap();
    let found = modules.closure(&["newer"]).unwrap().modules;
    assert_eq!(found, [at("updates/dkms/fuse.ko").parse().unwrap()].into());
    assert_eq!(modules.closure(&["fs-fuse"]).unwrap().missing, ["fs-fuse"]);
}

/// Whatever is cut off or changed: an answer or an error, never a panic.
#[test]
fn no_damage_to_a_module_is_more_than_an_error() {
    let whole = Ko {
        info: &["alias=a", "softdep=pre: b"],
        exports: &["c", "d"],
        uses: &["e"],
        versions: true,
    }
    .bytes();
    let right = Object::read(&whole).unwrap();
    assert_eq!(right.exports, ["c", "d"]);
    assert_eq!(right.uses, ["e", "e"]);
    for len in 0..whole.len() {
        assert!(Object::read(&whole[..len]).is_err(), "{len}");
        for value in [0, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[len] = value;
            let _ = Object::read(&changed);
        }
    }
}

#[test]
fn the_trie_is_laid_out_as_kmod_reads_it() {
    let mut trie = Trie::default();
    trie.add("ab", "late", 7).unwrap();
    trie.add("ab", "early", 1).unwrap();
    trie.add("ab", "second", 7).unwrap();
    trie.add("ac", "", 0).unwrap();
    let file = trie.encode().unwrap();
    let mut want = vec![0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1];
    // The root: at 12, children only.
    want.extend([0x20, 0, 0, 12, b'a', b'a', 0x20, 0, 0, 18]);
    // What begins with `a`: children `b` and `c`, both with values only.
    want.extend([b'b', b'c', 0x40, 0, 0, 28, 0x40, 0, 0, 62]);
    want.extend([0, 0, 0, 3, 0, 0, 0, 1]);
    want.extend(b"early\0\0\0\0\x07second\0\0\0\0\x07late\0");
    want.extend([0, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(file, want);
    assert_eq!(decode(&file)["ac"], [(0, String::new())]);
    assert_eq!(Trie::default().encode().unwrap()[8..], [0, 0, 0, 12]);
    for bad in ["\u{e9}", "a\0b", &"x".repeat(2000)] {
        assert!(trie.add(bad, "", 0).is_err());
    }
}

#[test]
fn device_nodes_that_load_a_module_are_made_as_kmod_would_have_them_made() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut tree = kernel();
    let tun = Ko {
        info: &["alias=devname:net/tun", "alias=char-major-10-200"],
        ..Ko::default()
    };
    insert(&mut tree, &at("kernel/drivers/net/tun.ko"), tun.bytes());
    index_all(&mut tree, &store).unwrap();
    let text = crate::image::units::text_at(&tree, &STATIC_NODES.parse().unwrap()).unwrap();
    // What `kmod static-nodes --format=tmpfiles` (kmod 34) says of the same devices.
    let want = "c! /dev/fuse 0600 - - - 10:229\n\
        d /dev/net 0755 - - -\n\
        c! /dev/net/tun 0600 - - - 10:200\n";
    let lines = text.as_deref().unwrap().split_once('\n').unwrap();
    assert!(lines.0.starts_with("# "), "{lines:?}");
    assert_eq!(lines.1, want);
}

#[test]
fn of_two_kernels_the_one_that_runs_says_which_nodes_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut tree = kernel();
    let other = "/usr/lib/modules/7.0-x/kernel/a.ko";
    insert(&mut tree, other, Ko::default().bytes());
    index_all(&mut tree, &store).unwrap();
    assert!(tree.get(&STATIC_NODES.parse().unwrap()).is_none());
}
