//! What shells complete: verbs and options from the types of the command line, and the names of
//! recipes, artifacts and profiles from what is there at the time.

use std::ffi::OsStr;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{CompleteEnv, Shells};

use crate::input::recipe::{self, RecipeRef, built_in_names};
use crate::output::KINDS;

/// The variable by which a shell's script asks.
const VARIABLE: &str = "NODEIMG_COMPLETE";

/// `nodeimg completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Shells that can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    const ALL: [Shell; 5] = [
        Shell::Bash,
        Shell::Elvish,
        Shell::Fish,
        Shell::Powershell,
        Shell::Zsh,
    ];

    fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        }
    }

    /// The script that the shell reads; it calls this program for each completion.
    ///
    /// # Errors
    /// None that are known: it is written into memory.
    pub fn script(self) -> anyhow::Result<Vec<u8>> {
        let mut script = Vec::new();
        if let Some(shell) = Shells::builtins().completer(self.name()) {
            shell.write_registration(VARIABLE, "nodeimg", "nodeimg", "nodeimg", &mut script)?;
        }
        Ok(script)
    }
}

impl ValueEnum for Shell {
    fn value_variants<'a>() -> &'a [Shell] {
        &Shell::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// Answers a shell's script and ends the process, if one asks.
pub fn answer(command: fn() -> clap::Command) {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(command).var(VARIABLE).complete();
    }
}

/// Names of built-in recipes, and paths.
pub fn recipes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let word = current.to_string_lossy().into_owned();
        let names = built_in_names().into_iter();
        let mut found: Vec<CompletionCandidate> = names
            .filter(|name| name.starts_with(&word))
            .map(|name| CompletionCandidate::new(name).help(about(name)))
            .collect();
        found.extend(PathCompleter::any().complete(current));
        found
    })
}

/// Names of built-in recipes alone.
pub fn built_in() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = built_in_names().into_iter();
        names
            .map(|name| CompletionCandidate::new(name).help(about(name)))
            .collect()
    })
}

fn about(name: &str) -> Option<clap::builder::StyledStr> {
    let recipe = recipe::load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS).ok()?;
    recipe.description.map(Into::into)
}

/// What `lock --update` takes: the artifacts of the recipe that the line names so far.
pub fn artifacts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let words: Vec<String> = std::env::args().collect();
        let Some(recipe) = of_line(&words).and_then(|from| recipe::load(&from, &KINDS).ok()) else {
            return Vec::new();
        };
        let own = recipe.artifacts.iter().map(|artifact| {
            CompletionCandidate::new(artifact.name.to_string())
                .help(Some(artifact.version.to_string().into()))
        });
        let images = recipe.images.iter();
        let images = images.map(|image| CompletionCandidate::new(image.name.to_string()));
        let base = recipe.base.iter();
        let base = base.map(|_| CompletionCandidate::new("base").help(Some("the packages".into())));
        own.chain(images).chain(base).collect()
    })
}

/// The recipe that a line names by its option, or the first word that is a file of one.
fn of_line(words: &[String]) -> Option<RecipeRef> {
    let mut pairs = words.iter().zip(words.iter().skip(1));
    let named = pairs.find(|(flag, _)| *flag == "-r" || *flag == "--recipe");
    let joined = || words.iter().find_map(|word| word.strip_prefix("--recipe="));
    let file = || {
        let mut files = words
            .iter()
            .skip(1)
            .filter(|word| word.contains(['/', '.']));
        files.find(|word| word.ends_with(".toml") || std::path::Path::new(word).is_dir())
    };
    let word = named.map(|(_, name)| name.as_str()).or_else(joined);
    let word = word
        .or_else(|| file().map(String::as_str))
        .unwrap_or("hard-way");
    match word {
        // Standard input is the shell's.
        "-" => None,
        word => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_recipe_of_a_line_is_found() {
        for (line, wanted) in [
            ("nodeimg lock --update", "hard-way"),
            ("nodeimg lock -r kubeadm --update", "kubeadm"),
            ("nodeimg lock --recipe=kubeadm --update", "kubeadm"),
            ("nodeimg lock ./mine.toml --update", "./mine.toml"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(of_line(&words).unwrap().to_string(), wanted, "{line}");
        }
    }

    #[test]
    fn every_shell_has_its_script() {
        for shell in Shell::ALL {
            let script = String::from_utf8(shell.script().unwrap()).unwrap();
            assert!(script.contains(VARIABLE), "{}", shell.name());
        }
    }
}
