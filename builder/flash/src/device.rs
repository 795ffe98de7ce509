//! What the kernel says of a block device: size, model, partitions, and who uses it.
//!
//! ```text
//! /sys/dev/block/8:16           the device that a path names
//! /sys/block/sdb/sdb1/holders   what is made of it: LVM, dm-crypt, md, bcache, one on the other
//! /proc/*/mountinfo             what of that is mounted, in every mount namespace that can be seen
//! /proc/swaps                   what is swap
//! ```
//!
//! # Invariants
//! Nothing here opens a device.

mod usage;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::stat::{major, minor};
use nodeimg_seed::text::problem::printable;
use nodeimg_values::size::size;
use serde_json::{Value, json};

pub use usage::{Usage, openers};

/// What sysfs counts in, whatever the device's sectors are.
const SYSFS_SECTOR: u64 = 512;

/// Where the kernel tells: tests have files of their own.
#[derive(Clone, Debug)]
pub struct Here {
    pub sys: PathBuf,
    pub proc: PathBuf,
}

impl Default for Here {
    fn default() -> Here {
        Here {
            sys: PathBuf::from("/sys"),
            proc: PathBuf::from("/proc"),
        }
    }
}

/// A whole device.
#[derive(Clone, Debug)]
pub struct Device {
    /// The kernel's: `sdb`.
    pub name: String,
    /// `8:16`
    pub number: String,
    /// In bytes.
    pub size: u64,
    /// Of a sector as its users see it, in bytes.
    pub sector: u64,
    pub model: Option<String>,
    pub serial: Option<String>,
    /// What it is connected by: `usb`, `nvme`.
    pub bus: Option<&'static str>,
    pub removable: bool,
    pub read_only: bool,
    /// Why it is not a disk, though it is a whole device: `a logical volume of LVM`.
    pub other: Option<String>,
    pub partitions: Vec<Part>,
    /// Who uses it, or a part of it.
    pub usage: Vec<Usage>,
}

/// A partition, as the kernel has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub name: String,
    pub number: String,
    /// In bytes.
    pub start: u64,
    /// In bytes.
    pub size: u64,
}

impl Device {
    /// The whole device at `path`.
    ///
    /// # Errors
    /// It is something else: a file, a partition, a device that is not a disk.
    pub fn at(here: &Here, path: &Path) -> Result<Device> {
        let shown = path.display();
        let meta = fs::metadata(path).with_context(|| format!("looking for the device {shown}"))?;
        let kind = meta.file_type();
        if !kind.is_block_device() {
            let what = match () {
                () if kind.is_file() => "a regular file",
                () if kind.is_dir() => "a directory",
                () if kind.is_char_device() => "a character device",
                () if kind.is_fifo() => "a named pipe",
                () => "a socket",
            };
            bail!(
                "{shown} is {what}, not a disk: name a whole block device (`nodeimg flash --list` \
                 shows them)"
            );
        }
        let number = format!("{}:{}", major(meta.rdev()), minor(meta.rdev()));
        let link = here.sys.join("dev/block").join(&number);
        let directory = fs::canonicalize(&link).with_context(|| {
            format!("{shown} is block device {number}, but the kernel has no such device")
        })?;
        let name = name_of(&directory);
        if directory.join("partition").exists() {
            let whole = directory.parent().map(name_of).unwrap_or_default();
            bail!(
                "{shown} is a partition of /dev/{whole}: an image is a whole disk with partitions \
                 of its own, so name the device (`nodeimg flash --list` shows them)"
            );
        }
        Device::of(here, &name)
    }

    /// Whether both are the same disk, as far as disks tell.
    pub fn is(&self, other: &Device) -> bool {
        let told = |it: &Device| {
            (
                it.number.clone(),
                it.size,
                it.model.clone(),
                it.serial.clone(),
            )
        };
        told(self) == told(other)
    }

    /// A whole device, by the kernel's name for it.
    pub fn of(here: &Here, name: &str) -> Result<Device> {
        let directory = here.sys.join("block").join(name);
        let number = text(&directory.join("dev"))
            .with_context(|| format!("/dev/{name} has vanished: the kernel does not know it"))?;
        let flag = |file: &str| text(&directory.join(file)).as_deref() == Some("1");
        let partitions = partitions(&directory)?;
        let mut device = Device {
            name: name.to_owned(),
            number,
            size: number_in(&directory.join("size")).saturating_mul(SYSFS_SECTOR),
            sector: number_in(&directory.join("queue/logical_block_size")).max(SYSFS_SECTOR),
            model: first(&directory, &["device/model", "device/name"]),
            serial: first(&directory, &["device/serial", "serial"]).or_else(|| page_80(&directory)),
            bus: bus(&directory),
            removable: flag("removable"),
            read_only: flag("ro"),
            other: other(&directory, name),
            partitions,
            usage: Vec::new(),
        };
        if let Some(file) = text(&directory.join("loop/backing_file")) {
            device.model = Some(format!("loop device of {file}"));
        }
        device.usage = usage::of(here, &device)?;
        Ok(device)
    }

    pub fn path(&self) -> PathBuf {
        path_of(&self.name)
    }

    /// `/dev/sdb: 28.9 GiB, SanDisk Ultra, serial 4C530001, usb, removable`.
    pub fn described(&self) -> String {
        let mut said = vec![size(self.size)];
        said.extend(self.model.clone());
        said.extend(
            self.serial
                .as_ref()
                .map(|serial| format!("serial {serial}")),
        );
        said.extend(self.bus.map(str::to_owned));
        if self.removable {
            said.push("removable".to_owned());
        }
        format!("{}: {}", self.path().display(), said.join(", "))
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let partitions = self.partitions.iter();
        let partitions: Vec<Value> = partitions
            .map(
                |part| json!({"path": path_of(&part.name), "start": part.start, "size": part.size}),
            )
            .collect();
        json!({
            "path": self.path(), "size": self.size, "sector": self.sector, "model": self.model,
            "serial": self.serial, "bus": self.bus, "removable": self.removable,
            "read_only": self.read_only, "partitions": partitions,
            "usage": self.usage.iter().map(Usage::json).collect::<Vec<_>>(),
        })
    }
}

/// Where udev and devtmpfs have a device of this name.
pub fn path_of(name: &str) -> PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

fn partitions(directory: &Path) -> Result<Vec<Part>> {
    let mut found = Vec::new();
    for name in names(directory) {
        let inside = directory.join(&name);
        if !inside.join("partition").exists() {
            continue;
        }
        found.push(Part {
            number: text(&inside.join("dev")).unwrap_or_default(),
            start: number_in(&inside.join("start")).saturating_mul(SYSFS_SECTOR),
            size: number_in(&inside.join("size")).saturating_mul(SYSFS_SECTOR),
            name,
        });
    }
    found.sort_by_key(|part| part.start);
    Ok(found)
}

/// What is made of other devices, or is not a disk.
fn other(directory: &Path, name: &str) -> Option<String> {
    if directory.join("md").exists() {
        return Some("a RAID array (md)".to_owned());
    }
    if name.starts_with("bcache") {
        return Some("a bcache device".to_owned());
    }
    if name.starts_with("sr") {
        return Some("a CD or DVD drive".to_owned());
    }
    let uuid = text(&directory.join("dm/uuid"))?;
    let kind = match uuid.split_once('-')?.0 {
        "LVM" => "a logical volume of LVM",
        "CRYPT" => "an encrypted volume (dm-crypt)",
        part if part.starts_with("part") => "a partition (device-mapper)",
        _ => return None,
    };
    Some(kind.to_owned())
}

/// What the device's place in sysfs goes through, nearest first.
fn bus(directory: &Path) -> Option<&'static str> {
    let place = fs::canonicalize(directory).ok()?;
    let parts: Vec<_> = place.iter().filter_map(|part| part.to_str()).collect();
    let has = |prefix: &str| parts.iter().any(|part| part.starts_with(prefix));
    match () {
        () if has("usb") => Some("usb"),
        () if has("mmc") => Some("mmc"),
        () if has("nvme") => Some("nvme"),
        () if has("ata") => Some("sata"),
        () if has("virtio") => Some("virtio"),
        () => None,
    }
}

/// The serial number that a SCSI disk gives: four bytes of a head, then text.
fn page_80(directory: &Path) -> Option<String> {
    let bytes = fs::read(directory.join("device/vpd_pg80")).ok()?;
    shown(&String::from_utf8_lossy(bytes.get(4..)?))
}

fn first(directory: &Path, files: &[&str]) -> Option<String> {
    files.iter().find_map(|file| text(&directory.join(file)))
}

/// A line that a file of sysfs holds; the hardware has chosen some of them.
pub(crate) fn text(file: &Path) -> Option<String> {
    shown(&String::from_utf8_lossy(&fs::read(file).ok()?))
}

fn shown(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| printable(text.to_owned()))
}

fn number_in(file: &Path) -> u64 {
    text(file).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn name_of(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What is in a directory, sorted; nothing if it is not there.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
