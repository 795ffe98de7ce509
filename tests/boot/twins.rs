//! A second disk with the same image, whose state has a unit that is to run as root: the
//! node takes root and state from the disk that was booted.
//!
//! ```text
//!  boot 1   of the other disk by itself: it gets a state, with the unit in it; then the
//!           image's GUIDs again, as on a disk that somebody has made by hand
//!  boot 2   both; firmware boots vda, the other one is earlier in the kernel's order
//!           of names. A variable of the firmware is to name the image's GUIDs, which the
//!           disk no longer has
//!  boot 3   of the node by itself, with `NODEIMG_TEST_FULL`: the variable's entry fails, and the
//!           usual path boots
//! ```
//!
//! With `NODEIMG_TEST_FULL` the same with systemd's initrd, and without firmware that says what it
//! booted: neither disk is taken.
//!
//! The other disk is at NVMe; with `NODEIMG_TEST_FULL` also at virtio, SATA and USB, behind the
//! node's and, in the node's place, before it. The kernel finds a disk at SATA after one at
//! virtio, one at USB seconds later: udev sees it while systemd waits for the state, or the
//! node's is not there yet when the other one is. For USB the image has the kernel for metal:
//! the one for clouds has no driver of it. On arm64 it is at NVMe alone.

mod places;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{directory, image, image_of_generic_kernel, image_of_systemd, seed};
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::guest::{Facts, Guest};
use nodeimg_test_support::judge;
use places::{PLACES, Place, places};

/// In the overlay of the other disk's state.
const PLANT: &str = "\
printf '[Service]\\nType=oneshot\\nExecStart=touch /run/of-the-other-disk\\n' >/etc/systemd/system/other.service
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../other.service /etc/systemd/system/multi-user.target.wants/
fact planted ls /etc/systemd/system/other.service /etc/systemd/system/multi-user.target.wants/other.service
";
/// Behind `root`, the kernel's name of the node's disk, and `first`, of its first partition.
const ABOUT: &str = "\
fact state-on findmnt -no SOURCE /var
fact root-on dmsetup deps -o devname root
fact other sh -c 'ls /run/of-the-other-disk /etc/systemd/system/other.service 2>/dev/null; true'
fact disks lsblk -dno NAME
fact esp lsblk -dno PARTUUID /dev/$first
fact disk lsblk -dno PTUUID /dev/$root
fact initrd sh -c 'dmesg | grep -o \"nodeimg: .*\"'
";
/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn root_and_state_come_from_the_disk_that_was_booted() {
    let Some(image) = image("amd64") else { return };
    let is_full = judge::is_full("twins at virtio and SATA, and before the node's disk");
    takes_the_booted("twins", image, &places(false, is_full), is_full);
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn at_usb_too() {
    if !judge::is_full("a twin at USB") {
        return;
    }
    let Some(image) = image_of_generic_kernel("nodeimg") else {
        return;
    };
    takes_the_booted("twins-usb", image, &places(true, true), true);
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn on_arm64_too() {
    if !judge::is_full("a twin on arm64") {
        return;
    }
    let Some(image) = image("arm64") else { return };
    let at_nvme = places(false, true).into_iter();
    let at_nvme: Vec<&Place> = at_nvme.filter(|it| it.name.starts_with("nvme")).collect();
    takes_the_booted("twins-arm64", image, &at_nvme, true);
}

/// With nodeimg's own initrd; the next boot too, if `is_full`.
fn takes_the_booted(name: &'static str, image: PathBuf, places: &[&Place], is_full: bool) {
    let Some(twins) = Twins::new(name, image) else {
        return;
    };
    for (index, place) in places.iter().enumerate() {
        let left = 2 * (places.len() - index) as u32;
        let first = twins.both(place, left);
        let state = format!("the state is /dev/{}", place.partition(6));
        first.expect_parts("initrd", &[&state]);
        if is_full && !place.is_swapped {
            let next = twins.alone(place, left - 1);
            next.expect_parts("initrd", &[&state]);
            keeps_its_guids(&first, &next);
        }
    }
    fs::remove_dir_all(twins.directory).unwrap();
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn systemds_initrd_takes_them_from_that_disk_too() {
    if !judge::is_full("systemd's initrd: the same twins") {
        return;
    }
    let Some(image) = image_of_systemd("amd64") else {
        return;
    };
    let Some(twins) = Twins::new("twins-systemd", image) else {
        return;
    };
    twins.of_systemd(&places(false, true));
    twins.neither();
    fs::remove_dir_all(twins.directory).unwrap();
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn systemds_initrd_at_usb_too() {
    if !judge::is_full("systemd's initrd: a twin at USB") {
        return;
    }
    let Some(image) = image_of_generic_kernel("systemd") else {
        return;
    };
    let Some(twins) = Twins::new("twins-usb-systemd", image) else {
        return;
    };
    twins.of_systemd(&places(true, true));
    fs::remove_dir_all(twins.directory).unwrap();
}

/// An image, and a disk with it and with a state of its own.
struct Twins {
    name: &'static str,
    image: PathBuf,
    directory: PathBuf,
    other: PathBuf,
}

impl Twins {
    fn new(name: &'static str, image: PathBuf) -> Option<Twins> {
        let directory = directory(name);
        let other = other_disk(name, &directory, &image)?;
        Some(Twins {
            name,
            image,
            directory,
            other,
        })
    }

    fn machine(&self, place: &Place, boot: &str) -> Guest {
        Guest::new(&format!("{}-{}-{boot}", self.name, place.name), &self.image)
            .keep(&self.directory.join(place.name))
            .seed(&seed(&self.directory, "honest"))
            .script(&place.variables())
            .script(ABOUT)
    }

    fn with_other(&self, guest: Guest, place: &Place) -> Guest {
        let drive = format!("if=none,id=twin,format=raw,file={}", self.other.display());
        let device = place.arguments();
        let device: Vec<&str> = device.iter().map(String::as_str).collect();
        guest.qemu(&["-drive", &drive]).qemu(&device)
    }

    /// The first boot, with the other disk.
    fn both(&self, place: &Place, left: u32) -> Facts {
        let guest = self.with_other(self.machine(place, "first"), place);
        let guest = guest.script(&stale_entry(&self.image)).left(left);
        let facts = guest.facts().unwrap();
        facts.expect_parts("disks", &[place.nodes, place.others]);
        has_own_guids(&facts, &self.image);
        place.is_honest(&facts);
        facts
    }

    /// The next one, of a node in the usual place.
    fn alone(&self, place: &Place, left: u32) -> Facts {
        let facts = self.machine(place, "next").left(left).facts().unwrap();
        place.is_honest(&facts);
        facts
    }

    /// With systemd's initrd: in each of the places, once more alone if `is_full`.
    fn of_systemd(&self, places: &[&Place]) {
        for (index, place) in places.iter().enumerate() {
            let left = 2 * (places.len() - index) as u32;
            let first = self.both(place, left);
            assert_ne!(&first["initrd-time"], "0", "no systemd in the initrd");
            if !place.is_swapped {
                keeps_its_guids(&first, &self.alone(place, left - 1));
            }
        }
    }

    /// Without the firmware's variables, as of a machine that says nothing.
    fn neither(&self) {
        let place = &PLACES[0];
        let guest = self.with_other(self.machine(place, "refused"), place);
        let other = format!("/dev/{} (", place.others);
        let says = [
            "What keeps this node from booting",
            &other,
            ") and /dev/vda carry the same root",
            "nodeimg-disk.service loaded failed",
        ];
        let console = guest.words("efi=noruntime").never_up(&says).unwrap();
        assert!(!console.contains("the root is /dev/"), "{console}");
    }
}

/// A raw disk with the image's GUIDs and a state of its own.
fn other_disk(name: &str, directory: &Path, image: &Path) -> Option<PathBuf> {
    let keep = directory.join("other");
    let facts = Guest::new(&format!("{name}-other"), image)
        .keep(&keep)
        .seed(&seed(directory, "other"))
        .script(PLANT)
        .left(3)
        .facts()?;
    facts.expect_parts("planted", &["multi-user.target.wants/other.service"]);
    let path = directory.join("other.raw");
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-O", "raw"]);
    judge::run(convert.arg(keep.join("disk.qcow2")).arg(&path))?;
    let (disk, esp) = guids(image);
    let mut name = Command::new("sgdisk");
    name.arg(format!("--partition-guid=1:{esp}"))
        .arg(format!("--disk-guid={disk}"));
    judge::run(name.arg(&path).env("PATH", judge::path()))?;
    assert_eq!(guids_of(&Disk::open(&path)), (disk, esp));
    Some(path)
}

/// Those of disk and ESP.
fn guids(image: &Path) -> (String, String) {
    guids_of(&Disk::open(&image.join("disk.raw")))
}

fn guids_of(disk: &Disk) -> (String, String) {
    (text(&disk.bytes(512 + 56)), text(&disk.bytes(1024 + 16)))
}

fn text(guid: &[u8; 16]) -> String {
    let hex = |order: &[usize]| -> String {
        order
            .iter()
            .map(|index| format!("{:02x}", guid[*index]))
            .collect()
    };
    let groups: [&[usize]; 5] = [
        &[3, 2, 1, 0],
        &[5, 4],
        &[7, 6],
        &[8, 9],
        &[10, 11, 12, 13, 14, 15],
    ];
    groups.map(hex).join("-")
}

/// Makes the firmware try, at the next boot, an entry that names the image's ESP: as an
/// installer might have left.
fn stale_entry(image: &Path) -> String {
    let disk = Disk::open(&image.join("disk.raw"));
    let (start, length) = disk.partition("esp");
    let mut path = vec![4, 1, 42, 0];
    path.extend(1u32.to_le_bytes());
    path.extend((start / 512).to_le_bytes());
    path.extend((length / 512).to_le_bytes());
    path.extend(disk.bytes::<16>(1024 + 16));
    path.extend([2, 2]);
    let is_arm64 = image.to_string_lossy().ends_with("-arm64");
    let machine = if is_arm64 { "AA64" } else { "X64" };
    let file: Vec<u8> = utf16(&format!("\\EFI\\BOOT\\BOOT{machine}.EFI"));
    path.extend([4, 4]);
    path.extend((file.len() as u16 + 4).to_le_bytes());
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    let mut entry = vec![7, 0, 0, 0, 1, 0, 0, 0];
    entry.extend((path.len() as u16).to_le_bytes());
    entry.extend(utf16("of an installer"));
    entry.extend(path);
    let write = |name: &str, bytes: &[u8]| {
        let place = format!("/sys/firmware/efi/efivars/{name}-{GLOBAL}");
        format!("echo {} | base64 -d >{place}\n", STANDARD.encode(bytes))
    };
    write("Boot0099", &entry)
        + &write("BootNext", &[7, 0, 0, 0, 0x99, 0])
        + &format!(
            "fact entry sh -c 'cd /sys/firmware/efi/efivars; echo Boot0099-{GLOBAL} BootNext-{GLOBAL}; wc -c <BootNext-{GLOBAL}'\n"
        )
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

/// Random ones.
fn has_own_guids(first: &Facts, image: &Path) {
    let (disk, esp) = guids(image);
    for (name, old) in [("disk", disk), ("esp", esp)] {
        let new = &first[name];
        assert!(
            *new != old && new.as_bytes()[14] == b'4',
            "{name}: {new}, was {old}"
        );
    }
    first.expect_parts("initrd", &["has GUIDs of its own"]);
    first.expect_parts("entry", &["6"]);
}

fn keeps_its_guids(first: &Facts, next: &Facts) {
    for name in ["disk", "esp"] {
        next.expect(name, &first[name]);
    }
}
