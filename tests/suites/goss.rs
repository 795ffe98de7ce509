//! image-builder's checks of a node, as goss.txt has them: those that are met
//! are run on the node, all in one go; the others have their answer.

use std::collections::BTreeMap;

use super::lists;
use super::report::say;
use crate::cluster::node::Node;

const LIST: &str = include_str!("goss.txt");

/// One command for each check that is to be met, by the check's words.
fn commands() -> BTreeMap<String, String> {
    let mut commands = BTreeMap::new();
    for (check, reply) in lists::reasons(LIST) {
        if let Some(command) = reply.strip_prefix("run: ") {
            commands.insert(check, command.to_owned());
        } else {
            let answer = reply.strip_prefix("answer: ");
            let answer = answer.unwrap_or_else(|| panic!("{check}: neither `run:` nor `answer:`"));
            assert!(
                answer.len() > 20,
                "{check}: that is not an answer: {answer}"
            );
        }
    }
    commands
}

/// A script that says `good N` or `bad N: why` of each. `versions` are assignments
/// that the commands refer to.
fn script(versions: &str, commands: &BTreeMap<String, String>) -> String {
    let mut script = format!("{versions}\n");
    for (number, command) in commands.values().enumerate() {
        script.push_str(&format!(
            "if said=$( ( {command}\n) 2>&1 ); then echo good {number}; \
             else echo bad {number}: $said; fi\n"
        ));
    }
    script
}

/// Runs them all. `versions` of KUBERNETES, CONTAINERD and CNI are as in a shell.
pub fn met(node: &Node, versions: &str) {
    let commands = commands();
    let told = node.shell(&script(versions, &commands));
    let mut wrong = Vec::new();
    for (number, check) in commands.keys().enumerate() {
        let line = told.lines().find(|line| {
            let rest = line.strip_prefix("good ").or(line.strip_prefix("bad "));
            rest.and_then(|rest| rest.split([' ', ':']).next()) == Some(&number.to_string())
        });
        match line {
            Some(line) if line.starts_with("good") => {}
            Some(line) => wrong.push(format!("{check}: {line}")),
            None => wrong.push(format!("{check}: the node said nothing of it")),
        }
    }
    let met = commands.len() - wrong.len();
    say(&format!(
        "{met} of {} checks of image-builder's are met",
        commands.len()
    ));
    assert!(
        wrong.is_empty(),
        "not met on the node, of tests/suites/goss.txt:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn each_check_is_met_or_answered() {
    let commands = commands();
    assert!(commands.len() > 25, "only {} are met", commands.len());
    // The shell takes it, and says which command failed.
    let two = [("a", "true"), ("b", "echo why; exit 3")];
    let two = two.map(|(name, command)| (name.to_owned(), command.to_owned()));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script("X=1", &two.into())]);
    let out = nodeimg_test_support::run::Ran::of(&mut shell).good().out;
    assert_eq!(out, "good 0\nbad 1: why\n");
    let mut syntax = std::process::Command::new("sh");
    syntax.args(["-n", "-c", &script("", &commands)]);
    nodeimg_test_support::run::Ran::of(&mut syntax).good();
}
