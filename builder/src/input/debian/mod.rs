//! Debian's archive: signed indexes in, pinned packages out.
//!
//! ```text
//! sources    which mirrors there are
//! keyring    is the index Debian's?          release   is it the right one, and new?
//! catalog    all packages of it, by name     solve     which belong together
//! resolve    all of that in turn, for `lock`
//! scripts    what maintainer scripts do, of which none is run
//! ```
//! Words: an *archive* is `debian` or `debian-security`, a *suite* a directory
//! below its `dists/` (`trixie-updates`), an *index* a suite's Release and
//! Packages files ([format](https://wiki.debian.org/DebianRepository/Format)).
//!
//! # Invariants
//! Nothing of an index is believed before its signature, and no Packages file
//! whose digest a signed Release file does not state.

mod catalog;
mod keyring;
#[cfg(test)]
pub mod mirror;
mod notes;
mod relation;
mod release;
mod resolve;
#[cfg(test)]
pub mod samples;
pub mod scripts;
mod solve;
mod sources;
pub mod stanza;
pub mod version;

pub use keyring::Keyring;
#[cfg(test)]
pub use keyring::tests::TestKey;
pub use resolve::Resolver;
pub use resolve::single::SingleDeb;
pub use sources::{Archives, VARIABLE as MIRROR_VARIABLE};
