//! Partitions that a system finds by itself: the
//! [Discoverable Partitions Specification](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/).

use nodeimg_formats::gpt::{Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::verity::RootHash;
use nodeimg_values::arch::Arch;

/// Bit 60: to be mounted read-only.
const READ_ONLY: u64 = 1 << 60;

/// A root file system at `data` and its hash tree at `tree`: each is found by
/// its half of the root hash.
pub fn verified_root(
    arch: Arch,
    root: RootHash,
    data: Extent,
    tree: Extent,
) -> [Partition<'static>; 2] {
    let (first, second) = root.halves();
    let names = match arch {
        Arch::Amd64 => ["root-x86-64", "root-x86-64-verity"],
        Arch::Arm64 => ["root-arm64", "root-arm64-verity"],
    };
    let [kind, tree_kind] = kinds(arch);
    [
        (kind, names[0], first, data),
        (tree_kind, names[1], second, tree),
    ]
    .map(|(kind, name, unique, place)| Partition {
        kind,
        unique,
        name,
        flags: READ_ONLY,
        place,
    })
}

/// The types of the partitions of a root and of its hash tree.
pub fn kinds(arch: Arch) -> [Guid; 2] {
    let kinds = match arch {
        Arch::Amd64 => [
            0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
            0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5,
        ],
        Arch::Arm64 => [
            0xb921b045_1df0_41c3_af44_4c6f280d3fae,
            0xdf3300ce_d69f_4c92_978c_9bfb0f38d820,
        ],
    };
    kinds.map(Guid::known)
}

const SIGNATURES: [(Arch, Guid, &str); 2] = [
    (
        Arch::Amd64,
        Guid::known(0x41092b05_9fc8_4523_994f_2def0408b176),
        "root-x86-64-verity-sig",
    ),
    (
        Arch::Arm64,
        Guid::known(0x6db69de6_29f4_4758_a7a5_962190f00ce3),
        "root-arm64-verity-sig",
    ),
];

/// The partition of the signature of a root hash.
pub fn signature(arch: Arch, unique: Guid, place: Extent) -> Partition<'static> {
    let [amd64, arm64] = SIGNATURES;
    let (_, kind, name) = if arch == arm64.0 { arm64 } else { amd64 };
    Partition {
        kind,
        unique,
        name,
        flags: READ_ONLY,
        place,
    }
}

/// Whether a partition of this kind is one.
pub fn is_signature(kind: Guid) -> bool {
    SIGNATURES.iter().any(|(_, own, _)| *own == kind)
}
