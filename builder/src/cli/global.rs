//! Options of all verbs, and which of them a verb's `--help` shows.

use std::path::PathBuf;

use clap::{Arg, Args, Command};

/// The verbs that download, and so have mirrors.
const DOWNLOAD: &[&str] = &[
    "build",
    "container",
    "doctor",
    "fetch",
    "job",
    "lock",
    "publish",
    "pull",
    "verify",
];
/// The verbs that read or write the store.
const STORE: &[&str] = &["build", "doctor", "fetch", "job", "lock", "store", "verify"];
/// The verbs that fetch or push, but none of Debian's packages.
const REGISTRY: &[&str] = &["container", "publish", "pull"];

/// Options that stand before or after the verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print only errors
    #[arg(short, long, global = true, conflicts_with = "json")]
    pub quiet: bool,
    /// Print events as JSON lines on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Directory of verified downloads [default: nodeimg in the XDG cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "NODEIMG_STORE")]
    pub store: Option<PathBuf>,
    /// Fetch URLs that begin with FROM from TO instead; also NODEIMG_MIRROR
    #[arg(long = "mirror", global = true, value_name = "FROM=TO")]
    pub mirrors: Vec<String>,
    /// Debian mirror to try before those of the recipe and of apt; also NODEIMG_DEBIAN_MIRROR
    #[arg(long = "debian-mirror", global = true, value_name = "URL")]
    pub debian_mirrors: Vec<String>,
}

/// Every verb accepts every global option, so that a script can set them for all
/// verbs alike; its `--help` shows only those that it uses.
pub fn show_only_used(command: Command) -> Command {
    let hidden: Vec<Arg> = command
        .get_arguments()
        .map(|arg| arg.clone().hide(true))
        .collect();
    command.mut_subcommands(|verb| {
        let name = verb.get_name().to_owned();
        let unused = hidden
            .iter()
            .filter(|arg| !uses(&name, arg.get_id().as_str()));
        // A verb's own argument takes the place of the global one of the same id.
        verb.args(unused.cloned().collect::<Vec<_>>())
    })
}

fn uses(verb: &str, option: &str) -> bool {
    match option {
        "store" => STORE.contains(&verb),
        "mirrors" => DOWNLOAD.contains(&verb),
        "debian_mirrors" => DOWNLOAD.contains(&verb) && !REGISTRY.contains(&verb),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::Cli;

    fn command() -> Command {
        show_only_used(Cli::command())
    }

    #[test]
    fn help_shows_the_global_options_that_a_verb_uses() {
        command().debug_assert();
        let options = [
            "--quiet",
            "--json",
            "--store",
            "--mirror",
            "--debian-mirror",
        ];
        for (words, shown) in [
            ("build", 5),
            ("fetch", 5),
            ("lock", 5),
            ("verify", 5),
            ("store gc", 3),
            ("store path", 3),
            ("run", 2),
            ("test", 2),
            ("init", 2),
            ("recipe list", 2),
            ("seed new", 2),
            ("", 5),
        ] {
            let line = format!("nodeimg {words} --help");
            let help = command()
                .try_get_matches_from(line.split_whitespace())
                .unwrap_err()
                .to_string();
            let (own, global) = help.split_once("\nGlobal options:\n").unwrap();
            for (index, option) in options.into_iter().enumerate() {
                let shows = |text: &str| text.split_whitespace().any(|word| word == option);
                assert_eq!(shows(global), index < shown, "{words} {option}:\n{help}");
                assert!(!shows(own), "{words} {option}:\n{help}");
            }
        }
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            "nodeimg --store S --mirror A=B -q recipe list",
            "nodeimg recipe --store S --mirror A=B -q list",
            "nodeimg recipe list --store S --mirror A=B -q",
            "nodeimg --store S lock --mirror A=B -q",
            "nodeimg lock --store S --mirror A=B -q",
        ] {
            let matches = command().try_get_matches_from(line.split(' ')).unwrap();
            let global = Cli::from_arg_matches(&matches).unwrap().global;
            assert!(global.quiet && !global.json, "{line}");
            assert_eq!(global.store, Some(PathBuf::from("S")), "{line}");
            assert_eq!(global.mirrors, ["A=B"], "{line}");
        }
    }
}
