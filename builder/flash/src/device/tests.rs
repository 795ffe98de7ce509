#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Files of /sys and /proc, as a kernel of 6.12 has them.
struct World {
    directory: TempDir,
    here: Here,
}

impl World {
    /// With the disk `sdz` and its partitions `sdz1` and `sdz2`.
    fn new() -> World {
        let directory = TempDir::new().unwrap();
        let here = Here {
            sys: directory.path().join("sys"),
            proc: directory.path().join("proc"),
        };
        let world = World { directory, here };
        for (file, content) in [
            ("dev", "8:400\n"),
            ("size", "62333952\n"),
            ("removable", "1\n"),
            ("ro", "0\n"),
            ("queue/logical_block_size", "512\n"),
            ("device/model", "Ultra Fit       \n"),
            ("device/vpd_pg80", "\0\u{1}\0\u{c}4C5300\u{1b}[1m"),
        ] {
            world.put(&format!("sys/block/sdz/{file}"), content);
        }
        for (number, start) in [(1, 2048), (2, 526_336)] {
            let part = format!("sys/block/sdz/sdz{number}");
            world.put(&format!("{part}/partition"), &format!("{number}\n"));
            world.put(&format!("{part}/dev"), &format!("8:40{number}\n"));
            world.put(&format!("{part}/start"), &format!("{start}\n"));
            world.put(&format!("{part}/size"), "524288\n");
        }
        world
    }

    fn put(&self, file: &str, content: &str) {
        let path = self.directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// `holder` is made of a disk or a partition.
    fn holds(&self, holder: &str, of: &str, files: &[(&str, &str)]) {
        for (file, content) in files {
            self.put(&format!("sys/block/{holder}/{file}"), content);
        }
        self.put(&format!("sys/block/{of}/holders/{holder}/x"), "");
    }

    fn usage(&self) -> Vec<(&'static str, String)> {
        let device = Device::of(&self.here, "sdz").unwrap();
        let each = device.usage.iter().map(|one| (one.kind, one.told()));
        each.collect()
    }
}

/// A volume as device-mapper shows it.
fn volume<'a>(dev: &'a str, name: &'a str, uuid: &'a str) -> [(&'a str, &'a str); 3] {
    [("dev", dev), ("dm/name", name), ("dm/uuid", uuid)]
}

#[test]
fn a_disk_is_described() {
    let world = World::new();
    let device = Device::of(&world.here, "sdz").unwrap();
    assert_eq!(
        device.described(),
        "/dev/sdz: 29.7 GiB, Ultra Fit, serial 4C5300\\u{1b}[1m, removable"
    );
    assert_eq!(device.partitions[1].start, 526_336 * 512);
    assert!(device.usage.is_empty() && device.other.is_none() && !device.read_only);
    assert_eq!(device.json()["partitions"][0]["path"], "/dev/sdz1");
    // Whatever vanishes while it is looked at.
    let error = Device::of(&world.here, "sdy").unwrap_err();
    assert!(format!("{error:#}").contains("has vanished"), "{error:#}");
}

#[test]
fn what_is_made_of_a_disk_uses_it() {
    let raid = [("dev", "9:0"), ("md/level", "raid1")];
    let bcache = [("dev", "250:0"), ("size", "1")];
    let lvm = volume("254:0", "vg-data", "LVM-xkZ7");
    let luks = volume("254:1", "secret", "CRYPT-LUKS2-0a");
    let other = volume("254:2", "thing", "mpath-1");
    for (holder, of, files, want) in [
        (
            "dm-0",
            "sdz",
            &lvm[..],
            ("lvm", "/dev/sdz is used by LVM's volume vg-data"),
        ),
        (
            "dm-1",
            "sdz/sdz2",
            &luks,
            ("crypt", "/dev/sdz2 is used by the encrypted volume secret"),
        ),
        (
            "dm-2",
            "sdz",
            &other,
            ("device-mapper", "the device-mapper device thing"),
        ),
        (
            "md0",
            "sdz/sdz1",
            &raid,
            ("md", "/dev/sdz1 is used by the RAID array md0"),
        ),
        (
            "bcache0",
            "sdz",
            &bcache,
            ("bcache", "/dev/sdz is used by the bcache device bcache0"),
        ),
    ] {
        let world = World::new();
        world.holds(holder, of, files);
        let usage = world.usage();
        assert_eq!(usage.len(), 1, "{usage:?}");
        assert_eq!(usage[0].0, want.0);
        assert!(usage[0].1.contains(want.1), "{usage:?}");
    }
    // A cache or a backing device that is registered, though nothing is made of it yet.
    let world = World::new();
    world.put("sys/block/sdz/sdz1/bcache/state", "clean\n");
    assert_eq!(world.usage()[0].1, "/dev/sdz1 is used by bcache");
    // A loop device over it.
    let world = World::new();
    world.put("sys/block/loop7/loop/backing_file", "/dev/sdz2\n");
    assert_eq!(
        world.usage()[0].1,
        "/dev/sdz2 is what the loop device loop7 shows"
    );
}

#[test]
fn mounts_and_swap_are_found_through_everything_between() {
    let line = |number: &str, at: &str, source: &str| {
        format!("36 35 {number} / {at} rw,noatime shared:1 - ext4 {source} rw\n")
    };
    let world = World::new();
    world.put(
        "proc/self/mountinfo",
        &(line("8:401", "/mnt/a\\040b", "/dev/x") + &line("0:36", "/pool", "/dev/sdz2")),
    );
    world.put(
        "proc/swaps",
        "Filename Type Size Used Priority\n/dev/sdz2 partition 1 0 -2\n",
    );
    let usage = world.usage();
    let want = [
        ("mounted", "/dev/sdz1 is mounted at /mnt/a b"),
        ("mounted", "/dev/sdz2 is mounted at /pool"),
        ("swap", "/dev/sdz2 is used as swap"),
    ];
    assert_eq!(usage, want.map(|(kind, text)| (kind, text.to_owned())));

    // The root, on LVM on LUKS on a partition.
    let world = World::new();
    world.holds(
        "dm-0",
        "sdz/sdz2",
        &volume("254:0", "crypt", "CRYPT-LUKS2-0a"),
    );
    world.holds("dm-1", "dm-0", &volume("254:1", "vg-root", "LVM-xkZ7"));
    world.put(
        "proc/1/mountinfo",
        &line("254:1", "/", "/dev/mapper/vg-root"),
    );
    let usage = world.usage();
    assert!(
        usage
            .iter()
            .any(|(kind, text)| *kind == "root"
                && text.contains("holds the running root file system")),
        "{usage:?}"
    );

    // In a mount namespace that is not ours, once for all processes of it.
    let world = World::new();
    for (process, namespace) in [("self", "1"), ("77", "2"), ("78", "2")] {
        world.put(&format!("proc/{process}/ns/x"), "");
        let link = world.here.proc.join(process).join("ns/mnt");
        symlink(format!("mnt:[{namespace}]"), link).unwrap();
    }
    for process in ["77", "78"] {
        let file = format!("proc/{process}/mountinfo");
        world.put(&file, &line("8:402", "/data", "/dev/sdz2"));
    }
    let usage = world.usage();
    assert_eq!(usage.len(), 1, "{usage:?}");
    assert!(
        usage[0]
            .1
            .ends_with("/data in the mount namespace of process 77"),
        "{usage:?}"
    );
}

#[test]
fn what_is_no_disk_says_what_it_is() {
    let here = Here::default();
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, want) in [
        (file.path(), "is a regular file"),
        (Path::new("/dev/null"), "is a character device"),
        (Path::new("/"), "is a directory"),
        (Path::new("/dev/sdzz9"), "looking for the device"),
    ] {
        let error = format!("{:#}", Device::at(&here, path).unwrap_err());
        assert!(error.contains(want), "{error}");
    }
    let world = World::new();
    for (name, files, want) in [
        (
            "dm-7",
            &volume("254:7", "vg-x", "LVM-1")[..],
            "a logical volume of LVM",
        ),
        ("dm-8", &volume("254:8", "c", "CRYPT-LUKS1-1"), "dm-crypt"),
        (
            "dm-9",
            &volume("254:9", "p", "part2-mpath-1"),
            "a partition",
        ),
        (
            "md7",
            &[("dev", "9:7"), ("md/level", "raid1")],
            "a RAID array",
        ),
    ] {
        world.holds(name, "sdz", files);
        let device = Device::of(&world.here, name).unwrap();
        assert!(device.other.unwrap().contains(want), "{name}");
    }
    // Several paths to one disk are a disk.
    world.holds("dm-5", "sdz", &volume("254:5", "mpatha", "mpath-3600"));
    assert_eq!(Device::of(&world.here, "dm-5").unwrap().other, None);
}
