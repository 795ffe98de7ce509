//! The kernel's own file systems that systemd would start a program for, each of which takes an
//! emulated processor a tenth of a second. systemd finds them mounted, and its units active.
use std::ffi::CString;
use std::fs;
use std::path::Path;

use nodeimg_seed::contract::initrd_plan::KernelMount;
use rustix::mount::{MountFlags, mount};

use super::{ROOT, kmsg};

const UNITS: &str = "/etc/systemd/system";
const FSTAB: &str = "/etc/fstab";

/// Best effort: what is not mounted here is mounted by systemd.
pub(crate) fn mount_all(mounts: &[KernelMount]) {
    let fstab = fs::read_to_string(inside(FSTAB)).unwrap_or_default();
    for one in mounts {
        if !is_the_nodes(Path::new(ROOT), one, &fstab) && !put(one) {
            kmsg::note(&format!("{} is left to systemd", one.path));
        }
    }
}

fn put(one: &KernelMount) -> bool {
    let place = inside(&one.path);
    // There is one, but for those below /dev and /run.
    let _there = fs::create_dir(&place);
    let kind = one.kind.as_str();
    let flags = MountFlags::from_bits_truncate(one.flags);
    CString::new(one.options.as_str())
        .is_ok_and(|options| mount(kind, &place, kind, flags, Some(options.as_c_str())).is_ok())
}

/// Whether the node has a word of its own on it.
fn is_the_nodes(root: &Path, one: &KernelMount, fstab: &str) -> bool {
    let is_there = |end: &str| {
        let path = format!("{}{UNITS}/{}{end}", root.display(), one.unit);
        fs::symlink_metadata(path).is_ok()
    };
    is_there("") || is_there(".d") || fstab.split_whitespace().any(|word| word == one.path)
}

fn inside(path: &str) -> String {
    format!("{ROOT}{path}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_changes_a_unit_has_systemd_mount_it() {
        let one = KernelMount {
            unit: "tmp.mount".to_owned(),
            kind: "tmpfs".to_owned(),
            path: "/tmp".to_owned(),
            flags: 6,
            options: "mode=1777".to_owned(),
        };
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        assert!(!is_the_nodes(root.path(), &one, "/dev/vdb /tmpfs ext4\n"));
        assert!(is_the_nodes(
            root.path(),
            &one,
            "# one\n/dev/vdb\t/tmp ext4\n"
        ));
        fs::create_dir(units.join("tmp.mount.d")).unwrap();
        assert!(is_the_nodes(root.path(), &one, ""));
        fs::remove_dir(units.join("tmp.mount.d")).unwrap();
        std::os::unix::fs::symlink("/dev/null", units.join("tmp.mount")).unwrap();
        assert!(is_the_nodes(root.path(), &one, ""), "masked");
    }
}
