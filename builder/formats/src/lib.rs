//! Byte formats without opinions: what a file looks like, not what is in it.
//!
//! Knows of no store and no tree: what has to be read comes as [`readable::Readable`],
//! what a file system holds as a list of its nodes.

pub mod ar;
pub mod blocks;
pub mod cpio;
pub mod elf;
pub mod fat;
pub mod go_buildinfo;
pub mod gpt;
pub mod guarded;
pub mod guid;
pub mod oci;
pub mod packing;
pub mod pe;
pub mod qcow2;
pub mod readable;
pub mod region;
pub mod sparse;
pub mod squashfs;
pub mod tar;
pub mod update;
pub mod verity;
