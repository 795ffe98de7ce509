//! A verb that does not exist, and those that were meant.

use std::path::Path;

use clap::Command;

use crate::input::recipe::nearest;

/// Words for one thing: who types one of them means a verb that is called another.
const GROUPS: [&[&str]; 18] = [
    &["list", "ls", "dir"],
    &["check", "validate", "lint", "verify"],
    &[
        "show", "print", "cat", "view", "describe", "info", "inspect",
    ],
    &["new", "create", "generate", "add", "init", "scaffold"],
    &["build", "make", "bake", "compile"],
    &["gc", "clean", "prune", "purge", "rm", "remove", "delete"],
    &["publish", "push", "upload", "release"],
    &["fetch", "pull", "download", "get"],
    &["run", "boot", "start", "launch", "up", "vm", "qemu"],
    &["test", "try"],
    &["flash", "burn", "write", "dd", "install"],
    &["update", "upgrade", "refresh"],
    &["lock", "pin", "freeze", "update", "upgrade", "outdated"],
    &["diff", "compare", "cmp"],
    &["doctor", "diagnose", "env", "preflight"],
    &["completions", "completion", "complete", "shell"],
    &["help", "man", "docs", "manual"],
    &["path", "where", "location", "pwd"],
];

/// The message for `word` below the verbs `above`, as clap writes such.
pub fn message(root: &Command, above: &[&str], word: &str) -> String {
    let mut text = format!("error: unrecognized subcommand '{word}'\n\n");
    let meant = meant(root, above, word);
    if !meant.is_empty() {
        text += &format!("  tip: did you mean `{}`?\n\n", meant.join("` or `"));
    }
    let verbs: String = above.iter().map(|verb| format!(" {verb}")).collect();
    text + &format!("For more information, try 'nodeimg{verbs} --help'.\n")
}

/// The verbs that `words` of a command line begin with, up to the unknown one.
pub fn above<'a>(root: &Command, words: &'a [String], unknown: &str) -> Vec<&'a str> {
    let mut here = root;
    let mut verbs = Vec::new();
    for word in words.iter().take_while(|word| *word != unknown) {
        if let Some(verb) = here.find_subcommand(word) {
            verbs.push(word.as_str());
            here = verb;
        }
    }
    verbs
}

/// Whole command lines.
fn meant(root: &Command, above: &[&str], word: &str) -> Vec<String> {
    let line = |verbs: &[&str]| format!("nodeimg {}", verbs.join(" "));
    let is_file = word.contains('.') && Path::new(word).exists();
    if is_file || word.contains('/') {
        let verb = match word.ends_with(".toml") || Path::new(word).is_dir() {
            true => "build",
            false => "inspect",
        };
        return vec![line(&[verb, word])];
    }
    if word == "version" {
        return vec![line(&["--version"])];
    }
    let here = above
        .iter()
        .try_fold(root, |at, verb| at.find_subcommand(verb));
    let here = here.unwrap_or(root);
    let mut all: Vec<Vec<&str>> = Vec::new();
    for verb in here.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        all.push([above, &[verb.get_name()]].concat());
        let inside = verb.get_subcommands().filter(|_| above.is_empty());
        all.extend(inside.map(|more| vec![verb.get_name(), more.get_name()]));
    }
    let last = |verbs: &Vec<&str>| verbs.last().copied().unwrap_or_default().to_owned();
    let lower = word.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split(['-', '_', ':', '.']).collect();
    let same = |name: &str| {
        name == lower || parts.contains(&name) || name.split('-').any(|part| part == lower)
    };
    let grouped = |name: &str| {
        let mut groups = GROUPS.iter().filter(|group| group.contains(&name));
        groups.any(|group| parts.iter().any(|part| group.contains(part)))
    };
    let begins = |name: &str| lower.len() >= 3 && name.starts_with(&lower);
    let near = nearest(&lower, all.iter().filter_map(|verbs| verbs.last().copied()));
    let judges: [&dyn Fn(&str) -> bool; 4] = [&same, &grouped, &begins, &|name| near == Some(name)];
    let found = judges.into_iter().find_map(|judge| {
        let fit: Vec<_> = all.iter().filter(|verbs| judge(&last(verbs))).collect();
        (!fit.is_empty()).then_some(fit)
    });
    found
        .unwrap_or_default()
        .into_iter()
        .map(|verbs| line(verbs))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_verb_that_was_meant_is_named() {
        let root = Cli::command();
        for (words, wanted) in [
            ("show", &["nodeimg recipe show", "nodeimg trust show"][..]),
            ("list", &["nodeimg recipe list"]),
            ("ls", &["nodeimg recipe list"]),
            ("biuld", &["nodeimg build"]),
            ("Build", &["nodeimg build"]),
            ("build-image", &["nodeimg build"]),
            ("img_build", &["nodeimg build"]),
            ("push", &["nodeimg publish"]),
            ("boot", &["nodeimg run"]),
            ("gc", &["nodeimg store gc"]),
            ("prune", &["nodeimg store gc"]),
            ("create", &["nodeimg init", "nodeimg seed new"]),
            ("insp", &["nodeimg inspect"]),
            ("version", &["nodeimg --version"]),
            ("./my.toml", &["nodeimg build ./my.toml"]),
            ("out/x/disk.raw", &["nodeimg inspect out/x/disk.raw"]),
            ("recipe ls", &["nodeimg recipe list"]),
            ("recipe validate", &["nodeimg recipe check"]),
            ("seed create", &["nodeimg seed new"]),
            ("store clean", &["nodeimg store gc"]),
            ("frobnicate", &[]),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let (word, above) = words.split_last().unwrap_or((&"", &[]));
            assert_eq!(meant(&root, above, word), wanted, "{words:?}");
        }
    }

    #[test]
    fn what_stands_before_the_unknown_verb_is_kept() {
        let root = Cli::command();
        let words = ["--store", "x", "recipe", "-q", "ls"].map(str::to_owned);
        assert_eq!(above(&root, &words, "ls"), ["recipe"]);
        let text = message(&root, &["recipe"], "ls");
        assert!(
            text.contains("did you mean `nodeimg recipe list`?"),
            "{text}"
        );
        assert!(text.contains("try 'nodeimg recipe --help'"), "{text}");
    }
}
