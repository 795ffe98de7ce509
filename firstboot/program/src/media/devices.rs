//! Block devices as the kernel lists them in `/sys/class/block`
//! (<https://docs.kernel.org/admin-guide/sysfs-rules.html>).
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodeimg_seed::volume::{ReadAt, gpt};

/// Devices that are made of others or of memory, or that take seconds to answer
/// (floppies): no seed comes on them.
const PASSED_OVER: [&str; 8] = ["dm-", "fd", "loop", "md", "nbd", "ram", "zd", "zram"];

/// The kernel's view of the hardware; another directory in tests.
pub(crate) struct System {
    pub(crate) sys: PathBuf,
    pub(crate) dev: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) proc: PathBuf,
    /// The metadata services' addresses.
    pub(crate) metadata: String,
    /// Tests name their devices; all others are then hidden.
    pub(crate) only: Option<Vec<String>>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            sys: PathBuf::from("/sys"),
            dev: PathBuf::from("/dev"),
            run: PathBuf::from("/run"),
            proc: PathBuf::from("/proc"),
            metadata: "http://169.254.169.254/".to_owned(),
            only: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// "8:1", as in mountinfo.
    pub(crate) number: String,
    /// In units of 512 bytes, whatever the sector size; 0 for an empty drive.
    pub(crate) size: u64,
    /// The number of a partition, and the disk that it is on.
    pub(crate) partition: Option<u32>,
    /// A switch on the drive or a setting of the hypervisor.
    pub(crate) read_only: bool,
    pub(crate) disk: Option<String>,
}

impl System {
    /// All devices that a seed may be on, whole disks before their partitions.
    pub(crate) fn devices(&self) -> Vec<Device> {
        let Ok(entries) = fs::read_dir(self.sys.join("class/block")) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut devices: Vec<Device> = names
            .filter(|name| match &self.only {
                Some(only) => only.contains(name),
                None => !passed_over(name),
            })
            .filter_map(|name| self.device(&name))
            .collect();
        devices.sort_by(|left, right| left.order().cmp(&right.order()));
        devices
    }

    /// A device by its name; `None` if it has just gone.
    pub(crate) fn device(&self, name: &str) -> Option<Device> {
        let directory = self.sys.join("class/block").join(name);
        let text = |file: &str| {
            let text = fs::read_to_string(directory.join(file)).ok()?;
            Some(text.trim().to_owned())
        };
        let partition = text("partition").and_then(|text| text.parse().ok());
        let disk = partition.and_then(|_: u32| {
            let real = fs::canonicalize(&directory).ok()?;
            Some(real.parent()?.file_name()?.to_str()?.to_owned())
        });
        Some(Device {
            name: name.to_owned(),
            // A `!` in a name of sysfs is a `/` below /dev.
            path: self.dev.join(name.replace('!', "/")),
            number: text("dev")?,
            size: text("size")?.parse().ok()?,
            partition,
            read_only: text("ro").is_some_and(|text| text != "0"),
            disk,
        })
    }

    /// Bytes of a logical sector of a whole disk.
    pub(crate) fn sector_size(&self, disk: &str) -> u64 {
        let file = self
            .sys
            .join("class/block")
            .join(disk)
            .join("queue/logical_block_size");
        fs::read_to_string(file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(512)
    }

    /// The entry of a partition in the disk's partition table; `None` for a whole disk.
    pub(crate) fn partition_entry(
        &self,
        device: &Device,
    ) -> io::Result<Option<gpt::PartitionEntry>> {
        let (Some(number), Some(disk)) = (device.partition, &device.disk) else {
            return Ok(None);
        };
        let Some(whole) = self.device(disk) else {
            return Ok(None);
        };
        gpt::entry(&mut whole.reader()?, self.sector_size(disk), number)
    }

    pub(crate) fn udev_control(&self) -> PathBuf {
        self.run.join("udev/control")
    }

    pub(crate) fn udev_queue(&self) -> PathBuf {
        self.run.join("udev/queue")
    }
}

fn passed_over(name: &str) -> bool {
    PASSED_OVER.iter().any(|kind| {
        name.strip_prefix(kind)
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

impl Device {
    /// A disk, then its partitions by number: `sda`, `sda2`, `sda10`, `sdb`.
    fn order(&self) -> (&str, u32) {
        let disk = self.disk.as_deref().unwrap_or(&self.name);
        (disk, self.partition.unwrap_or(0))
    }

    pub(crate) fn reader(&self) -> io::Result<Reader> {
        Reader::open(&self.path)
    }
}

/// A device opened for reading.
pub(crate) struct Reader(File);

impl Reader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Not O_NONBLOCK: an empty drive then opens, and every read of it is an
        // error on the console. So it says that it is empty.
        Ok(Self(File::open(path)?))
    }
}

impl ReadAt for Reader {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::System;

    fn add(sys: &Path, place: &str, number: &str, size: u64, partition: Option<u32>) {
        let directory = sys.join("devices").join(place);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("dev"), format!("{number}\n")).unwrap();
        fs::write(directory.join("size"), format!("{size}\n")).unwrap();
        if let Some(partition) = partition {
            fs::write(directory.join("partition"), format!("{partition}\n")).unwrap();
        }
        let name = place.rsplit('/').next().unwrap();
        let links = sys.join("class/block");
        fs::create_dir_all(&links).unwrap();
        symlink(&directory, links.join(name)).unwrap();
    }

    #[test]
    fn disks_come_before_their_partitions() {
        let machine = tempfile::tempdir().unwrap();
        let sys = machine.path();
        add(sys, "ata/vda/vda10", "254:10", 8, Some(10));
        add(sys, "ata/vda/vda2", "254:2", 8, Some(2));
        add(sys, "ata/vda", "254:0", 100, None);
        add(sys, "ata/sr0", "11:0", 0, None);
        add(sys, "ata/vdb", "254:16", 100, None);
        add(sys, "c0/cciss!c0d0", "104:0", 100, None);
        for name in ["loop3", "dm-0", "ram15", "zram0", "fd0", "md127"] {
            add(sys, &format!("virtual/{name}"), "1:1", 100, None);
        }
        let system = System {
            sys: sys.to_owned(),
            dev: "/dev".into(),
            ..System::default()
        };
        let devices = system.devices();
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["cciss!c0d0", "sr0", "vda", "vda2", "vda10", "vdb"]);
        assert_eq!(devices[0].path, Path::new("/dev/cciss/c0d0"));
        assert_eq!(devices[3].disk.as_deref(), Some("vda"));
        assert_eq!((devices[1].size, devices[1].disk.as_deref()), (0, None));
    }
}
