//! The consoles that the docs show say what they do: each block below [`MARK`] is run,
//! in a directory for its page, and what it prints is compared.
//!
//! A line that begins with `$ ` is a command, to its last `\` or the end of its
//! here-document; the lines after it are what it prints. `...` stands for the part of a
//! line that differs from run to run.
//!
//! And the docs name every verb and option that `--help` has.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::place::top;
use walkdir::WalkDir;

const MARK: &str = "<!-- tests/consoles.rs runs this -->";

/// A key that the docs' reader would have.
const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKz6VpTqQ9b1m2v3Xw4y5z6A7B8C9D0E1F2G3H4I5J6K reader\n";

#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    prints: Vec<String>,
}

#[test]
fn blocks_print_what_they_show() {
    let mut wrong = Vec::new();
    let mut run = 0;
    for page in pages(&docs()) {
        let steps = steps(&fs::read_to_string(&page).unwrap());
        run += steps.len();
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        fs::write(home.path().join(".ssh/id_ed25519.pub"), PUBLIC_KEY).unwrap();
        for step in steps {
            if let Err(why) = try_out(&step, home.path()) {
                wrong.push(format!("{}: {}\n{why}", page.display(), step.command));
            }
        }
    }
    assert!(run > 5, "ran only {run} commands");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_docs_name_every_verb_and_option() {
    let files = pages(&docs()).into_iter();
    let text: String = files
        .map(|page| fs::read_to_string(page).unwrap())
        .collect();
    let mut verbs = vec![Vec::new()];
    let mut missing = Vec::new();
    let mut options = 0;
    while let Some(verb) = verbs.pop() {
        let help = help(&verb);
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            let mut words = line.split_whitespace();
            let option = words.find(|word| word.starts_with("--") && word.len() > 2);
            let is_option = line.trim_start().starts_with('-');
            if let Some(option) = option.filter(|_| is_option) {
                options += 1;
                if !names(&text, option) {
                    missing.push(format!("{} {option}", verb.join(" ")));
                }
            }
        }
        for name in commands(&help) {
            if !names(&text, name) {
                missing.push(format!("{} {name}", verb.join(" ")));
            }
            verbs.push([verb.as_slice(), &[name.to_owned()]].concat());
        }
    }
    missing.retain(|it| !it.ends_with("--help") && !it.ends_with("--version"));
    assert!(options > 50, "found only {options} options");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn docs() -> PathBuf {
    top().join("docs")
}

fn help(verb: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeimg"));
    let output = command.args(verb).arg("--help").output().unwrap();
    assert!(output.status.success(), "{verb:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs that a help text lists.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split_once("Commands:\n");
    // The screen of all verbs has several in a line.
    let list = list.or_else(|| help.split_once("VERB ...\n\n"));
    let list = list.map_or("", |(_, rest)| rest);
    let lines = list.lines().take_while(|line| !line.is_empty());
    // What a description continues with is further in.
    let first = lines.filter(|line| !line.starts_with("   "));
    let names = first.filter_map(|line| line.trim_start().split("  ").next());
    let words = names.flat_map(|names| names.split(", "));
    words.filter(|word| *word != "help")
}

/// Whether a word stands in a text, and not as the beginning of another.
fn names(text: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(goes_on))
}

#[test]
fn a_block_is_read_as_a_reader_reads_it() {
    let text = format!(
        "```\n$ not this\n```\n{MARK}\n```\n$ cat >a <<END\n$ x\nEND\n$ b \\\n  c\nd ... e\nf\n```\n"
    );
    let expected = [
        ("cat >a <<END\n$ x\nEND", &[][..]),
        ("b \\\n  c", &["d ... e", "f"]),
    ];
    let expected = expected.map(|(command, prints)| Step {
        command: command.to_owned(),
        prints: prints.iter().map(|line| (*line).to_owned()).collect(),
    });
    assert_eq!(steps(&text), expected);
    assert!(fits("d ... e", "d 17 e") && fits("d", "d"));
    assert!(!fits("d ... e", "d 17 f") && !fits("d", "dd") && !fits("a...a", "a"));
}

fn pages(docs: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(docs).sort_by_file_name().into_iter();
    let files = entries.map(|entry| entry.unwrap().into_path());
    files
        .filter(|file| file.extension().is_some_and(|ending| ending == "md"))
        .collect()
}

/// The commands of a page's marked blocks, in order.
fn steps(page: &str) -> Vec<Step> {
    let blocks = page.split(MARK).skip(1);
    let bodies = blocks.map(|rest| rest.split("```").nth(1).expect("a block follows the mark"));
    bodies.flat_map(|body| steps_of(body.trim())).collect()
}

fn steps_of(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            let step = steps.last_mut().expect("a block begins with a command");
            step.prints.push(line.to_owned());
            continue;
        };
        let mut command = command.to_owned();
        let here = command.contains("<<END");
        while (here && !command.ends_with("\nEND")) || (!here && command.ends_with('\\')) {
            command.push('\n');
            command.push_str(lines.next().expect("the command goes on"));
        }
        steps.push(Step {
            command,
            prints: Vec::new(),
        });
    }
    steps
}

fn try_out(step: &Step, home: &Path) -> Result<(), String> {
    let programs = Path::new(env!("CARGO_BIN_EXE_nodeimg")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-euc", &format!("exec 2>&1\n{}", step.command)])
        .current_dir(home)
        .env("HOME", home)
        .env("PATH", path)
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let is_error = step.prints.iter().any(|line| line.starts_with("error: "));
    let lines: Vec<&str> = printed.lines().collect();
    let same = lines.len() == step.prints.len()
        && step
            .prints
            .iter()
            .zip(&lines)
            .all(|(shown, line)| fits(shown, line));
    if same && output.status.success() != is_error {
        return Ok(());
    }
    let shown = step.prints.join("\n");
    Err(format!(
        "{}; the page shows\n{shown}\nand it prints\n{printed}",
        output.status
    ))
}

/// Whether a line is what the page shows, which may leave out one part.
fn fits(shown: &str, line: &str) -> bool {
    match shown.split_once("...") {
        None => shown == line,
        Some((before, after)) => {
            line.len() >= before.len() + after.len()
                && line.starts_with(before)
                && line.ends_with(after)
        }
    }
}
