//! Completions in real shells, the manual before its judges, and `help TOPIC`.

use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_test_support::place;
use nodeimg_test_support::run::{Ran, clean, nodeimg};
use nodeimg_test_support::synthetic::World;

/// Lines, and what must be, and must not be, among the words that a shell offers for their end.
const LINES: &[(&str, &[&str], &[&str])] = &[
    ("nodeimg rec", &["recipe"], &["build"]),
    (
        "nodeimg recipe ",
        &["check", "list", "schema", "show"],
        &["build", "man"],
    ),
    ("nodeimg build --recipe hard", &["hard-way"], &["kubeadm"]),
    (
        "nodeimg build --recipe ./rec",
        &["./recipe.toml"],
        &["hard-way"],
    ),
    ("nodeimg build ./rec", &["./recipe.toml"], &[]),
    ("nodeimg build --arch a", &["amd64", "arm64"], &[]),
    (
        "nodeimg build --output disk-q",
        &["disk-qcow2"],
        &["overlay"],
    ),
    (
        "nodeimg lock -r ./recipe.toml --update run",
        &["runc"],
        &["containerd"],
    ),
    ("nodeimg run --fir", &["--firmware"], &["--memory"]),
    ("nodeimg completions f", &["fish"], &["bash"]),
];

/// A shell with this nodeimg on its PATH, in a directory with a recipe.
fn shell(program: &str, world: &World, script: &str, line: &str) -> Option<Vec<String>> {
    let binary = place::nodeimg();
    let folder = binary.parent().unwrap().display().to_string();
    let mut command = clean(Command::new(program));
    command
        .current_dir(world.path(""))
        .args(["-c", script, line])
        .env("HOME", world.path(""))
        .env("LINE", line)
        .env("TERM", "xterm");
    let output = {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{folder}:{path}"));
        match command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                judge::missing(&format!("the command `{program}`"));
                return None;
            }
            Err(error) => panic!("{program}: {error}"),
        }
    };
    let ran = Ran::from(output, format!("{program}: {line}")).good();
    assert_eq!(ran.err, "", "{program}: {line}");
    let words = ran.out.lines();
    let first = |line: &str| {
        line.split(['\t', ' '])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    Some(words.map(first).collect())
}

#[track_caller]
fn offers(program: &str, script: &str) {
    let world = World::new();
    for (line, there, not_there) in LINES {
        let Some(words) = shell(program, &world, script, line) else {
            return;
        };
        for word in *there {
            assert!(
                words.iter().any(|found| found == word),
                "{program}: {line}: {words:?}"
            );
        }
        for word in *not_there {
            assert!(
                !words.iter().any(|found| found == word),
                "{program}: {line}: {words:?}"
            );
        }
    }
}

#[test]
fn bash_completes() {
    offers(
        "bash",
        r#"
        source <(nodeimg completions bash)
        spec=$(complete -p nodeimg)
        function=${spec#* -F }
        function=${function%% *}
        read -r -a COMP_WORDS <<< "$LINE"
        [[ $LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9 COMP_KEY=9
        last=$((COMP_CWORD - 1))
        $function nodeimg "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[last]}"
        printf '%s\n' "${COMPREPLY[@]}"
        "#,
    );
}

#[test]
fn fish_completes() {
    offers(
        "fish",
        r#"nodeimg completions fish | source; complete --do-complete "$LINE""#,
    );
}

/// The function that zsh is told to call hands its words to `_describe`, which is played here:
/// outside of its line editor zsh lets nobody complete.
#[test]
fn zsh_completes() {
    offers(
        "zsh",
        r#"
        compdef() { function=$1 }
        _describe() { print -rl -- "${(@P)3%%:*}" }
        source <(nodeimg completions zsh)
        words=(${(z)LINE})
        [[ $LINE == *' ' ]] && words+=('')
        CURRENT=$#words
        $function
        "#,
    );
}

fn pages(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_manual_has_a_page_for_each_verb_that_its_judges_accept() {
    let world = World::new();
    let folder = world.path("man");
    Ran::of(nodeimg().arg("man").arg(&folder)).good();
    let names = pages(&folder);
    for name in [
        "nodeimg.1",
        "nodeimg-build.1",
        "nodeimg-recipe-check.1",
        "nodeimg-seed-new.1",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    for name in &names {
        let page = folder.join(name);
        let mut lint = Command::new("mandoc");
        let Some(told) = judge::run(lint.args(["-T", "lint", "-W", "error"]).arg(&page)) else {
            return;
        };
        let said = String::from_utf8(told.stdout).unwrap();
        assert_eq!(said, "", "{name}");
        let mut show = Command::new("man");
        let warnings = show
            .args(["--warnings", "-l"])
            .arg(&page)
            .env("MANPAGER", "cat");
        let Some(told) = judge::run(warnings) else {
            return;
        };
        assert_eq!(String::from_utf8(told.stderr).unwrap(), "", "{name}");
    }
}

#[test]
fn help_has_verbs_and_pages() {
    let of = |words: &[&str]| Ran::of(nodeimg().arg("help").args(words));
    assert_eq!(
        of(&[]).good().out,
        Ran::of(nodeimg().arg("--help")).good().out
    );
    let seed = Ran::of(nodeimg().args(["seed", "new", "--help"]))
        .good()
        .out;
    assert_eq!(of(&["seed", "new"]).good().out, seed);
    let page = fs::read_to_string(place::top().join("docs/how-to/mirrors-and-offline.md")).unwrap();
    for name in [
        "mirrors-and-offline",
        "how-to/mirrors-and-offline",
        "docs/how-to/mirrors-and-offline.md",
    ] {
        assert_eq!(of(&[name]).good().out, page, "{name}");
    }
    assert!(of(&["topics"]).good().out.contains("first-boot-rules"));
    of(&["mirrors-and-ofline"]).refused(1, &["did you mean `mirrors-and-offline`?", "user-data"]);
}
