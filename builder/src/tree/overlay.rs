//! Overlays
use super::{ImagePath, Node};
use anyhow::{Result, bail};
use include_dir::Dir;
use std::path::Path;

/// Where an overlay is read from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In this program, by `include_dir!`.
    Embedded(&'a Dir<'a>),
    Disk(&'a Path),
}

/// What an overlay lays in.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    pub root: Vec<(ImagePath, Node)>,
    /// By the path that each renders to.
    pub templates: Vec<(ImagePath, String)>,
}

pub fn load(_source: Source<'_>, _name: &str) -> Result<Overlay> {
    bail!("interface only")
}

/// Where the template that renders to `path` lies in the image.
pub fn template_path(path: &ImagePath) -> Result<ImagePath> {
    nodeimg_firstboot::TEMPLATE_DIR
        .parse::<ImagePath>()?
        .join(path.relative())
}
