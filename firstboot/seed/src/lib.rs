//! What a seed says, whether that is right, and what follows from it: bytes in, a list
//! of files out. First boot sets up the node with it; the builder uses it to check
//! seeds and templates, and to bake the settings for first boot.
//!
//! The floors, from top to bottom; each uses those below it, and none above:
//!
//! ```text
//!  examine    the one sequence from the bytes of a seed to a plan
//!  plan       what will be written
//!  check      whether what the seed says makes sense
//!  write      the seed of a new node
//!  read       what the seed says: identity, user-data, network
//!  contract   what builder and first boot, one boot and the next, agree on
//!  text       what all of that is written in: YAML, templates, PEM; problems
//!  volume     what is on a disk or a partition
//! ```
//!
//! # Invariants
//! The library is pure. It touches no file and no network, and asks this machine for
//! nothing: callers pass the time and the architecture.

pub mod check;
pub mod contract;
pub mod examine;
pub mod plan;
pub mod read;
pub mod text;
pub mod volume;
pub mod write;
