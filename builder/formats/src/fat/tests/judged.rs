//! The volume as fsck.fat, mtools, blkid and the kernel read it.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nodeimg_test_support::judge;

use super::*;

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
