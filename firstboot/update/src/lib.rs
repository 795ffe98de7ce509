//! Updates a node: fetches what is new of an image, writes it to the slot that does not run, and
//! makes it the one that boots next.
//!
//! The rooms, from top to bottom; each uses those below it, and none above:
//!
//! ```text
//!  verbs    check, apply, list, rollback, hold, reboot: from what was asked to what is said
//!  cli      the command line
//!  engine   one update, from the blocks that are here to the entry that boots
//!  refusal  why this node does not take that update
//!  source   where an update comes from: a directory, a stream, a web server, a registry
//!  esp      the boot entries: on the volume itself, or where it is mounted
//!  slots    the partitions of the disk
//!  node     what this node is and was told: image, configuration, what failed here
//! ```
//!
//! # Invariants
//! - The slot that runs is never written: [`slots::Slots::of`] finds it by the root hash that the
//!   kernel was started with, and gives out the place of the other one only.
//! - Nothing of a source is believed: the manifest by its signature where the image has a key,
//!   everything else by the digests in the manifest, the root block by block.
//! - A power cut at any moment leaves an entry that boots: until the new one is whole and named,
//!   the old one is the only one that names a slot; see [`engine`].

pub mod cli;
pub mod engine;
pub mod esp;
pub mod node;
pub mod refusal;
pub mod slots;
pub mod source;
pub mod verbs;
