//! Built images, read without mounting them and without root: what is in one
//! ([`report`]), and what differs between two ([`difference`]).
//!
//! ```text
//! difference, page, text   for people: what differs, one HTML page, the terminal
//!   report                 everything that is told of an image
//!     configuration        files of settings as keys and values
//!     image                a disk or file system: partitions, ESP, UKI, root
//!       root  boot         the SquashFS; loader, UKI and initrd
//!         medium           the bytes: a file, a device, a compressed disk
//! ```
//!
//! SquashFS and FAT are read by libraries and not by what `builder/formats` wrote them with, so
//! that no fault of ours can hide itself here.
//!
//! Nothing here is verified: a report says what an image holds, not who vouches for it.

pub mod boot;
pub mod configuration;
pub mod difference;
pub mod image;
pub mod medium;
pub mod page;
pub mod report;
pub mod root;
pub mod text;
pub mod treemap;
