//! A disk image on a device: what `nodeimg flash` does. Linux only.
//!
//! ```text
//! flash        the one sequence, from two names to a disk that boots
//!   list       which devices there are
//!   judge      whether a device may be written to
//!   lay        what is laid onto the disk: its table's end, a seed
//!   write      the image's bytes onto the device, and back
//!     image    the image as a stream, verified while it is read
//!     target   a device, opened exclusively, past the page cache
//!   signatures what is on a device already
//!   device     what the kernel says of it
//! ```
//!
//! # Invariants
//! - Nothing is written before everything that can be checked beforehand was checked.
//! - From the first write to the last, the device has neither a partition table at its start nor
//!   one at its end: a cut leaves a disk that does not boot. The first 4096 bytes come last,
//!   after everything else was read back.
//! - Every error after the first write says what the device holds now.
#![cfg(target_os = "linux")]

pub mod device;
pub mod flash;
pub mod image;
pub mod judge;
mod lay;
pub mod list;
pub mod signatures;
pub mod target;
mod write;
