//! The binary that turns an image into a node: it finds a seed, lets the library read,
//! check and plan it, writes the files, and reports the result.
//!
//! Its exit status gates the unit: kubelet and kube-proxy start after 0 only.
//!
//! Under the name `init` it is the program that the kernel starts in the initrd ([`initrd`]).
//!
//! The rooms, from top to bottom; each uses those below it, and none above:
//!
//! ```text
//!  health   whether a version of the image that is tried keeps the node
//!  run      one run, and the verbs that come after it
//!  initrd   the first program of a boot: finds, verifies and mounts the root
//!  search   how long to look for a seed
//!  source   where a seed can come from
//!  media    disks, partitions, optical drives
//!  machine  this machine: its name, addresses, network interfaces, consoles
//!  apply    a plan written, safe at any power cut
//!  root     a directory tree that nothing leads out of, and every change of it
//!  cli      the command line
//! ```
mod apply;
mod cli;
mod health;
mod initrd;
mod machine;
mod media;
mod root;
mod run;
mod search;
mod source;

use std::path::Path;
use std::process::ExitCode;

use nodeimg_seed::contract::CONTRACT_MARKER;
use nodeimg_seed::contract::paths::{KUBEADM_CONFIG, KUBELET_BOOTSTRAP};
use nodeimg_seed::contract::report::{Outcome, RESULT_PATH, Report};
use nodeimg_seed::contract::update::UpdateState;

use crate::cli::{Command, RunOptions};
use crate::machine::Machine;
use crate::root::Root;
use crate::root::gate::Open;
use crate::run::{commands, reprovision, result, scrub};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const WARNS: u8 = 3;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    if initrd::is_init(name.as_ref()) {
        return initrd::main(&arguments.collect::<Vec<_>>());
    }
    match cli::parse(arguments) {
        Ok(Command::Run(options)) => set_up(&options),
        Ok(Command::Network) => prepare_network(),
        Ok(Command::Status { root, json }) => status(&root, json),
        Ok(Command::Reprovision { root, yes }) => told(&root, |root| reprovision::ask(root, yes)),
        Ok(Command::Bind) => told(Path::new("/"), reprovision::bind),
        Ok(Command::Commands) => run_commands(commands::run_pending),
        Ok(Command::CommandsEnded) => {
            let result = std::env::var("SERVICE_RESULT").unwrap_or_default();
            run_commands(|root| commands::ended(root, &result))
        }
        Ok(Command::ForgetToken) => forget_token(),
        Ok(Command::Health) => told(Path::new("/"), health::judge),
        Ok(Command::Bless) => told(Path::new("/"), health::bless),
        Ok(Command::Versions) => told(Path::new("/"), health::look_back),
        Ok(Command::Version) => {
            println!("nodeimg-firstboot {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Help) => {
            // The marker must be in the binary, for the builder to find.
            println!("{}\n{CONTRACT_MARKER}", cli::HELP);
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("error: {reason}\n\n{}", cli::HELP);
            ExitCode::from(USAGE)
        }
    }
}

fn open(root: &Path) -> Result<Root, ExitCode> {
    Root::open(root).map_err(|error| {
        eprintln!("error: opening the root {}: {error}", root.display());
        ExitCode::from(FAILED)
    })
}

fn set_up(options: &RunOptions) -> ExitCode {
    let root = match open(&options.root) {
        Ok(root) => root,
        Err(code) => return code,
    };
    let report = run::run(&root, options);
    if report.outcome != Outcome::Failed {
        print!("{}", report.summary());
        return ExitCode::SUCCESS;
    }
    let text = report.failure_box();
    eprint!("{text}");
    if Machine::of(&root).is_some() {
        machine::tell_consoles(&text);
    }
    ExitCode::from(FAILED)
}

/// A verb that says in one sentence what it has done, or why not.
fn told(path: &Path, verb: impl FnOnce(&Root) -> Result<String, String>) -> ExitCode {
    let root = match open(path) {
        Ok(root) => root,
        Err(code) => return code,
    };
    match verb(&root) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::from(FAILED)
        }
    }
}

/// The kubelet has its certificate, or kubeadm has done its work: the token is no longer needed.
fn forget_token() -> ExitCode {
    let root = match open(Path::new("/")) {
        Ok(root) => root,
        Err(code) => return code,
    };
    for path in [KUBELET_BOOTSTRAP, KUBEADM_CONFIG] {
        if let Err(error) = root.wipe(path, &mut Open) {
            eprintln!("error: removing {path}: {error}");
            return ExitCode::from(FAILED);
        }
    }
    scrub::settle_report(&root);
    ExitCode::SUCCESS
}

fn run_commands(run: impl FnOnce(&Root) -> Option<Report>) -> ExitCode {
    let root = match open(Path::new("/")) {
        Ok(root) => root,
        Err(code) => return code,
    };
    let Some(report) = run(&root) else {
        eprintln!("error: first boot has not run since this machine started");
        return ExitCode::from(FAILED);
    };
    if report.failed() {
        let text = report.failure_box();
        eprint!("{text}");
        machine::tell_consoles(&text);
        return ExitCode::from(FAILED);
    }
    ExitCode::SUCCESS
}

/// Never fails the unit: `run` finds the same problems and reports them.
fn prepare_network() -> ExitCode {
    if let Ok(root) = open(Path::new("/")) {
        run::prepare_network(&root);
    }
    ExitCode::SUCCESS
}

fn status(path: &Path, json: bool) -> ExitCode {
    let root = match open(path) {
        Ok(root) => root,
        Err(code) => return code,
    };
    let Some(mut report) = result::read(&root) else {
        eprintln!(
            "error: there is no report in {}: first boot has not run since this machine started",
            root.shown(RESULT_PATH)
        );
        return ExitCode::from(FAILED);
    };
    let known = run::versions::bytes(&root);
    let versions = UpdateState::read(&known).summary();
    report.update = UpdateState::whole(&known);
    match (json, report.to_json()) {
        (true, Ok(text)) => print!("{text}"),
        _ if report.failed() => print!("{}{versions}", report.failure_box()),
        _ => print!("{}{versions}", report.summary()),
    }
    match report.failed() {
        true => ExitCode::from(FAILED),
        false if report.warns() => ExitCode::from(WARNS),
        false => ExitCode::SUCCESS,
    }
}
