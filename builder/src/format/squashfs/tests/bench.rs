//! A measurement beside mksquashfs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::digest::{Expected, Hasher};

/// `BENCH_DIR=/some/tree cargo test --release -- --ignored --nocapture squashfs::tests::bench`
#[test]
#[ignore = "a measurement, of the tree that BENCH_DIR names"]
fn bench() {
    let Some(source) = std::env::var_os("BENCH_DIR") else {
        panic!("set BENCH_DIR to a directory of some hundred MB");
    };
    let source = Path::new(&source);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let mut tree = read(source, &store);
    let to = dir.path().join("ours");
    let measured = |what: &str, tree: &Tree, options: &Options<'_>| {
        let file = fs::File::create(&to).unwrap();
        // The peak of memory is this run's alone (proc_pid_clear_refs(5)).
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = kib("VmRSS");
        let (start, cpu) = (Instant::now(), cpu());
        let written = write(tree, EPOCH, options, &mut &file).unwrap();
        println!(
            "{what}: wall {:.2?}, CPU {:.2} s, {} bytes, {} KiB of memory",
            start.elapsed(),
            cpu_since(cpu),
            written.size,
            kib("VmHWM").saturating_sub(before)
        );
    };
    for threads in [1, 2] {
        measured(&format!("{threads} threads"), &tree, &options(threads));
    }
    let kept = Options {
        store: Some(&store),
        ..options(2)
    };
    measured("cold store", &tree, &kept);
    measured("warm store", &tree, &kept);
    let large = tree
        .iter()
        .filter_map(|(path, node)| match &node.kind {
            Kind::File(content) => Some((content.len(), path.clone(), content.clone())),
            _ => None,
        })
        .max_by_key(|(len, ..)| *len)
        .unwrap();
    let mut bytes = large.2.head(large.0).unwrap();
    bytes[100] ^= 1;
    tree.replace(large.1, file(bytes, 0o755)).unwrap();
    measured("the largest file changed", &tree, &kept);
    for processors in ["1", "2"] {
        let theirs = dir.path().join("theirs");
        let _ = fs::remove_file(&theirs);
        let (start, cpu) = (Instant::now(), cpu());
        let status = Command::new("mksquashfs")
            .arg(source)
            .arg(&theirs)
            .args(["-comp", "zstd", "-Xcompression-level", "3", "-noappend"])
            .args(["-no-progress", "-quiet", "-no-xattrs", "-all-root"])
            .args(["-processors", processors])
            .status();
        assert!(status.unwrap().success());
        println!(
            "mksquashfs -processors {processors}: wall {:.2?}, CPU {:.2} s, {} bytes",
            start.elapsed(),
            cpu_since(cpu),
            fs::metadata(&theirs).unwrap().len()
        );
    }
}

/// The directory as a tree: all contents in one blob, as of an archive.
fn read(source: &Path, store: &Store) -> Tree {
    let mut partial = store.partial("x", &[]).unwrap();
    let mut hasher = Hasher::new(&[]);
    let (mut nodes, mut found) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for entry in walkdir::WalkDir::new(source).min_depth(1) {
        let entry = entry.unwrap();
        let relative = entry.path().strip_prefix(source).unwrap();
        let at = ImagePath::root()
            .join("opt")
            .and_then(|opt| opt.join(relative.to_str().unwrap()))
            .unwrap();
        let meta = entry.metadata().unwrap();
        let node = if meta.is_dir() {
            Node::directory(meta.permissions().mode() & 0o7777, origin())
        } else if meta.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            Node::symlink(target.to_str().unwrap(), origin())
        } else {
            let bytes = fs::read(entry.path()).unwrap();
            hasher.update(&bytes);
            partial.write(&bytes).unwrap();
            found.push((at, offset, bytes.len() as u64));
            offset += bytes.len() as u64;
            continue;
        };
        nodes.push((at, node));
    }
    let want = Expected {
        sha256: Some(hasher.finish().sha256),
        ..Expected::default()
    };
    let blob = Arc::new(partial.commit(&want).unwrap().unwrap());
    let files = found.into_iter().map(|(at, offset, len)| {
        let blob = Arc::clone(&blob);
        let content = Content::Span { blob, offset, len };
        (at, Node::file(content, 0o755, origin()))
    });
    tree(nodes.into_iter().chain(files))
}

/// CPU seconds of this process and those it waited for.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(4)
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}

fn kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

fn cpu_since(before: f64) -> f64 {
    cpu() - before
}
