//! Types of partitions, from the
//! [Discoverable Partitions Specification](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/).

use nodeimg_values::arch::Arch;

use super::Guid;

/// The EFI system partition.
pub const ESP: Guid = Guid::known(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);

/// A root file system, its hash tree, and the signature of its root hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    pub data: Guid,
    pub verity: Guid,
    pub signature: Guid,
}

impl Root {
    pub const fn of(arch: Arch) -> Root {
        match arch {
            Arch::Amd64 => Root {
                data: Guid::known(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709),
                verity: Guid::known(0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5),
                signature: Guid::known(0x41092b05_9fc8_4523_994f_2def0408b176),
            },
            Arch::Arm64 => Root {
                data: Guid::known(0xb921b045_1df0_41c3_af44_4c6f280d3fae),
                verity: Guid::known(0xdf3300ce_d69f_4c92_978c_9bfb0f38d820),
                signature: Guid::known(0x6db69de6_29f4_4758_a7a5_962190f00ce3),
            },
        }
    }

    /// Those of each architecture.
    pub fn all() -> impl Iterator<Item = (Arch, Root)> {
        Arch::ALL.into_iter().map(|arch| (arch, Root::of(arch)))
    }

    /// Whether it is the type of any of the three.
    pub fn has(&self, kind: Guid) -> bool {
        [self.data, self.verity, self.signature].contains(&kind)
    }
}
