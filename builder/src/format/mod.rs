//! Byte formats without opinions: what a file looks like, not what is in it.

pub mod ar;
pub mod elf;
#[allow(dead_code, reason = "the outputs that use it follow")]
pub mod fat;
pub mod gpt;
pub mod guid;
pub mod packing;
#[allow(dead_code, reason = "the outputs that use it follow")]
pub mod qcow2;
pub mod region;
#[allow(dead_code, reason = "the outputs that use it follow")]
pub mod sparse;
pub mod squashfs;
pub mod tar;
pub mod verity;
