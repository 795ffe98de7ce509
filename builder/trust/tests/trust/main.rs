//! Real signatures, attestations and damaged ones, as their publishers test with them, go
//! through this package's own functions; see `../vectors/README.md` for where each is from.
#![allow(clippy::unwrap_used)]

mod builds;
mod common;
mod conformance;
mod damaged;
mod mutations;
mod openpgp;
mod parts;
mod signatures;
