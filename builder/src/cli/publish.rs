//! The command lines of `nodeimg publish` and `nodeimg pull`.

use std::path::PathBuf;

use clap::Args;
use nodeimg_values::arch::Arch;

use super::TransferArgs;
use crate::publish::address::Address;

#[derive(Debug, Args)]
pub struct PublishArgs {
    /// An output directory of `nodeimg build`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Where to: oci://HOST/REPOSITORY:TAG [default tag: the image's version]
    #[arg(value_name = "ADDRESS")]
    pub address: Address,
    /// Repository of the same registry that may have some of the files already (oci://HOST/REPOSITORY); may be given more than once
    #[arg(long = "mount-from", value_name = "ADDRESS", value_parser = Address::repository)]
    pub mounts: Vec<Address>,
    /// nodeimg-update for the image's architecture, for the container image REPOSITORY:TAG-update
    #[arg(long, value_name = "FILE")]
    pub updater: Option<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// From where: oci://HOST/REPOSITORY:TAG, or oci://HOST/REPOSITORY@DIGEST
    #[arg(value_name = "ADDRESS")]
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
