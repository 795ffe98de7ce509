//! Byte formats without opinions: what a file looks like, not what is in it.

pub mod ar;
pub mod elf;
pub mod packing;
pub mod tar;
