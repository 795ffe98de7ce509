//! Media with seeds, made by the tools that people and hypervisors make them
//! with: mkfs.vfat and mtools, mke2fs, xorriso.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run::tool;

/// Of every medium; each of the three file systems fits into it.
pub const SIZE: u64 = 8 << 20;
/// Where the one partition begins, as all tools have it.
const PARTITION: u64 = 1 << 20;

/// The files of a seed, by their paths on a medium.
#[derive(Clone, Default)]
pub struct Seed(Vec<(String, Vec<u8>)>);

impl Seed {
    /// The layout of NoCloud.
    pub fn no_cloud(instance: &str, user_data: &str) -> Seed {
        Seed::default()
            .with("meta-data", format!("instance-id: {instance}\n"))
            .with("user-data", user_data)
    }

    /// The layout of OpenStack's config drive.
    pub fn config_drive(instance: &str, host_name: &str, user_data: &str) -> Seed {
        let meta_data = format!(r#"{{"uuid": "{instance}", "hostname": "{host_name}"}}"#);
        Seed::default()
            .with("openstack/latest/meta_data.json", meta_data)
            .with("openstack/latest/user_data", user_data)
    }

    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Seed {
        self.0.push((path.to_owned(), content.into()));
        self
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// As a directory, which is made.
    pub fn write(&self, directory: &Path) -> PathBuf {
        for (path, content) in self.files() {
            let file = directory.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        directory.to_owned()
    }
}

/// What a medium is.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    pub kind: Kind,
    pub label: &'a str,
    /// In the one partition of an MBR, else the whole medium.
    pub on_partition: bool,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Vfat,
    Ext4,
    Iso9660,
}

impl<'a> Form<'a> {
    pub fn of(kind: Kind, label: &'a str) -> Form<'a> {
        Form {
            kind,
            label,
            on_partition: false,
        }
    }

    /// Makes a medium of [`SIZE`] bytes of a seed at `to`. `None`, with a printed
    /// skip, where a tool is missing (an error in CI).
    pub fn make(&self, seed: &Seed, to: &Path) -> Option<PathBuf> {
        let files = seed.write(&to.with_extension("files"));
        let volume = to.with_extension("volume");
        let file = File::create(&volume).unwrap();
        file.set_len(SIZE - if self.on_partition { PARTITION } else { 0 })
            .unwrap();
        match self.kind {
            Kind::Vfat => self.vfat(&files, &volume)?,
            Kind::Ext4 => self.ext4(&files, &volume)?,
            Kind::Iso9660 => self.iso9660(&files, &volume)?,
        }
        let medium = File::create(to).unwrap();
        medium.set_len(SIZE).unwrap();
        let start = if self.on_partition { PARTITION } else { 0 };
        let content = fs::read(&volume).unwrap();
        assert!(start + content.len() as u64 <= SIZE, "{}", volume.display());
        medium.write_all_at(&content, start).unwrap();
        if self.on_partition {
            medium.write_all_at(&partition_table(), 0).unwrap();
        }
        fs::remove_dir_all(files).unwrap();
        fs::remove_file(volume).unwrap();
        Some(to.to_owned())
    }

    fn vfat(&self, files: &Path, volume: &Path) -> Option<()> {
        let mut make = Command::new("mkfs.vfat");
        tool(make.args(["-n", self.label]).arg(volume))?.good();
        let mut copy = Command::new("mcopy");
        copy.args(["-s", "-i"]).arg(volume);
        let mut entries: Vec<_> = fs::read_dir(files)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        tool(copy.args(entries).arg("::/"))?.good();
        Some(())
    }

    fn ext4(&self, files: &Path, volume: &Path) -> Option<()> {
        let mut make = Command::new("mke2fs");
        make.args(["-q", "-t", "ext4", "-L", self.label, "-d"]);
        tool(make.arg(files).arg(volume))?.good();
        Some(())
    }

    fn iso9660(&self, files: &Path, volume: &Path) -> Option<()> {
        let mut make = Command::new("xorriso");
        make.args(["-as", "mkisofs", "-quiet", "-J", "-r", "-V", self.label]);
        tool(make.arg("-o").arg(volume).arg(files))?.good();
        Some(())
    }
}

/// One partition of a FAT file system, to the end of the medium
/// ([UEFI, 5.2.1](https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html#legacy-master-boot-record-mbr)).
fn partition_table() -> [u8; 512] {
    const ENTRY: usize = 446;
    let mut sector = [0; 512];
    sector[ENTRY + 4] = 0x0c;
    let sectors = |bytes: u64| u32::try_from(bytes / 512).unwrap().to_le_bytes();
    sector[ENTRY + 8..ENTRY + 12].copy_from_slice(&sectors(PARTITION));
    sector[ENTRY + 12..ENTRY + 16].copy_from_slice(&sectors(SIZE - PARTITION));
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
