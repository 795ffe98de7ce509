//! The index as kmod's own tools write and read it.

use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;

use super::*;

/// Lays the kernel's directory out below `root`.
fn lay_out(tree: &Tree, root: &Path) {
    for (path, node) in tree.iter() {
        let place = root.join(path.relative());
        match &node.kind {
            Kind::Directory => fs::create_dir_all(place).unwrap(),
            Kind::File(content) => fs::write(place, content.head(u64::MAX).unwrap()).unwrap(),
            Kind::Symlink(_) => {}
        }
    }
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
}

/// depmod keeps its symbols in a hash table and writes them in its order.
fn comparable(name: &str, bytes: &[u8]) -> Vec<String> {
    if name.ends_with(".bin") {
        let keys = decode(bytes).into_iter();
        return keys
            .map(|(key, values)| format!("{key} {values:?}"))
            .collect();
    }
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    if name == "modules.symbols" {
        lines.sort();
    }
    lines
}

#[test]
fn depmod_writes_the_same() {
    let root = tempfile::tempdir().unwrap();
    lay_out(&kernel(), root.path());
    let mut depmod = Command::new("depmod");
    let Some(ran) = judge::run(depmod.arg("-b").arg(root.path()).arg(RELEASE)) else {
        return;
    };
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let files = read(&kernel())
        .unwrap()
        .index(None, Stored::AsTheyAre)
        .unwrap();
    let directory = root.path().join(&at("")[1..]);
    for (name, bytes) in files {
        let Ok(theirs) = fs::read(directory.join(&name)) else {
            assert_eq!(name, "modules.weakdep", "only this is younger than kmod 30");
            continue;
        };
        assert_eq!(
            comparable(&name, &bytes),
            comparable(&name, &theirs),
            "{name}"
        );
    }
}

#[test]
fn modprobe_finds_what_the_closure_says() {
    let root = tempfile::tempdir().unwrap();
    let modules = read(&kernel()).unwrap();
    lay_out(&kernel(), root.path());
    let directory = root.path().join(&at("")[1..]);
    for (name, bytes) in modules.index(None, Stored::AsTheyAre).unwrap() {
        fs::write(directory.join(name), bytes).unwrap();
    }
    for (asked, wants) in [
        ("virtio-blk", vec!["ring", "blk", "crc32c", "virtio-blk"]),
        (
            "virtio:d00000002v00001af4",
            vec!["ring", "blk", "crc32c", "virtio-blk"],
        ),
        ("crypto-crc32a-generic", vec!["crc32c"]),
        ("symbol:blk_add", vec!["ring", "blk"]),
        ("fs-ext4", vec!["builtin ext4"]),
    ] {
        let mut modprobe = Command::new("modprobe");
        modprobe
            .args(["--show-depends", "-S", RELEASE, "-d"])
            .arg(root.path());
        let Some(ran) = judge::run(modprobe.args(["-C", "/nowhere", asked])) else {
            return;
        };
        let told = String::from_utf8(ran.stdout).unwrap();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), wants.len(), "{asked}: {told}");
        for (line, want) in lines.iter().zip(wants) {
            let fits = line.trim_end() == want || line.contains(&format!("/{want}.ko"));
            assert!(fits, "{asked}: {line}, not {want}");
        }
    }
}
