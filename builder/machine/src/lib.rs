//! Built images as machines: what `nodeimg run` and `nodeimg test` do, and what a
//! machine is given.
//!
//! ```text
//! test/        one image, tried in QEMU beside a fake API server
//! inventory/   many nodes at once
//! seed/        the seed of a node on disk, as a directory or a volume
//! qemu/        one machine, from its firmware to its last line
//! pki/         certificates of a cluster
//! ```
//! Each uses those below it.

pub mod inventory;
pub mod pki;
pub mod qemu;
pub mod seed;
pub mod test;
