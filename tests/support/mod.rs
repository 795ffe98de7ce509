//! What the integration tests of the CLI share: `run` starts programs,
//! `archive` makes archives byte by byte, `faulty_server` serves them with
//! every fault, `layout` makes container images and `registry_server` serves them
//! (`http_server` is what both servers stand on), `synthetic` is a whole node of tiny programs around these, `real` one of real programs,
//! `debian` the base system from a real mirror, `guest` boots what was built,
//! `slots` says when, `worker` and `media` give it its seed, `disk` is what it left behind, and `judge` is for other people's tools that have the last word.
//!
//! Every test drives the built `nodeimg` as a user does.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod archive;
pub mod debian;
pub mod disk;
pub mod facts;
pub mod faulty_server;
pub mod guest;
pub mod http_server;
pub mod image;
pub mod judge;
pub mod layout;
pub mod media;
pub mod real;
pub mod registry_server;
pub mod run;
pub mod slots;
pub mod synthetic;
pub mod worker;
