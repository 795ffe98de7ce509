//! ELF files ([System V gABI](https://gabi.xinuos.com/elf/)), 64-bit little-endian.
//!
//! ```text
//! program    what the header and the program headers say of a program
//! dynamic    what it asks its loader for
//! sections   the sections of an object file
//! ```

pub mod dynamic;
pub mod program;
pub mod sections;

/// Bytes of a 64-bit ELF header.
pub const HEADER_LEN: usize = 64;

/// The beginning of a 64-bit little-endian file.
const MAGIC_64_LSB: &[u8] = b"\x7fELF\x02\x01";

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}
