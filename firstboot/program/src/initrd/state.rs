//! The node's state: created, repaired, grown, mounted; the overlays over the root.
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::Path;

use nodeimg_seed::contract::initrd_plan::{
    DEFINITIONS, FSCK, GROWFS, InitrdPlan, OVERLAYS, Overlay, REPART,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::failure::{Failure, While};
use super::{ROOT, kmsg, programs};
use crate::apply::merged;
use crate::media::{Device, System};
use crate::root::Root;
use crate::root::gate::Open;

/// The definitions, as a program in the root sees them.
const HANDED_OVER: &str = "/run/nodeimg-repart.d";

/// Of e2fsck: errors were corrected; the machine should be rebooted.
const FSCK_REPAIRED: i32 = 1;
const FSCK_REBOOT: i32 = 2;

/// /var, and every writable directory of the root.
pub(crate) fn mount_all(plan: &InitrdPlan, system: &System, disk: &str) -> Result<(), Failure> {
    let find = || find(system, disk, &plan.state);
    let old = find();
    partition(system, disk)?;
    let Some(device) = find() else {
        return Err(Failure::new(format!(
            "/dev/{disk} has no partition `{}` and no room for it: make the disk larger",
            plan.state
        )));
    };
    let path = device.path.display().to_string();
    // A new file system needs no repair.
    if old.is_some() {
        repair(&path)?;
    }
    mount(&path, inside("/var"), "ext4", MountFlags::NOATIME, None)
        .during(|| format!("mounting the state, {path}"))?;
    kmsg::tell(&format!("the state is {path}"));
    grow(&device)?;
    directory(Path::new(&inside(OVERLAYS)))?;
    fs::set_permissions(inside(OVERLAYS), fs::Permissions::from_mode(0o700))
        .during(|| format!("closing {OVERLAYS}"))?;
    merge();
    plan.overlays.iter().try_for_each(overlay)
}

/// The files of `/etc` that both image and node write, while the image's are still seen.
pub(crate) fn merge() {
    match Root::open(Path::new(ROOT)) {
        Ok(root) => merged::settle(&root, &mut Open, &mut |text| kmsg::tell(&text)),
        Err(error) => kmsg::warn(&format!("opening {ROOT}: {error}")),
    }
}

fn inside(path: &str) -> String {
    format!("{ROOT}{path}")
}

/// On the disk that was booted, as the root: another one in the machine may be a node's too.
fn find(system: &System, disk: &str, label: &str) -> Option<Device> {
    let mut devices = system.devices().into_iter();
    devices.find(|device| {
        device.disk.as_deref() == Some(disk)
            && matches!(system.partition_entry(device), Ok(Some(entry)) if entry.name == label)
    })
}

/// Runs systemd-repart, which changes nothing if there is nothing to do: it creates
/// missing partitions, grows the state with the disk, and resets it on request, which may
/// be an EFI variable.
fn partition(system: &System, disk: &str) -> Result<(), Failure> {
    copy_definitions().during(|| format!("copying {DEFINITIONS}"))?;
    let temporary = ["/tmp", "/var"].map(inside);
    for place in &temporary {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", place, "tmpfs", flags, None).during(|| format!("mounting {place}"))?;
    }
    directory(Path::new(&inside("/var/tmp")))?;
    let ended = programs::run(
        REPART,
        &[
            "--dry-run=no",
            "--pretty=no",
            &format!("--definitions={HANDED_OVER}"),
            &system.dev.join(disk).to_string_lossy(),
        ],
    )?;
    for place in &temporary {
        unmount(place, UnmountFlags::DETACH).during(|| format!("unmounting {place}"))?;
    }
    fs::remove_dir_all(HANDED_OVER).during(|| format!("removing {HANDED_OVER}"))?;
    if ended.code != Some(0) {
        return Err(ended.failure(&format!("making the partitions of /dev/{disk}")));
    }
    Ok(())
}

/// To a place that the root sees.
fn copy_definitions() -> std::io::Result<()> {
    fs::create_dir_all(HANDED_OVER)?;
    for entry in fs::read_dir(DEFINITIONS)? {
        let entry = entry?;
        fs::copy(entry.path(), Path::new(HANDED_OVER).join(entry.file_name()))?;
    }
    Ok(())
}

fn repair(path: &str) -> Result<(), Failure> {
    let ended = programs::run(FSCK, &["-p", path])?;
    match ended.code {
        Some(0 | FSCK_REPAIRED) => Ok(()),
        Some(code) if code & !FSCK_REPAIRED == FSCK_REBOOT => {
            kmsg::warn("the state was repaired; rebooting");
            let error = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_AUTOBOOT);
            error.during(|| "rebooting".to_owned()).map(|_| ())
        }
        _ => Err(ended.failure(&format!(
            "repairing the state, {path}: this needs a decision by hand (fsck.ext4 -y on another machine)"
        ))),
    }
}

/// If its partition has grown.
fn grow(device: &Device) -> Result<(), Failure> {
    let path = device.path.display();
    let held = size_of_ext4(&device.path).during(|| format!("reading {path}"))?;
    let Some((blocks, size)) = held else {
        return Ok(());
    };
    if device.size * 512 / size <= blocks {
        return Ok(());
    }
    let ended = programs::run(GROWFS, &["/var"])?;
    if ended.code != Some(0) {
        // There is less room than possible, but still a node.
        kmsg::warn(&ended.failure("growing the state").to_string());
    }
    Ok(())
}

/// Blocks, and bytes of one
/// ([superblock](https://docs.kernel.org/filesystems/ext4/globals.html#super-block)).
fn size_of_ext4(path: &Path) -> std::io::Result<Option<(u64, u64)>> {
    let mut bytes = [0; 0x158];
    File::open(path)?.read_exact_at(&mut bytes, 1024)?;
    Ok(ext4_blocks(&bytes))
}

fn ext4_blocks(superblock: &[u8; 0x158]) -> Option<(u64, u64)> {
    let long = |at: usize| {
        let bytes = superblock.get(at..at + 4)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
    };
    const HAS_64_BITS: u64 = 0x80;
    let is_long = long(0x60)? & HAS_64_BITS != 0;
    let high = if is_long { long(0x150)? } else { 0 };
    let exponent = u32::try_from(long(0x18)?).ok().filter(|log| *log <= 6)?;
    Some((high << 32 | long(4)?, 1024 << exponent))
}

fn overlay(overlay: &Overlay) -> Result<(), Failure> {
    let Overlay { path, place } = overlay;
    let (below, place) = (inside(path), inside(place));
    for part in ["upper", "work"] {
        directory(&Path::new(&place).join(part))?;
    }
    let options = format!("lowerdir={below},upperdir={place}/upper,workdir={place}/work");
    let options = std::ffi::CString::new(options).during(|| format!("mounting {path}"))?;
    mount("overlay", &below, "overlay", MountFlags::empty(), &*options)
        .during(|| format!("mounting the node's own files in {path}"))
}

fn directory(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path);
    made.during(|| format!("making {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::ext4_blocks;

    #[test]
    fn the_size_of_a_file_system_is_its_superblocks() {
        let mut bytes = [0; 0x158];
        bytes[4..8].copy_from_slice(&7u32.to_le_bytes());
        bytes[0x18] = 2;
        bytes[0x150] = 1;
        assert_eq!(ext4_blocks(&bytes), Some((7, 4096)));
        bytes[0x60] = 0x80;
        assert_eq!(ext4_blocks(&bytes), Some((1 << 32 | 7, 4096)));
        bytes[0x18] = 40;
        assert_eq!(ext4_blocks(&bytes), None);
    }
}
