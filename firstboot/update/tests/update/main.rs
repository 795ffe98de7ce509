//! Updates of disks in files, made by nodeimg's own writers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod engine;
mod fixture;
mod fleet;
mod model;
mod power;
mod refusals;
mod registries;
mod registry_faults;
mod servers;
mod verbs;
