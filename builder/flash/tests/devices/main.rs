//! Real devices: loop devices, and what this kernel can make of them. Needs root; what the kernel
//! lacks (device-mapper, md) is said, and its sysfs is recorded in `src/device/tests.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use nodeimg_flash::device::Here;
use nodeimg_flash::flash::{Done, Failed, Holds, Job, Ready, Stop};
use nodeimg_flash::image::{Expected, Source};
use nodeimg_flash::list;
use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_test_support::judge;
use nodeimg_values::digest::Digest;
use nodeimg_values::progress::{Mode, Progress};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
static GO_ON: Stop = AtomicBool::new(false);

/// Whether there are loop devices for this user; says so if not.
fn has_devices() -> bool {
    if !judge::is_root() || !Path::new("/dev/loop-control").exists() {
        judge::say("SKIPPED: loop devices need root");
        return false;
    }
    true
}

fn ran(program: &str, words: &[&str]) -> Option<String> {
    let told = judge::run(Command::new(program).args(words))?;
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success(), "{program} {words:?}: {said}");
    Some(String::from_utf8(told.stdout).unwrap().trim().to_owned())
}

/// A loop device over a sparse file.
struct Loop {
    path: PathBuf,
    file: PathBuf,
    directory: TempDir,
}

impl Loop {
    fn new(size: u64, options: &[&str]) -> Loop {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("device");
        File::create(&file).unwrap().set_len(size).unwrap();
        Loop::over(directory, file, options)
    }

    fn over(directory: TempDir, file: PathBuf, options: &[&str]) -> Loop {
        let words = [options, &["--find", "--show", file.to_str().unwrap()]].concat();
        let path = ran("losetup", &words).unwrap();
        Loop {
            path: path.into(),
            file,
            directory,
        }
    }

    fn shown(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// With one partition of 8 MiB, which the kernel knows.
    fn parted(&self) -> PathBuf {
        let place = Extent::first(8 * MIB);
        let partition = Partition {
            kind: Guid::known(0x0fc63daf_8483_4772_8e79_3d69d8477de4),
            unique: Guid::derived(&["data"]),
            name: "data",
            flags: 0,
            place,
        };
        let size = fs::metadata(&self.file).unwrap().len();
        let file = File::options().write(true).open(&self.file).unwrap();
        gpt::write(&file, size, Guid::derived(&["old"]), &[partition]).unwrap();
        // By hand: not every kernel reads a GPT.
        let part = PathBuf::from(format!("{}p1", self.shown()));
        if !part.exists() {
            ran("partx", &["--add", "--nr", "1", self.shown()]).unwrap();
        }
        part
    }

    fn bytes(&self) -> Vec<u8> {
        ran("sync", &[]).unwrap();
        fs::read(&self.file).unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
        let _ = &self.directory;
    }
}

/// An image of 20 MiB with one partition.
fn image() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("disk.raw");
    let file = File::create(&path).unwrap();
    let place = Extent::first(18 * MIB);
    let partition = Partition {
        kind: Guid::known(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709),
        unique: Guid::derived(&["root"]),
        name: "node_1",
        flags: 0,
        place,
    };
    let size = gpt::disk_size(place);
    gpt::write(&file, size, Guid::derived(&["disk"]), &[partition]).unwrap();
    let noise: Vec<u8> = (0..3 * MIB).map(|at| (at * 31 + at / 257) as u8).collect();
    file.write_all_at(&noise, 2 * MIB).unwrap();
    (directory, path)
}

fn job(image: &Path, device: &Path) -> Job {
    Job {
        here: Here::default(),
        source: Source::File(image.to_owned()),
        device: device.to_owned(),
        expected: Some(Expected {
            digest: Digest::sha256(&fs::read(image).unwrap()),
            by: "the test".to_owned(),
        }),
        wipe: None,
        dry_run: false,
        read_back: true,
    }
}

fn flash(job: Job) -> Result<Done, Failed> {
    let ready = Ready::of(job).map_err(|error| Failed {
        error,
        holds: Holds::Before,
    })?;
    ready.go(None, &GO_ON, &Progress::new(Mode::Quiet))
}

#[track_caller]
fn refused(job: Job, wants: &[&str]) {
    let failed = flash(job).err().expect("it was flashed");
    let error = format!("{:#}", failed.error);
    assert_eq!(failed.holds, Holds::Before, "{error}");
    for want in wants {
        assert!(error.contains(want), "{want:?} is not in: {error}");
    }
}

/// It is refused, also with `--wipe`.
#[track_caller]
fn refused_even_to_wipe(image: &Path, device: &Path, wants: &[&str]) {
    refused(job(image, device), wants);
    let mut wiped = job(image, device);
    wiped.wipe = Some(device.to_owned());
    refused(wiped, wants);
}

#[test]
fn a_blank_device_is_flashed_and_the_kernel_knows_its_partitions() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let device = Loop::new(64 * MIB, &["--partscan"]);
    let done = flash(job(&image, &device.path))
        .map_err(|it| it.error)
        .unwrap();
    assert!(done.table_read);
    let (want, there) = (fs::read(&image).unwrap(), device.bytes());
    let inside = MIB as usize..want.len() - 33 * 512;
    assert!(there[inside.clone()] == want[inside]);
    if !Path::new(&format!("{}p1", device.shown())).exists() {
        judge::say("SKIPPED: this kernel does not read a GPT");
    }
    let told = ran("sfdisk", &["--verify", device.shown()]).unwrap();
    assert!(told.contains("No errors detected"), "{told}");
    assert_eq!(
        gpt::read(&File::open(&device.path).unwrap()).unwrap().size,
        64 * MIB
    );
    // Now it is not blank any more; nothing was written.
    refused(
        job(&image, &device.path),
        &["it is not empty", "a GPT", "node_1", "--wipe /dev/"],
    );
    let mut again = job(&image, &device.path);
    again.wipe = Some(device.path.clone());
    flash(again).map_err(|failed| failed.error).unwrap();
    // In a dry run nothing is written either.
    let blank = Loop::new(64 * MIB, &[]);
    let mut dry = job(&image, &blank.path);
    dry.dry_run = true;
    assert!(flash(dry).is_ok());
    assert!(blank.bytes().iter().all(|byte| *byte == 0));
    let found = list::candidates(&Here::default()).unwrap();
    let one = found.iter().find(|one| one.path() == device.path).unwrap();
    assert_eq!(one.obstacle(), None);
    assert!(
        list::text(&found).contains("1 partition node_1"),
        "{}",
        list::text(&found)
    );
    assert_eq!(list::json(&found)["event"], "devices");
}

#[test]
fn what_is_on_a_device_is_told() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let device = Loop::new(64 * MIB, &["--partscan"]);
    ran(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-L", "precious", device.shown()],
    )
    .unwrap();
    let before = device.bytes();
    refused(
        job(&image, &device.path),
        &["ext4 `precious`", "loop device of", "64.0 MiB"],
    );
    let part = device.parted();
    ran("mkfs.vfat", &["-n", "PHOTOS", part.to_str().unwrap()]).unwrap();
    refused(
        job(&image, &device.path),
        &["a GPT", "p1: 8.0 MiB, data", "vfat `PHOTOS`"],
    );
    let other = Loop::new(64 * MIB, &[]);
    let mut wiped = job(&image, &device.path);
    wiped.wipe = Some(other.path.clone());
    refused(
        wiped,
        &["--wipe names", other.shown(), "name the same device twice"],
    );
    // The name may be another one of the same device.
    let link = device.directory.path().join("link");
    std::os::unix::fs::symlink(&device.path, &link).unwrap();
    let mut wiped = job(&image, &device.path);
    wiped.wipe = Some(link);
    assert!(flash(wiped).is_ok());
    assert_ne!(device.bytes(), before);
}

#[test]
fn what_is_no_whole_disk_or_too_small_is_refused() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let device = Loop::new(64 * MIB, &["--partscan"]);
    let part = device.parted();
    let whole = format!("is a partition of {}", device.shown());
    refused_even_to_wipe(&image, &part, &[&whole]);
    refused_even_to_wipe(&image, &image, &["is a regular file"]);
    refused_even_to_wipe(&image, Path::new("/dev/zero"), &["is a character device"]);
    let small = Loop::new(19 * MIB, &[]);
    refused_even_to_wipe(&image, &small.path, &["it is too small", "19922944 bytes"]);
    assert!(small.bytes().iter().all(|byte| *byte == 0));
    let closed = Loop::new(64 * MIB, &["--read-only"]);
    refused_even_to_wipe(&image, &closed.path, &["it is read-only"]);
    let large = Loop::new(64 * MIB, &["--sector-size", "4096"]);
    refused_even_to_wipe(&image, &large.path, &["sectors have 4096 bytes"]);
}

/// Undone when it goes.
struct Undo(&'static str, Vec<String>);

impl Drop for Undo {
    fn drop(&mut self) {
        let _ = Command::new(self.0)
            .args(&self.1)
            .env("PATH", judge::path())
            .status();
    }
}

#[test]
fn a_device_that_is_mounted_or_swap_is_refused() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let device = Loop::new(64 * MIB, &["--partscan"]);
    let part = device.parted();
    let at = device.directory.path().join("at");
    fs::create_dir(&at).unwrap();
    let (part_name, at_name) = (part.to_str().unwrap(), at.to_str().unwrap());
    ran("mke2fs", &["-q", "-F", "-t", "ext4", part_name]).unwrap();
    {
        ran("mount", &[part_name, at_name]).unwrap();
        let _mounted = Undo("umount", vec![at_name.to_owned()]);
        let told = format!("{part_name} is mounted at {at_name}");
        refused_even_to_wipe(&image, &device.path, &["it is in use", &told]);
        let found = list::candidates(&Here::default()).unwrap();
        assert!(list::text(&found).contains(&format!("IN USE: mounted at {at_name}")));
    }
    // In a mount namespace of another process.
    let script = format!("mount {part_name} {at_name} && echo ready && exec sleep 60");
    let mut other = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .env("PATH", judge::path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let told = format!("mount namespace of process {}", other.id());
    refused_even_to_wipe(&image, &device.path, &[part_name, &told]);
    other.kill().unwrap();
    other.wait().unwrap();

    ran("mkswap", &["-f", part_name]).unwrap();
    let swap = judge::run(Command::new("swapon").arg(part_name)).unwrap();
    if swap.status.success() {
        let _swap = Undo("swapoff", vec![part_name.to_owned()]);
        let told = format!("{part_name} is used as swap");
        refused_even_to_wipe(&image, &device.path, &[&told]);
    } else {
        judge::say("SKIPPED: this kernel has no swap");
    }
}

#[test]
fn a_device_of_a_file_system_of_several_and_one_behind_a_loop_device_are_refused() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let two = [0, 1].map(|_| Loop::new(256 * MIB, &[]));
    let at = two[0].directory.path().join("at");
    fs::create_dir(&at).unwrap();
    let words = [
        "-q",
        "-d",
        "raid1",
        "-m",
        "raid1",
        two[0].shown(),
        two[1].shown(),
    ];
    let made = ran("mkfs.btrfs", &words).is_some();
    if made {
        ran("btrfs", &["device", "scan", two[1].shown()]).unwrap();
        ran("mount", &[two[0].shown(), at.to_str().unwrap()]).unwrap();
        let _mounted = Undo("umount", vec![at.to_str().unwrap().to_owned()]);
        refused_even_to_wipe(&image, &two[0].path, &["is mounted at"]);
        // The kernel names the first one alone; the second one it holds.
        refused_even_to_wipe(&image, &two[1].path, &["is in use"]);
    }
    let inner = Loop::new(64 * MIB, &[]);
    let outer = Loop::over(TempDir::new().unwrap(), inner.path.clone(), &[]);
    let told = format!("is what the loop device {} shows", &outer.shown()[5..]);
    refused_even_to_wipe(&image, &inner.path, &[&told]);
}

#[test]
fn what_this_kernel_can_make_of_a_device_uses_it() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let device = Loop::new(64 * MIB, &[]);
    if Path::new("/sys/class/misc/device-mapper").exists() {
        let name = format!("nodeimg-test-{}", std::process::id());
        let table = format!("0 65536 linear {} 0", device.shown());
        ran("dmsetup", &["create", &name, "--table", &table]).unwrap();
        let _made = Undo("dmsetup", vec!["remove".to_owned(), name.clone()]);
        refused_even_to_wipe(&image, &device.path, &["device-mapper device", &name]);
    } else {
        judge::say("SKIPPED: this kernel has no device-mapper; its sysfs is recorded");
    }
}

#[test]
fn two_at_once_are_one() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let device = Loop::new(64 * MIB, &[]);
    let first = Ready::of(job(&image, &device.path)).map_err(drop).unwrap();
    let again = Ready::of(job(&image, &device.path)).err().unwrap();
    let error = format!("{again:#}");
    assert!(
        error.contains("is in use: another program or the kernel"),
        "{error}"
    );
    let done = first.go(None, &GO_ON, &Progress::new(Mode::Quiet));
    assert!(done.is_ok());
}

/// What stands behind the loop device is full: it takes a part and refuses the rest.
#[test]
fn a_device_that_refuses_a_write_does_not_boot() {
    if !has_devices() {
        return;
    }
    let (_directory, image) = image();
    let directory = TempDir::new().unwrap();
    let at = directory.path().to_str().unwrap().to_owned();
    ran("mount", &["-t", "tmpfs", "-o", "size=3m", "tmpfs", &at]).unwrap();
    let _mounted = Undo("umount", vec!["--lazy".to_owned(), at]);
    let file = directory.path().join("device");
    File::create(&file).unwrap().set_len(64 * MIB).unwrap();
    let device = Loop::over(TempDir::new().unwrap(), file, &[]);
    let failed = flash(job(&image, &device.path)).err().unwrap();
    let error = format!("{:#}", failed.error);
    assert_eq!(failed.holds, Holds::Part, "{error}");
    assert!(
        error.contains("at byte") || error.contains("writing"),
        "{error}"
    );
    let start = &device.bytes()[..MIB as usize];
    assert!(start.iter().all(|byte| *byte == 0));
}
