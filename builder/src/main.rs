//! nodeimg: an immutable Kubernetes node image builder.
//!
//! Rooms, from the top: `cmd` (one verb a file), `output` and `qemu`, `rootfs`,
//! `artifact` and `fetch`, `tree` and `store`, `digest`. Arrows go down only.

mod arch;
mod artifact;
mod base;
#[cfg(test)]
mod bench_tests;
mod boot;
mod cli;
mod cmd;
mod config;
mod date;
mod debian;
mod digest;
mod fetch;
mod firstboot;
mod format;
#[cfg(test)]
mod judge;
mod libraries;
mod lint;
mod lock;
mod modules;
mod output;
mod parallel;
mod pki;
mod probe;
mod progress;
mod qemu;
mod recipe;
mod reuse;
mod rootfs;
mod seed;
mod store;
mod tree;
mod units;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cmd::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
