//! The EFI System Partition that this machine booted from.
//!
//! Only that one: a USB stick left in the machine may have one as well.
use std::fs;
use std::os::linux::fs::MetadataExt;

use nodeimg_seed::volume::FileSystem;

use super::{DevicePath, Medium, System};

const VARIABLES: &str = "firmware/efi/efivars";
/// Set by systemd-boot and by systemd-stub
/// (<https://systemd.io/BOOT_LOADER_INTERFACE/>).
const LOADER_PARTITION: &str = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Of the firmware's own variables
/// ([UEFI 2.10, 3.3](https://uefi.org/specs/UEFI/2.10/03_Boot_Manager.html#globally-defined-variables)).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The partition, if there is one and it can be identified: that of the root's own disk.
/// The loader's variable counts only if that disk has none: at the first boot it still
/// names the image's GUID, which the disk no longer has and any copy of the image does.
pub(crate) fn boot_partition<'a>(system: &System, media: &'a [Medium]) -> Option<&'a Medium> {
    let esps = media.iter().filter_map(|medium| {
        let is_vfat = medium.file_system() == Some(FileSystem::Vfat);
        let entry = system.partition_entry(&medium.device).ok()??;
        (is_vfat && entry.is_esp).then_some((medium, entry.guid))
    });
    let esps: Vec<_> = esps.collect();
    let disk = root_disk(system);
    let of_root = |medium: &Medium| disk.is_some() && disk == medium.device.disk;
    if let Some((medium, _)) = esps.iter().find(|(medium, _)| of_root(medium)) {
        return Some(medium);
    }
    let loader = loader_partition(system)?;
    let mut named = esps.iter().filter(|(_, guid)| *guid == loader);
    match (named.next(), named.next()) {
        (Some((medium, _)), None) => Some(medium),
        _ => None,
    }
}

/// The partition that the loader was started from, where the entries are that it counts.
/// That of [`boot_partition`], unless the loader names another one by a GUID of its own
/// (version 4), which no copy of an image has.
pub(crate) fn loaders_partition<'a>(system: &System, media: &'a [Medium]) -> Option<&'a Medium> {
    let named = loader_partition(system).filter(|guid| guid.as_bytes().get(14) == Some(&b'4'));
    let mut found = media.iter().filter(|medium| {
        let entry = system.partition_entry(&medium.device).ok().flatten();
        let is_named = |guid: &String| named.as_ref() == Some(guid);
        medium.file_system() == Some(FileSystem::Vfat)
            && entry.is_some_and(|entry| entry.is_esp && is_named(&entry.guid))
    });
    match (found.next(), found.next()) {
        (Some(medium), None) => Some(medium),
        _ => boot_partition(system, media),
    }
}

/// The GUID of the partition that the loader came from, in lowercase letters.
pub(crate) fn loader_partition(system: &System) -> Option<String> {
    Some(text_variable(system, LOADER_PARTITION)?.to_ascii_lowercase())
}

/// A variable of UTF-16 text.
pub(super) fn text_variable(system: &System, name: &str) -> Option<String> {
    let bytes = variable(system, name)?;
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0);
    Some(char::decode_utf16(units).filter_map(Result::ok).collect())
}

/// Where the firmware booted from, if it says so with a whole path to a disk.
///
/// ```text
/// BootCurrent   number u16
/// Boot####      attributes u32, length of the paths u16, title in UTF-16 with a zero, paths
/// ```
pub(crate) fn boot_path(system: &System) -> Option<DevicePath> {
    let current = variable(system, &format!("BootCurrent-{GLOBAL}"))?;
    let number = u16::from_le_bytes(current.get(..2)?.try_into().ok()?);
    let option = variable(system, &format!("Boot{number:04X}-{GLOBAL}"))?;
    let length = usize::from(u16::from_le_bytes(option.get(4..6)?.try_into().ok()?));
    let rest = option.get(6..)?;
    let title = rest.chunks_exact(2).position(|unit| unit == [0, 0])?;
    let start = 2 * (title + 1);
    DevicePath::parse(rest.get(start..start + length)?)
}

/// What the initrd of a failed boot says to the next boot, and to nobody else.
const FAILURE: &str = "NodeimgBootFailure-6f1c2f0e-52b7-4a3d-9a51-0c1d8a7e4b93";
/// Kept without power, for firmware and kernel
/// ([UEFI 2.10, 8.2](https://uefi.org/specs/UEFI/2.10/08_Services_Runtime_Services.html#getvariable)).
const KEPT: [u8; 4] = [7, 0, 0, 0];
/// Bytes: firmware has little room.
const MAX_FAILURE: usize = 512;

/// Leaves word of a failure: the entry that was booted, and why. Best effort: some
/// machines keep no variables.
pub(crate) fn leave_failure(system: &System, stem: &str, why: &str) {
    let _gone = take_failure(system);
    let mut text = format!("{stem}\n{why}");
    while text.len() > MAX_FAILURE {
        text.pop();
    }
    let path = system.sys.join(VARIABLES).join(FAILURE);
    let _best_effort = fs::write(path, [&KEPT, text.as_bytes()].concat());
}

/// The entry that failed, and why; it is told once.
pub(crate) fn take_failure(system: &System) -> Option<(String, String)> {
    let bytes = variable(system, FAILURE)?;
    let path = system.sys.join(VARIABLES).join(FAILURE);
    // The kernel protects variables that it does not know.
    if let Ok(file) = fs::File::open(&path) {
        let flags = rustix::fs::IFlags::empty();
        let _best_effort = rustix::fs::ioctl_setflags(&file, flags);
    }
    let _best_effort = fs::remove_file(path);
    let text = String::from_utf8_lossy(&bytes);
    let (stem, why) = text.split_once('\n')?;
    Some((stem.to_owned(), why.to_owned()))
}

/// A variable's value, behind four bytes of attributes.
fn variable(system: &System, name: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(system.sys.join(VARIABLES).join(name)).ok()?;
    Some(bytes.get(4..)?.to_vec())
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

    use super::{
        GLOBAL, LOADER_PARTITION, MAX_FAILURE, VARIABLES, boot_path, leave_failure,
        loader_partition, take_failure,
    };
    use crate::media::System;

    #[test]
    fn the_loaders_variable() {
        let sys = tempfile::tempdir().unwrap();
        let system = System {
            sys: sys.path().to_owned(),
            ..System::default()
        };
        assert_eq!(loader_partition(&system), None);
        let path = sys.path().join(VARIABLES).join(LOADER_PARTITION);
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

    #[test]
    fn a_failure_is_told_once() {
        let sys = tempfile::tempdir().unwrap();
        let system = System {
            sys: sys.path().to_owned(),
            ..System::default()
        };
        leave_failure(&system, "n_2", "without variables");
        assert_eq!(take_failure(&system), None);
        fs::create_dir_all(sys.path().join(VARIABLES)).unwrap();
        leave_failure(&system, "n_1", "the first");
        leave_failure(&system, "n_2", &format!("é{}", "é".repeat(MAX_FAILURE)));
        let (stem, why) = take_failure(&system).unwrap();
        assert_eq!(stem, "n_2");
        assert!(why.starts_with("éé") && why.len() <= MAX_FAILURE, "{why}");
        assert_eq!(take_failure(&system), None);
    }

    #[test]
    fn where_the_firmware_booted_from() {
        let sys = tempfile::tempdir().unwrap();
        let system = System {
            sys: sys.path().to_owned(),
            ..System::default()
        };
        assert_eq!(boot_path(&system), None);
        let variables = sys.path().join(VARIABLES);
        fs::create_dir_all(&variables).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let attributes: &[u8] = &[6, 0, 0, 0];
            let bytes = [attributes, bytes].concat();
            fs::write(variables.join(format!("{name}-{GLOBAL}")), bytes).unwrap();
        };
        write("BootCurrent", &[0x1a, 0]);
        assert_eq!(boot_path(&system), None);
        // "UEFI Misc Device": PciRoot(0x0)/Pci(0x2,0x0).
        let path: &[u8] =
            b"\x02\x01\x0c\0\xd0\x41\x03\x0a\0\0\0\0\x01\x01\x06\0\0\x02\x7f\xff\x04\0";
        let title: Vec<u8> = "UEFI Misc Device\0"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let option = [&[1, 0, 0, 0, 22, 0], &*title, path, b"option"].concat();
        write("Boot001A", &option);
        assert!(boot_path(&system).is_some());
        for length in 0..option.len() - 7 {
            write("Boot001A", &option[..length]);
            assert_eq!(boot_path(&system), None, "{length} bytes");
        }
    }
}
