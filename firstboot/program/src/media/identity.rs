//! What identifies a medium and this machine, for comparison with what the stamp of a node
//! that is set up says of them. Read from sysfs alone: nothing is mounted for it.
use std::fs;
use std::path::Path;

use nodeimg_seed::contract::stamp::MediumId;

use super::{Content, Medium, System};

/// World-wide names: NVMe, SCSI and ATA, cards.
const WWIDS: [&str; 3] = ["wwid", "device/wwid", "device/cid"];
/// Serial numbers: virtio; NVMe and cards.
const SERIALS: [&str; 2] = ["serial", "device/serial"];
/// The page of a SCSI device that has its serial number, behind four bytes.
const SERIAL_PAGE: &str = "device/vpd_pg80";

/// In this order: SMBIOS, device trees of virtual machines and of boards, Xen.
const MACHINES: [&str; 4] = [
    "class/dmi/id/product_uuid",
    "firmware/devicetree/base/vm,uuid",
    "firmware/devicetree/base/serial-number",
    "hypervisor/uuid",
];

/// Numbers that drivers give in the order in which they find things.
const ENUMERATED: [&str; 6] = ["virtio", "host", "target", "usb", "nvme", "mmc"];

/// The identifier of this machine, in lowercase; `None` if the firmware has none.
pub(crate) fn machine(system: &System) -> Option<String> {
    let found = MACHINES
        .iter()
        .find_map(|file| told(&system.sys.join(file)));
    found.map(|text| text.to_ascii_lowercase())
}

/// What identifies a medium.
pub(crate) fn medium(system: &System, medium: &Medium) -> MediumId {
    let device = &medium.device;
    let disk = device.disk.as_deref().unwrap_or(&device.name);
    let directory = system.sys.join("class/block").join(disk);
    let first = |files: &[&str]| files.iter().find_map(|file| told(&directory.join(file)));
    MediumId {
        wwid: first(&WWIDS),
        serial: first(&SERIALS)
            .or_else(|| paged(&directory.join(SERIAL_PAGE)))
            .or_else(|| of_usb(&directory)),
        bus: bus(&system.sys, &directory),
        partition: device.partition,
        uuid: match &medium.content {
            Content::Volume(volume) => volume.uuid.clone(),
            _ => None,
        },
    }
}

/// The text of a file; `None` for what identifies nothing.
fn told(path: &Path) -> Option<String> {
    plain(&fs::read(path).ok()?)
}

fn paged(path: &Path) -> Option<String> {
    plain(fs::read(path).ok()?.get(4..)?)
}

/// Without padding. Zeros alone, or ones, stand for an identifier that was never set.
fn plain(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let unset = |digit: char| {
        text.chars()
            .all(|c| c.eq_ignore_ascii_case(&digit) || matches!(c, '-' | ' ' | ':'))
    };
    let is_text = !text.chars().any(char::is_control);
    (is_text && !unset('0') && !unset('f')).then(|| text.to_owned())
}

/// The serial number of the USB device that a disk is: not of the hub above it.
fn of_usb(directory: &Path) -> Option<String> {
    let real = fs::canonicalize(directory).ok()?;
    let device = real
        .ancestors()
        .find(|place| place.join("idVendor").exists())?;
    told(&device.join("serial"))
}

/// Where a disk is attached: its path in sysfs without what a driver counts, since drivers
/// find things in another order at another boot.
fn bus(sys: &Path, directory: &Path) -> Option<String> {
    let real = fs::canonicalize(directory).ok()?;
    let devices = fs::canonicalize(sys).ok()?.join("devices");
    let inside = real.strip_prefix(&devices).ok()?;
    let mut place = devices;
    let mut parts = Vec::new();
    let name = inside.file_name()?.to_str()?;
    for part in inside.parent()?.iter() {
        place.push(part);
        parts.extend(kept(&place, part.to_str()?));
    }
    // A name space of NVMe; a device without hardware has nothing but its name.
    if name.starts_with("nvme") {
        parts.push(name.get(name.rfind('n')?..)?.to_owned());
    } else if parts.first().is_some_and(|part| part == "virtual") {
        parts.push(name.to_owned());
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn kept(place: &Path, part: &str) -> Option<String> {
    let counted = |kind: &str| {
        part.strip_prefix(kind)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if ENUMERATED.into_iter().any(counted) || matches!(part, "block" | "mmc_host") {
        return None;
    }
    // The port on its controller, in place of the port in the machine.
    if part.strip_prefix("ata").is_some_and(is_number) {
        let port = told(&place.join("ata_port").join(part).join("port_no"));
        return Some(port.map_or_else(|| part.to_owned(), |port| format!("ata{port}")));
    }
    // SCSI: host, channel, target, unit. USB: bus, ports.
    if let Some((host, rest)) = part.split_once(':')
        && is_number(host)
        && rest.split(':').count() == 3
        && rest.split(':').all(is_number)
    {
        return Some(rest.to_owned());
    }
    match part.split_once('-') {
        Some((bus, ports)) if is_number(bus) => Some(ports.to_owned()),
        _ => Some(part.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use nodeimg_seed::contract::stamp::MediumId;
    use nodeimg_seed::volume::{FileSystem, Kind, Volume};

    use super::{machine, medium};
    use crate::media::{Content, Medium, System};

    fn write(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Of the disk at a place of sysfs with these files beside it, or above it.
    fn identified(place: &str, files: &[(&str, &[u8])]) -> MediumId {
        let sys = tempfile::tempdir().unwrap();
        let directory = sys.path().join("devices").join(place);
        write(&directory.join("dev"), b"8:0\n");
        write(&directory.join("size"), b"100\n");
        for (file, bytes) in files {
            write(&directory.join(file), bytes);
        }
        let name = place.rsplit('/').next().unwrap();
        let links = sys.path().join("class/block");
        fs::create_dir_all(&links).unwrap();
        symlink(&directory, links.join(name)).unwrap();
        let system = System {
            sys: sys.path().to_owned(),
            ..System::default()
        };
        let content = Content::Volume(Volume {
            kind: Kind::Seed(FileSystem::Vfat),
            labels: Vec::new(),
            uuid: Some("1A2B-3C4D".to_owned()),
        });
        let device = system.device(name).unwrap();
        medium(&system, &Medium { device, content })
    }

    #[test]
    fn what_a_disk_says_of_itself() {
        let pci = "pci0000:00/0000:00:05.0";
        for (place, files, wwid, serial, bus) in [
            (
                format!("{pci}/virtio2/block/vdb"),
                vec![("serial", b"seed-1\n".as_slice())],
                None,
                Some("seed-1"),
                pci.to_owned(),
            ),
            // Without a serial number.
            (
                format!("{pci}/virtio7/block/vdc"),
                vec![("serial", b"\n".as_slice())],
                None,
                None,
                pci.to_owned(),
            ),
            (
                format!("{pci}/virtio1/host4/target4:0:1/4:0:1:2/block/sdb"),
                vec![
                    ("device/wwid", b"naa.6001405\n".as_slice()),
                    ("device/vpd_pg80", b"\0\x80\0\x04AB 1  ".as_slice()),
                ],
                Some("naa.6001405"),
                Some("AB 1"),
                format!("{pci}/0:1:2"),
            ),
            (
                format!("{pci}/ata3/host2/target2:0:0/2:0:0:0/block/sr0"),
                vec![("../../../../../ata_port/ata3/port_no", b"1\n".as_slice())],
                None,
                None,
                format!("{pci}/ata1/0:0:0"),
            ),
            (
                format!("{pci}/nvme/nvme0/nvme0n2"),
                vec![
                    ("wwid", b"eui.0025\n".as_slice()),
                    ("device/serial", b"00000\n".as_slice()),
                ],
                Some("eui.0025"),
                None,
                format!("{pci}/n2"),
            ),
            (
                format!("{pci}/usb2/2-1/2-1.4/2-1.4:1.0/host6/target6:0:0/6:0:0:0/block/sdc"),
                vec![
                    ("../../../../../../idVendor", b"0781\n".as_slice()),
                    ("../../../../../../serial", b"4C53\n".as_slice()),
                    ("../../../../../../../serial", b"of the hub\n".as_slice()),
                ],
                None,
                Some("4C53"),
                format!("{pci}/1/1.4/1.4:1.0/0:0:0"),
            ),
            (
                "vbd-51728/block/xvdb".to_owned(),
                Vec::new(),
                None,
                None,
                "vbd-51728".to_owned(),
            ),
            (
                "virtual/block/loop3".to_owned(),
                Vec::new(),
                None,
                None,
                "virtual/loop3".to_owned(),
            ),
        ] {
            let found = identified(&place, &files);
            let told = (found.wwid.as_deref(), found.serial.as_deref());
            assert_eq!(told, (wwid, serial), "{place}");
            assert_eq!(found.bus, Some(bus), "{place}");
            assert_eq!(found.uuid.as_deref(), Some("1A2B-3C4D"));
        }
    }

    #[test]
    fn machines() {
        for (file, bytes, expected) in [
            (
                "class/dmi/id/product_uuid",
                b"4C4C4544-0042\n".as_slice(),
                Some("4c4c4544-0042"),
            ),
            (
                "class/dmi/id/product_uuid",
                b"00000000-0000-0000-0000-000000000000\n",
                None,
            ),
            (
                "class/dmi/id/product_uuid",
                b"FFFFFFFF-ffff-FFFF-FFFF-FFFFFFFFFFFF\n",
                None,
            ),
            (
                "firmware/devicetree/base/serial-number",
                b"10000000A1\0",
                Some("10000000a1"),
            ),
            ("none", b"", None),
        ] {
            let sys = tempfile::tempdir().unwrap();
            write(&sys.path().join(file), bytes);
            let system = System {
                sys: sys.path().to_owned(),
                ..System::default()
            };
            assert_eq!(machine(&system).as_deref(), expected, "{file}");
        }
    }
}
