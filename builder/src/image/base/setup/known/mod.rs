//! What the scripts of packages make that many nodes have beside the base: storage clients,
//! agents of hypervisors, time, audit, debugging.
//!
//! A row of [`PACKAGES`] says as data what the scripts of one package do on a new system:
//! accounts, files that ucf copies, links of alternatives, owners in `/var`, the units that
//! Debian enables. `tests/known_packages` compares the outcome with what dpkg itself makes.
//! What identifies one node is never in an image: [`names`] has the node make it.

mod audit;
mod names;
mod packages;

use anyhow::{Context, Result, bail};

use super::Base;
use super::sysusers::{self, Line};
use crate::tree::{Content, ImagePath, Kind, Node};

pub use audit::rules as audit_rules;
pub use names::{IDENTITIES, is_identity};
pub use packages::PACKAGES;

/// What the scripts of one package do.
pub struct Known {
    pub package: &'static str,
    /// Lines of
    /// [sysusers.d(5)](https://manpages.debian.org/trixie/systemd/sysusers.d.5.en.html).
    pub accounts: &'static [&'static str],
    pub files: &'static [File],
    /// Path and target; `{triplet}` stands for the architecture's directory of libraries.
    pub links: &'static [(&'static str, &'static str)],
    pub directories: &'static [&'static str],
    /// Lines of
    /// [tmpfiles.d(5)](https://manpages.debian.org/trixie/systemd/tmpfiles.d.5.en.html), in
    /// the place of what the package has at these paths of `/var`.
    pub state: &'static [&'static str],
    /// Units that Debian enables when it installs the package.
    pub enabled: &'static [&'static str],
    /// Units of nodeimg's own, and their texts.
    pub units: &'static [(&'static str, &'static str)],
}

/// A row to begin with.
const NOTHING: Known = Known {
    package: "",
    accounts: &[],
    files: &[],
    links: &[],
    directories: &[],
    state: &[],
    enabled: &[],
    units: &[],
};

/// A file that a script writes if there is none.
pub struct File {
    pub path: &'static str,
    pub content: From,
    pub mode: u32,
    /// The group that owns it; the user is root.
    pub group: &'static str,
}

pub enum From {
    /// Another file of the package.
    Copy(&'static str),
    Text(&'static str),
}

/// The rows of the packages that are in this image.
fn present<'a>(base: &Base<'a>) -> impl Iterator<Item = &'static Known> + use<'a> {
    let packages = base.facts.packages;
    let is_there = move |name: &str| packages.iter().any(|package| package.name == name);
    PACKAGES.iter().filter(move |known| is_there(known.package))
}

/// The accounts that scripts make.
pub fn accounts(base: &Base<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for known in present(base) {
        let text = known.accounts.join("\n");
        lines.extend(sysusers::parse(&text).with_context(|| known.package)?);
    }
    Ok(lines)
}

/// The units that Debian enables, and nodeimg's own.
pub fn enabled<'a>(base: &Base<'a>) -> impl Iterator<Item = &'static str> + use<'a> {
    present(base).flat_map(|known| {
        let own = known.units.iter().map(|(name, _)| *name);
        known.enabled.iter().copied().chain(own)
    })
}

/// Lines of tmpfiles.d.
pub fn state<'a>(base: &Base<'a>) -> impl Iterator<Item = &'static str> + use<'a> {
    present(base).flat_map(|known| known.state.iter().copied())
}

/// Files, links, directories and units.
pub fn make(base: &mut Base<'_>) -> Result<()> {
    let rows: Vec<&Known> = present(base).collect();
    let triplet = base.facts.arch.triplet();
    for known in rows {
        for file in known.files {
            write(base, file).with_context(|| known.package)?;
        }
        for (path, target) in known.links {
            base.link(path, &target.replace("{triplet}", triplet))?;
        }
        for path in known.directories {
            base.directory(path, 0o755)?;
        }
        for (name, text) in known.units {
            base.file(&format!("/usr/lib/systemd/system/{name}"), *text)?;
        }
    }
    local_profiles(base)
}

fn write(base: &mut Base<'_>, file: &File) -> Result<()> {
    let content = match file.content {
        From::Text(text) => Content::inline(text.as_bytes().to_vec()),
        From::Copy(path) => match base.tree.get(&path.parse()?).map(|node| &node.kind) {
            Some(Kind::File(content)) => content.clone(),
            _ => bail!("its script copies `{path}`, which is not in the package"),
        },
    };
    let mut node = Node::file(content, file.mode, base.origin());
    node.stat.gid = group(base, file.group)?;
    base.put(file.path, node)
}

fn group(base: &Base<'_>, name: &str) -> Result<u32> {
    let text = base.text("/etc/group")?.unwrap_or_default();
    let line = text.lines().find_map(|line| {
        let (there, rest) = line.split_once(':')?;
        (there == name).then_some(rest)
    });
    let id = line.and_then(|rest| rest.split(':').nth(1)?.parse().ok());
    id.with_context(|| format!("there is no group `{name}`"))
}

/// dh_apparmor's part of a script: an empty file of what this system adds to a profile.
fn local_profiles(base: &mut Base<'_>) -> Result<()> {
    let top: ImagePath = "/etc/apparmor.d".parse()?;
    for path in base.list(top.as_str(), "")? {
        let local = format!("/etc/apparmor.d/local/{}", path.name());
        let includes = format!("local/{}>", path.name());
        let text = base.text(path.as_str())?.unwrap_or_default();
        if text.contains(&includes) && !base.has(&local)? {
            base.file(&local, "")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
