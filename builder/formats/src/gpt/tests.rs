#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_values::digest::Digest;
use serde_json::Value;

use super::kinds::ESP;
use super::*;

const LINUX: Guid = Guid::known(0x0fc63daf_8483_4772_8e79_3d69d8477de4);

fn partition(name: &str, kind: Guid, flags: u64, place: Extent) -> Partition<'_> {
    Partition {
        kind,
        unique: Guid::derived(&["gpt test", name]),
        name,
        flags,
        place,
    }
}

/// An ESP, a partition of one sector, one with a long name at the very end.
fn sample() -> Vec<Partition<'static>> {
    let esp = Extent::first(3 << 20);
    let one = esp.then(SECTOR);
    let end = one.then(5 * SECTOR);
    vec![
        partition("esp", ESP, 0, esp),
        partition("one", LINUX, 1 << 60, one),
        partition("ä-name-of-thirty-six-characters-here", LINUX, 1 << 63, end),
    ]
}

fn write_to(path: &Path, size: u64, partitions: &[Partition<'_>]) -> Result<()> {
    let file = File::create_new(path)?;
    write(&file, size, Guid::derived(&["gpt test"]), partitions)
}

fn sfdisk(path: &Path) -> Option<Value> {
    let told = judge::run(Command::new("sfdisk").arg("--json").arg(path))?;
    // Anything on standard error is a complaint about one of the tables.
    assert!(
        told.status.success() && told.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    Some(serde_json::from_slice::<Value>(&told.stdout).unwrap()["partitiontable"].take())
}

#[test]
fn sfdisk_reads_every_field() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let partitions = sample();
    write_to(&path, 16 << 20, &partitions).unwrap();
    let Some(table) = sfdisk(&path) else { return };
    assert_eq!(table["label"], "gpt");
    let id = Guid::derived(&["gpt test"]).to_string().to_uppercase();
    assert_eq!(table["id"], id);
    assert_eq!(table["firstlba"], 34);
    assert_eq!(table["lastlba"], (16 << 20) / SECTOR - 34);
    let read = table["partitions"].as_array().unwrap();
    assert_eq!(read.len(), partitions.len());
    for (read, wrote) in read.iter().zip(&partitions) {
        let text = |key: &str| read[key].as_str().unwrap().to_lowercase();
        assert_eq!(read["start"], wrote.place.start / SECTOR);
        assert_eq!(read["size"], wrote.place.size / SECTOR);
        assert_eq!(text("type"), wrote.kind.to_string());
        assert_eq!(text("uuid"), wrote.unique.to_string());
        assert_eq!(text("name"), wrote.name);
    }
    assert_eq!(read[0].get("attrs"), None);
    assert_eq!(read[1]["attrs"], "GUID:60");
    assert_eq!(read[2]["attrs"], "GUID:63");
}

#[test]
fn sgdisk_finds_no_problem_and_finds_every_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let partitions = sample();
    let size = disk_size(partitions[2].place);
    write_to(&path, size, &partitions).unwrap();
    // It repairs in memory what one of the two tables can tell, and then has
    // "No problems found", but it says so.
    let sound = || -> Option<bool> {
        let told = judge::run(Command::new("sgdisk").arg("-v").arg(&path))?;
        let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
        Some(told.contains("No problems found") && !told.contains("ERROR"))
    };
    let Some(accepted) = sound() else { return };
    assert!(accepted);
    let good = fs::read(&path).unwrap();
    let sector = SECTOR as usize;
    // Each header, and an entry of each table.
    for at in [
        sector + 56,
        2 * sector,
        good.len() - 1 - sector,
        good.len() - sector + 24,
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        assert_eq!(sound(), Some(false), "byte {at}");
    }
}

#[test]
fn the_bytes_are_pinned_and_the_disk_is_sparse() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let partitions = sample();
    write_to(&path, disk_size(partitions[2].place), &partitions).unwrap();
    assert_eq!(
        Digest::sha256(&fs::read(&path).unwrap()).hex(),
        "521ac7dd2b2f14ffdf911e7d95b12d6b862d80292adee9f0cb22af622238dd92"
    );
    let meta = fs::metadata(&path).unwrap();
    assert!(meta.len() > 5 << 20 && meta.blocks() * 512 < 1 << 20);
}

#[test]
fn what_is_between_the_tables_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let partitions = sample();
    let last = partitions[2].place;
    let file = File::create_new(&path).unwrap();
    file.write_all_at(b"content", last.start).unwrap();
    write(&file, disk_size(last), Guid::derived(&[]), &partitions).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, disk_size(last));
    assert_eq!(&bytes[last.start as usize..][..7], b"content");
}

#[test]
fn places_are_aligned_and_apart() {
    let first = Extent::first(1);
    assert_eq!(
        first,
        Extent {
            start: 1 << 20,
            size: 1
        }
    );
    assert_eq!(
        first.then(1 << 20).then(7),
        Extent {
            start: 3 << 20,
            size: 7
        }
    );
}

#[test]
fn what_no_disk_can_hold_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let place = |start: u64, size: u64| Extent { start, size };
    let good = partition("good", LINUX, 0, place(1 << 20, 1 << 20));
    let alone = |place| vec![partition("bad", LINUX, 0, place)];
    let long = "x".repeat(37);
    let mut twin = good.clone();
    (twin.name, twin.place) = ("twin", good.place.then(SECTOR));
    let cases = [
        (8 << 20, alone(place(1 << 20, 0)), "0 bytes"),
        (8 << 20, alone(place(1 << 20, 100)), "whole number"),
        (8 << 20, alone(place((1 << 20) + 1, 512)), "whole number"),
        (8 << 20, alone(place(512, 512)), "begins at 512"),
        (
            8 << 20,
            alone(place(1 << 20, 7 << 20)),
            "make the disk larger",
        ),
        (0, alone(place(1 << 20, 512)), "make the disk larger"),
        ((8 << 20) + 1, alone(place(1 << 20, 512)), "sectors"),
        (8 << 20, vec![good.clone(), good.clone()], "before 2097152"),
        (8 << 20, vec![good.clone(), twin], "`good` and `twin`"),
        (8 << 20, vec![partition(&long, LINUX, 0, good.place)], "36"),
        (8 << 20, vec![good.clone(); 129], "holds 128"),
    ];
    for (index, (size, partitions, why)) in cases.into_iter().enumerate() {
        let path = dir.path().join(index.to_string());
        let error = write_to(&path, size, &partitions).unwrap_err().to_string();
        assert!(error.contains(why), "{index}: {error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0, "{index}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let partitions = sample();
    let size = disk_size(partitions[2].place);
    write_to(&path, size, &partitions).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let table = read(&file).unwrap();
    let again: Vec<Partition<'_>> = table.partitions.iter().map(Entry::partition).collect();
    let copy = dir.path().join("copy");
    write(&File::create_new(&copy).unwrap(), size, table.disk, &again).unwrap();
    assert!(fs::read(&path).unwrap() == fs::read(&copy).unwrap());
    // Any byte of header and entries, a shorter file, another file.
    for at in [512, 530, 568, 600, 1024, 1060, 9000] {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        assert!(read(&file).is_err(), "{at}");
        file.write_all_at(&byte, at).unwrap();
    }
    read(&file).unwrap();
    for size in [0, 700, 3 << 20] {
        file.set_len(size).unwrap();
        assert!(read(&file).is_err(), "{size}");
    }
}
