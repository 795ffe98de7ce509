#![allow(clippy::unwrap_used)]
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nodeimg_formats::fat;
use nodeimg_formats::gpt::kinds::ESP;
use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::qcow2;
use nodeimg_test_support::judge;
use nodeimg_values::digest::{Algorithm, Digest};
use nodeimg_values::epoch::Epoch;
use nodeimg_values::progress::Mode;
use tempfile::NamedTempFile;

use super::*;

const MIB: u64 = 1 << 20;
/// Of a device larger than the image, and no multiple of anything large.
const LARGER: u64 = 97 * MIB + 3 * 512;
const ESP_SIZE: u64 = 40 * MIB;

/// A disk with an ESP and a root: data, zeros, data.
fn disk() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let esp = Extent::first(ESP_SIZE);
    let root = esp.then(16 * MIB);
    let partition = |kind, name, place| Partition {
        kind,
        unique: Guid::derived(&[name]),
        name,
        flags: 0,
        place,
    };
    let root_kind = Guid::known(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709);
    let partitions = [
        partition(ESP, "esp", esp),
        partition(root_kind, "node_1", root),
    ];
    let size = gpt::disk_size(root);
    gpt::write(file.as_file(), size, Guid::derived(&["disk"]), &partitions).unwrap();
    let uki: Vec<u8> = (0..3 * MIB).map(|at| (at * 7 + at / 251) as u8).collect();
    let files = [fat::File {
        path: "EFI/Linux/node_1.efi".to_owned(),
        content: &uki,
    }];
    let options = fat::Options {
        size: ESP_SIZE,
        label: "ESP",
        volume_id: 7,
        epoch: Epoch(1_700_000_000),
    };
    let mut volume = tempfile::tempfile().unwrap();
    fat::write(&files, &options, &mut volume).unwrap();
    let mut bytes = vec![0; ESP_SIZE as usize];
    volume.set_len(ESP_SIZE).unwrap();
    volume.read_exact_at(&mut bytes, 0).unwrap();
    file.as_file().write_all_at(&bytes, esp.start).unwrap();
    file.as_file()
        .write_all_at(&uki, root.start + 5 * MIB + 512)
        .unwrap();
    file
}

fn content(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// A device in a file, which fails as it is told.
struct Faulty {
    file: NamedTempFile,
    size: u64,
    /// Every write from this byte on fails.
    fails_from: AtomicU64,
    /// What is written here is another byte afterwards.
    lies_at: AtomicU64,
    /// The user has enough as soon as this byte is written.
    stops_at: Option<(u64, &'static Stop)>,
    /// What was written first and last, in bytes.
    order: Mutex<Vec<u64>>,
}

impl Faulty {
    /// Full of something else.
    fn new(size: u64) -> Faulty {
        let file = NamedTempFile::new().unwrap();
        let old: Vec<u8> = vec![0xa5; MIB as usize];
        for at in (0..size).step_by(MIB as usize) {
            let count = MIB.min(size - at) as usize;
            file.as_file().write_all_at(&old[..count], at).unwrap();
        }
        Faulty {
            file,
            size,
            fails_from: AtomicU64::new(u64::MAX),
            lies_at: AtomicU64::new(u64::MAX),
            stops_at: None,
            order: Mutex::default(),
        }
    }

    fn note(&self, range: Range<u64>) -> io::Result<()> {
        self.order.lock().unwrap().push(range.start);
        if range.end > self.fails_from.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(
                nix::errno::Errno::ENODEV as i32,
            ));
        }
        if let Some((at, stop)) = self.stops_at
            && range.contains(&at)
        {
            stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Blocks for Faulty {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.as_file().read_exact_at(bytes, at)?;
        let lie = self.lies_at.load(Ordering::Relaxed);
        if (at..at + bytes.len() as u64).contains(&lie) {
            bytes[(lie - at) as usize] ^= 4;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.note(at..at + bytes.len() as u64)?;
        self.file.as_file().write_all_at(bytes, at)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Faulty {
    fn size(&self) -> u64 {
        self.size
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.note(range.clone())?;
        let zeros = vec![0; (range.end - range.start) as usize];
        self.file.as_file().write_all_at(&zeros, range.start)
    }
}

fn ready(image: &std::path::Path, expected: Option<Expected>, size: u64) -> Ready {
    let source = Source::File(image.to_owned());
    let mut stream = Image::open(&source).unwrap().stream().unwrap();
    let mut head = Buffer::new(CHUNK);
    let count = stream.fill(&mut head).unwrap();
    Ready {
        table: table(&head[..count]).unwrap(),
        job: Job {
            here: Here::default(),
            source,
            device: "/dev/faulty".into(),
            expected,
            wipe: None,
            dry_run: false,
            read_back: true,
        },
        device: Device {
            name: "faulty".to_owned(),
            number: "0:0".to_owned(),
            size,
            sector: 512,
            model: None,
            serial: None,
            bus: None,
            removable: false,
            read_only: false,
            other: None,
            partitions: Vec::new(),
            usage: Vec::new(),
        },
        content: Content::default(),
        disk: None,
        stream,
        head: (head, count),
        name: "image".to_owned(),
    }
}

/// How it ends, and what the device holds then.
fn flashed(
    ready: Ready,
    device: &Faulty,
    seed: Option<&Files>,
    stop: &Stop,
) -> (Result<(u64, Measured)>, Holds) {
    let progress = Progress::new(Mode::Quiet);
    let mut holds = Holds::Before;
    let result = ready.write(device, seed, stop, &progress, &mut holds);
    (result, holds)
}

static GO_ON: Stop = AtomicBool::new(false);

fn is_dead(device: &Faulty) {
    let mut start = vec![1; MIB as usize];
    let mut end = vec![1; 33 * 512];
    let file = device.file.as_file();
    file.read_exact_at(&mut start, 0).unwrap();
    file.read_exact_at(&mut end, device.size - 33 * 512)
        .unwrap();
    assert!(start.iter().all(|byte| *byte == 0), "the first MiB");
    assert!(end.iter().all(|byte| *byte == 0), "the table at the end");
}

#[test]
fn the_device_has_the_image_and_a_table_of_its_own_size() {
    let image = disk();
    let bytes = content(image.path());
    for size in [bytes.len() as u64, bytes.len() as u64 + 5 * 512, LARGER] {
        let device = Faulty::new(size);
        let (result, holds) = flashed(ready(image.path(), None, size), &device, None, &GO_ON);
        assert_eq!(result.unwrap().0, bytes.len() as u64);
        assert_eq!(holds, Holds::All);
        let there = content(device.file.path());
        let partitions = MIB as usize..bytes.len() - 33 * 512;
        assert!(there[partitions.clone()] == bytes[partitions], "{size}");
        let table = gpt::read(device.file.as_file()).unwrap();
        assert_eq!(table.size, size);
        // Nothing that a program finds is left at the end; the tables are the new ones.
        let end = &there[there.len().saturating_sub(MIB as usize).max(bytes.len())..];
        assert!(
            end.iter()
                .take(end.len().saturating_sub(33 * 512))
                .all(|byte| *byte == 0)
        );
        // The partition table comes last, and its first 4096 bytes after everything.
        let order = device.order.lock().unwrap();
        assert_eq!(order[order.len() - 2..], [4096, 0], "{order:?}");
        assert_eq!(order[0], 0);
        // Who judges partition tables has nothing to say.
        let Some(told) = judge::run(
            Command::new("sfdisk")
                .arg("--verify")
                .arg(device.file.path()),
        ) else {
            continue;
        };
        let said = String::from_utf8_lossy(&told.stdout).into_owned();
        let complains = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(told.status.success(), "{said}{complains}");
        assert!(
            said.contains("No errors detected") && complains.is_empty(),
            "{said}{complains}"
        );
    }
}

#[test]
fn every_format_gives_the_same_device() {
    let image = disk();
    let bytes = content(image.path());
    let device = Faulty::new(LARGER);
    let (result, _) = flashed(ready(image.path(), None, LARGER), &device, None, &GO_ON);
    result.unwrap();
    let want = content(device.file.path());

    let packed = NamedTempFile::new().unwrap();
    // Two frames, as `cat a.zst b.zst` or a parallel packer makes.
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let frames = [one, two].map(|half| zstd::encode_all(half, 1).unwrap());
    std::fs::write(packed.path(), frames.concat()).unwrap();
    let other = NamedTempFile::new().unwrap();
    let mut file = File::create(other.path()).unwrap();
    qcow2::write(
        image.as_file(),
        image.as_file().metadata().unwrap().len(),
        &mut file,
    )
    .unwrap();
    for path in [packed.path(), other.path()] {
        let digest = Digest::sha256(&content(path));
        let by = "x".to_owned();
        let expected = Some(Expected {
            digest: digest.clone(),
            by,
        });
        let device = Faulty::new(LARGER);
        let (result, _) = flashed(ready(path, expected, LARGER), &device, None, &GO_ON);
        assert_eq!(result.unwrap().1.sha256, digest);
        assert!(content(device.file.path()) == want, "{}", path.display());
    }
}

#[test]
fn another_image_than_expected_does_not_boot() {
    let image = disk();
    let digest = Digest::new(Algorithm::Sha256, &"0".repeat(64)).unwrap();
    let expected = Expected {
        digest,
        by: "manifest.json".to_owned(),
    };
    let device = Faulty::new(LARGER);
    let (result, holds) = flashed(
        ready(image.path(), Some(expected), LARGER),
        &device,
        None,
        &GO_ON,
    );
    let error = format!("{:#}", result.unwrap_err());
    assert!(
        error.contains("is not the image that manifest.json names"),
        "{error}"
    );
    assert_eq!(holds, Holds::Part);
    is_dead(&device);
}

#[test]
fn an_image_that_ends_early_does_not_boot() {
    let image = disk();
    let bytes = content(image.path());
    let whole = zstd::encode_all(bytes.as_slice(), 1).unwrap();
    let short = zstd::encode_all(&bytes[..bytes.len() - (2 << 20)], 1).unwrap();
    let odd = zstd::encode_all(&bytes[..bytes.len() - 100], 1).unwrap();
    for (packed, want) in [
        (&whole[..whole.len() / 2], "unpacking"),
        (&short[..], "is cut short"),
        (&odd[..], "is cut short"),
        (&[&whole[..], b"more"].concat()[..], "unpacking"),
    ] {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), packed).unwrap();
        let device = Faulty::new(LARGER);
        let (result, holds) = flashed(ready(file.path(), None, LARGER), &device, None, &GO_ON);
        let error = format!("{:#}", result.unwrap_err());
        assert!(error.contains(want), "{want}: {error}");
        assert_eq!(holds, Holds::Part);
        is_dead(&device);
    }
    // More than the device has, of which the table says nothing.
    let long = [&bytes[..], &vec![1; (50 * MIB) as usize]].concat();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), zstd::encode_all(&long[..], 1).unwrap()).unwrap();
    let device = Faulty::new(LARGER);
    let (result, _) = flashed(ready(file.path(), None, LARGER), &device, None, &GO_ON);
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains("is larger than the device"), "{error}");
    is_dead(&device);
}

#[test]
fn a_device_that_vanishes_says_where() {
    let image = disk();
    for at in [0, 2 * MIB, 30 * MIB] {
        let device = Faulty::new(LARGER);
        device.fails_from.store(at, Ordering::Relaxed);
        let (result, holds) = flashed(ready(image.path(), None, LARGER), &device, None, &GO_ON);
        let error = format!("{:#}", result.unwrap_err());
        assert!(
            error.contains("at byte") && error.contains("No such device"),
            "{error}"
        );
        assert_eq!(holds, Holds::Part);
    }
}

#[test]
fn a_device_that_gives_back_other_bytes_is_found() {
    let image = disk();
    let length = content(image.path()).len() as u64;
    // In data, in zeros, at the end of the image, in the table at the device's end, at its start.
    for (at, holds) in [
        (2 * MIB + 77, Holds::Part),
        (44 * MIB, Holds::Part),
        (length - 33 * 512 - 1, Holds::Part),
        (LARGER - 512, Holds::Part),
        (600, Holds::All),
    ] {
        let device = Faulty::new(LARGER);
        device.lies_at.store(at, Ordering::Relaxed);
        let (result, found) = flashed(ready(image.path(), None, LARGER), &device, None, &GO_ON);
        let error = format!("{:#}", result.unwrap_err());
        assert!(error.contains("gives back other bytes"), "{at}: {error}");
        assert_eq!(found, holds, "{at}");
    }
    // Without reading back, the fault goes unnoticed.
    let device = Faulty::new(LARGER);
    device.lies_at.store(2 * MIB + 77, Ordering::Relaxed);
    let mut ready = ready(image.path(), None, LARGER);
    ready.job.read_back = false;
    assert!(flashed(ready, &device, None, &GO_ON).0.is_ok());
}

#[test]
fn an_interrupt_leaves_a_disk_that_does_not_boot() {
    static STOP: Stop = AtomicBool::new(false);
    let image = disk();
    let mut device = Faulty::new(LARGER);
    device.stops_at = Some((9 * MIB, &STOP));
    let (result, holds) = flashed(ready(image.path(), None, LARGER), &device, None, &STOP);
    assert_eq!(format!("{:#}", result.unwrap_err()), "interrupted");
    assert_eq!(holds, Holds::Part);
    is_dead(&device);
}

#[test]
fn a_seed_lies_where_first_boot_looks() {
    let image = disk();
    let device = Faulty::new(LARGER);
    let files = [
        ("meta-data", "instance-id: i-1\n"),
        ("openstack/latest/user_data", "#cloud-config\n"),
        ("openstack/latest/meta_data.json", "{}"),
    ];
    let files: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let (result, _) = flashed(
        ready(image.path(), None, LARGER),
        &device,
        Some(&files),
        &GO_ON,
    );
    result.unwrap();
    let volume = fat::read(device.file.as_file(), MIB, ESP_SIZE).unwrap();
    for (path, bytes) in &files {
        assert_eq!(&volume.files[&format!("cidata/{path}")], bytes);
    }
    assert_eq!(volume.files["EFI/Linux/node_1.efi"].len(), 3 * MIB as usize);
    // The image with that seed is not seeded twice.
    let seeded = content(device.file.path());
    let again = NamedTempFile::new().unwrap();
    std::fs::write(again.path(), seeded).unwrap();
    let other = Faulty::new(LARGER);
    let (result, _) = flashed(
        ready(again.path(), None, LARGER),
        &other,
        Some(&files),
        &GO_ON,
    );
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains("has a seed already"), "{error}");
    is_dead(&other);
    // It is a sound file system afterwards.
    let mut esp = vec![0; ESP_SIZE as usize];
    let mut file = File::open(device.file.path()).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(MIB)).unwrap();
    file.read_exact(&mut esp).unwrap();
    let volume = NamedTempFile::new().unwrap();
    std::fs::write(volume.path(), esp).unwrap();
    if let Some(told) = judge::run(Command::new("fsck.fat").arg("-n").arg(volume.path())) {
        assert!(
            told.status.success(),
            "{}",
            String::from_utf8_lossy(&told.stdout)
        );
    }
}

#[test]
fn what_is_no_disk_is_refused_by_what_it_is() {
    let mut pseudo = vec![0; 4 << 20];
    pseudo[..4].copy_from_slice(b"hsqs");
    let tar = [vec![b'x'; 257], b"ustar".to_vec(), vec![0; 700]].concat();
    for (bytes, want) in [
        (vec![], "is empty"),
        (vec![0x1f, 0x8b, 8, 0], "gzip -dc"),
        (b"\xfd7zXZ\0rest".to_vec(), "xz -dc"),
        (pseudo, "is a SquashFS"),
        (tar, "tar archive"),
        (vec![0; 4 << 20], "not a disk that UEFI boots"),
    ] {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let source = Source::File(file.path().to_owned());
        let error = match Image::open(&source) {
            Err(error) => error,
            Ok(image) => {
                let mut head = Buffer::new(CHUNK);
                let count = image.stream().unwrap().fill(&mut head).unwrap();
                table(&head[..count]).err().unwrap()
            }
        };
        let error = format!("{error:#}");
        assert!(error.contains(want), "{want}: {error}");
    }
}
