//! From what was asked to what is said.
//!
//! ```text
//! take     check, apply: the newest update that this node may take
//! entries  list, rollback: what is on the disk
//! reboot   reboot: into what is installed, in a window
//! timers   schedule: systemd's timers, as the node's configuration says
//! kubeadm  kubeadm: what a kubeadm node needs after an update
//! job      `apply --reboot`: what a job on the node waits for
//! session  the disk, the ESP and the source that were asked for
//! ```

mod entries;
mod job;
mod kubeadm;
mod reboot;
mod session;
mod take;
mod timers;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use nodeimg_formats::update::{PROGRAM_MARKER, is_version};

use crate::cli::{self, Command, Options, Verb};
use crate::node::Node;
use crate::refusal::Refusal;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 3;
const NOTHING: u8 = 4;

/// What a verb came to: what is printed, and the exit status.
pub struct Said {
    pub text: String,
    pub json: serde_json::Value,
    pub status: u8,
}

/// Runs the program with these arguments.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match cli::parse(arguments) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            // The marker must be in the binary, for the builder to find.
            println!("{}\n{PROGRAM_MARKER}", cli::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Version) => {
            println!("nodeimg-update {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("error: {reason}\n\n{}", cli::HELP);
            return ExitCode::from(USAGE);
        }
    };
    match run(&options) {
        Ok(said) => {
            match options.json {
                true => println!("{:#}", said.json),
                false => println!("{}", said.text),
            }
            match options.reboot {
                true => job::after(said.status, &options.root),
                false => ExitCode::from(said.status),
            }
        }
        Err(error) => {
            let refusal = error.downcast_ref::<Refusal>();
            let status = if refusal.is_some() { REFUSED } else { FAILED };
            match options.json {
                true => println!(
                    "{:#}",
                    serde_json::json!({"error": format!("{error:#}"), "refused": refusal.is_some()})
                ),
                false => eprintln!("error: {error:#}"),
            }
            ExitCode::from(status)
        }
    }
}

fn run(options: &Options) -> Result<Said> {
    match options.verb {
        Verb::Check => take::check(options),
        Verb::Apply => take::apply(options),
        Verb::List => entries::list(options),
        Verb::Rollback => entries::rollback(options),
        Verb::Hold | Verb::Unhold => hold(options),
        Verb::Reboot => reboot::reboot(options),
        Verb::Schedule => timers::schedule(options),
        Verb::Kubeadm => kubeadm::upgrade(options),
    }
}

fn hold(options: &Options) -> Result<Said> {
    let node = Node::at(&options.root);
    let version = options.what.clone().unwrap_or("*".to_owned());
    if version != "*" && !is_version(&version) {
        bail!("`{}` is not a version", version.escape_debug());
    }
    let mut held = node.held()?;
    let is_new = options.verb == Verb::Hold;
    match is_new {
        true if held.contains(&version) => {}
        true => held.push(version.clone()),
        // Without a version everything is let go.
        false if options.what.is_none() => held.clear(),
        false => held.retain(|it| *it != version),
    }
    node.hold(&held)?;
    let which = match version.as_str() {
        "*" => "updates",
        version => &format!("version {version}"),
    };
    Ok(Said {
        text: match is_new {
            true => format!("{which}: held back until `nodeimg-update unhold`"),
            false => format!("{which}: no longer held back"),
        },
        json: serde_json::json!({ "held": held }),
        status: 0,
    })
}
