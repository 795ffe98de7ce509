//! `nodeimg help TOPIC`: a verb's help, or a page of the documentation in the pager.

mod pages;

use std::io::{IsTerminal, Write, stdout};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nodeimg_seed::text::suggest::nearest;

use crate::cli::{self, CompletionsArgs, HelpArgs, ManArgs};
use pages::Page;

pub fn run(args: &HelpArgs) -> Result<()> {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    if topic.is_empty() {
        return show(&cli::help_of(&[]).unwrap_or_default());
    }
    let pages = pages::all()?;
    if topic == ["topics"] {
        return show(&list(&pages));
    }
    if let Some(text) = cli::help_of(&topic) {
        return show(&text);
    }
    let name = topic.join("-");
    match pages.iter().find(|page| page.is_called(&name)) {
        Some(page) => show(&page.text),
        None => bail!("{}", unknown(&name, &pages)),
    }
}

/// Writes the pages of the manual into a directory.
pub fn man(args: &ManArgs) -> Result<()> {
    let shown = args.directory.display();
    std::fs::create_dir_all(&args.directory).with_context(|| format!("making {shown}"))?;
    clap_mangen::generate_to(cli::whole(), &args.directory)
        .with_context(|| format!("writing the manual into {shown}"))
}

pub fn completions(args: &CompletionsArgs) -> Result<()> {
    write(&args.shell.script()?)
}

fn unknown(name: &str, pages: &[Page]) -> String {
    let near = nearest(name, pages.iter().map(Page::name));
    let near = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
    format!(
        "no verb and no page is called `{name}`{near}\n{}",
        list(pages)
    )
}

/// Each page's name and title.
fn list(pages: &[Page]) -> String {
    let width = pages
        .iter()
        .map(|page| page.name().len())
        .max()
        .unwrap_or(0);
    let mut text = "Pages, for `nodeimg help PAGE`; every verb is a topic too:\n".to_owned();
    for page in pages {
        text += &format!("  {:width$}  {}\n", page.name(), page.title());
    }
    text
}

/// In the user's pager on a terminal, and as it is elsewhere.
fn show(text: &str) -> Result<()> {
    if !stdout().is_terminal() {
        return write(text.as_bytes());
    }
    let pager = std::env::var("PAGER")
        .ok()
        .filter(|pager| !pager.is_empty());
    let pager = pager.unwrap_or_else(|| "less".to_owned());
    let mut command = Command::new("sh");
    command.args(["-c", &pager]).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // A text that fits the screen is only printed.
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else {
        return write(text.as_bytes());
    };
    if let Some(mut input) = child.stdin.take() {
        // Who leaves the pager early has read enough.
        let _ = input.write_all(text.as_bytes());
    }
    match child
        .wait()
        .with_context(|| format!("running the pager `{pager}`"))?
        .code()
    {
        // What sh says of a program that is not there.
        Some(126 | 127) => write(text.as_bytes()),
        _ => Ok(()),
    }
}

/// Whoever reads may stop at any time.
fn write(text: &[u8]) -> Result<()> {
    match stdout().write_all(text).and_then(|()| stdout().flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("standard output"),
        _ => Ok(()),
    }
}
