//! Which disk an EFI device path means
//! ([UEFI 2.10, 10.3](https://uefi.org/specs/UEFI/2.10/10_Protocols_Device_Path_Protocol.html)),
//! told by the kernel's own path of the disk in `/sys/devices`.
//!
//! ```text
//! node           type u8, subtype u8, length u16 with these four bytes, data
//! firmware       ACPI root | PCI device | ... | SATA port, NVMe namespace, USB port ... | file
//! /sys/devices   pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda
//! ```
//! A device path has no bus numbers: it has device and function of every bridge down to
//! the controller, as the kernel has. What this module does not know leaves a
//! disk [`Fit::Unknown`]; it is never taken for another one.
use std::fs;
use std::path::{Path, PathBuf};

/// `PNP0A03` and `PNP0A08`, as EISA identifiers: roots of PCI buses.
const PCI_ROOTS: [u32; 2] = [0x0a03_41d0, 0x0a08_41d0];
/// More nodes than any path has.
const MAX_NODES: usize = 64;
/// A SATA port without a multiplier behind it.
const NO_MULTIPLIER: u16 = 0x8000;

/// What a device path has of a disk's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePath {
    /// `_UID` of the root of the PCI buses.
    root: u32,
    /// Device and function, from the root down.
    pci: Vec<(u8, u8)>,
    target: Target,
}

/// The disk behind its controller.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// The controller is the disk, as with virtio.
    Controller,
    /// A namespace.
    Nvme(u32),
    /// A port, counted from 0.
    Sata(u16),
    /// A channel, and whether it is the second disk there.
    Ata(u8, u8),
    /// Target and unit.
    Scsi(u16, u16),
    /// Ports, counted from 0, from the root's down.
    Usb(Vec<u8>),
    /// Flash memory, on a board or in a slot.
    Mmc,
}

/// How a disk fits a device path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is the disk.
    Same,
    /// It is at the same controller, whose disks this cannot tell apart.
    Near,
    /// The two cannot be compared.
    Unknown,
    /// It is another disk.
    Other,
}

impl DevicePath {
    /// `None` for a path that does not lead from a PCI root to a disk: one that begins at
    /// a partition, leads to a network, or has a maker's own nodes.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut root = None;
        let mut path = Self {
            root: 0,
            pci: Vec::new(),
            target: Target::Controller,
        };
        for _ in 0..MAX_NODES {
            let length = usize::from(u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?]));
            let (kind, subtype, data) = (bytes[0], bytes[1], bytes.get(4..length)?);
            bytes = bytes.get(length..)?;
            match (kind, subtype) {
                (2, 1) if root.is_none() => {
                    let [name, unit] = [long(data, 0)?, long(data, 4)?];
                    root = PCI_ROOTS.contains(&name).then_some(unit);
                    path.root = root?;
                }
                (1, 1) => path.pci.push((*data.get(1)?, *data.first()?)),
                (3, _) => path.target.add(subtype, data)?,
                // The end, a partition or a file: what is meant of the disk.
                (0x7f | 4, _) => return (root.is_some() && !path.pci.is_empty()).then_some(path),
                _ => return None,
            }
        }
        None
    }

    /// How the disk `name` fits, whose directory is `/sys/class/block/NAME` of `sys`.
    pub(crate) fn fit(&self, sys: &Path, name: &str) -> Fit {
        let Ok(real) = fs::canonicalize(sys.join("class/block").join(name)) else {
            return Fit::Unknown;
        };
        let number = namespace(&real);
        let ways = ways(sys, real);
        let fits = ways.iter().map(|way| self.fit_of(way, number));
        // A disk that one of its paths means is meant.
        fits.min_by_key(|fit| *fit as u8).unwrap_or(Fit::Unknown)
    }

    fn fit_of(&self, way: &Way, namespace: Option<u32>) -> Fit {
        if way.is_nested || way.pci.is_empty() {
            return Fit::Unknown;
        }
        if way.root.is_some_and(|root| root != self.root) || way.pci != self.pci {
            return Fit::Other;
        }
        let found = self.target.fit(way, namespace);
        match found {
            // The same place below one root of several, if the kernel has no number for it.
            Fit::Same if way.root.is_none() => Fit::Near,
            found => found,
        }
    }
}

impl Target {
    /// Takes one messaging node more; `None` if it means no disk that is known here.
    fn add(&mut self, subtype: u8, data: &[u8]) -> Option<()> {
        let added = match (subtype, &mut *self) {
            (1, Self::Controller) => Self::Ata(*data.first()?, *data.get(1)?),
            (2, Self::Controller) => Self::Scsi(short(data, 0)?, short(data, 2)?),
            (5, Self::Controller) => Self::Usb(vec![*data.first()?]),
            (5, Self::Usb(ports)) => {
                ports.push(*data.first()?);
                return Some(());
            }
            // A logical unit of a USB disk.
            (17, Self::Usb(_)) => return Some(()),
            (18, Self::Controller) if short(data, 2)? & NO_MULTIPLIER != 0 => {
                Self::Sata(short(data, 0)?)
            }
            (23, Self::Controller) => Self::Nvme(long(data, 0)?),
            (26 | 29, Self::Controller) => Self::Mmc,
            _ => return None,
        };
        *self = added;
        Some(())
    }

    /// Of a disk behind the same controller.
    fn fit(&self, way: &Way, namespace: Option<u32>) -> Fit {
        let same = |is_same: bool| if is_same { Fit::Same } else { Fit::Other };
        let is_virtio = way.below.first().is_some_and(|it| it.starts_with("virtio"));
        let has = |start: &str| way.below.iter().any(|part| part.starts_with(start));
        match self {
            Self::Controller if is_virtio && way.scsi.is_none() => Fit::Same,
            Self::Nvme(number) if has("nvme") => {
                namespace.map_or(Fit::Near, |it| same(it == *number))
            }
            Self::Sata(port) if has("ata") => way.port.map_or(Fit::Near, |it| same(it == *port)),
            Self::Ata(channel, second) if has("ata") => match (way.port, way.scsi) {
                (Some(port), Some((target, _))) => {
                    same(port == u16::from(*channel) && target == u16::from(*second))
                }
                _ => Fit::Near,
            },
            Self::Scsi(target, unit) if is_virtio => way
                .scsi
                .map_or(Fit::Other, |it| same(it == (*target, *unit))),
            // A controller of RAIDs has numbers of its own.
            Self::Scsi(..) if way.scsi.is_some() && !has("ata") && !has("usb") => Fit::Near,
            // Behind the root's ports, which the kernel counts by speed: each hub's port.
            Self::Usb(ports) if has("usb") => match (ports.get(1..), way.usb.get(1..)) {
                (Some(theirs), Some(ours)) if theirs == ours => Fit::Near,
                _ => Fit::Other,
            },
            Self::Mmc if has("mmc") => Fit::Near,
            // Some firmware names no more than the controller.
            Self::Controller => Fit::Near,
            _ => Fit::Other,
        }
    }
}

/// The kernel's path of a disk, from a root of PCI buses on.
#[derive(Debug, Default)]
struct Way {
    root: Option<u32>,
    pci: Vec<(u8, u8)>,
    /// Behind a controller that has PCI buses of its own (Intel's VMD).
    is_nested: bool,
    /// What follows the last PCI device.
    below: Vec<String>,
    /// Of ATA, counted from 0.
    port: Option<u16>,
    scsi: Option<(u16, u16)>,
    usb: Vec<u8>,
}

/// More than one for an NVMe namespace at several controllers.
fn ways(sys: &Path, disk: PathBuf) -> Vec<Way> {
    let is_shared = disk
        .components()
        .any(|part| part.as_os_str() == "nvme-subsystem");
    let (true, Some(subsystem)) = (is_shared, disk.parent()) else {
        return vec![Way::of(sys, &disk)];
    };
    let entries = fs::read_dir(subsystem).into_iter().flatten();
    let links = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let controllers = links.filter(|path| path.is_symlink() && path.join("address").exists());
    controllers
        .filter_map(|path| Some(Way::of(sys, &fs::canonicalize(path).ok()?)))
        .collect()
}

fn namespace(disk: &Path) -> Option<u32> {
    fs::read_to_string(disk.join("nsid"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

impl Way {
    fn of(sys: &Path, device: &Path) -> Self {
        let mut way = Self::default();
        let devices = fs::canonicalize(sys.join("devices")).unwrap_or_else(|_| sys.join("devices"));
        let Ok(parts) = device.strip_prefix(&devices) else {
            return way;
        };
        let mut place = devices;
        for part in parts.iter().filter_map(|part| part.to_str()) {
            place.push(part);
            if part.starts_with("pci") && part.contains(':') {
                way.is_nested |= !way.pci.is_empty();
                way.root = unit(&place);
            } else if let Some(function) = function(part) {
                way.pci.push(function);
                way.below.clear();
            } else {
                way.descend(&place, part);
            }
        }
        way
    }

    fn descend(&mut self, place: &Path, part: &str) {
        if part
            .strip_prefix("ata")
            .is_some_and(|it| it.parse::<u32>().is_ok())
        {
            let file = place.join("ata_port").join(part).join("port_no");
            let text = fs::read_to_string(file).unwrap_or_default();
            // The kernel counts from 1.
            self.port = text
                .trim()
                .parse()
                .ok()
                .and_then(|port: u16| port.checked_sub(1));
        }
        let numbers: Vec<&str> = part.split(':').collect();
        if let [_, _, target, unit] = numbers[..]
            && let (Ok(target), Ok(unit)) = (target.parse(), unit.parse())
        {
            self.scsi = Some((target, unit));
        }
        if let Some(ports) = usb_ports(part) {
            self.usb = ports;
        }
        self.below.push(part.to_owned());
    }
}

/// `_UID` of the root of PCI buses at `place`.
fn unit(place: &Path) -> Option<u32> {
    let text = fs::read_to_string(place.join("firmware_node/uid")).ok()?;
    text.trim().parse().ok()
}

/// Device and function of "0000:00:1f.2".
fn function(part: &str) -> Option<(u8, u8)> {
    let mut parts = part.split(':');
    let (_, _, last) = (parts.next()?, parts.next()?, parts.next()?);
    let (device, function) = last.split_once('.')?;
    let number = |text| u8::from_str_radix(text, 16).ok();
    Some((number(device)?, number(function)?))
}

/// Ports of "1-2.3", a device on the second bus, counted from 0.
fn usb_ports(part: &str) -> Option<Vec<u8>> {
    let (bus, ports) = part.split_once('-')?;
    bus.parse::<u8>().ok()?;
    let ports = ports.split('.');
    ports
        .map(|port| port.parse::<u8>().ok()?.checked_sub(1))
        .collect()
}

fn short(data: &[u8], at: usize) -> Option<u16> {
    let bytes = data.get(at..at + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn long(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
