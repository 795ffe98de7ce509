//! Built images, read without mounting them and without root: what is in one
//! ([`report`]), and what differs between two ([`difference`]).
//!
//! ```text
//! page, difference, text   for people: one HTML page, what differs, the terminal
//!   report                 everything that is told of an image
//!     configuration        files of settings as keys and values
//!     image                a disk or file system: partitions, ESP, UKI, root
//!       root  boot         the SquashFS; loader, UKI and initrd
//!         medium           the bytes: a file, a device, a compressed disk
//! ```
//!
//! SquashFS is read by a library and not by what `builder/formats` wrote it with, so that no
//! fault of ours can hide itself here; what mtools and fsck.fat judge is FAT's own reader.
//!
//! # Invariants
//! Whatever an image holds, the answer is a report or one error: no panic, no endless run, no
//! more memory than an image of its size may take (`tests/damaged`).
//!
//! Nothing here is verified: a report says what an image holds, not who vouches for it.

pub mod boot;
pub mod configuration;
pub mod difference;
mod directories;
pub mod image;
pub mod medium;
pub mod page;
pub mod report;
pub mod root;
pub mod text;
pub mod treemap;
