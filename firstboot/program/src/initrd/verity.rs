//! The superblock of a dm-verity hash tree, and the table that the kernel wants
//! ([on-disk format](https://docs.kernel.org/admin-guide/device-mapper/verity.html),
//! [superblock](https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity#verity-superblock-format)).
//!
//! ```text
//! 0 "verity\0\0"  8 version u32  12 hash type u32  16 UUID  32 algorithm, padded
//! 64 data block size u32  68 hash block size u32  72 data blocks u64
//! 80 length of the salt u16  88 salt          all little-endian
//! ```
//! None of it is trusted: the kernel checks the tree against the root hash, and a wrong
//! superblock gives other hashes.
use std::fmt::Write;

pub(crate) const SUPERBLOCK: usize = 512;
const SECTOR: u64 = 512;
const MAX_SALT: usize = 256;

/// The parts of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) uuid: String,
    algorithm: String,
    data_block: u32,
    hash_block: u32,
    blocks: u64,
    salt: String,
}

impl Superblock {
    /// The error is the end of a sentence about the hash tree.
    pub(crate) fn parse(bytes: &[u8; SUPERBLOCK]) -> Result<Self, &'static str> {
        let long = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if &bytes[..8] != b"verity\0\0" {
            return Err("has no dm-verity superblock");
        }
        if (long(8), long(12)) != (1, 1) {
            return Err("has an unknown version of dm-verity");
        }
        let (data_block, hash_block) = (long(64), long(68));
        let is_size = |size: u32| size.is_power_of_two() && (512..=65536).contains(&size);
        if !is_size(data_block) || !is_size(hash_block) {
            return Err("has an invalid block size");
        }
        let blocks = u64::from(long(72)) | u64::from(long(76)) << 32;
        let name = bytes[32..64].split(|byte| *byte == 0).next();
        let algorithm = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if algorithm.is_empty() || !algorithm.chars().all(is_name) {
            return Err("does not name a hash algorithm");
        }
        let salt = usize::from(u16::from_le_bytes([bytes[80], bytes[81]]));
        if salt > MAX_SALT || blocks == 0 || blocks.checked_mul(data_block.into()).is_none() {
            return Err("has an invalid superblock");
        }
        Ok(Self {
            uuid: hex(&bytes[16..32]),
            algorithm,
            data_block,
            hash_block,
            blocks,
            salt: hex(&bytes[88..88 + salt]),
        })
    }

    /// Size of the device, in units of 512 bytes.
    pub(crate) fn sectors(&self) -> u64 {
        self.blocks * u64::from(self.data_block) / SECTOR
    }

    /// Parameters of the target `verity`; the tree is behind the superblock's block.
    pub(crate) fn table(&self, data: &str, hashes: &str, root: &str, options: &[&str]) -> String {
        let Self {
            algorithm,
            data_block,
            hash_block,
            blocks,
            ..
        } = self;
        let salt = if self.salt.is_empty() {
            "-"
        } else {
            &self.salt
        };
        let mut text = format!(
            "1 {data} {hashes} {data_block} {hash_block} {blocks} 1 {algorithm} {root} {salt}"
        );
        if !options.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, " {} {}", options.len(), options.join(" "));
        }
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{SUPERBLOCK, Superblock};

    fn superblock() -> [u8; SUPERBLOCK] {
        let mut bytes = [0; SUPERBLOCK];
        bytes[..8].copy_from_slice(b"verity\0\0");
        (bytes[8], bytes[12]) = (1, 1);
        bytes[16..32].fill(0xab);
        bytes[32..38].copy_from_slice(b"sha256");
        (bytes[65], bytes[69]) = (0x10, 0x10);
        bytes[72] = 7;
        bytes[80] = 2;
        bytes[88..90].copy_from_slice(&[0xc0, 0x01]);
        bytes
    }

    #[test]
    fn the_table_has_what_the_superblock_says() {
        let read = Superblock::parse(&superblock()).unwrap();
        assert_eq!(read.uuid, "ab".repeat(16));
        assert_eq!(read.sectors(), 7 * 8);
        assert_eq!(
            read.table("/dev/vda3", "/dev/vda2", "00ff", &[]),
            "1 /dev/vda3 /dev/vda2 4096 4096 7 1 sha256 00ff c001"
        );
        let table = read.table(
            "a",
            "b",
            "c",
            &["panic_on_corruption", "ignore_zero_blocks"],
        );
        assert!(table.ends_with(" c001 2 panic_on_corruption ignore_zero_blocks"));
        let mut bare = superblock();
        bare[80] = 0;
        let table = Superblock::parse(&bare).unwrap().table("a", "b", "c", &[]);
        assert!(table.ends_with(" c -"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (at, byte, says) in [
            (0, b'V', "no dm-verity superblock"),
            (8, 2, "version"),
            (12, 0, "version"),
            (65, 0, "size"),
            (69, 3, "size"),
            (32, 0, "algorithm"),
            (33, b' ', "algorithm"),
            (81, 2, "invalid superblock"),
            (72, 0, "invalid superblock"),
            (79, 0xff, "invalid superblock"),
        ] {
            let mut bytes = superblock();
            bytes[at] = byte;
            let error = Superblock::parse(&bytes).unwrap_err();
            assert!(error.contains(says), "{at}: {error}");
        }
    }
}
