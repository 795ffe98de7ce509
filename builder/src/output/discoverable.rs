//! Partitions that a system finds by itself: the
//! [Discoverable Partitions Specification](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/).

use nodeimg_formats::gpt::kinds::Root;
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
    let kinds = Root::of(arch);
    [
        (kinds.data, names[0], first, data),
        (kinds.verity, names[1], second, tree),
    ]
    .map(|(kind, name, unique, place)| Partition {
        kind,
        unique,
        name,
        flags: READ_ONLY,
        place,
    })
}

/// The partition of the signature of a root hash.
pub fn signature(arch: Arch, unique: Guid, place: Extent) -> Partition<'static> {
    Partition {
        kind: Root::of(arch).signature,
        unique,
        name: match arch {
            Arch::Amd64 => "root-x86-64-verity-sig",
            Arch::Arm64 => "root-arm64-verity-sig",
        },
        flags: READ_ONLY,
        place,
    }
}

/// Whether a partition of this kind is one.
pub fn is_signature(kind: Guid) -> bool {
    Root::all().any(|(_, root)| root.signature == kind)
}
