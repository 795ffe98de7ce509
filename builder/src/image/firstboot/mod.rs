//! First boot in an image: its program, and what it is told of the image.

pub mod program;
pub mod settings;
