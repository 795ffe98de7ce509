//! The command line, read by hand as first boot's is.

use std::ffi::OsString;
use std::path::PathBuf;

pub const HELP: &str = "\
Updates this node: what is new of its image goes to the slot that does not run.

Usage: nodeimg-update check [SOURCE] [--to VERSION] [--json]
       nodeimg-update apply [SOURCE] [--to VERSION] [--force] [--reboot] [--json]
       nodeimg-update list [SOURCE] [--json]
       nodeimg-update rollback [--json]
       nodeimg-update hold [VERSION] | unhold [VERSION]
       nodeimg-update reboot | schedule | kubeadm [--json]
       nodeimg-update --version | --help

  check            say whether there is an update that this node takes
  apply            install it; it boots with the next reboot
  list             show what is on this disk, what failed, and what the source has
  rollback         boot the other slot's version with the next reboot
  hold, unhold     take no update, or not this version, until it is let go
  reboot           reboot into what is installed, in the window that update.toml gives
  schedule         set the timers as update.toml says; a unit does it in every boot
  kubeadm          run `kubeadm upgrade node` once after an update; a unit does it
  SOURCE           a directory, `-` (a tar on standard input), https://HOST/DIRECTORY/ or
                   oci://HOST/REPOSITORY[:TAG]; by default that of update.toml
  --to VERSION     this version, instead of the newest that the node may take
  --force          even if the version is older, failed here, is held, or not rolled out yet
  --reboot         reboot as soon as it is installed, and succeed if there is nothing newer
  --json           print JSON
  --auth FILE      logins of registries, as Docker keeps them
  --root DIR       work on a node's file system that is elsewhere
  --disk FILE      and on its disk: a device, or an image in a file
  --esp DIR        where its EFI system partition is mounted

Exit status: 0 done, 1 failed, 2 usage error, 3 this node does not take the update,
             4 there is nothing newer.
";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Check,
    Apply,
    List,
    Rollback,
    Hold,
    Unhold,
    Reboot,
    Schedule,
    Kubeadm,
}

impl Verb {
    /// Whether a source or a version may follow.
    fn names_something(self) -> bool {
        !matches!(
            self,
            Verb::Rollback | Verb::Reboot | Verb::Schedule | Verb::Kubeadm
        )
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    pub verb: Verb,
    /// The source, or the version to hold.
    pub what: Option<String>,
    pub to: Option<String>,
    pub force: bool,
    pub reboot: bool,
    pub json: bool,
    pub auth: Option<PathBuf>,
    pub root: PathBuf,
    pub disk: Option<PathBuf>,
    pub esp: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Run(Box<Options>),
    Help,
    Version,
}

/// Reads the arguments after the program's name; the error is one sentence.
///
/// # Errors
/// They are not a command line of this program.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let text = |argument: OsString| {
        argument
            .into_string()
            .map_err(|_| "an argument is not UTF-8 text".to_owned())
    };
    let mut arguments = arguments.map(text);
    let verb = match arguments.next().transpose()?.as_deref() {
        Some("check") => Verb::Check,
        Some("apply") => Verb::Apply,
        Some("list") => Verb::List,
        Some("rollback") => Verb::Rollback,
        Some("hold") => Verb::Hold,
        Some("unhold") => Verb::Unhold,
        Some("reboot") => Verb::Reboot,
        Some("schedule") => Verb::Schedule,
        Some("kubeadm") => Verb::Kubeadm,
        Some("--help" | "-h") => return Ok(Command::Help),
        Some("--version" | "-V") => return Ok(Command::Version),
        Some(other) => return Err(format!("`{other}` is not a verb")),
        None => return Err("a verb is missing".to_owned()),
    };
    let mut options = Options {
        verb,
        what: None,
        to: None,
        force: false,
        reboot: false,
        json: false,
        auth: None,
        root: PathBuf::from("/"),
        disk: None,
        esp: None,
    };
    while let Some(argument) = arguments.next().transpose()? {
        if matches!(argument.as_str(), "--help" | "-h") {
            return Ok(Command::Help);
        }
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = || match inline.clone() {
            Some(value) => Ok(value),
            None => arguments
                .next()
                .transpose()?
                .ok_or(format!("{name} needs a value")),
        };
        let takes = matches!(verb, Verb::Check | Verb::Apply);
        match name {
            "--to" if takes => options.to = Some(value()?),
            "--auth" if takes || verb == Verb::List => options.auth = Some(value()?.into()),
            "--root" => options.root = value()?.into(),
            "--disk" => options.disk = Some(value()?.into()),
            "--esp" => options.esp = Some(value()?.into()),
            "--force" | "--reboot" | "--json" if inline.is_some() => {
                return Err(format!("{name} takes no value"));
            }
            "--force" if verb == Verb::Apply => options.force = true,
            "--reboot" if verb == Verb::Apply => options.reboot = true,
            "--json" if !matches!(verb, Verb::Hold | Verb::Unhold) => options.json = true,
            what if !what.starts_with("--") && options.what.is_none() && verb.names_something() => {
                options.what = Some(argument);
            }
            _ => return Err(format!("`{argument}` is not a valid argument here")),
        }
    }
    Ok(Command::Run(Box::new(options)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Command, Verb, parse};
    use std::ffi::OsString;

    fn read(text: &str) -> Result<Command, String> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn understood() {
        let Command::Run(options) = read("apply - --force --to=1.2 --json").unwrap() else {
            panic!("it is a run");
        };
        assert_eq!(options.verb, Verb::Apply);
        assert_eq!(options.what.as_deref(), Some("-"));
        assert_eq!(options.to.as_deref(), Some("1.2"));
        assert!(options.force && options.json);
        assert_eq!(read("check -h").unwrap(), Command::Help);
        assert_eq!(read("--version").unwrap(), Command::Version);
    }

    #[test]
    fn refused() {
        for (text, why) in [
            ("", "a verb is missing"),
            ("upgrade", "`upgrade` is not a verb"),
            ("check --force", "`--force` is not a valid argument here"),
            ("check a b", "`b` is not a valid argument here"),
            ("rollback 1.0", "`1.0` is not a valid argument here"),
            ("reboot now", "`now` is not a valid argument here"),
            ("kubeadm --force", "`--force` is not a valid argument here"),
            ("hold --json", "`--json` is not a valid argument here"),
            ("apply --to", "--to needs a value"),
            ("apply --force=1", "--force takes no value"),
            ("check --reboot", "`--reboot` is not a valid argument here"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
