#![allow(clippy::unwrap_used, clippy::expect_used)]

mod libraries;
mod sealing;
mod small;
mod steps;
