//! The disk, the EFI system partition and the source that a verb works with.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg, OFlag};
use nodeimg_formats::blocks::Part;

use crate::cli::Options;
use crate::esp::{Esp, Mounted, Volume};
use crate::node::{Config, Node, Running};
use crate::slots::Slots;
use crate::source::directory::Directory;
use crate::source::http::Http;
use crate::source::registry::Registry;
use crate::source::stream::Stream;
use crate::source::{Patience, Source, login};

/// The device that the root was verified by.
const ROOT_DEVICE: &str = "/dev/mapper/root";
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const LOCK: &str = "/run/nodeimg/update.lock";
/// Where what passes by has room.
const ROOM: &str = "/var/tmp";
/// Logins of registries that a node may have.
const LOGINS: [&str; 3] = [
    "/etc/nodeimg/registry-auth.json",
    "/var/lib/kubelet/config.json",
    "/root/.docker/config.json",
];

/// One run on a node.
pub struct Session {
    pub node: Node,
    pub running: Running,
    pub config: Config,
    pub disk: File,
    pub slots: Slots,
    esp: Entries,
    /// Nobody else updates meanwhile.
    _lock: Option<Flock<File>>,
}

/// Where the boot entries are.
enum Entries {
    Mounted(PathBuf),
    /// A partition that nobody has mounted, and nobody can while it is open.
    Device(File, u64),
    /// On the disk, which is a file.
    Within,
}

impl Session {
    /// `changes` asks for a disk that can be written, and that nobody else does.
    ///
    /// # Errors
    /// This is not a node with slots; another run is under way.
    pub fn open(options: &Options, changes: bool) -> Result<Session> {
        let node = Node::at(&options.root);
        let running = node.running()?;
        let config = node.config()?;
        let lock = changes.then(|| lock(&node)).transpose()?;
        let path = match &options.disk {
            Some(path) => path.clone(),
            None => root_disk(&node)?,
        };
        let shown = || format!("the disk {}", path.display());
        let disk = File::options().read(true).write(changes).open(&path);
        let disk = disk.with_context(shown)?;
        let size = io::Seek::seek(&mut &disk, io::SeekFrom::End(0)).with_context(shown)?;
        let slots = Slots::of(&disk, size, running.root).with_context(shown)?;
        let esp = match &options.esp {
            Some(path) => Entries::Mounted(path.clone()),
            None if disk.metadata().with_context(shown)?.is_file() => Entries::Within,
            None => entries(&node, &path, slots.esp.start, changes)?,
        };
        Ok(Session {
            node,
            running,
            config,
            disk,
            slots,
            esp,
            _lock: lock,
        })
    }

    /// Lets `work` at the boot entries.
    ///
    /// # Errors
    /// They cannot be read; those of `work`.
    pub fn with_esp<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Esp, &mut Slots, &File) -> Result<T>,
    ) -> Result<T> {
        let place = self.slots.esp;
        match &self.esp {
            Entries::Mounted(path) => work(&mut Mounted::open(path)?, &mut self.slots, &self.disk),
            Entries::Device(file, size) => {
                work(&mut Volume::open(file, *size)?, &mut self.slots, &self.disk)
            }
            Entries::Within => {
                let part = Part {
                    of: &self.disk,
                    start: place.start,
                    size: place.size,
                };
                let mut esp = Volume::open(&part, part.size)?;
                work(&mut esp, &mut self.slots, &self.disk)
            }
        }
    }

    /// Whether one was asked for, or the node has its own.
    pub fn has_source(&self, options: &Options) -> bool {
        options.what.is_some() || self.config.source.is_some()
    }

    /// The source that was asked for, or the node's own.
    ///
    /// # Errors
    /// There is none, or it is none of a kind that is known.
    pub fn source(&self, options: &Options) -> Result<Box<dyn Source>> {
        let source = options.what.as_deref().or(self.config.source.as_deref());
        let source = source.context("no source of updates is set")?;
        let patience = Patience::default();
        if source == "-" {
            let room = self.node.path(ROOM);
            return Ok(Box::new(Stream::open(io::stdin(), &room)?));
        }
        let authorities = fs::read(self.node.path(AUTHORITIES)).unwrap_or_default();
        if let Some(name) = source.strip_prefix("oci://") {
            let usual = LOGINS.map(|path| self.node.path(path));
            let logins = login::of_node(options.auth.as_deref(), &usual)?;
            return Ok(Box::new(Registry::open(
                name,
                &authorities,
                logins,
                patience,
            )?));
        }
        if source.starts_with("https://") || source.starts_with("http://") {
            return Ok(Box::new(Http::open(source, &authorities, patience)?));
        }
        if let Some((scheme, _)) = source.split_once("://") {
            bail!(
                "a source cannot be {}://: use a directory, https:// or oci://",
                scheme.escape_debug()
            );
        }
        Ok(Box::new(Directory::open(Path::new(source))?))
    }
}

fn lock(node: &Node) -> Result<Flock<File>> {
    let path = node.path(LOCK);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| anyhow::anyhow!("another nodeimg-update is at work on this node"))
}

/// The disk that the running root is on.
fn root_disk(node: &Node) -> Result<PathBuf> {
    let path = node.path(ROOT_DEVICE);
    let device = fs::canonicalize(&path).with_context(|| {
        let path = path.display();
        format!("{path}: is the root a verified one of nodeimg's? --disk names another disk")
    })?;
    let name = device.file_name().context("a device without a name")?;
    let slaves = Path::new("/sys/class/block").join(name).join("slaves");
    let shown = || format!("reading {}", slaves.display());
    for slave in fs::read_dir(&slaves).with_context(shown)? {
        let slave = slave.with_context(shown)?.path();
        // .../block/vda/vda3
        let place = fs::canonicalize(&slave).with_context(shown)?;
        if place.join("partition").exists()
            && let Some(disk) = place.parent().and_then(Path::file_name)
        {
            return Ok(node.path("/dev").join(disk));
        }
    }
    bail!("the running root is not on a partition of a disk");
}

/// The ESP of a disk that is a device: where it is mounted, or the partition itself.
fn entries(node: &Node, disk: &Path, start: u64, changes: bool) -> Result<Entries> {
    let disk = fs::canonicalize(disk).with_context(|| format!("the disk {}", disk.display()))?;
    let name = disk.file_name().context("a device without a name")?;
    let below = Path::new("/sys/class/block").join(name);
    let shown = || format!("reading {}", below.display());
    for entry in fs::read_dir(&below).with_context(shown)? {
        let entry = entry.with_context(shown)?.path();
        let number = |file: &str| fs::read_to_string(entry.join(file)).unwrap_or_default();
        let at: Option<u64> = number("start").trim().parse().ok();
        if at.map(|sectors| sectors * 512) != Some(start) {
            continue;
        }
        let mounts =
            fs::read_to_string("/proc/self/mountinfo").context("reading what is mounted")?;
        if let Some(at) = mounted(&mounts, number("dev").trim()) {
            return Ok(Entries::Mounted(at));
        }
        let device = node
            .path("/dev")
            .join(entry.file_name().unwrap_or_default());
        let shown = || format!("the EFI system partition {}", device.display());
        let file = File::options()
            .read(true)
            .write(changes)
            .custom_flags(OFlag::O_EXCL.bits())
            .open(&device)
            .with_context(shown)?;
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0)).with_context(shown)?;
        return Ok(Entries::Device(file, size));
    }
    bail!("the kernel does not know the EFI system partition of this disk");
}

/// Where a device is mounted as a whole.
fn mounted(mounts: &str, device: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let kind = fields.iter().position(|field| *field == "-")? + 1;
        let is_it = fields.get(2) == Some(&device)
            && fields.get(3) == Some(&"/")
            && fields.get(kind) == Some(&"vfat");
        // Spaces are written as octal numbers.
        is_it.then(|| PathBuf::from(fields[4].replace("\\040", " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_volume_is_found() {
        let mounts = "22 1 254:0 / / ro - squashfs /dev/mapper/root ro\n\
            40 22 0:35 / /boot rw - autofs systemd-1 rw\n\
            41 40 254:1 /EFI /x rw - vfat /dev/vda1 rw\n\
            42 40 254:1 / /my\\040boot rw shared:1 - vfat /dev/vda1 rw\n";
        assert_eq!(mounted(mounts, "254:1"), Some(PathBuf::from("/my boot")));
        assert_eq!(mounted(mounts, "254:0"), None);
        assert_eq!(mounted("", "254:1"), None);
    }
}
