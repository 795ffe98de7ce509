//! Which units run:
//! [systemd.preset(5)](https://manpages.debian.org/trixie/systemd/systemd.preset.5.en.html).
//!
//! nodeimg's own preset is read first and ends in `disable *`, so that a
//! package's unit runs only if it is named here or by the recipe. The links
//! are made in the build; the preset stays in the image, because systemd
//! applies it once more at the first boot.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Base, known};
use crate::image::units::{self, UNIT_DIRS};
use crate::tree::{Kind, Node};

const PRESET: &str = "/usr/lib/systemd/system-preset/00-nodeimg.preset";
const PRESET_DIRS: [&str; 2] = [
    "/usr/lib/systemd/system-preset",
    "/etc/systemd/system-preset",
];

/// Of the base system; the container runtime and the recipe's `units.enable` come to them.
const ENABLED: [&str; 19] = [
    "dbus-broker.service",
    "fstrim.timer",
    "getty@.service",
    "nodeimg-bless.service",
    "nodeimg-firstboot.service",
    "nodeimg-health.service",
    "nodeimg-versions.service",
    "reboot.target",
    "remote-fs.target",
    "serial-getty@.service",
    "ssh.service",
    "sshd-keygen.service",
    "systemd-network-generator.service",
    "systemd-networkd-wait-online.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pstore.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
];

/// One line of a preset file.
struct Rule {
    enable: bool,
    pattern: String,
}

pub fn apply(base: &mut Base<'_>) -> Result<()> {
    if !base.has("/usr/lib/systemd/systemd")? {
        return Ok(());
    }
    let mut names: Vec<&str> = ENABLED.to_vec();
    names.push(base.facts.runtime.shared.unit);
    for unit in known::enabled(base) {
        names.push(unit);
    }
    names.extend(base.facts.enable.iter().map(|unit| unit.as_str()));
    names.sort_unstable();
    names.dedup();
    let mut text = String::new();
    for name in names {
        text.push_str(&format!("enable {name}\n"));
    }
    text.push_str("disable *\n");
    base.file(PRESET, text)?;
    let rules = rules(base)?;
    for unit in unit_files(base)? {
        let rule = rules.iter().find(|rule| matches(&rule.pattern, &unit));
        if rule.is_none_or(|rule| rule.enable) {
            enable(base, &unit).with_context(|| format!("enabling {unit}"))?;
        }
    }
    Ok(())
}

/// Of all files by name, one in /etc in the place of its namesake in /usr.
fn rules(base: &Base<'_>) -> Result<Vec<Rule>> {
    let mut files = BTreeMap::new();
    for directory in PRESET_DIRS {
        for path in base.list(directory, ".preset")? {
            files.insert(path.name().to_owned(), path);
        }
    }
    let mut rules = Vec::new();
    for path in files.values() {
        let text = base.text(path.as_str())?.unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let enable = match words.next() {
                Some("enable") => true,
                Some("disable" | "ignore") => false,
                _ => continue,
            };
            if let Some(pattern) = words.next() {
                let pattern = pattern.to_owned();
                rules.push(Rule { enable, pattern });
            }
        }
    }
    Ok(rules)
}

/// Names of the units that are files; one linked elsewhere is an alias or masked.
fn unit_files(base: &Base<'_>) -> Result<Vec<String>> {
    let mut units: BTreeMap<String, bool> = BTreeMap::new();
    for directory in UNIT_DIRS {
        for path in base.list(directory, "")? {
            let is_file = matches!(
                base.tree.get(&path).map(|node| &node.kind),
                Some(Kind::File(_))
            );
            units.entry(path.name().to_owned()).or_insert(is_file);
        }
    }
    let files = units.into_iter().filter(|(_, is_file)| *is_file);
    Ok(files.map(|(name, _)| name).collect())
}

fn enable(base: &mut Base<'_>, unit: &str) -> Result<()> {
    for (link, target) in units::links(base.tree, unit)?.unwrap_or_default() {
        if base.tree.get(&link).is_none() {
            let node = Node::symlink(target.as_str(), base.origin());
            base.tree.insert(link, node)?;
        }
    }
    Ok(())
}

/// `*` and `?` of glob(7); presets use no more.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = &pattern[1..];
            (0..=name.len())
                .filter(|at| name.is_char_boundary(*at))
                .any(|at| matches(rest, &name[at..]))
        }
        (Some(p), Some(n)) if p == '?' || p == n => {
            matches(&pattern[p.len_utf8()..], &name[n.len_utf8()..])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*", "a"),
            ("a*.service", "ab.service"),
            ("a?c", "abc"),
            ("a", "a"),
            ("*a*", "bab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*", "b"), ("a?", "a"), ("", "a"), ("a", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
