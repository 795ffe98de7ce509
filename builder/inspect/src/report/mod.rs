//! Everything that is told of one image; what `nodeimg inspect --json` prints.
//!
//! Sizes are in bytes. Lists are sorted, so that two reports can be compared line by line.

mod packages;
mod sizes;
mod system;

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_formats::gpt::Entry;
use serde::Serialize;

use crate::image::Image;
use crate::root::Kind;

/// Version of the format, raised when a reader of the old one would go wrong.
pub const VERSION: u32 = 1;
/// A file of the image that is read whole has at most this many bytes.
pub(crate) const SMALL: u64 = 32 << 20;

/// What the build's manifest knows beside the image.
#[derive(Default)]
pub struct Beside {
    /// Where each file comes from, by path.
    pub origins: BTreeMap<String, Owner>,
    /// Names and versions of the artifacts.
    pub artifacts: BTreeMap<String, String>,
}

/// Whose a file is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Owner {
    pub kind: OwnerKind,
    pub name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerKind {
    Package,
    Artifact,
    /// Made by the build, or laid in by the recipe.
    Image,
}

/// What is in an image.
#[derive(Serialize)]
pub struct Report {
    pub format: u32,
    pub image: Identity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// Names and versions.
    pub artifacts: BTreeMap<String, String>,
    pub packages: Vec<Package>,
    /// Names of enabled units, and what wants them.
    pub units: BTreeMap<String, Vec<String>>,
    pub users: Vec<User>,
    pub writable: Vec<Writable>,
    /// Files of settings that no package brings: paths and sizes.
    pub configuration: BTreeMap<String, u64>,
    /// The largest first.
    pub sizes: Vec<Size>,
}

/// os-release's names of it.
#[derive(Serialize)]
pub struct Identity {
    pub id: Option<String>,
    pub version: Option<String>,
    /// The base system.
    pub system: Option<String>,
    /// As Debian names it.
    pub architecture: Option<String>,
}

#[derive(Serialize)]
pub struct Disk {
    pub size: u64,
    pub guid: String,
    pub partitions: Vec<Partition>,
}

#[derive(Serialize)]
pub struct Partition {
    pub label: String,
    /// The type's GUID.
    #[serde(rename = "type")]
    pub kind: String,
    pub guid: String,
    pub start: u64,
    pub size: u64,
}

/// From the firmware to the root.
#[derive(Serialize)]
pub struct Boot {
    /// Files of the EFI system partition, with sizes.
    pub esp: BTreeMap<String, u64>,
    /// The UKI that boots by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uki: Option<BootUki>,
}

#[derive(Serialize)]
pub struct BootUki {
    pub path: String,
    pub sections: Vec<Section>,
    /// `uname -r`.
    pub kernel: Option<String>,
    pub command_line: Option<String>,
    /// The root hash on the command line, if the disk's partitions carry it too.
    pub root_hash: Option<String>,
    /// Unpacked, and what is in it.
    pub initrd: Initrd,
}

#[derive(Serialize)]
pub struct Section {
    pub name: String,
    pub size: u64,
}

#[derive(Serialize)]
pub struct Initrd {
    pub size: u64,
    pub files: usize,
    /// Names of kernel modules.
    pub modules: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub architecture: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub shell: String,
}

/// A path that a running node can write to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Writable {
    pub path: String,
    /// `state`, `overlay` or `memory`.
    pub backing: String,
}

/// What one owner's files take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Size {
    pub owner: Owner,
    /// Of the contents.
    pub size: u64,
    /// Compressed, in the root file system.
    pub stored: u64,
    pub files: usize,
    /// The same by directory, the largest first.
    pub directories: Vec<DirectorySize>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DirectorySize {
    pub path: String,
    pub stored: u64,
}

/// Looks at everything but the contents of programs.
///
/// # Errors
/// A file that is read (package lists, users, units) is damaged or not readable.
pub fn of(image: &Image, beside: &Beside) -> Result<Report> {
    let root = &image.root;
    let packages = packages::installed(root)?;
    let owners = packages::Owners::of(root, beside)?;
    let configuration = root
        .nodes()
        .filter_map(|(path, node)| match node.kind {
            Kind::File(size) if is_configuration(path, &owners) => Some((path.to_owned(), size)),
            _ => None,
        })
        .collect();
    Ok(Report {
        format: VERSION,
        image: system::identity(root, &packages)?,
        disk: image.table.as_ref().map(|table| Disk {
            size: image.medium.size,
            guid: table.disk.to_string(),
            partitions: table.partitions.iter().map(partition).collect(),
        }),
        boot: system::boot(image)?,
        artifacts: beside.artifacts.clone(),
        packages,
        units: system::units(root),
        users: system::users(root)?,
        writable: system::writable(image)?,
        configuration,
        sizes: sizes::by_owner(root, &owners),
    })
}

/// Below these, files that no package brings are settings.
const SETTINGS: [&str; 10] = [
    "/etc/",
    "/usr/lib/systemd/",
    "/usr/lib/sysctl.d/",
    "/usr/lib/modules-load.d/",
    "/usr/lib/modprobe.d/",
    "/usr/lib/tmpfiles.d/",
    "/usr/lib/sysusers.d/",
    "/usr/lib/repart.d/",
    "/usr/lib/udev/rules.d/",
    "/usr/lib/nodeimg/",
];

fn is_configuration(path: &str, owners: &packages::Owners<'_>) -> bool {
    SETTINGS.iter().any(|prefix| path.starts_with(prefix))
        && owners.of_file(path).kind != OwnerKind::Package
}

fn partition(entry: &Entry) -> Partition {
    Partition {
        label: entry.name.clone(),
        kind: entry.kind.to_string(),
        guid: entry.unique.to_string(),
        start: entry.place.start,
        size: entry.place.size,
    }
}
