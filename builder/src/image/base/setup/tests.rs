#![allow(clippy::unwrap_used, clippy::expect_used)]

mod libraries;
mod sealing;
pub mod small;
mod steps;
