//! Units of the author's own and of artifacts: whether what they start is there.
//!
//! [systemd.service(5)](https://manpages.debian.org/trixie/systemd/systemd.service.5.en.html),
//! [systemd.exec(5)](https://manpages.debian.org/trixie/systemd/systemd.exec.5.en.html).
//! A unit is its file and its drop-ins together. Each file is judged by itself; what
//! decides on it (a condition, a root of its own, the type) is read from all of them.

pub mod command;
mod context;
mod others;

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Findings, Judged, at};
use crate::image::units::{Setting, UNIT_DIRS, Unit, text_at};
use crate::tree::{ImagePath, Kind, Node, Origin, Tree};
use context::Context;

/// The kinds that are files.
const KINDS: [&str; 6] = [
    ".service", ".socket", ".timer", ".path", ".mount", ".target",
];
/// Sections with commands.
const COMMANDS: [&str; 2] = ["Service", "Socket"];

/// A unit's own file or drop-in.
struct File<'a> {
    /// Of the unit: `a.service` of `a.service.d/x.conf`.
    unit: String,
    path: &'a ImagePath,
    origin: &'a Origin,
    text: Unit,
}

pub fn judge(judged: &Judged<'_>, found: &mut Findings) -> Result<()> {
    if !judged.has_base() {
        return Ok(());
    }
    let accounts = Accounts::of(judged.tree)?;
    let mut units = BTreeSet::new();
    for (path, node) in judged.own() {
        let Some(unit) = unit_of(path) else {
            links(judged, path, node, found);
            continue;
        };
        let Some(text) = text_at(judged.tree, path)? else {
            continue;
        };
        let file = File {
            unit,
            path,
            origin: &node.origin,
            text: Unit::parse(&text),
        };
        let context = Context::of(judged.tree, &file.unit)?;
        if context.is_masked {
            continue;
        }
        // The drop-in of a unit that is not there starts nothing.
        if context.is_known {
            commands(judged, &file, &context, found);
            accounts.judge(&file, &context, found);
        }
        others::judge(judged, &file, found);
        if units.insert(file.unit.clone()) {
            context.judge(&file, found);
        }
    }
    Ok(())
}

/// The unit that the file at `path` is of.
pub fn unit_of(path: &ImagePath) -> Option<String> {
    let is_unit = |name: &str| KINDS.iter().any(|kind| name.ends_with(kind));
    for directory in UNIT_DIRS {
        let Some(below) = path.as_str().strip_prefix(directory) else {
            continue;
        };
        let parts: Vec<&str> = below.split('/').skip(1).collect();
        match parts.as_slice() {
            [name] if is_unit(name) => return Some((*name).to_owned()),
            [folder, name] if name.ends_with(".conf") => {
                let unit = folder.strip_suffix(".d").filter(|unit| is_unit(unit));
                return unit.map(str::to_owned);
            }
            _ => {}
        }
    }
    None
}

/// Programs of the `Exec` keys.
fn commands(judged: &Judged<'_>, file: &File<'_>, context: &Context, found: &mut Findings) {
    let is_command = |setting: &&Setting| {
        COMMANDS.contains(&setting.section.as_str())
            && command::KEYS.contains(&setting.key.as_str())
    };
    let settings = file.text.settings();
    // An empty one takes those before it away.
    let is_reset = |at: usize| {
        let mut later = settings[at..]
            .iter()
            .filter(|other| other.key == settings[at].key);
        later.any(|other| other.value.is_empty())
    };
    let kept = settings.iter().enumerate().filter(|(at, _)| !is_reset(*at));
    for setting in kept.map(|(_, setting)| setting).filter(is_command) {
        for one in command::read(&setting.value) {
            let Some(problem) = command::problem(judged, &one, context) else {
                continue;
            };
            let text = format!(
                "{}: {}={problem}",
                at(file.path, setting.line, file.origin),
                setting.key
            );
            match one.may_fail {
                true => found.warnings.push(text),
                false => found.add(file.origin, text),
            }
        }
    }
}

/// A link that enables a unit leads to one.
fn links(judged: &Judged<'_>, path: &ImagePath, node: &Node, found: &mut Findings) {
    let Kind::Symlink(target) = &node.kind else {
        return;
    };
    let parent = path.parent();
    let folder = parent.as_ref().map_or("", ImagePath::name);
    let enables = [".wants", ".requires"]
        .iter()
        .any(|end| folder.ends_with(end));
    let in_units = UNIT_DIRS
        .iter()
        .any(|top| top.parse().is_ok_and(|top| path.is_within(&top)));
    if !enables || !in_units || others::exists(judged.tree, path.name()) {
        return;
    }
    found.add(
        &node.origin,
        format!(
            "`{path}` (from {}) enables `{}`, which is not in the image (it leads to \
             `{target}`){}",
            node.origin,
            path.name(),
            others::hint(judged.tree, path.name())
        ),
    );
}

/// Users and groups that the image knows.
pub struct Accounts {
    pub users: BTreeSet<String>,
    pub groups: BTreeSet<String>,
}

impl Accounts {
    pub fn of(tree: &Tree) -> Result<Accounts> {
        let names = |path: &str| -> Result<BTreeSet<String>> {
            let text = text_at(tree, &path.parse()?)?.unwrap_or_default();
            let names = text.lines().filter_map(|line| line.split(':').next());
            Ok(names.map(str::to_owned).collect())
        };
        let mut accounts = Accounts {
            users: names("/etc/passwd")?,
            groups: names("/etc/group")?,
        };
        for directory in ["/etc/sysusers.d", "/usr/lib/sysusers.d"] {
            for (path, _) in tree.below(&directory.parse()?) {
                let text = text_at(tree, path)?.unwrap_or_default();
                accounts.declared(&text);
            }
        }
        Ok(accounts)
    }

    /// By lines of sysusers.d(5).
    fn declared(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(kind), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let name = name.trim_matches('"').to_owned();
            match kind.as_bytes().first() {
                Some(b'u') => {
                    self.users.insert(name.clone());
                    self.groups.insert(name);
                }
                Some(b'g') => {
                    self.groups.insert(name);
                }
                _ => {}
            }
        }
    }

    fn judge(&self, file: &File<'_>, context: &Context, found: &mut Findings) {
        for setting in file.text.settings() {
            let (known, what) = match setting.key.as_str() {
                "User" if !context.is_dynamic => (&self.users, "user"),
                "SocketUser" => (&self.users, "user"),
                "Group" if !context.is_dynamic => (&self.groups, "group"),
                "SupplementaryGroups" | "SocketGroup" => (&self.groups, "group"),
                _ => continue,
            };
            for name in setting.value.split_whitespace() {
                let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
                if is_number || name.contains('%') || known.contains(name) {
                    continue;
                }
                let hint = super::near(name, known.iter().map(String::as_str))
                    .map(|near| format!(" (did you mean `{near}`?)"));
                found.warnings.push(format!(
                    "{}: {}={name}: the image has no such {what}{}, and the unit fails \
                     (217/USER, 216/GROUP) unless a seed's `users` makes it: a line `{} {name} -` \
                     in a file of /usr/lib/sysusers.d of a package does, or `DynamicUser=yes`",
                    at(file.path, setting.line, file.origin),
                    setting.key,
                    hint.unwrap_or_default(),
                    what.chars().next().unwrap_or('u'),
                ));
            }
        }
    }
}
