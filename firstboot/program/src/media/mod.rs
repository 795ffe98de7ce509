//! Volumes of this machine that may hold a seed: disks, partitions, optical drives.
//!
//! # Invariants
//! - Looking changes nothing: devices are opened for reading, and volumes are mounted
//!   where nothing else can see them.
//! - The list is sorted by name, so that one machine gives one answer.
mod counted;
mod device_path;
mod devices;
mod efi;
pub(crate) mod identity;
mod mount;
mod settle;

use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::Path;

use nodeimg_seed::volume::{self, FileSystem, Kind, Volume};

pub(crate) use counted::{Entry, counted};
pub(crate) use device_path::{DevicePath, Fit};
pub(crate) use devices::{Device, System};
pub(crate) use efi::{
    boot_partition, boot_path, leave_failure, loader_partition, loaders_partition, take_failure,
};
pub(crate) use mount::{open, open_writable};
pub(crate) use settle::{Patience, is_named, wait_for_udev};

/// A device and what was found on it.
pub(crate) struct Medium {
    pub(crate) device: Device,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    Volume(Volume),
    /// Unknown content.
    Unknown,
    /// An empty drive.
    Empty,
    Unreadable(io::Error),
}

impl Medium {
    /// The file system, if it is one that a seed can be on.
    pub(crate) fn file_system(&self) -> Option<FileSystem> {
        match &self.content {
            Content::Volume(Volume {
                kind: Kind::Seed(kind),
                ..
            }) => Some(*kind),
            _ => None,
        }
    }

    pub(crate) fn labels(&self) -> &[String] {
        match &self.content {
            Content::Volume(volume) => &volume.labels,
            _ => &[],
        }
    }

    /// "/dev/sr0: iso9660, label `cidata`"
    pub(crate) fn shown(&self) -> String {
        let path = self.device.path.display();
        match &self.content {
            Content::Volume(volume) => format!("{path}: {volume}"),
            Content::Unknown => format!("{path}: unknown content"),
            Content::Empty => format!("{path}: no medium inserted"),
            Content::Unreadable(error) => format!("{path}: cannot be read: {error}"),
        }
    }
}

/// Everything that is attached now. A partition that repeats its whole disk, as in a
/// hybrid image, is left out: it is the same volume.
pub(crate) fn look(system: &System) -> Vec<Medium> {
    let mut media: Vec<Medium> = Vec::new();
    for device in system.devices() {
        let content = content(&device);
        let repeats = |other: &Medium| {
            device.disk.as_ref() == Some(&other.device.name)
                && matches!((&other.content, &content), (Content::Volume(whole), Content::Volume(part)) if whole == part)
        };
        if !media.iter().any(repeats) {
            media.push(Medium { device, content });
        }
    }
    media
}

/// The device that a path names.
pub(crate) fn at(system: &System, path: &Path) -> io::Result<Medium> {
    let number = std::fs::metadata(path)?.st_rdev();
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let listed = std::fs::canonicalize(system.sys.join(format!("dev/block/{major}:{minor}")))?;
    let name = listed.file_name().and_then(|name| name.to_str());
    let device = name.and_then(|name| system.device(name));
    let mut device = device.ok_or_else(|| io::Error::other("is not a device of this machine"))?;
    device.path = path.to_owned();
    let content = content(&device);
    Ok(Medium { device, content })
}

fn content(device: &Device) -> Content {
    let found = device
        .reader()
        .and_then(|mut reader| volume::identify(&mut reader));
    match found {
        Ok(Some(volume)) => Content::Volume(volume),
        Ok(None) if device.size == 0 => Content::Empty,
        Ok(None) => Content::Unknown,
        Err(error) if is_no_medium(&error) => Content::Empty,
        Err(error) => Content::Unreadable(error),
    }
}

fn is_no_medium(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::ENOMEDIUM)
}
