//! The EFI System Partition that this machine booted from.
//!
//! Only that one: a USB stick left in the machine may have one as well.
use std::fs;
use std::os::linux::fs::MetadataExt;

use nodeimg_seed::volume::FileSystem;

use super::{Medium, System};

/// Set by systemd-boot and by systemd-stub
/// (<https://systemd.io/BOOT_LOADER_INTERFACE/>).
const LOADER_PARTITION: &str =
    "firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The partition, if there is one and it can be identified. Copies of an image have the same
/// GUIDs, so the loader's word alone does not tell which of two disks it means: if the disk
/// of the root is known, it is on that one.
pub(crate) fn boot_partition<'a>(system: &System, media: &'a [Medium]) -> Option<&'a Medium> {
    let loader = loader_partition(system);
    let disk = root_disk(system);
    let mut partitions = media
        .iter()
        .filter(|medium| medium.file_system() == Some(FileSystem::Vfat));
    partitions.find(|medium| {
        let Ok(Some(entry)) = system.partition_entry(&medium.device) else {
            return false;
        };
        let beside_root = disk == medium.device.disk;
        entry.is_esp
            && match &loader {
                Some(guid) => *guid == entry.guid && (disk.is_none() || beside_root),
                None => disk.is_some() && beside_root,
            }
    })
}

/// UTF-16 after four bytes of attributes.
fn loader_partition(system: &System) -> Option<String> {
    let bytes = fs::read(system.sys.join(LOADER_PARTITION)).ok()?;
    let units = bytes
        .get(4..)?
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0);
    let text: String = char::decode_utf16(units).filter_map(Result::ok).collect();
    Some(text.to_ascii_lowercase())
}

/// The disk below `/`, also below dm-verity and the like.
fn root_disk(system: &System) -> Option<String> {
    let device = fs::metadata("/").ok()?.st_dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let mut directory = system.sys.join(format!("dev/block/{major}:{minor}"));
    for _ in 0..8 {
        let below = fs::read_dir(directory.join("slaves"))
            .ok()
            .and_then(|mut slaves| slaves.find_map(Result::ok));
        match below {
            Some(slave) => directory = slave.path(),
            None => break,
        }
    }
    let real = fs::canonicalize(&directory).ok()?;
    let name = real.file_name()?.to_str()?;
    let device = system.device(name)?;
    Some(device.disk.unwrap_or(device.name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;

    use super::{LOADER_PARTITION, loader_partition};
    use crate::media::System;

    #[test]
    fn the_loaders_variable() {
        let sys = tempfile::tempdir().unwrap();
        let system = System {
            sys: sys.path().to_owned(),
            ..System::default()
        };
        assert_eq!(loader_partition(&system), None);
        let path = sys.path().join(LOADER_PARTITION);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = vec![6, 0, 0, 0];
        for unit in "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\0".encode_utf16() {
            bytes.extend(unit.to_le_bytes());
        }
        fs::write(&path, &bytes).unwrap();
        assert_eq!(
            loader_partition(&system).as_deref(),
            Some("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
        );
        fs::write(&path, [6, 0, 0]).unwrap();
        assert_eq!(loader_partition(&system), None);
    }
}
