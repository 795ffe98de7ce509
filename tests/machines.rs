//! Everything that boots a machine in QEMU: one program, so that its tests share
//! the processors ([`nodeimg_test_support::slots`]) and none is idle while one of them is left.
//!
//! | module | what |
//! |---|---|
//! | `boot` | disks on their own |
//! | `cluster` | nodes in a real cluster |
//! | `verb_test` | `nodeimg test` |
//! | `suites` | a node, judged by others' suites |
//! | `workloads` | what real clusters run, on that node |
//!
//! They take minutes each, so they are ignored unless asked for;
//! `cargo test --test machines -- --ignored boot::media` runs some.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod boot;
mod cluster;
mod suites;
mod verb_test;
mod workloads;
