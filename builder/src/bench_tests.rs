//! What ci/bench measures of a part of a build: SquashFS and dm-verity alone, beside other
//! people's writers, of a tree that is made ready first, without the store's kept blocks;
//! and the checks of recipe and tree, which every build makes.
//!
//! Ignored as tests: they say how long it took and judge nothing. ci/bench runs
//! each in a process of its own, built with `--release`:
//!
//! ```text
//! NODEIMG_BENCH_TAR=rootfs.tar NODEIMG_BENCH_OUT=root.squashfs   squashfs
//! NODEIMG_BENCH_IMAGE=root.squashfs NODEIMG_BENCH_OUT=hashes     verity
//! NODEIMG_BENCH_TAR=rootfs.tar NODEIMG_BENCH_OUT=any             checks
//! -> MEASURED wall=SECONDS cpu=SECONDS
//! ```
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nodeimg_formats::guid::Guid;
use nodeimg_formats::region::Region;
use nodeimg_formats::squashfs::Options;
use nodeimg_formats::verity::{self, Data, Params};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};
use nodeimg_values::epoch::Epoch;

use crate::image::consistency::Judged;
use crate::image::modules::{self, Modules};
use crate::input::artifact::members::{self, MemberKind};
use crate::input::recipe::{self, RecipeRef};
use crate::output::KINDS;
use crate::store::{Store, VerifiedBlob};
use crate::tree::{Content, ImagePath, Node, Origin, Tree, squashfs};

fn named(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    value
        .unwrap_or_else(|| panic!("{variable} is not set"))
        .into()
}

/// Of this process with all its threads, in seconds
/// ([proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html)).
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn measured(work: impl FnOnce()) {
    let (begun, before) = (Instant::now(), cpu());
    work();
    let wall = begun.elapsed().as_secs_f64();
    println!("MEASURED wall={wall:.4} cpu={:.2}", cpu() - before);
}

/// A tar on disk as a blob of a store, which is how a build has its content.
fn stored(store: &Store, tar: &[u8]) -> VerifiedBlob {
    let digest = Digest::sha256(tar);
    let mut partial = store.partial(&digest.to_string(), &[]).unwrap();
    partial.write(tar).unwrap();
    let want = Expected {
        sha256: Some(digest),
        ..Expected::default()
    };
    partial.commit(&want).unwrap().unwrap()
}

fn tree(blob: VerifiedBlob, origin: &Origin) -> Tree {
    let members = members::read_seeking(blob.file().try_clone().unwrap()).unwrap();
    let blob = Arc::new(blob);
    let mut tree = Tree::default();
    let mut contents: HashMap<String, Content> = HashMap::new();
    // Each image has the links of a merged /usr, a tree does not hold them so.
    for member in members
        .into_iter()
        .filter(|m| !ImagePath::is_merged(&m.name))
    {
        let path = ImagePath::from_relative(&member.name).unwrap();
        let origin = origin.clone();
        let mut node = match member.kind {
            MemberKind::Directory => Node::directory(member.mode, origin),
            MemberKind::Symlink(target) => Node::symlink(target, origin),
            MemberKind::Hardlink(target) => {
                Node::file(contents[&target].clone(), member.mode, origin)
            }
            MemberKind::File(body) => {
                let content = Content::Span {
                    blob: Arc::clone(&blob),
                    offset: body.offset,
                    len: body.size,
                };
                contents.insert(member.name.clone(), content.clone());
                Node::file(content, member.mode, origin)
            }
        };
        let id = |id: Option<u64>| u32::try_from(id.unwrap_or_default()).unwrap();
        (node.stat.uid, node.stat.gid) = (id(member.uid), id(member.gid));
        tree.insert(path, node).unwrap();
    }
    tree
}

#[test]
#[ignore = "a measurement, for ci/bench"]
fn squashfs() {
    let out = named("NODEIMG_BENCH_OUT");
    let place = tempfile::tempdir_in(out.parent().unwrap()).unwrap();
    let store = Store::open(place.path()).unwrap();
    let blob = stored(&store, &fs::read(named("NODEIMG_BENCH_TAR")).unwrap());
    let tree = tree(blob, &Origin::FirstBoot);
    measured(|| {
        let file = File::create(&out).unwrap();
        let mut region = BufWriter::with_capacity(1 << 20, Region::new(&file, 0));
        let options = Options::default();
        let written = squashfs::write(&tree, Epoch(0), &options, &mut region).unwrap();
        region.flush().unwrap();
        file.set_len(written.size).unwrap();
    });
}

/// As if an artifact had brought every file, and the recipe were a Kubernetes worker's.
#[test]
#[ignore = "a measurement, for ci/bench"]
fn checks() {
    let out = named("NODEIMG_BENCH_OUT");
    let place = tempfile::tempdir_in(out.parent().unwrap()).unwrap();
    let store = Store::open(place.path()).unwrap();
    let blob = stored(&store, &fs::read(named("NODEIMG_BENCH_TAR")).unwrap());
    let tree = tree(blob, &Origin::Artifact("all".to_owned()));
    let releases = modules::releases(&tree);
    let kernels: Vec<Modules> = releases
        .iter()
        .map(|release| Modules::read(&tree, release, None).unwrap())
        .collect();
    let from: RecipeRef = "hard-way".parse().unwrap();
    measured(|| {
        let recipe = recipe::load_for(&from, &KINDS, &[]).unwrap();
        let judged = Judged {
            recipe: &recipe,
            arch: Arch::Amd64,
            tree: &tree,
            kernels: &kernels,
            runtime: None,
            kubernetes: None,
        };
        // What it finds is of no interest: the tree is not this recipe's.
        let _ = judged.judge();
    });
}

#[test]
#[ignore = "a measurement, for ci/bench"]
fn verity() {
    let image = File::open(named("NODEIMG_BENCH_IMAGE")).unwrap();
    let out = named("NODEIMG_BENCH_OUT");
    measured(|| {
        let data = Data {
            file: &image,
            start: 0,
            size: image.metadata().unwrap().len(),
        };
        let params = Params {
            salt: [7; 32],
            uuid: Guid::new([1; 16]),
        };
        let mut to = BufWriter::with_capacity(1 << 20, File::create(&out).unwrap());
        verity::write(data, &params, &mut to).unwrap();
        to.flush().unwrap();
    });
}
