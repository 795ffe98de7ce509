//! nodeimg: an immutable Kubernetes node image builder.
//!
//! Rooms, from the top: `cmd` (one verb a file), `output` and `qemu`, `rootfs`,
//! `artifact` and `fetch`, `tree` and `store`, `digest`. Arrows go down only.

mod artifact;
mod base;
#[cfg(test)]
mod bench_tests;
mod boot;
mod cli;
mod cmd;
mod config;
mod debian;
mod fetch;
mod firstboot;
mod libraries;
mod lint;
mod lock;
mod modules;
mod output;
mod recipe;
mod reuse;
mod rootfs;
mod store;
mod tree;
mod units;

use std::process::ExitCode;

use clap::Parser;
use nodeimg_firstboot::problem::printable;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cmd::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", shown(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// An error quotes what archives, indexes and servers hold: nothing of that may
/// steer the terminal that it is printed on.
fn shown(error: &str) -> String {
    let lines: Vec<String> = error
        .split('\n')
        .map(|line| printable(line.to_owned()))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_steers_no_terminal() {
        let hostile = "reading x\u{1b}]0;y\u{7}\nand a\rb";
        assert_eq!(
            super::shown(hostile),
            "reading x\\u{1b}]0;y\\u{7}\nand a\\rb"
        );
    }
}
