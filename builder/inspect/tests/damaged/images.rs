//! Small images of every kind, and which places of them are worth a change.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_formats::cpio::{self, Owner};
use nodeimg_formats::fat;
use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::pe::{self, NewSection};
use nodeimg_formats::qcow2;
use nodeimg_formats::region::Region;
use nodeimg_values::epoch::Epoch;

/// What is mutated.
pub struct Target {
    pub name: &'static str,
    pub path: PathBuf,
    /// Beginnings and ends.
    pub ranges: Vec<(u64, u64)>,
    /// Both tables of a GPT get their checksums again.
    pub sealed: bool,
}

fn program() -> Vec<u8> {
    let mut program = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| program[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &[0x80]);
    put(0x80, b"PE\0\0\x64\x86");
    put(0x94, &[0xf0]);
    put(0x98, &[0x0b, 0x02]);
    put(0x98 + 32, &0x1000_u32.to_le_bytes());
    put(0x98 + 36, &0x200_u32.to_le_bytes());
    put(0x98 + 60, &0x400_u32.to_le_bytes());
    put(0x98 + 108, &[16]);
    program
}

fn archive(names: &[&str]) -> Vec<u8> {
    let mut writer = cpio::Writer::new(Vec::new(), 0).unwrap();
    let owner = Owner {
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    for name in names {
        writer.file(name, owner, 4, &b"text"[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn uki() -> Vec<u8> {
    let mut initrd = archive(&["early", "kernel"]);
    initrd.extend(zstd::encode_all(archive(&["init", "a.ko"]).as_slice(), 1).unwrap());
    let line = b"root=/dev/x roothash=00 quiet".as_slice();
    let parts = [
        (".cmdline", line),
        (".uname", b"6.12"),
        (".initrd", &initrd),
    ];
    let parts = parts.map(|(name, bytes)| NewSection { name, bytes });
    pe::with_sections(&program(), &parts).unwrap()
}

/// With tables that are not compressed: what is changed there is read.
fn squashfs(place: &Path) -> Option<PathBuf> {
    let tree = place.join("tree");
    let files = [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        (
            "usr/lib/os-release",
            "IMAGE_ID=a\nIMAGE_VERSION=1\nID=debian\n",
        ),
        (
            "usr/lib/systemd/system/a.service",
            "[Service]\nExecStart=/bin/true\n",
        ),
        (
            "var/lib/dpkg/status",
            "Package: a\nStatus: install ok installed\nVersion: 1\n",
        ),
        ("a/b/c/d/e", "deep"),
    ];
    for (path, text) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("usr/lib", tree.join("lib")).unwrap();
    fs::write(tree.join("large"), vec![7; 300_000]).unwrap();
    let image = place.join("root.squashfs");
    let mut make = Command::new("mksquashfs");
    make.arg(&tree).arg(&image);
    make.args([
        "-noI",
        "-noX",
        "-noF",
        "-comp",
        "zstd",
        "-all-root",
        "-quiet",
        "-no-progress",
    ]);
    let made = make.output().ok()?;
    assert!(made.status.success(), "{made:?}");
    Some(image)
}

/// A disk with a GPT, an ESP with a UKI, and a root: where both are.
fn disk(place: &Path, root: &[u8]) -> (PathBuf, Extent, Extent) {
    let path = place.join("disk.raw");
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    let esp = Extent::first(fat::MIN_SIZE);
    let place = esp.then((root.len() as u64).next_multiple_of(4096));
    let uki = uki();
    let files = [
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/Linux/a.efi",
        "loader/loader.conf",
    ];
    let files = files.map(|path| fat::File {
        path: path.to_owned(),
        content: &uki,
    });
    let options = fat::Options {
        size: esp.size,
        label: "ESP",
        volume_id: 1,
        epoch: Epoch(1_700_000_000),
    };
    let mut region = BufWriter::new(Region::new(&file, esp.start));
    fat::write(&files, &options, &mut region).unwrap();
    region.flush().unwrap();
    drop(region);
    file.write_all_at(root, place.start).unwrap();
    let partition = |name: &'static str, guid: &str, place| Partition {
        kind: guid.parse().unwrap(),
        unique: Guid::new([name.len() as u8; 16]),
        name,
        flags: 0,
        place,
    };
    let partitions = [
        partition("esp", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", esp),
        partition("root", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", place),
    ];
    let end = gpt::disk_size(place);
    file.set_len(end).unwrap();
    gpt::write(&file, end, Guid::new([9; 16]), &partitions).unwrap();
    (path, esp, place)
}

/// `None` without mksquashfs.
pub fn targets(place: &Path) -> Option<Vec<Target>> {
    let root = squashfs(place)?;
    let bytes = fs::read(&root).unwrap();
    let tables = u64::from_le_bytes(bytes[64..72].try_into().unwrap());
    let (path, esp, at) = disk(place, &bytes);
    let packed = place.join("disk.qcow2");
    let mut image = File::create_new(&packed).unwrap();
    let length = qcow2::write(&File::open(&path).unwrap(), 0, &mut image).unwrap();
    let used = bytes.len() as u64;
    let whole = |name, path: &Path, ranges: &[(u64, u64)]| Target {
        name,
        path: path.to_owned(),
        ranges: ranges.to_vec(),
        sealed: false,
    };
    let mut boot = [0; 512];
    File::open(&path)
        .unwrap()
        .read_exact_at(&mut boot, esp.start)
        .unwrap();
    let chains = esp.start + u64::from(u16::from_le_bytes([boot[14], boot[15]])) * 512;
    let fat = u64::from(u32::from_le_bytes(boot[36..40].try_into().unwrap())) * 512;
    let data = chains + u64::from(boot[16]) * fat;
    Some(vec![
        Target {
            sealed: true,
            ..whole("entries of a GPT", &path, &[(1024, 1024 + 256)])
        },
        whole("GPT", &path, &[(512, 604), (1024, 1536)]),
        whole("FAT's first sector", &path, &[(esp.start, esp.start + 90)]),
        whole("FAT's chains", &path, &[(chains, chains + 256)]),
        whole("directories of the ESP", &path, &[(data, data + 4096)]),
        whole(
            "programs of the ESP",
            &path,
            &[(data + 2048, data + 12_288)],
        ),
        whole("SquashFS in a disk", &path, &[(at.start, at.start + 96)]),
        whole("SquashFS's first block", &root, &[(0, 96)]),
        whole("SquashFS's tables", &root, &[(tables, used)]),
        whole("SquashFS", &root, &[(0, used)]),
        whole("qcow2", &packed, &[(0, 104), (length - 4 * 65_536, length)]),
    ])
}
