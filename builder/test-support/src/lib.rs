//! What the unit tests of several packages share. Nothing that is shipped uses it.

pub mod ar;
pub mod judge;
#[path = "../../../tests/support/mutate.rs"]
pub mod mutate;
