//! `schedule`: what the node's own configuration says over the image's timers.
//!
//! A seed's values come with first boot, after systemd has read its units: they are drop-ins in
//! /run, which each boot writes.

use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::update::when;
use serde_json::json;

use super::Said;
use crate::cli::Options;
use crate::node::{NODE_CONFIG, Node};

/// Looks for updates.
const UPDATES: &str = "nodeimg-update.timer";
/// Opens the window for reboots.
const REBOOTS: &str = "nodeimg-update-reboot.timer";

/// A timer, and when it fires; never if there is no time.
type Timed = (&'static str, Option<String>);

pub fn schedule(options: &Options) -> Result<Said> {
    let node = Node::at(&options.root);
    let timers = timers(&node)?;
    for (timer, when) in &timers {
        if let Some(when) = when {
            node.write(&drop_in(timer), text(when).as_bytes())?;
        }
    }
    if node.is_live() && !timers.is_empty() {
        systemctl(&["daemon-reload"])?;
        for (timer, when) in &timers {
            let verb = if when.is_some() { "restart" } else { "stop" };
            systemctl(&[verb, timer])?;
        }
    }
    let line =
        |(timer, when): &Timed| format!("{timer}: {}", when.as_deref().unwrap_or(when::NEVER));
    let lines: Vec<String> = timers.iter().map(line).collect();
    Ok(Said {
        text: match lines.is_empty() {
            true => "the image's schedule counts".to_owned(),
            false => lines.join("\n"),
        },
        json: json!(
            timers
                .iter()
                .map(|(timer, when)| json!({"timer": timer, "when": when}))
                .collect::<Vec<_>>()
        ),
        status: 0,
    })
}

/// What the node itself says; nothing for what it leaves to the image.
fn timers(node: &Node) -> Result<Vec<Timed>> {
    let Some(own) = node.own_config()? else {
        return Ok(Vec::new());
    };
    let mut timers = Vec::new();
    if let Some(schedule) = own.schedule.as_deref().map(str::trim) {
        let when = (schedule != when::NEVER).then(|| schedule.to_owned());
        if when.is_some() {
            when::calendar(schedule).map_err(|why| anyhow!("{NODE_CONFIG}: schedule {why}"))?;
        }
        timers.push((UPDATES, when));
    }
    if own.reboot != crate::node::Reboot::default() {
        // A seed may change the time zone alone.
        let window = node.config()?.reboot.window();
        let window = window.with_context(|| NODE_CONFIG.to_owned())?;
        timers.push((REBOOTS, window.map(|(calendar, _)| calendar)));
    }
    Ok(timers)
}

fn drop_in(timer: &str) -> String {
    format!("/run/systemd/system/{timer}.d/50-node.conf")
}

/// The first line takes away the image's times.
fn text(when: &str) -> String {
    format!("# Of {NODE_CONFIG}.\n[Timer]\nOnCalendar=\nOnCalendar={when}\n")
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let status = Command::new("systemctl").args(arguments).status();
    let shown = || format!("systemctl {}", arguments.join(" "));
    match status.with_context(shown)?.success() {
        true => Ok(()),
        false => bail!("{} has failed: the journal says why", shown()),
    }
}
