//! First boot in an image: what it is told of the image.

pub mod settings;
