//! Volumes made by the tools that people make them with.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Image;
use nodeimg_seed::volume::{ReadAt, identify};
use nodeimg_test_support::judge;
use nodeimg_test_support::seeds::{META_DATA, user_data};

struct Device(File);

impl ReadAt for Device {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }
}

/// Runs a tool; `None`, with a message, if it is not installed.
fn tool(name: &str, arguments: &[&str]) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(name)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .args(arguments)
        .output();
    match output {
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} {arguments:?}: {error}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            judge::missing(name);
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// The kind and the label; the UUID must be blkid's.
fn identified(path: &Path) -> String {
    let mut device = Device(File::open(path).unwrap());
    let found = identify(&mut device).unwrap().unwrap();
    let text = path.to_str().unwrap();
    if let Some(uuid) = tool("blkid", &["-p", "-o", "value", "-s", "UUID", text]) {
        assert_eq!(found.uuid.as_deref(), Some(uuid.trim()), "{text}: {found}");
    }
    found.to_string()
}

fn empty(directory: &Path, size: u64) -> PathBuf {
    let path = directory.join("volume");
    let _old = fs::remove_file(&path);
    File::create(&path).unwrap().set_len(size).unwrap();
    path
}

#[test]
fn labels_as_the_makers_set_them() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (bits, size, label) in [
        ("12", 1 << 20, "CIDATA"),
        ("12", 1 << 20, "cidata"),
        ("16", 16 << 20, "config-2"),
        ("32", 64 << 20, "cidata"),
    ] {
        let path = empty(place, size);
        if tool("mkfs.vfat", &["-F", bits, "-n", label, &text(&path)]).is_some() {
            assert_eq!(identified(&path), format!("vfat, label `{label}`"));
        }
    }
    for kind in ["ext2", "ext3", "ext4"] {
        let path = empty(place, 8 << 20);
        if tool("mke2fs", &["-q", "-t", kind, "-L", "cidata", &text(&path)]).is_some() {
            assert_eq!(identified(&path), "ext4, label `cidata`");
        }
    }
    let seed = place.join("seed");
    fs::create_dir(&seed).unwrap();
    fs::write(seed.join("meta-data"), META_DATA).unwrap();
    for joliet in ["on", "off"] {
        let path = place.join(format!("{joliet}.iso"));
        let arguments = [
            "-outdev",
            &text(&path),
            "-volid",
            "config-2",
            "-joliet",
            joliet,
            "-map",
            &text(&seed),
            "/",
        ];
        if tool("xorriso", &arguments).is_some() {
            assert_eq!(identified(&path), "iso9660, label `config-2`");
        }
    }
}

/// A loop device that is let go in the end.
struct Loop(String);

impl Loop {
    fn attach(image: &Path) -> Option<Self> {
        if !judge::is_root() {
            judge::missing("root, for a loop device");
            return None;
        }
        let device = tool("losetup", &["--find", "--show", image.to_str().unwrap()])?;
        Some(Self(device.trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _detached = tool("losetup", &["--detach", &self.0]);
    }
}

/// Whether the kernel of this machine can mount it, if need be after loading a module.
fn kernel_has(kind: &str) -> bool {
    let _loaded = Command::new("/sbin/modprobe").args(["-q", kind]).status();
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has = known.split_whitespace().any(|name| name == kind);
    if !has {
        eprintln!("skipped: the kernel has no {kind}");
    }
    has
}

/// A seed on a file system of this kind, as an image.
fn seed_image(kind: &str, place: &Path) -> Option<PathBuf> {
    let seed = place.join("seed");
    fs::create_dir(&seed).unwrap();
    fs::write(seed.join("meta-data"), META_DATA).unwrap();
    fs::write(seed.join("user-data"), user_data()).unwrap();
    let seed = seed.to_str().unwrap();
    let path = place.join("image");
    let image = path.to_str().unwrap();
    match kind {
        "iso9660" => tool(
            "xorriso",
            &[
                "-outdev",
                image,
                "-volid",
                "cidata",
                "-rockridge",
                "on",
                "-map",
                seed,
                "/",
            ],
        ),
        "vfat" => {
            File::create(&path).unwrap().set_len(2 << 20).unwrap();
            tool("mkfs.vfat", &["-n", "CIDATA", image])?;
            tool(
                "mcopy",
                &[
                    "-s",
                    "-i",
                    image,
                    &format!("{seed}/meta-data"),
                    &format!("{seed}/user-data"),
                    "::",
                ],
            )
        }
        _ => {
            File::create(&path).unwrap().set_len(8 << 20).unwrap();
            tool(
                "mke2fs",
                &[
                    "-q", "-t", kind, "-e", "panic", "-L", "cidata", "-d", seed, image,
                ],
            )
        }
    }?;
    Some(path)
}

#[test]
fn a_seed_on_a_device() {
    for kind in ["ext2", "ext4", "vfat", "iso9660"] {
        let place = tempfile::tempdir().unwrap();
        let driver = if kind == "ext2" { "ext4" } else { kind };
        let Some(path) = seed_image(kind, place.path()) else {
            continue;
        };
        if !judge::is_root() || !kernel_has(driver) {
            continue;
        }
        let Some(device) = Loop::attach(&path) else {
            continue;
        };
        let before = fs::read(&path).unwrap();
        let image = Image::new();
        let ran = image.run(&["--seed", &device.0]);
        assert_eq!(ran.code, 0, "{kind}: {}", ran.err);
        assert!(
            ran.out.contains(&format!("NoCloud in {}", device.0)),
            "{}",
            ran.out
        );
        assert_eq!(image.text("etc/hostname"), "node-0\n");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&device.0), "{mounts}");
        assert!(
            fs::read(&path).unwrap() == before,
            "{kind}: the volume was written to"
        );
        // Damaged behind its superblock, it at worst fails.
        let mut file = before;
        file[2048..].fill(0xff);
        drop(device);
        fs::write(&path, file).unwrap();
        let Some(device) = Loop::attach(&path) else {
            continue;
        };
        let image = Image::new();
        let ran = image.run(&["--seed", &device.0]);
        assert_eq!(ran.code, 1, "{kind}: {}", ran.out);
        assert!(ran.err.contains(&device.0), "{}", ran.err);
    }
}

#[test]
fn a_device_without_a_seed() {
    let place = tempfile::tempdir().unwrap();
    let path = empty(place.path(), 8 << 20);
    if !judge::is_root() {
        return judge::missing("root, for a loop device");
    }
    let Some(device) = Loop::attach(&path) else {
        return;
    };
    let image = Image::new();
    let ran = image.run(&["--seed", &device.0]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.reason().contains("holds no vfat, iso9660 or ext4"),
        "{}",
        ran.err
    );
    // By way of the device, which may have in memory what it was.
    let Some(_) = tool("mke2fs", &["-q", "-F", "-t", "ext4", &device.0]) else {
        return;
    };
    let ran = image.run(&["--seed", &device.0]);
    assert!(
        ran.reason().contains("holds neither `meta-data`"),
        "{}",
        ran.err
    );
    let ran = image.run(&["--seed", path.to_str().unwrap()]);
    assert!(
        ran.reason().contains("is a file; give the directory"),
        "{}",
        ran.err
    );
}
