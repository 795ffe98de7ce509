//! Independent sources of a digest.
