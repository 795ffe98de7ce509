//! `reboot`: into what is installed, within a window, and not all nodes at once.
//!
//! A timer starts it when the window opens, and an update that was installed in the window does
//! too. It waits until it is this machine's turn, and then looks whether there is something to
//! reboot for, and whether anything speaks against it.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::session::Session;
use super::take::is_proven;
use super::{NOTHING, REFUSED, Said};
use crate::cli::Options;
use crate::node::{Node, REBOOT_REQUIRED};
use crate::refusal::{Refusal, share};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

/// Turns are over by then, so that the last node is not cut off by the window's end: of 100.
const TURNS: u64 = 90;
/// A node with one of these failed is not healthy.
const NEEDED: [&str; 5] = [
    "nodeimg-firstboot.service",
    "nodeimg-health.service",
    "containerd.service",
    "crio.service",
    "kubelet.service",
];

/// The clock and systemd.
trait Around {
    /// Seconds since 1970.
    fn now(&self) -> u64;
    fn sleep(&self, seconds: u64);
    /// When a calendar fires next after a time, in seconds since 1970.
    fn next(&self, calendar: &str, after: u64) -> Result<Option<u64>>;
    /// One of the units that has failed.
    fn failed_unit(&self) -> Option<String>;
    fn reboot(&self) -> Result<()>;
}

pub fn reboot(options: &Options) -> Result<Said> {
    let node = Node::at(&options.root);
    let window = node.config()?.reboot.window()?;
    let open = || Session::open(options, false);
    at_turn(&node, window, &System, &open)
}

fn at_turn(
    node: &Node,
    window: Option<(String, u64)>,
    around: &dyn Around,
    open: &dyn Fn() -> Result<Session>,
) -> Result<Said> {
    let Some((calendar, length)) = window else {
        return Ok(said("no window for reboots is set", NOTHING));
    };
    let machine = node.machine_id()?;
    let now = around.now();
    let Some(opened) = opened(around, &calendar, length, now)? else {
        let text = format!("it is not the time for reboots: {calendar}");
        return Ok(said(&text, NOTHING));
    };
    let turn = opened + length * TURNS / 100 * u64::from(share(&machine, "reboot")) / 10_000;
    if turn > now {
        around.sleep(turn - now);
        // A machine that was suspended, or whose clock was set, may wake up elsewhere.
        if opened + length <= around.now() {
            return Ok(said("the time for reboots has passed", NOTHING));
        }
    }
    if !node.has(REBOOT_REQUIRED) {
        return Ok(said("there is nothing to reboot for", NOTHING));
    }
    if let Some(why) = against(node, around, open)? {
        return Err(Refusal {
            why: format!("this node does not reboot: {why}"),
            can_be_forced: false,
        }
        .into());
    }
    around.reboot()?;
    Ok(said("this node reboots", 0))
}

fn said(text: &str, status: u8) -> Said {
    debug_assert_ne!(status, REFUSED);
    Said {
        text: text.to_owned(),
        json: json!({"reboots": status == 0, "why": text}),
        status,
    }
}

/// When the window opened that is open now.
fn opened(around: &dyn Around, calendar: &str, length: u64, now: u64) -> Result<Option<u64>> {
    let next = around.next(calendar, now.saturating_sub(length))?;
    Ok(next.filter(|opened| *opened <= now))
}

/// Why this node does not reboot now.
fn against(
    node: &Node,
    around: &dyn Around,
    open: &dyn Fn() -> Result<Session>,
) -> Result<Option<String>> {
    let held = node.held()?;
    let state = node.state();
    let applied = state.applied.as_ref().map(|it| it.version.as_str());
    if held
        .iter()
        .any(|held| held == "*" || Some(held.as_str()) == applied)
    {
        return Ok(Some(
            "it is held back (`nodeimg-update unhold` ends that)".to_owned(),
        ));
    }
    if let Some(unit) = around.failed_unit() {
        return Ok(Some(format!("{unit} has failed")));
    }
    let mut session = open()?;
    let running = session.running.clone();
    if let Some(failed) = applied
        .filter(|version| *version != running.version)
        .and_then(|version| state.failure(version))
    {
        return Ok(Some(format!("{} failed here before", failed.version)));
    }
    let label = format!("{}_{}", running.id, running.version);
    let proven = session.with_esp(|esp, _, _| is_proven(esp, &label, running.root, false));
    match proven {
        Ok(()) => Ok(None),
        Err(error) => match error.downcast::<Refusal>() {
            Ok(refusal) => Ok(Some(refusal.why)),
            Err(error) => Err(error),
        },
    }
}

/// This machine.
struct System;

impl Around for System {
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    }

    fn sleep(&self, seconds: u64) {
        std::thread::sleep(Duration::from_secs(seconds));
    }

    fn next(&self, calendar: &str, after: u64) -> Result<Option<u64>> {
        let output = Command::new("systemd-analyze")
            .args(["calendar", &format!("--base-time=@{after}"), "--", calendar])
            .env("LC_ALL", "C.UTF-8")
            .env("SYSTEMD_COLORS", "0")
            .output()
            .context("running systemd-analyze")?;
        if !output.status.success() {
            bail!(
                "systemd does not know the time `{}`: {}",
                calendar.escape_debug(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(elapse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn failed_unit(&self) -> Option<String> {
        let failed = |unit: &str| {
            let mut command = Command::new("systemctl");
            command.args(["is-failed", "--quiet", unit]);
            command.status().is_ok_and(|status| status.success())
        };
        let found = NEEDED.into_iter().find(|unit| failed(unit));
        found.map(str::to_owned)
    }

    fn reboot(&self) -> Result<()> {
        let status = Command::new("systemctl").arg("reboot").status();
        match status.context("running systemctl")?.success() {
            true => Ok(()),
            false => bail!("systemctl reboot has failed: the journal says why"),
        }
    }
}

/// What systemd-analyze says of the next time, in UTC. On a machine in another zone, the line
/// after the local time has it.
fn elapse(text: &str) -> Option<u64> {
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.trim().strip_prefix(key))
    };
    let line = value("(in UTC):").or_else(|| value("Next elapse:"))?;
    // Sun 2026-12-06 02:00:00 UTC
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, date, time, "UTC"] = words[..] else {
        return None;
    };
    let numbers = |text: &str, at: char| -> Option<[u64; 3]> {
        let parts: Option<Vec<u64>> = text.split(at).map(|part| part.parse().ok()).collect();
        parts?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    Some(days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Since 1970-01-01.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin in March: the odd day is the last one.
    let (year, month) = match month {
        1 | 2 => (year.checked_sub(1)?, month + 9),
        _ => (year, month.checked_sub(3)?),
    };
    let before = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    before.checked_sub(719_469)
}
