//! The command line of `nodeimg inspect` and `nodeimg diff`.

use std::path::PathBuf;

use clap::Args;

use super::file;

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A disk (raw, zst, qcow2, a block device), a SquashFS, or an output directory of `nodeimg build`
    #[arg(value_name = "DIR|DISK", value_parser = file())]
    pub image: PathBuf,
    /// A path in the image: list this directory, or print this file's content
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Write the report as one HTML page, with a map of what made the image big
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The image before, as `nodeimg inspect` takes it
    #[arg(value_name = "BEFORE", value_parser = file())]
    pub before: PathBuf,
    /// The image after
    #[arg(value_name = "AFTER", value_parser = file())]
    pub after: PathBuf,
    /// Write what differs as one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
