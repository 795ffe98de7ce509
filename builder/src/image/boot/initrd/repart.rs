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
//! disk too small for everything slot B is left out (`Priority=`).

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
        let root = (2 * size).next_multiple_of(GRAIN).max(MIN_ROOT);
        Slot {
            root,
            hashes: verity::size_for(root).next_multiple_of(MIB),
        }
    }
}

/// Adds the definitions.
pub fn add(initrd: &mut Initrd, slot: Slot) -> Result<()> {
    let Slot { root, hashes } = slot;
    let sized = |size: u64| format!("SizeMinBytes={size}\nSizeMaxBytes={size}\n");
    let empty = "Label=_empty\nPriority=10\n";
    for (name, kind, rest) in [
        ("10-esp", "esp", String::new()),
        // If nothing is said repart wants 10 MiB, which this cannot grow to.
        ("20-hashes-a", "root-verity", sized(hashes)),
        ("21-root-a", "root", sized(root)),
        ("30-hashes-b", "root-verity", sized(hashes) + empty),
        ("31-root-b", "root", sized(root) + empty),
    ] {
        let text = format!("[Partition]\nType={kind}\nWeight=0\n{rest}");
        initrd.text(&format!("{DIRECTORY}/{name}.conf"), text)?;
    }
    let state = format!(
        "[Partition]\nType=linux-generic\nLabel={STATE_LABEL}\nFormat=ext4\n\
         SizeMinBytes={MIN_STATE}\nFactoryReset=yes\n"
    );
    initrd.text(&format!("{DIRECTORY}/50-state.conf"), state)
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
