//! The partitions that a disk gets at its first boot, in
//! [repart.d(5)](https://www.freedesktop.org/software/systemd/man/latest/repart.d.html).
//!
//! ```text
//! in the image   esp | hash tree A | root A |
//! on the node    esp | hash tree A | root A ....... | hash tree B | root B | state
//! ```
//! Root A is the image's last partition so that it can grow to the size of its
//! slot, and B be as large: an update may be larger than what it replaces. The
//! state takes the rest, and grows with the disk at every boot.
//!
//! `Weight=0` keeps a partition from growing into the state's space. On a
//! disk too small for everything slot B is left out (`Priority=`), and a slot that is
//! there stays as large as it is, though this image would make larger ones.

use anyhow::Result;
use nodeimg_formats::verity;
use nodeimg_seed::contract::initrd_plan;

use super::Initrd;

pub const DIRECTORY: &str = initrd_plan::DEFINITIONS;
const MIB: u64 = 1 << 20;
/// Slots are whole multiples of this: a root that grew a little changes none.
const GRAIN: u64 = 256 * MIB;
const MIN_ROOT: u64 = 512 * MIB;
pub const STATE_LABEL: &str = "state";
/// In bytes; containers need more, but the node starts.
const MIN_STATE: u64 = 512 * MIB;

/// What a root and its hash tree have for room on the node, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    pub root: u64,
    pub hashes: u64,
}

impl Slot {
    /// For a root of `size` bytes, and one twice as large.
    pub fn of(size: u64) -> Slot {
        Slot::sized((2 * size).next_multiple_of(GRAIN).max(MIN_ROOT))
    }

    /// With a root of so many bytes.
    pub fn sized(root: u64) -> Slot {
        Slot {
            root,
            hashes: verity::size_for(root).next_multiple_of(MIB),
        }
    }
}

/// Adds the definitions.
pub fn add(initrd: &mut Initrd, slot: Slot) -> Result<()> {
    for (name, text) in definitions(slot) {
        initrd.text(&format!("{DIRECTORY}/{name}.conf"), text)?;
    }
    Ok(())
}

/// Each with its name, without `.conf`.
///
/// What has a priority may be left as it is, or out: both slots have the same. A node's slots
/// are as large as the image that it began with wanted them, and an update that wants larger
/// ones must boot on them all the same. Without a priority of A's, systemd-repart would refuse
/// the whole disk.
fn definitions(slot: Slot) -> [(&'static str, String); 6] {
    let part = |kind: &str, rest: &str| format!("[Partition]\nType={kind}\nWeight=0\n{rest}");
    let slots = |kind: &str, size: u64, rest: &str| {
        let size = format!("SizeMinBytes={size}\nSizeMaxBytes={size}\nPriority=10\n");
        part(kind, &(size + rest))
    };
    let Slot { root, hashes } = slot;
    let empty = "Label=_empty\n";
    [
        ("10-esp", part("esp", "")),
        // If no size is given, systemd-repart wants 10 MiB, which this cannot grow to.
        ("20-hashes-a", slots("root-verity", hashes, "")),
        ("21-root-a", slots("root", root, "")),
        ("30-hashes-b", slots("root-verity", hashes, empty)),
        ("31-root-b", slots("root", root, empty)),
        (
            "50-state",
            format!(
                "[Partition]\nType=linux-generic\nLabel={STATE_LABEL}\nFormat=ext4\n\
                 SizeMinBytes={MIN_STATE}\nFactoryReset=yes\n"
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_room_for_twice_the_root() {
        for (size, root, hashes) in [
            (1, 512, 5),
            (256 * MIB, 512, 5),
            (256 * MIB + 1, 768, 7),
            (1024 * MIB, 2048, 17),
        ] {
            let slot = Slot::of(size);
            assert_eq!(
                (slot.root / MIB, slot.hashes / MIB),
                (root, hashes),
                "{size}"
            );
            assert!(slot.hashes >= verity::size_for(slot.root));
        }
    }
}
