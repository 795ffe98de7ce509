//! Outputs: one thing handed over per file.

pub mod atomic;
pub mod manifest;
pub mod tarball;
