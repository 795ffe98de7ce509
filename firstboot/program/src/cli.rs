//! The command line, read by hand: a parser crate would be a tenth of the binary.
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use nodeimg_seed::check::InterfaceAddress;

pub(crate) const HELP: &str = "\
Sets up this node from its seed, once per instance.

Usage: nodeimg-firstboot [run] [--root DIR] [--seed PATH] [--assume-address IP[/LEN]]...
       nodeimg-firstboot network
       nodeimg-firstboot status [--root DIR] [--json]
       nodeimg-firstboot reprovision [--root DIR] [--yes]
       nodeimg-firstboot bind
       nodeimg-firstboot commands | commands-ended | forget-token
       nodeimg-firstboot health | bless | versions
       nodeimg-firstboot --version | --help

  run                      set the node up and report the result (the default)
  network                  before systemd-networkd: apply the seed's network for this boot
  status                   show the report of this boot, and versions that have failed
  reprovision              let the next boot take a seed from any source: a new instance, or
                           the same one with new certificates
  bind                     this node belongs to this machine from now on, not to the one that
                           it was set up on
  commands                 after everything else: run the seed's commands
  commands-ended           after that: report commands that ran out of time
  forget-token             remove the bootstrap token once the node has joined
  health                   in a boot that the loader counts: is this version healthy?
  bless                    after that: the loader counts this version's boots no more
  versions                 write down which versions have failed, and why
  --root DIR               work offline, on a copy of a node's file system
  --seed PATH              read the seed only from this directory or block device
  --assume-address IP/LEN  with --root: an address that the node will have
  --json                   print the whole report as JSON
  --yes                    do not ask

Exit status: 0 set up, 1 not set up, 2 usage error; of `status` also 3: set up, with warnings.
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunOptions {
    pub(crate) root: PathBuf,
    pub(crate) seed: Option<PathBuf>,
    pub(crate) assumed: Vec<InterfaceAddress>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run(RunOptions),
    Status {
        root: PathBuf,
        json: bool,
    },
    /// Let the next boot take a seed from any source.
    Reprovision {
        root: PathBuf,
        yes: bool,
    },
    /// Record this machine in the stamp, on the node itself.
    Bind,
    /// Run the seed's commands, on the node itself.
    Commands,
    /// Report on commands that systemd has ended.
    CommandsEnded,
    /// Remove the bootstrap token, on the node itself.
    ForgetToken,
    /// Apply the seed's network, on the node itself.
    Network,
    /// Whether the version that runs is healthy, on the node itself.
    Health,
    /// Count the boots of the version that runs no more.
    Bless,
    /// Write down which versions have failed.
    Versions,
    Version,
    Help,
}

/// Reads the arguments after the program's name; the error is one sentence.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.peekable();
    let verb = match arguments.peek().and_then(|first| first.to_str()) {
        Some("status") => Verb::Status,
        Some("reprovision") => Verb::Reprovision,
        Some("run") => Verb::Run,
        Some(
            name @ ("bind" | "bless" | "commands" | "commands-ended" | "forget-token" | "health"
            | "versions"),
        ) => {
            let (name, command) = match name {
                "bless" => ("bless", Command::Bless),
                "health" => ("health", Command::Health),
                "versions" => ("versions", Command::Versions),
                "bind" => ("bind", Command::Bind),
                "commands" => ("commands", Command::Commands),
                "commands-ended" => ("commands-ended", Command::CommandsEnded),
                _ => ("forget-token", Command::ForgetToken),
            };
            return match arguments.nth(1) {
                None => Ok(command),
                Some(_) => Err(format!("`{name}` takes no options")),
            };
        }
        Some("network") => {
            arguments.next();
            return match arguments.next() {
                None => Ok(Command::Network),
                Some(_) => Err(
                    "`network` takes no options: it works on the running system only".to_owned(),
                ),
            };
        }
        _ => {
            return parse_options(arguments, Verb::Run);
        }
    };
    arguments.next();
    parse_options(arguments, verb)
}

/// What has options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Run,
    Status,
    Reprovision,
}

fn parse_options(
    mut arguments: impl Iterator<Item = OsString>,
    verb: Verb,
) -> Result<Command, String> {
    let mut root = PathBuf::from("/");
    let mut seed = None;
    let mut assumed = Vec::new();
    let mut json = false;
    let mut yes = false;
    while let Some(argument) = arguments.next() {
        let (name, inline) = split(&argument)?;
        if inline.is_some()
            && matches!(
                name,
                "--json" | "--yes" | "--version" | "-V" | "--help" | "-h"
            )
        {
            return Err(format!("{name} takes no value"));
        }
        let mut value = || {
            inline
                .clone()
                .or_else(|| arguments.next())
                .ok_or(format!("{name} needs a value"))
        };
        match name {
            "--version" | "-V" => return Ok(Command::Version),
            "--help" | "-h" => return Ok(Command::Help),
            "--root" => root = PathBuf::from(value()?),
            "--json" if verb == Verb::Status => json = true,
            "--yes" if verb == Verb::Reprovision => yes = true,
            "--seed" if verb == Verb::Run => seed = Some(PathBuf::from(value()?)),
            "--assume-address" if verb == Verb::Run => assumed.push(assumed_address(&value()?)?),
            _ => return Err(format!("`{name}` is not a valid argument here")),
        }
    }
    // `--root /` and `--root //` are the running system, whose addresses are known.
    if root.components().eq(PathBuf::from("/").components()) {
        root = PathBuf::from("/");
    }
    if !assumed.is_empty() && root == *"/" {
        return Err(
            "--assume-address needs --root: a running node knows its own addresses".to_owned(),
        );
    }
    Ok(match verb {
        Verb::Status => Command::Status { root, json },
        Verb::Reprovision => Command::Reprovision { root, yes },
        Verb::Run => Command::Run(RunOptions {
            root,
            seed,
            assumed,
        }),
    })
}

/// `--name=value` or `--name`.
fn split(argument: &OsString) -> Result<(&str, Option<OsString>), String> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = argument.as_bytes();
    let end = bytes
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(bytes.len());
    let name = std::str::from_utf8(&bytes[..end])
        .map_err(|_| "an argument is not UTF-8 text".to_owned())?;
    let value = bytes
        .get(end + 1..)
        .map(|value| std::ffi::OsStr::from_bytes(value).to_owned());
    Ok((name, value))
}

fn assumed_address(value: &OsString) -> Result<InterfaceAddress, String> {
    let text = value.to_string_lossy();
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| format!("--assume-address `{text}` is not a valid address"))?;
    Ok(InterfaceAddress {
        interface: "assumed".to_owned(),
        net,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::{Command, RunOptions, parse};

    fn read(text: &str) -> Result<Command, String> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn understood() {
        let run = |root: &str, seed: Option<&str>| {
            Command::Run(RunOptions {
                root: root.into(),
                seed: seed.map(PathBuf::from),
                assumed: Vec::new(),
            })
        };
        for (text, expected) in [
            ("", run("/", None)),
            ("run", run("/", None)),
            ("--root //", run("/", None)),
            ("run --root=/r --seed s", run("/r", Some("s"))),
            (
                "status --json",
                Command::Status {
                    root: "/".into(),
                    json: true,
                },
            ),
            (
                "status --root r",
                Command::Status {
                    root: "r".into(),
                    json: false,
                },
            ),
            ("--version", Command::Version),
            ("status -h", Command::Help),
            (
                "reprovision --yes",
                Command::Reprovision {
                    root: "/".into(),
                    yes: true,
                },
            ),
            ("bind", Command::Bind),
            ("commands", Command::Commands),
            ("forget-token", Command::ForgetToken),
            ("network", Command::Network),
            ("health", Command::Health),
            ("bless", Command::Bless),
            ("versions", Command::Versions),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        let Ok(Command::Run(options)) =
            read("--root r --assume-address 10.0.0.1/8 --assume-address fd00::1")
        else {
            panic!("is a run")
        };
        let nets: Vec<String> = options
            .assumed
            .iter()
            .map(|assumed| assumed.net.to_string())
            .collect();
        assert_eq!(nets, ["10.0.0.1/8", "fd00::1/128"]);
    }

    #[test]
    fn refused() {
        for (text, expected) in [
            ("frobnicate", "`frobnicate` is not a valid argument"),
            ("commands --root r", "`commands` takes no options"),
            ("health --root r", "`health` takes no options"),
            ("network --root x", "`network` takes no options"),
            ("run --yes", "`--yes` is not a valid argument"),
            ("reprovision --seed x", "`--seed` is not a valid argument"),
            ("bind --root r", "`bind` takes no options"),
            ("run --json", "`--json` is not a valid argument here"),
            ("status --seed x", "`--seed` is not a valid argument here"),
            ("--root", "--root needs a value"),
            ("--version=1", "takes no value"),
            ("--assume-address 10.0.0.1", "needs --root"),
            ("--root r --assume-address x", "`x` is not a valid address"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
