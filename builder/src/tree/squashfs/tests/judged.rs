//! The image as squashfs-tools and the kernel read it.

use std::process::Command;

use super::compare::{DUMP, dumped};
use super::*;

#[test]
fn unsquashfs_extracts_the_tree() {
    if !(judge("unsquashfs") && judge("python3") && root()) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = everything();
    for block_size in [4096, 128 * 1024, 1 << 20] {
        let options = Options {
            block_size,
            ..options(2)
        };
        let at = dir.path().join("image");
        fs::write(&at, image(&tree, &options)).unwrap();
        let to = dir.path().join(block_size.to_string());
        extract(&at, &to);
        assert_lines(&dump(&to), &lines(&tree));
    }
}

#[test]
fn unsquashfs_lists_owners_modes_and_times() {
    if !judge("unsquashfs") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("image");
    let mut tree = tree([(path("/a/hosts"), file(b"localhost\n", 0o640))]);
    let mut owned = Node::directory(0o1770, origin());
    (owned.stat.uid, owned.stat.gid) = (998, 70_000);
    tree.insert(path("/b"), owned).unwrap();
    tree.insert(path("/b/l"), Node::symlink("../a", origin()))
        .unwrap();
    fs::write(&at, image(&tree, &options(1))).unwrap();
    let run = |args: &[&str]| {
        let out = Command::new("unsquashfs")
            .env("TZ", "UTC")
            .args(args)
            .arg(&at)
            .args(args.first().filter(|a| **a == "-cat").map(|_| "a/hosts"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let listed: Vec<String> = run(&["-lln"])
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| line.contains("squashfs-root"))
        .collect();
    assert_eq!(
        listed,
        [
            "drwxr-xr-x 0/0 33 2023-11-14 22:13 squashfs-root",
            "drwxr-xr-x 0/0 28 2023-11-14 22:13 squashfs-root/a",
            "-rw-r----- 0/0 10 2023-11-14 22:13 squashfs-root/a/hosts",
            "drwxrwx--T 998/70000 24 2023-11-14 22:13 squashfs-root/b",
            "lrwxrwxrwx 0/0 4 2023-11-14 22:13 squashfs-root/b/l -> ../a",
        ]
    );
    assert_eq!(run(&["-cat"]), "localhost\n");
    let facts = run(&["-stat"]);
    for fact in [
        "Compression zstd",
        "compression-level 3",
        "Block size 131072",
        "Number of inodes 5",
        "Filesystem is exportable via NFS",
        "Duplicates are removed",
    ] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
}

#[test]
fn the_kernel_mounts_it() {
    if !(judge("mksquashfs") && judge("python3") && root()) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (at, to) = (dir.path().join("image"), dir.path().join("mnt"));
    fs::create_dir(&to).unwrap();
    let mut tree = everything();
    // More than a file can have where the others are extracted to.
    let mut marked = file(b"", 0o644);
    let value = program(30_000, 8);
    marked.stat.xattrs.insert("user.large".into(), value);
    tree.insert(path("/opt/marked"), marked).unwrap();
    let mount = |then: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c"])
            .arg(format!(
                "mount -t squashfs -o loop,ro \"$0\" \"$1\" && {then}"
            ))
            .args([&at, &to]);
        command
    };
    // Whether the kernel may and can is asked with an image of others.
    let control = Command::new("mksquashfs")
        .args([&to, &at])
        .args(["-comp", "zstd", "-no-progress"])
        .output();
    assert!(control.unwrap().status.success());
    let tried = mount("true").output();
    if !tried.as_ref().is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: no loop mount of SquashFS here: {tried:?}");
        return;
    }
    fs::write(&at, image(&tree, &options(2))).unwrap();
    let mut command = mount("exec stat -c %b \"$1\"/usr/lib/holes");
    // Of 512 bytes; the hole takes none.
    let blocks = (2 * BLOCK + 17).div_ceil(512).to_string();
    assert_lines(&dumped(&mut command), &[blocks]);
    for tree in [tree, Tree::default()] {
        fs::write(&at, image(&tree, &options(2))).unwrap();
        // Each path is looked up by name: in the large directory by its index.
        let mut command = mount("exec python3 -c \"$2\" \"$1\"");
        assert_lines(&dumped(command.arg(DUMP)), &lines(&tree));
    }
}

#[test]
fn it_is_as_small_as_what_mksquashfs_writes() {
    if !(judge("mksquashfs") && judge("unsquashfs") && root()) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut tree = everything();
    for n in 0..40 {
        let bytes = program(7777 * n, n as u64);
        tree.insert(path(&format!("/opt/{n}")), file(bytes, 0o644))
            .unwrap();
    }
    let (at, to) = (dir.path().join("ours"), dir.path().join("out"));
    let ours = image(&tree, &options(2));
    fs::write(&at, &ours).unwrap();
    extract(&at, &to);
    let theirs = dir.path().join("theirs");
    let out = Command::new("mksquashfs")
        .args([&to, &theirs])
        .args(["-comp", "zstd", "-Xcompression-level", "3", "-no-progress"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let theirs = fs::metadata(&theirs).unwrap().len();
    assert!(theirs > 1_000_000, "{theirs}");
    // It does not begin every file at a block of its own.
    assert!(
        ours.len() as u64 * 100 <= theirs * 104,
        "{} {theirs}",
        ours.len()
    );
}
