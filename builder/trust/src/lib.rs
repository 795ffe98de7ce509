//! Who vouches for the bytes of an upstream: signatures are verified when a lock pins
//! them, and their proofs are kept and verified again offline.
//!
//! A [`Demand`] says who must vouch for an artifact, a [`Proof`] is what upstream
//! published and the lock keeps, [`verify()`] judges one by the other with the trusted
//! [`Roots`], and [`Vouched`] says who signed. Nothing here knows a network, a recipe or
//! a lock: [`collect`] builds proofs from bytes that somebody else fetched.
//!
//! # Invariants
//! - Identities are exact. No demand accepts "whoever has a certificate".
//! - One proof is judged by one trusted root, with the rules of that root: what GitHub's
//!   own instance does without (a log, SCTs) is never waived for another.
//! - Whatever a proof holds, the answer is a [`Refusal`] and never a panic: sizes are
//!   bounded before anything is parsed ([`proof::MAX_PROOF`]).

pub mod collect;
pub mod demand;
pub mod known;
pub mod proof;
pub mod refusal;
pub mod roots;
pub mod tuf;
pub mod vouched;

mod openpgp;
mod sigstore;
mod sources;
mod verify;

pub use demand::{Artifact, Demand, Instance, Signer};
pub use proof::{Answer, Proof};
pub use refusal::{Refusal, Why};
pub use roots::Roots;
pub use verify::{first, statement, verify};
pub use vouched::{How, Vouched};
