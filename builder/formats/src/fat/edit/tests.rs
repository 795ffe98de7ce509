#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::fs::File as Disk;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_values::epoch::Epoch;

use super::*;
use crate::fat::{File, MIN_SIZE, Options, read, write};

fn volume(disk: &Disk) {
    let uki: &[u8] = b"old uki";
    let files = [
        ("EFI/BOOT/BOOTX64.EFI", uki),
        ("EFI/Linux/node_1.efi", uki),
        ("loader/loader.conf", uki),
    ];
    let files = files.map(|(path, content)| File {
        path: path.to_owned(),
        content: content_of(content),
    });
    let options = Options {
        size: MIN_SIZE,
        label: "ESP",
        volume_id: 7,
        epoch: Epoch(1_700_000_000),
    };
    let mut to: &Disk = disk;
    write(&files, &options, &mut to).unwrap();
    disk.set_len(MIN_SIZE).unwrap();
}

fn content_of(bytes: &'static [u8]) -> &'static dyn crate::readable::Readable {
    Box::leak(Box::new(bytes.to_vec()))
}

fn files(disk: &Disk) -> BTreeMap<String, Vec<u8>> {
    read(disk, 0, MIN_SIZE).unwrap().files
}

/// Whether fsck.fat finds nothing to mend.
fn sound(path: &std::path::Path) {
    let Some(told) = judge::run(Command::new("fsck.fat").arg("-n").arg(path)) else {
        return;
    };
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stdout)
    );
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn files_come_and_go_and_are_renamed() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    let disk = kept.reopen().unwrap();
    volume(&disk);
    let before = Editor::open(&disk, MIN_SIZE).unwrap().free();
    let uki = pattern(3_000_001);
    let name = "node_13.1-20261130+3.efi";
    let mut editor = Editor::open(&disk, MIN_SIZE).unwrap();
    editor.create("EFI/Linux", name, &uki).unwrap();
    assert_eq!(files(&disk)[&format!("EFI/Linux/{name}")], uki);
    sound(kept.path());
    let mut editor = Editor::open(&disk, MIN_SIZE).unwrap();
    let error = editor
        .create("EFI/Linux", "NODE_13.1-20261130+3.EFI", b"")
        .unwrap_err();
    assert!(error.to_string().contains("already exists"), "{error}");
    let found = editor.list("efi/linux").unwrap();
    let there = found.iter().find(|found| found.name == name).unwrap();
    assert!(editor.read(there).unwrap() == uki);
    editor
        .rename("EFI/Linux", there, "node_13.1-20261130.efi")
        .unwrap();
    sound(kept.path());
    let names: Vec<String> = files(&disk).into_keys().collect();
    let want = [
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/Linux/node_1.efi",
        "EFI/Linux/node_13.1-20261130.efi",
        "loader/loader.conf",
    ];
    assert_eq!(names, want);
    let there = editor.list("EFI/Linux").unwrap();
    for file in there {
        editor.remove(&file).unwrap();
    }
    sound(kept.path());
    assert_eq!(files(&disk).len(), 2);
    assert!(Editor::open(&disk, MIN_SIZE).unwrap().free() > before);
}

#[test]
fn a_directory_grows_and_its_holes_are_filled() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    let disk = kept.reopen().unwrap();
    volume(&disk);
    let mut editor = Editor::open(&disk, MIN_SIZE).unwrap();
    for index in 0..60 {
        let name = format!("a-name-with-more-than-thirteen-characters-{index}.efi");
        editor.create("EFI/Linux", &name, &pattern(index)).unwrap();
    }
    sound(kept.path());
    for file in editor.list("EFI/Linux").unwrap().iter().skip(1).step_by(2) {
        editor.remove(file).unwrap();
    }
    sound(kept.path());
    for index in 60..110 {
        let name = format!("b{index}.efi");
        editor.create("EFI/Linux", &name, &pattern(index)).unwrap();
    }
    sound(kept.path());
    let files = files(&disk);
    assert_eq!(files.len(), 3 + 30 + 50);
    assert_eq!(files["EFI/Linux/b109.efi"], pattern(109));
}

#[test]
fn what_has_no_room_is_refused_and_changes_nothing() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    let disk = kept.reopen().unwrap();
    volume(&disk);
    let mut editor = Editor::open(&disk, MIN_SIZE).unwrap();
    let large = vec![1; editor.free() as usize + 1];
    let error = editor.create("EFI/Linux", "x.efi", &large).unwrap_err();
    assert!(error.to_string().contains("no free clusters"), "{error}");
    editor.create("EFI/Linux", "x.efi", &large[1..]).unwrap();
    assert_eq!(editor.free(), 0);
    sound(kept.path());
    let error = editor.create("EFI/Windows", "x", b"").unwrap_err();
    assert!(error.to_string().contains("no directory"), "{error}");
}

#[test]
fn directories_are_made_in_the_root_and_in_one_another() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    volume(kept.as_file());
    let mut editor = Editor::open(kept.as_file(), MIN_SIZE).unwrap();
    editor.create_directory("", "cidata").unwrap();
    editor
        .create("cidata", "user-data", b"#cloud-config\n")
        .unwrap();
    editor.create_directory("cidata", "A longer name").unwrap();
    editor
        .create("cidata/A longer name", "x", &pattern(9000))
        .unwrap();
    for (path, name) in [("", "CIDATA"), ("cidata", "user-data")] {
        let error = editor.create_directory(path, name).unwrap_err();
        assert!(format!("{error:#}").contains("already exists"), "{error:#}");
    }
    sound(kept.path());
    let found = files(kept.as_file());
    assert_eq!(found["cidata/user-data"], b"#cloud-config\n");
    assert_eq!(found["cidata/A longer name/x"], pattern(9000));
    let names: Vec<_> = editor.list("").unwrap();
    assert!(
        names
            .iter()
            .any(|one| one.name == "cidata" && one.is_directory)
    );
}
