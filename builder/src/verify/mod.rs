//! `nodeimg verify`: whether an image is what somebody vouches for, in ten steps.
//!
//! ```text
//! policy       1  whom the user trusts
//! vouched      2  signatures of the sums and the statement; 3  each file by the sums
//! statement    4  how it was built
//! disk         5  partitions and the ESP
//! boot         6  EFI programs
//! verity       7  the hash tree
//! root         8  files against manifest and SBOM
//! upstream     9  who vouches for what went in
//! rebuild     10  the same bytes again
//! bill         an SBOM, read again
//! known, inside   what has been vouched for so far
//! step            a step and its verdict
//! ```
//!
//! # Invariants
//! - No step reads a value from what it verifies unless an earlier step vouched for it:
//!   only [`vouched`] makes a `Vouched`.
//! - A step whose needs are not met is not reached; it never passes.

mod bill;
mod boot;
mod disk;
mod inside;
mod known;
mod policy;
mod root;
mod step;
mod verity;
mod vouched;
