//! The questions of `nodeimg init` at a terminal.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nodeimg_seed::contract::profile::PROFILES;
use nodeimg_seed::contract::runtime::RUNTIMES;

use super::draft;
use crate::cli::{ChoiceArgs, Global, Platform};

/// Whether somebody is there who can answer.
pub fn can(global: &Global) -> bool {
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    !in_ci && !global.json && !global.quiet && stdin().is_terminal() && stderr().is_terminal()
}

/// Asks for everything; an empty answer is the default.
///
/// # Errors
/// The input ends.
pub fn choice(directory: &Path) -> Result<ChoiceArgs> {
    choice_from(directory, &mut stdin().lock(), &mut stderr())
}

fn choice_from(
    directory: &Path,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> Result<ChoiceArgs> {
    let mut ask = Questions { input, out };
    let profiles: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
    let profile = ask.one_of("How does the node join its cluster?", &profiles)?;
    let mut choice = ChoiceArgs {
        name: Some(draft::name_of(directory)?),
        ..ChoiceArgs::default()
    };
    if draft::has_kubernetes(&profile) {
        let runtimes: Vec<&str> = RUNTIMES.iter().map(|runtime| runtime.name).collect();
        let runtime = ask.one_of("Which container runtime?", &runtimes)?;
        let versions = draft::versions(&profile, &runtime);
        let newest = versions.first().map_or("", String::as_str);
        let known = versions.join(", ");
        choice.kubernetes = Some(ask.value(
            &format!("Which Kubernetes? ({known}, or another whole version)"),
            newest,
        )?);
        choice.runtime = Some(runtime);
    }
    if let Some((pods, services)) = draft::networks(&profile) {
        choice.pods = Some(ask.value("Which network have the cluster's pods?", &pods)?);
        choice.services = Some(ask.value("Which network have its Services?", &services)?);
    }
    let platform = ask.one_of("What does the node run on?", &["cloud", "metal"])?;
    choice.platform = Platform::from_str(&platform, false).ok();
    choice.profile = Some(profile);
    Ok(choice)
}

struct Questions<'a, I, O> {
    input: &'a mut I,
    out: &'a mut O,
}

impl<I: BufRead, O: Write> Questions<'_, I, O> {
    fn line(&mut self, question: &str, default: &str) -> Result<String> {
        write!(self.out, "{question} [{default}] ").context("asking")?;
        self.out.flush().context("asking")?;
        let mut line = String::new();
        if self
            .input
            .read_line(&mut line)
            .context("reading the answer")?
            == 0
        {
            bail!("the input ended: nothing is written");
        }
        let line = line.trim();
        Ok(if line.is_empty() { default } else { line }.to_owned())
    }

    /// The first of `words` is the default.
    fn one_of(&mut self, question: &str, words: &[&str]) -> Result<String> {
        let all = words.join(", ");
        loop {
            let answer = self.line(&format!("{question} ({all})"), words[0])?;
            if words.contains(&answer.as_str()) {
                return Ok(answer);
            }
            writeln!(self.out, "`{answer}` is none of {all}").context("asking")?;
        }
    }

    fn value<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        question: &str,
        default: &str,
    ) -> Result<T> {
        loop {
            match self.line(question, default)?.parse() {
                Ok(value) => return Ok(value),
                Err(error) => writeln!(self.out, "{error}").context("asking")?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wrong_answers_are_asked_again_and_empty_ones_are_the_default() {
        let mut out = Vec::new();
        let mut input = "docker\nhard-way\n\n\n10.1.0.1/16\n10.1.0.0/16\n\nmetal\n".as_bytes();
        let choice = choice_from(Path::new("/x/My Node"), &mut input, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(
            said.contains("`docker` is none of hard-way, bootstrap"),
            "{said}"
        );
        assert_eq!(choice.profile.as_deref(), Some("hard-way"));
        assert_eq!(choice.pods.unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(choice.platform, Some(Platform::Metal));
        let ended = choice_from(Path::new("x"), &mut "".as_bytes(), &mut Vec::new());
        assert!(ended.unwrap_err().to_string().contains("input ended"));
    }
}
