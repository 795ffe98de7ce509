//! systemd units in the tree: read, enabled, masked.
//!
//! Enabling makes the links that `systemctl enable` makes from a unit's
//! `[Install]` section
//! ([systemd.unit(5)](https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#%5BInstall%5D%20Section%20Options)).

use std::io::Read;

use anyhow::{Context, Result, bail};

use crate::tree::{ImagePath, Kind, Node, Origin, Tree};

mod of_recipe;

pub use of_recipe::enable_all;

const ADMIN: &str = "/etc/systemd/system";
/// Where units are looked for, the first one wins.
pub const UNIT_DIRS: [&str; 2] = [ADMIN, "/usr/lib/systemd/system"];

/// A unit file's settings, in order, lines joined.
pub struct Unit {
    settings: Vec<Setting>,
}

/// One of them.
pub struct Setting {
    pub section: String,
    pub key: String,
    pub value: String,
    /// Where it begins in its file, from 1.
    pub line: usize,
}

impl Unit {
    /// Reads a unit's text: sections, `Key=value`, comments, `\` at a line's end.
    pub fn parse(text: &str) -> Unit {
        let mut settings = Vec::new();
        let mut section = String::new();
        let mut pending = String::new();
        let mut begun = 0;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with(['#', ';']) || (line.is_empty() && pending.is_empty()) {
                continue;
            }
            if pending.is_empty() {
                begun = index + 1;
            }
            if let Some(start) = line.strip_suffix('\\') {
                pending.push_str(start);
                pending.push(' ');
                continue;
            }
            let whole = std::mem::take(&mut pending) + line;
            if let Some(name) = whole
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = whole.split_once('=') {
                settings.push(Setting {
                    section: section.clone(),
                    key: key.trim().to_owned(),
                    value: value.trim().to_owned(),
                    line: begun,
                });
            }
        }
        Unit { settings }
    }

    /// All of them, in order.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Every value of `key` in `section`.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = move |entry: &&Setting| entry.section == section && entry.key == key;
        self.settings
            .iter()
            .filter(wanted)
            .map(|entry| entry.value.as_str())
    }

    /// Every value in `section` of a key that begins with `prefix`.
    pub fn values_of_prefix<'a>(
        &'a self,
        section: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.pairs_of_prefix(section, prefix)
            .map(|(_, value)| value)
    }

    /// Keys in `section` that begin with `prefix`, each with its value, in order.
    pub fn pairs_of_prefix<'a>(
        &'a self,
        section: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let wanted =
            move |entry: &&Setting| entry.section == section && entry.key.starts_with(prefix);
        self.settings
            .iter()
            .filter(wanted)
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
    }
}

/// A file of the tree as text; `None` if there is none.
pub fn text_at(tree: &Tree, path: &ImagePath) -> Result<Option<String>> {
    let Some(Node {
        kind: Kind::File(content),
        ..
    }) = tree.get(path)
    else {
        return Ok(None);
    };
    let mut text = String::new();
    content
        .reader()
        .read_to_string(&mut text)
        .with_context(|| format!("reading {path}"))?;
    Ok(Some(text))
}

/// Links `unit` into the targets of its `[Install]` section; false if the
/// tree has no such unit.
pub fn enable(tree: &mut Tree, unit: &str) -> Result<bool> {
    let Some(links) = links(tree, unit)? else {
        return Ok(false);
    };
    if links.is_empty() {
        bail!(
            "units.enable: `{unit}` has no WantedBy=, RequiredBy= or Alias= in [Install], so enabling it does nothing"
        );
    }
    for (link, target) in links {
        tree.insert(
            link,
            Node::symlink(target.as_str(), Origin::Recipe("units.enable".to_owned())),
        )?;
    }
    Ok(true)
}

/// The links that enable `unit`, as (place, target); `None` if the tree has
/// no such unit.
pub fn links(tree: &Tree, unit: &str) -> Result<Option<Vec<(ImagePath, ImagePath)>>> {
    // `a@b.service` is an instance of `a@.service`.
    let template = unit.split_once('@').and_then(|(stem, rest)| {
        let (_, kind) = rest.rsplit_once('.')?;
        Some(format!("{stem}@.{kind}"))
    });
    let names = std::iter::once(unit).chain(template.as_deref());
    let places = names.flat_map(|name| UNIT_DIRS.map(|top| format!("{top}/{name}")));
    for path in places {
        let path: ImagePath = path.parse()?;
        let Some(text) = text_at(tree, &path)? else {
            continue;
        };
        let mut links = Vec::new();
        for link in install_links(&Unit::parse(&text), unit) {
            let at: ImagePath = format!("{ADMIN}/{link}").parse()?;
            if at != path {
                links.push((at, path.clone()));
            }
        }
        return Ok(Some(links));
    }
    Ok(None)
}

/// A template (`getty@.service`) is enabled by its default instance alone.
fn install_links(unit: &Unit, name: &str) -> Vec<String> {
    let words = |key| {
        unit.values("Install", key)
            .flat_map(str::split_whitespace)
            .collect::<Vec<_>>()
    };
    let name = match name.split_once("@.") {
        None => name.to_owned(),
        Some((stem, suffix)) => match words("DefaultInstance").last() {
            Some(instance) => format!("{stem}@{instance}.{suffix}"),
            None => return Vec::new(),
        },
    };
    let below = |key, kind: &str| -> Vec<String> {
        let targets = words(key).into_iter();
        targets
            .map(|target| format!("{target}.{kind}/{name}"))
            .collect()
    };
    let mut links = below("WantedBy", "wants");
    links.extend(below("RequiredBy", "requires"));
    links.extend(words("Alias").into_iter().map(str::to_owned));
    links
}

/// Links `unit` to /dev/null, for whom `origin` names.
pub fn mask(tree: &mut Tree, unit: &str, origin: Origin) -> Result<()> {
    let path: ImagePath = format!("{ADMIN}/{unit}").parse()?;
    if let Some(there) = tree.get(&path) {
        bail!(
            "units.mask: `{path}` is in the image (from {}): a file cannot be masked by a link in its place",
            there.origin
        );
    }
    tree.insert(path, Node::symlink("/dev/null", origin))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::BUILT_IN_OVERLAY;
    use crate::tree::Content;

    fn tree_with(unit: &str) -> Tree {
        let mut tree = Tree::default();
        let node = Node::file(
            Content::inline(unit.as_bytes().to_vec()),
            0o644,
            Origin::Overlay("o".into()),
        );
        tree.insert("/usr/lib/systemd/system/a.service".parse().unwrap(), node)
            .unwrap();
        tree
    }

    fn target(tree: &Tree, path: &str) -> Option<String> {
        match &tree.get(&path.parse().unwrap())?.kind {
            Kind::Symlink(target) => Some(target.clone()),
            _ => None,
        }
    }

    #[test]
    fn enabling_makes_the_links_of_the_install_section() {
        let mut tree = tree_with(
            "[Unit]\nWantedBy=no.target\n[Install]\nWantedBy=x.target \\\n  y.target\nAlias=b.service\n",
        );
        assert!(enable(&mut tree, "a.service").unwrap());
        for link in [
            "x.target.wants/a.service",
            "y.target.wants/a.service",
            "b.service",
        ] {
            let target = target(&tree, &format!("/etc/systemd/system/{link}"));
            assert_eq!(
                target.as_deref(),
                Some("/usr/lib/systemd/system/a.service"),
                "{link}"
            );
        }
        assert_eq!(
            target(&tree, "/etc/systemd/system/no.target.wants/a.service"),
            None
        );
    }

    #[test]
    fn a_template_is_enabled_by_its_default_instance() {
        let install = |text: &str| install_links(&Unit::parse(text), "getty@.service");
        assert_eq!(
            install("[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"),
            ["getty.target.wants/getty@tty1.service"]
        );
        assert!(install("[Install]\nWantedBy=getty.target\n").is_empty());
    }

    #[test]
    fn a_unit_that_cannot_be_enabled_is_told() {
        assert!(!enable(&mut tree_with(""), "other.service").unwrap());
        assert!(enable(&mut tree_with("[Unit]\n"), "a.service").is_err());
    }

    #[test]
    fn an_instance_is_enabled_by_its_template() {
        let mut tree = Tree::default();
        let text = Content::inline(&b"[Install]\nWantedBy=x.target\n"[..]);
        let node = Node::file(text, 0o644, Origin::Overlay("o".into()));
        let path = "/usr/lib/systemd/system/a@.service";
        tree.insert(path.parse().unwrap(), node).unwrap();
        assert!(enable(&mut tree, "a@b.service").unwrap());
        let link = target(&tree, "/etc/systemd/system/x.target.wants/a@b.service");
        assert_eq!(link.as_deref(), Some(path));
    }

    #[test]
    fn masking_never_hides_a_file() {
        let mut tree = tree_with("");
        let origin = || Origin::Recipe("units.mask".to_owned());
        mask(&mut tree, "a.service", origin()).unwrap();
        assert_eq!(
            target(&tree, "/etc/systemd/system/a.service").as_deref(),
            Some("/dev/null")
        );
        assert!(mask(&mut tree, "a.service", origin()).is_err());
    }

    /// systemd refuses the sixth start of any other unit within ten seconds.
    #[test]
    fn what_a_report_asks_people_to_restart_may_be_restarted_at_any_time() {
        for name in ["nodeimg-firstboot.service", "nodeimg-commands.service"] {
            let file = BUILT_IN_OVERLAY.get_file(format!("common/root{ADMIN}/{name}"));
            let unit = Unit::parse(file.unwrap().contents_utf8().unwrap());
            let limit: Vec<&str> = unit.values("Unit", "StartLimitIntervalSec").collect();
            assert_eq!(limit, ["0"], "{name}");
        }
    }
}
