//! The command line of `nodeimg run` and `nodeimg test`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use nodeimg_machine::qemu::command::Port;
use nodeimg_machine::qemu::firmware::Firmware;
use nodeimg_machine::qemu::host::Accel;
use nodeimg_values::arch::Arch;

use super::{file, seconds};
use crate::input::recipe::RecipeRef;
use crate::input::recipe::value::ByteSize;

/// How large the node's machine is.
#[derive(Debug, Args)]
pub struct SizeArgs {
    /// Memory of the node
    #[arg(long, default_value = "2GiB", value_name = "SIZE")]
    pub memory: ByteSize,
    /// Processors of the node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    pub cpus: u8,
}

/// What to boot, and how QEMU does that.
#[derive(Debug, Args)]
pub struct BootArgs {
    /// An output directory of `nodeimg build`, or a disk image; it is never written to
    #[arg(value_name = "DIR|DISK")]
    pub image: PathBuf,
    /// Architecture of a disk image without a manifest.json beside it
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// QEMU accelerator [default: hardware virtualization if available, otherwise emulation (tcg)]
    #[arg(long, value_name = "NAME")]
    pub accel: Option<Accel>,
    /// UEFI firmware and the template of its variables [default: found through QEMU's firmware descriptions]
    #[arg(long, value_name = "CODE:VARS")]
    pub firmware: Option<Firmware>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The node's seed: a directory in the layout of NoCloud or of a config drive, or the image of a volume
    #[arg(long, value_name = "DIR|FILE")]
    pub seed: Option<PathBuf>,
    /// Forward a loopback port to the node (2222:22, 53:53/udp); may be given more than once
    #[arg(long = "port", value_name = "HOST:GUEST")]
    pub ports: Vec<Port>,
    /// Keep the node's state in this directory and continue with it next time
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Fail and power off after this time, in seconds or as 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = seconds(31_536_000))]
    pub timeout: Option<u64>,
    /// Succeed and power off as soon as the console prints TEXT
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect: Option<String>,
    #[command(flatten)]
    pub size: SizeArgs,
    /// Size of the node's disk [default: the recipe's `disk.size`, or 8 GiB]
    #[arg(long, value_name = "SIZE")]
    pub disk_size: Option<ByteSize>,
    #[command(flatten)]
    pub boot: BootArgs,
    /// Run this script as root when the node is up, print its output, and power the node off
    #[arg(long, value_name = "FILE", conflicts_with = "expect", value_parser = file())]
    pub exec: Option<PathBuf>,
    /// Write the script's output to this file [default: standard output]
    #[arg(long, value_name = "FILE", requires = "exec")]
    pub exec_output: Option<PathBuf>,
    /// Write the console to this file [default: standard output; standard error with --exec or --json]
    #[arg(long, value_name = "FILE")]
    pub console: Option<PathBuf>,
    /// Create the files that the run needs and print QEMU's command instead of running it
    #[arg(long, conflicts_with_all = ["timeout", "expect", "exec", "console"])]
    pub print: bool,
    /// More arguments for QEMU, after `--`
    #[arg(last = true, value_name = "QEMU ARGUMENTS")]
    pub extra: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The recipe that it was built from [default: the built-in recipe of the same name]
    #[arg(long, short, value_name = "NAME|FILE")]
    pub recipe: Option<RecipeRef>,
    /// Run only this test case: boot, reboot, power-cut, tampered-root, no-seed; may be given more than once
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// Keep console logs and reports in this directory [default: only if a case fails]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Time limit for one boot, in seconds or as 10m, 1h [default: 300, or 1200 if the processor is emulated]
    #[arg(long, value_name = "TIME", value_parser = seconds(86_400))]
    pub timeout: Option<u64>,
    #[command(flatten)]
    pub size: SizeArgs,
    #[command(flatten)]
    pub boot: BootArgs,
}
