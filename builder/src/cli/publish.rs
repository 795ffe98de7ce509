//! The command lines of `nodeimg publish`, `pull`, `job` and `container`.

use std::path::PathBuf;

use clap::Args;
use nodeimg_values::arch::Arch;

use super::{ArchArgs, NetworkArgs, RecipeArgs, TransferArgs, file};
use crate::publish::address::{ANY, Address, PLACE, Place, REPOSITORY};

#[derive(Debug, Args)]
pub struct PublishArgs {
    /// An output directory of `nodeimg build`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Where to: oci://HOST/REPOSITORY:TAG [default tag: the image's version]
    #[arg(value_name = "ADDRESS", value_parser = ANY)]
    pub address: Address,
    /// Repository of the same registry that may have some of the files already (oci://HOST/REPOSITORY); may be given more than once
    #[arg(long = "mount-from", value_name = "ADDRESS", value_parser = REPOSITORY)]
    pub mounts: Vec<Address>,
    /// Another nodeimg-update in the container image REPOSITORY:TAG-update than the one inside nodeimg
    #[arg(long, value_name = "FILE")]
    pub updater: Option<PathBuf>,
    /// Sign what is published by the key `[checksums]` of this file, as cosign does (TOML; see docs/how-to/sign.md)
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// From where: oci://HOST/REPOSITORY:TAG, or oci://HOST/REPOSITORY@DIGEST
    #[arg(value_name = "ADDRESS", value_parser = ANY)]
    pub address: Address,
    /// The directory to write
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Architecture of the image [default: the only one, or this machine's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// Take one disk, of the large files: disk.raw, disk.raw.zst or disk.qcow2
    #[arg(long, value_name = "FILE", conflicts_with = "update", value_parser = ["disk.raw", "disk.raw.zst", "disk.qcow2"])]
    pub disk: Option<String>,
    /// Take the files of the update, of the large files
    #[arg(long)]
    pub update: bool,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

#[derive(Debug, Args)]
pub struct JobArgs {
    /// Where to: `oci://HOST/REPOSITORY[:TAG]`; `{name}` stands for the image's name
    #[arg(value_name = "ADDRESS", value_parser = PLACE)]
    pub place: Place,
    /// A list of recipes and architectures, a line each (`./web.toml amd64`)
    #[arg(long, value_name = "FILE", requires = "line", conflicts_with_all = ["recipe", "bare", "named"], value_parser = file())]
    pub list: Option<PathBuf>,
    /// The line of the list, counted from 0 without empty ones and comments
    #[arg(long, value_name = "N", requires = "list")]
    pub line: Option<usize>,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub arch: ArchArgs,
    /// Where to write the image, in its own directory
    #[arg(long, short, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,
    /// Sign image and manifests by the keys of this file (TOML; see docs/how-to/sign.md)
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub keys: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
}

#[derive(Debug, Args)]
pub struct ContainerArgs {
    /// The file to write (an OCI archive), or `oci://HOST/REPOSITORY[:TAG]` [default tag: nodeimg's version]
    #[arg(value_name = "FILE|ADDRESS")]
    pub to: String,
    /// Static nodeimg, one for each architecture [default: this one]
    #[arg(value_name = "PROGRAM")]
    pub programs: Vec<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
}
