//! The inputs of an image: what the recipe asks for, its digests, and the bytes.
//!
//! ```text
//! chosen     a recipe and its lock, as a verb is given them
//! resolve    from names to what a lock pins: the one room that asks "which bytes?"
//! bring      from a lock to the bytes that it pins
//! debian     from package names to packages, by Debian's signed indexes
//! vouch      who vouches for what a lock pins: every proof, verified again
//! lock       which bytes those of a recipe are
//! artifact   what of an archive, a package or a container image goes where
//! recipe     what the author asks for
//! published  what Kubernetes says that its programs read
//! fetch      from a URL and a digest to a verified blob in the store
//! ```

pub mod artifact;
pub mod bring;
pub mod chosen;
pub mod debian;
pub mod fetch;
pub mod lock;
pub mod published;
pub mod recipe;
pub mod resolve;
pub mod vouch;

/// More than any artifact of a node; a server that sends more is cut off.
const MAX_DOWNLOAD: u64 = 4 << 30;
