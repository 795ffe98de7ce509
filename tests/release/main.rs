//! Releases: what `ci/release` makes of nodeimg, and what surrounds them.
//!
//! | file | what | when |
//! |---|---|---|
//! | `promises` | what the pages say of versions is what the data and the program have | always |
//! | `action` | the steps of `action.yml`, run by a shell | always |
//! | `first_use` | from the one program in an empty root to a flashed disk that boots | `ci/release --test` |
//! | `workflows` | actionlint on them, on the workflows and on the example of one | always |
//! | `packages` | archives, packages in fresh roots, SBOMs | `ci/release --test` |
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod action;
mod first_use;
mod packages;
mod promises;
mod workflows;
