#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_values::digest::Digest;

use super::*;
use crate::region::Region;

const EPOCH: Epoch = Epoch(1_700_000_001);

fn options(size: u64) -> Options<'static> {
    Options {
        size,
        label: "CIDATA",
        volume_id: 0x1234_abcd,
        epoch: EPOCH,
    }
}

/// Paths and contents, kept together while a test runs.
struct Given(Vec<(String, Vec<u8>)>);

impl Given {
    fn of(files: &[(&str, Vec<u8>)]) -> Given {
        let content = |(path, bytes): &(&str, Vec<u8>)| (path.to_string(), bytes.clone());
        Given(files.iter().map(content).collect())
    }

    fn files(&self) -> Vec<File<'_>> {
        let file = |(path, content)| File {
            path: String::clone(path),
            content,
        };
        self.0
            .iter()
            .map(|(path, content)| file((path, content)))
            .collect()
    }
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Long and short names, empty ones, one that fills clusters exactly, a deep
/// one, a directory of many clusters.
fn sample() -> Given {
    let mut files = vec![
        ("EFI/BOOT/BOOTX64.EFI", noise(300_001)),
        ("EFI/Linux/nodeimg_1.2.3+a.efi", noise(4096)),
        ("loader/loader.conf", b"timeout 0\n".to_vec()),
        ("meta-data", b"instance-id: i\n".to_vec()),
        ("user-data", b"#cloud-config\n".to_vec()),
        ("empty", vec![]),
        ("a/b/c/d/e/f", vec![7]),
        ("thirteen-long", vec![1; 512]),
        ("a name, odd & \u{e4}.txt", vec![2; 513]),
        ("\u{1f980}", vec![3]),
    ];
    let many: Vec<_> = (0..300)
        .map(|n| format!("many/a-long-file-name-{n:03}.yaml"))
        .collect();
    files.extend(
        many.iter()
            .map(|path| (path.as_str(), path.clone().into_bytes())),
    );
    Given::of(&files)
}

fn image(dir: &Path, given: &Given, options: &Options<'_>) -> std::path::PathBuf {
    let path = dir.join("fat");
    let mut file = fs::File::create(&path).unwrap();
    write(&given.files(), options, &mut file).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), options.size);
    path
}

/// Fails if fsck.fat has anything to say beside its version and its count.
fn assert_sound(path: &Path) {
    let Some(told) = judge::run(Command::new("fsck.fat").args(["-n", "-v"]).arg(path)) else {
        return;
    };
    let text = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(told.status.success(), "{text}");
    let Some(told) = judge::run(Command::new("fsck.fat").arg("-n").arg(path)) else {
        return;
    };
    let text = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().nth(1).unwrap().contains(" clusters"), "{text}");
}

/// Through `env`, since mtools knows no characters but ASCII in the locale that
/// judges run in.
fn mtools(image: &Path, tool: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    judge::run(Command::new(tool).arg("--version"))?;
    let mut command = Command::new("env");
    command.args([
        "LC_ALL=C.UTF-8",
        "MTOOLS_DATE_STRING=yyyy-mm-dd",
        tool,
        "-i",
    ]);
    let told = judge::run(command.arg(image).args(arguments))?;
    let errors = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.status.success() && errors.is_empty(),
        "{tool}: {errors}"
    );
    Some(told.stdout)
}

#[test]
fn fsck_has_nothing_to_say_whatever_the_size() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [
        MIN_SIZE,
        MIN_SIZE + volume::SECTOR,
        64 << 20,
        100_000_256,
        260 << 20,
        (300 << 20) - volume::SECTOR,
        3 << 30,
        MAX_SIZE,
    ];
    for size in sizes {
        let path = image(dir.path(), &sample(), &options(size));
        assert_sound(&path);
        let taken = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(taken < 4 << 20, "{size}: {taken} bytes are not holes");
    }
    let empty = image(dir.path(), &Given(vec![]), &options(MIN_SIZE));
    assert_sound(&empty);
    let unnamed = Options {
        label: "",
        ..options(MIN_SIZE)
    };
    assert_sound(&image(dir.path(), &Given(vec![]), &unnamed));
}

#[test]
fn fsck_notices_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = image(dir.path(), &sample(), &options(MIN_SIZE));
    let good = fs::read(&path).unwrap();
    let root = Volume::candidates(MIN_SIZE).next().unwrap().position(2) as usize;
    // The backup, the count of free clusters, a FAT, a long entry's checksum.
    for at in [6 * 512 + 13, 512 + 488, 32 * 512 + 40, root + 32 + 13] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let Some(told) = judge::run(Command::new("fsck.fat").arg("-n").arg(&path)) else {
            return;
        };
        let lines = String::from_utf8_lossy(&told.stdout).lines().count();
        assert!(!told.status.success() || lines > 2, "byte {at}");
    }
}

#[test]
fn mtools_reads_every_name_and_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut given = sample();
    // Which has two UTF-16 units: too much for mtools.
    given.0.retain(|(path, _)| path != "\u{1f980}");
    for size in [MIN_SIZE, 600 << 20] {
        let path = image(dir.path(), &given, &options(size));
        let mut want: Vec<_> = given.0.iter().map(|(path, _)| path.as_str()).collect();
        for (name, content) in given.0.iter().take(20) {
            let Some(read) = mtools(&path, "mtype", &[&format!("::/{name}")]) else {
                return;
            };
            let want = content;
            assert!(read == *want, "{name}");
        }
        let listed = mtools(&path, "mdir", &["-/", "-b", "::/"]).unwrap();
        let listed = String::from_utf8(listed).unwrap();
        let mut listed: Vec<_> = listed
            .lines()
            .filter_map(|line| line.strip_prefix("::/"))
            .filter(|path| !path.ends_with('/'))
            .collect();
        listed.sort_unstable();
        want.sort_unstable();
        assert_eq!(listed, want);
    }
}

#[test]
fn times_and_aliases_are_as_mtools_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (EPOCH, "2023-11-14  22:13"),
        (Epoch(0), "1980-01-01   0:00"),
        (Epoch(u64::MAX), "2107-12-31  23:59"),
    ];
    for (epoch, want) in cases {
        let with = Options {
            epoch,
            ..options(MIN_SIZE)
        };
        let path = image(dir.path(), &sample(), &with);
        let Some(told) = mtools(&path, "mdir", &["::/"]) else {
            return;
        };
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains("Volume in drive : is CIDATA"), "{told}");
        assert!(told.contains("Volume Serial Number is 1234-ABCD"), "{told}");
        let line = |name: &str| told.lines().find(|line| line.ends_with(name)).unwrap();
        assert!(line("user-data").starts_with("USER-D~1"), "{told}");
        assert!(line("user-data").contains(want), "{told}");
    }
}

#[test]
fn blkid_and_the_kernel_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let given = sample();
    let path = image(dir.path(), &given, &options(64 << 20));
    let Some(told) = judge::run(
        Command::new("blkid")
            .args(["-p", "-o", "export"])
            .arg(&path),
    ) else {
        return;
    };
    let told = String::from_utf8(told.stdout).unwrap();
    for want in [
        "LABEL_FATBOOT=CIDATA",
        "LABEL=CIDATA",
        "UUID=1234-ABCD",
        "VERSION=FAT32",
        "TYPE=vfat",
    ] {
        assert!(told.lines().any(|line| line == want), "{want}: {told}");
    }
    let at = dir.path().join("mounted");
    fs::create_dir(&at).unwrap();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "vfat", "-o", "ro,loop,utf8,tz=UTC"])
        .arg(&path)
        .arg(&at);
    // Needs root and a kernel with loop devices and vfat.
    if !nix::unistd::geteuid().is_root() || !mount.output().is_ok_and(|told| told.status.success())
    {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let read: Vec<_> = given
        .0
        .iter()
        .map(|(name, _)| (name, fs::read(at.join(name))))
        .collect();
    let time = fs::metadata(at.join("meta-data")).map(|meta| meta.mtime());
    assert!(Command::new("umount").arg(&at).status().unwrap().success());
    for ((name, read), (_, content)) in read.into_iter().zip(&given.0) {
        assert!(read.unwrap() == *content, "{name}");
    }
    // Odd seconds are lost, but for the time that it was made.
    assert_eq!(time.unwrap(), EPOCH.0 as i64 - 1);
}

#[test]
fn the_bytes_are_pinned_and_know_no_order() {
    let mut given = sample();
    let written = |given: &Given| {
        let mut to = Cursor::new(Vec::new());
        write(&given.files(), &options(MIN_SIZE), &mut to).unwrap();
        to.into_inner()
    };
    let bytes = written(&given);
    assert_eq!(bytes.len() as u64, MIN_SIZE);
    let file = tempfile::tempfile().unwrap();
    file.set_len(MIN_SIZE + (2 << 20)).unwrap();
    write(
        &given.files(),
        &options(MIN_SIZE),
        &mut Region::new(&file, 1 << 20),
    )
    .unwrap();
    let mut region = vec![0; bytes.len()];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut region, 1 << 20).unwrap();
    assert!(region == bytes, "a region differs from a file");
    assert_eq!(
        Digest::sha256(&bytes).hex(),
        "ea7852b1dcfdd95b60290c3e20892e9fbbc210d6008c18f8130082872ef3c851"
    );
    given.0.reverse();
    assert!(
        written(&given) == bytes,
        "the order of the files is in the bytes"
    );
}

#[test]
fn the_size_asked_for_is_enough_and_so_is_any_larger_one() {
    let big = Given::of(&[("big", noise(40 << 20)), ("two", noise(700))]);
    let small = |n| (format!("{}/{n}", n / 1000), vec![1]);
    let small = Given((0..70_000).map(small).collect());
    for given in [big, small, sample()] {
        let files = given.files();
        let size = min_size(&files).unwrap();
        let directories = Directories::of(&files).unwrap();
        for more in [0, 512, 4096, 64 << 20, 250 << 20, 1 << 30] {
            fitting(size + more, &directories, &files).unwrap();
        }
        if size > MIN_SIZE {
            let less = size - 16 * volume::SECTOR;
            let error = write(&files, &options(less), &mut Cursor::new(Vec::new())).unwrap_err();
            let want = format!("make it {size} bytes or more");
            assert!(error.to_string().contains(&want), "{error}");
        }
    }
    assert_eq!(min_size(&[]).unwrap(), MIN_SIZE);
}

#[test]
fn a_larger_volume_has_hardly_ever_fewer_clusters() {
    let mut most = 0;
    for sector in 0..4096 {
        let volume = Volume::with_small_clusters(MIN_SIZE + sector * volume::SECTOR);
        assert!(volume.clusters() + SLACK >= most, "{volume:?}");
        most = most.max(volume.clusters());
    }
}

#[test]
fn a_full_one_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let volume = Volume::candidates(MIN_SIZE).next().unwrap();
    // One cluster is the root's.
    let room = (volume.clusters() - 1) * volume.cluster_size();
    let full = Given::of(&[("FULL", noise(room as usize))]);
    let path = image(dir.path(), &full, &options(MIN_SIZE));
    assert_sound(&path);
    let more = Given::of(&[("FULL", noise(room as usize + 1))]);
    assert!(
        write(
            &more.files(),
            &options(MIN_SIZE),
            &mut Cursor::new(Vec::new())
        )
        .is_err()
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |paths: &[&str], options: &Options<'_>| {
        let given = Given(
            paths
                .iter()
                .map(|path| (path.to_string(), vec![1]))
                .collect(),
        );
        let mut to = Cursor::new(Vec::new());
        let error = write(&given.files(), options, &mut to).unwrap_err();
        assert!(to.into_inner().is_empty(), "something was written");
        format!("{error:#}")
    };
    let good = options(MIN_SIZE);
    let cases: [(&[&str], &str); 9] = [
        (&["a/Name", "a/nAME"], "`a/nAME`"),
        (&["a", "a/b"], "`a` already exists"),
        (&["a/b", "a"], "`a` already exists"),
        (&["EFI/x", "efi/y"], "as `EFI`"),
        (&["a", "a"], "`a` already exists"),
        (&["/a"], "empty"),
        (&["a//b"], "empty"),
        (&["a/../b"], "`..`"),
        (&["a/b?c"], "`?`"),
    ];
    for (paths, why) in cases {
        let error = refused(paths, &good);
        assert!(error.contains(why), "{paths:?}: {error}");
    }
    for (size, why) in [
        (MIN_SIZE + 1, "whole number"),
        (MIN_SIZE - 512, "make it 34603008 bytes"),
        (0, "make it 34603008 bytes"),
        (MAX_SIZE + 512, "too large"),
    ] {
        let error = refused(&["a"], &options(size));
        assert!(error.contains(why), "{size}: {error}");
    }
    let label = Options {
        label: "cidata",
        ..good
    };
    assert!(refused(&["a"], &label).contains("label"));
}
