//! `nodeimg --help`: all verbs on one screen of 24 lines, 80 columns wide.

use clap::Command;

/// Verbs in the order in which a person needs them, those of one subject in one line.
const LINES: &[(&[&str], &str)] = &[
    (
        &["init"],
        "Write a recipe, its lock and an overlay folder to edit",
    ),
    (
        &["doctor"],
        "Say what this machine can do, and how to get the rest",
    ),
    (&["recipe"], "List, check and print recipes"),
    (
        &["lock", "fetch"],
        "Pin a recipe's artifacts by digest; download them",
    ),
    (&["build"], "Build an image from a recipe and its lock"),
    (
        &["inspect", "diff"],
        "Look inside a built image; list what differs between two",
    ),
    (
        &["run", "test"],
        "Boot a built disk in QEMU; test it there without a cluster",
    ),
    (
        &["flash"],
        "Write a built image to a disk or card, and read it back",
    ),
    (&["seed"], "Create and check seeds (per-node configuration)"),
    (
        &["sign", "verify"],
        "Sign a built image; verify who signed it and every file",
    ),
    (
        &["publish", "pull"],
        "Push an image to a container registry; take it out again",
    ),
    (
        &["job", "container"],
        "Build and publish as a job; nodeimg's own container image",
    ),
    (&["store"], "Manage the store of verified downloads"),
    (&["trust"], "Show and update the trusted roots of Sigstore"),
    (
        &["help", "completions"],
        "Read the documentation; complete verbs in your shell",
    ),
];

/// `command`, whose help is that screen.
pub fn with_one(command: Command) -> Command {
    let verbs = lines(&command);
    let text = format!(
        "{{about}}\n\nUsage: nodeimg [OPTIONS] VERB ...\n\n{verbs}\n\
         `nodeimg VERB -h` explains a verb, with examples. Options of every verb:\n\
         {BLANK}-q, --quiet   --json   --store DIR   --mirror FROM=TO   --debian-mirror URL\n\
         {BLANK}-h, --help    -V, --version"
    );
    command.help_template(text)
}

const BLANK: &str = "  ";

fn lines(command: &Command) -> String {
    let shown: Vec<&Command> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .collect();
    let is_there = |name: &&&str| shown.iter().any(|verb| verb.get_name() == **name);
    let mut lines: Vec<(String, String)> = Vec::new();
    for (names, about) in LINES {
        let names: Vec<&str> = names.iter().filter(is_there).copied().collect();
        if !names.is_empty() {
            lines.push((names.join(", "), (*about).to_owned()));
        }
    }
    for verb in &shown {
        let known = |(names, _): &(&[&str], &str)| names.contains(&verb.get_name());
        if !LINES.iter().any(known) {
            let about = verb.get_about().map(ToString::to_string);
            lines.push((verb.get_name().to_owned(), about.unwrap_or_default()));
        }
    }
    let width = lines
        .iter()
        .map(|(names, _)| names.len())
        .max()
        .unwrap_or(0);
    let line = |(names, about): &(String, String)| format!("  {names:width$}  {about}\n");
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn all_verbs_fit_one_screen() {
        let command = with_one(Cli::command());
        let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let verbs: Vec<String> = shown.map(|verb| verb.get_name().to_owned()).collect();
        let help = command
            .try_get_matches_from(["nodeimg", "--help"])
            .unwrap_err()
            .to_string();
        // One line is left for the prompt.
        assert!(help.lines().count() <= 23, "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for verb in verbs {
            let mut words = help.lines().filter_map(|line| line.strip_prefix("  "));
            let named = words.any(|line| {
                let (names, _) = line.split_once("  ").unwrap_or((line, ""));
                names.split(", ").any(|name| name == verb)
            });
            assert!(named, "{verb}:\n{help}");
        }
    }
}
