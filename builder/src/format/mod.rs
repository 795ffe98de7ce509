//! Byte formats without opinions: what a file looks like, not what is in it.

pub mod ar;
pub mod elf;
pub mod gpt;
pub mod guid;
pub mod packing;
pub mod region;
pub mod squashfs;
pub mod tar;
pub mod verity;
