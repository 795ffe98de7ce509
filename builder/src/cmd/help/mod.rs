//! `nodeimg help TOPIC`: a verb's help, or a page of the documentation in the pager.

mod pages;

use std::io::{IsTerminal, Write, stdout};
use std::path::Path;
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
    let mut command = cli::whole();
    command.build();
    page_of(&command, &args.directory)
}

/// The page of a verb, and of those below it.
fn page_of(verb: &clap::Command, folder: &Path) -> Result<()> {
    for verb in verb.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page_of(verb, folder)?;
    }
    let name = verb.get_display_name().unwrap_or_else(|| verb.get_name());
    let path = folder.join(format!("{name}.1"));
    let page = clap_mangen::Man::new(verb.clone());
    let page = page.source(concat!("nodeimg ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.manual("nodeimg")
        .render(&mut text)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| format!("writing {}", path.display()))
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
    let verbs = cli::whole();
    // A verb of that name comes first.
    let topic = |page: &'_ Page| match verbs.find_subcommand(page.name()) {
        Some(_) => page.path().to_owned(),
        None => page.name().to_owned(),
    };
    let lines = pages.iter().map(|page| (topic(page), page.title()));
    let lines: Vec<(String, &str)> = lines.collect();
    let width = lines.iter().map(|(topic, _)| topic.len()).max();
    let width = width.unwrap_or(0);
    let mut text = "Pages, for `nodeimg help PAGE`; every verb is a topic too:\n".to_owned();
    for (topic, title) in lines {
        text += &format!("  {topic:width$}  {title}\n");
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
pub fn write(text: &[u8]) -> Result<()> {
    match stdout().write_all(text).and_then(|()| stdout().flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("standard output"),
        _ => Ok(()),
    }
}
