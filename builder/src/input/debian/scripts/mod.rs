//! Maintainer scripts: none is run, so each must be known.
//!
//! What the scripts of the base's packages would do is done by the steps of
//! [`setup`](crate::image::base::setup), which were written with the scripts at hand. An
//! update of a package can bring an action that none of them does. So every
//! script is compared, by the SHA-256 of what is left of it without comments
//! and debhelper's own parts, with a table of those that were read; an unknown
//! one stops the lock, and the build too.
//!
//! ```text
//! builder/data/maintainer-scripts.txt
//! package  script  sha256 of the rest      what nodeimg does instead
//! ```
//!
//! A kernel's packages have its release in their names and scripts: there both
//! are written without it, `linux-image`.
//!
//! Left out: prerm and postrm, since nothing is ever removed from an image, and
//! config, which only asks questions.

pub mod makes;
mod remains;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::Digest;

use crate::input::recipe::AcceptedScript;
use remains::remains;

/// Those that were read, and what the image has instead.
const TABLE: &str = include_str!("../../../../data/maintainer-scripts.txt");
/// The scripts that matter to a system that is new.
const SCRIPTS: [&str; 3] = ["preinst", "postinst", "triggers"];
/// Packages that a kernel is in, by what stands before its release.
const KERNELS: [&str; 4] = ["linux-base", "linux-binary", "linux-image", "linux-modules"];
/// So many lines of a script are shown.
const SHOWN: usize = 40;

/// A script that does something of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    package: String,
    name: &'static str,
    digest: Digest,
    /// What is left of it.
    lines: Vec<String>,
}

/// The files of a package's control archive.
pub type Control = BTreeMap<String, Vec<u8>>;

impl Script {
    /// Those of `package` that do something.
    pub fn of_package(package: &str, control: &Control) -> Vec<Script> {
        let scripts = SCRIPTS.into_iter().filter_map(|name| {
            let (package, lines) = lines(package, control.get(name)?)?;
            Some(Script {
                digest: Digest::sha256(lines.join("\n").as_bytes()),
                package,
                name,
                lines,
            })
        });
        scripts.collect()
    }

    /// As a recipe accepts it.
    fn key(&self) -> String {
        format!("{}/{} {}", self.package, self.name, self.digest)
    }

    fn is_accepted(&self, accepted: &BTreeSet<AcceptedScript>) -> bool {
        accepted.iter().any(|accepted| {
            accepted.package.as_str() == self.package
                && accepted.script == self.name
                && accepted.digest == self.digest
        })
    }

    /// What to read: the lines that are not in `older`, of the same script.
    fn excerpt(&self, older: Option<&Script>) -> String {
        let known: BTreeSet<&str> = older
            .iter()
            .flat_map(|older| older.lines.iter().map(String::as_str))
            .collect();
        let new = || {
            self.lines
                .iter()
                .filter(|line| !known.contains(line.as_str()))
        };
        let mut text = String::new();
        if new().next().is_none() {
            text.push_str(
                "\n    (its lines are the same as at the last lock, but in another order)",
            );
        }
        for line in new().take(SHOWN) {
            let _ = write!(text, "\n    | {}", visible(line));
        }
        let more = new().count().saturating_sub(SHOWN);
        if more > 0 {
            let _ = write!(
                text,
                "\n    ... and {more} more: `dpkg-deb -I FILE.deb {}` shows all of it",
                self.name
            );
        }
        text
    }
}

/// Without what a terminal would take for a command.
fn visible(line: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    line.chars().map(shown).collect()
}

/// The package's name in the table, and the rest of a script.
fn lines(package: &str, bytes: &[u8]) -> Option<(String, Vec<String>)> {
    if bytes.starts_with(b"\x7fELF") {
        let line = format!("a compiled program: {}", Digest::sha256(bytes));
        return Some((package.to_owned(), vec![line]));
    }
    let text = String::from_utf8_lossy(bytes);
    let Some((kernel, release)) = kernel_release(package) else {
        let lines = remains(&text)?.into_iter().map(str::to_owned);
        return Some((package.to_owned(), lines.collect()));
    };
    let text = text.replace(release, "RELEASE");
    let lines = remains(&text)?.into_iter().map(str::to_owned);
    Some((kernel.to_owned(), lines.collect()))
}

/// `linux-image` and `6.12.117+deb13-cloud-amd64` of both together.
fn kernel_release(package: &str) -> Option<(&'static str, &str)> {
    KERNELS.into_iter().find_map(|kernel| {
        let release = package.strip_prefix(kernel)?.strip_prefix('-')?;
        let is_release = release.starts_with(|c: char| c.is_ascii_digit());
        is_release.then_some((kernel, release))
    })
}

/// Those of the table, as [`Script::key`] says them.
fn known() -> Result<BTreeSet<String>> {
    let lines = TABLE.lines().enumerate();
    let entries = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    entries
        .map(|(at, line)| {
            let mut words = line.split_whitespace();
            let (Some(package), Some(script), Some(hex), Some(_)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                bail!(
                    "line {} of the table of maintainer scripts is incomplete",
                    at + 1
                );
            };
            Ok(format!("{package}/{script} sha256:{hex}"))
        })
        .collect()
}

/// Whether the table has a script of `package`.
#[cfg(test)]
pub fn is_known_package(package: &str) -> bool {
    TABLE
        .lines()
        .any(|line| line.split(' ').next() == Some(package))
}

/// Collects the scripts that nobody has read, and refuses them all at once.
pub struct Unread<'a> {
    known: BTreeSet<String>,
    accepted: &'a BTreeSet<AcceptedScript>,
    /// What to read of each, by its key: two architectures often have the same.
    found: BTreeMap<String, String>,
}

impl<'a> Unread<'a> {
    pub fn new(accepted: &'a BTreeSet<AcceptedScript>) -> Result<Unread<'a>> {
        Ok(Unread {
            known: known()?,
            accepted,
            found: BTreeMap::new(),
        })
    }

    /// Looks at a package's scripts; `older` is its control archive as the last
    /// lock pinned it, if that is at hand.
    pub fn look_at(
        &mut self,
        package: &str,
        control: &Control,
        older: impl FnOnce() -> Option<Control>,
    ) {
        let mut scripts = Script::of_package(package, control);
        scripts.retain(|script| {
            !self.known.contains(&script.key()) && !script.is_accepted(self.accepted)
        });
        if scripts.is_empty() {
            return;
        }
        let older = older().map(|older| Script::of_package(package, &older));
        for script in scripts {
            let before = older
                .iter()
                .flatten()
                .find(|older| older.name == script.name);
            self.found.insert(script.key(), script.excerpt(before));
        }
    }

    /// An error that names them all, if there are any.
    pub fn refuse(self) -> Result<()> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut text = String::from(
            "nodeimg runs no maintainer script, and does not know what these would do:",
        );
        for (key, excerpt) in &self.found {
            let _ = write!(text, "\n  {key}{excerpt}");
        }
        let keys: Vec<_> = self
            .found
            .keys()
            .map(|key| format!("    {key:?},"))
            .collect();
        let _ = write!(
            text,
            "\nread them; put what the image needs from them into an overlay, or use a newer \
             nodeimg that knows them. Then accept them in the recipe's `[base]`:\naccept_scripts \
             = [\n{}\n]",
            keys.join("\n")
        );
        bail!("{text}")
    }
}

/// Whether a person has accepted a script of `package` that the table does not know.
pub fn accepted_by_hand(
    package: &str,
    control: &Control,
    accepted: &BTreeSet<AcceptedScript>,
) -> Result<bool> {
    let known = known()?;
    let scripts = Script::of_package(package, control);
    Ok(scripts
        .iter()
        .any(|script| script.is_accepted(accepted) && !known.contains(&script.key())))
}

/// Refuses packages with a script that nobody has read.
pub fn check<'p>(
    packages: impl Iterator<Item = (&'p str, &'p Control)>,
    accepted: &BTreeSet<AcceptedScript>,
) -> Result<()> {
    let mut unread = Unread::new(accepted)?;
    for (package, control) in packages {
        unread.look_at(package, control, || None);
    }
    unread.refuse().context("checking the maintainer scripts")
}

#[cfg(test)]
mod tests;
