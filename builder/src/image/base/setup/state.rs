//! `/var` and `/run` are the node's: empty in the image, filled at every boot
//! by systemd-tmpfiles from what the tree has there.
//!
//! A directory becomes a `d` line. A file moves below `/usr/share/factory` and
//! a link to it takes its place on the node, so that an updated image brings
//! its own version and nobody edits a copy.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::{Base, known};
use crate::tree::{ImagePath, Kind, Node, Tree};

const FACTORY: &str = "/usr/share/factory";
const CONF: &str = "/usr/lib/tmpfiles.d/nodeimg-var.conf";
const TMPFILES_DIRS: [&str; 2] = ["/usr/lib/tmpfiles.d", "/etc/tmpfiles.d"];

/// What packages make by script, or the links of the top of the tree need.
const LINES: [&str; 16] = [
    "d /var/backups 0755 root root -",
    "d /var/home 0755 root root -",
    "d /var/lib/misc 0755 root root -",
    "d /var/local 0755 root root -",
    "d /var/log/journal 2755 root systemd-journal -",
    "d /var/mail 2775 root mail -",
    "d /var/mnt 0755 root root -",
    "d /var/roothome 0700 root root -",
    "d /var/srv 0755 root root -",
    "f /var/log/btmp 0660 root utmp -",
    "f /var/log/lastlog 0664 root utmp -",
    "f /var/log/wtmp 0664 root utmp -",
    "C /var/roothome/.bashrc - - - - /usr/share/base-files/dot.bashrc",
    "C /var/roothome/.profile - - - - /usr/share/base-files/dot.profile",
    "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg",
    "d /var/lib/wtmpdb 0755 root root -",
];

pub fn empty_var(base: &mut Base<'_>) -> Result<()> {
    let mut known = declared(base.tree)?;
    let mut lines = Vec::new();
    for line in LINES.into_iter().chain(known::state(base)) {
        if let Some(path) = path_of(line)
            && known.insert(path.to_owned())
        {
            lines.push(line.to_owned());
        }
    }
    for top in ["/var", "/run"] {
        let top: ImagePath = top.parse()?;
        let mut taken = base.tree.take(&top);
        if taken.first().is_some_and(|(path, _)| *path == top) {
            let (path, node) = taken.remove(0);
            base.tree.insert(path, node)?;
        }
        for (path, node) in taken {
            if known.insert(path.to_string()) {
                lines.push(line(base, &path, node)?);
            }
        }
    }
    lines.sort_by(|one, other| path_of(one).cmp(&path_of(other)));
    base.file(CONF, lines.join("\n") + "\n")
}

/// One tmpfiles.d line for a node; a file's content moves to the factory.
fn line(base: &mut Base<'_>, path: &ImagePath, node: Node) -> Result<String> {
    let place = quoted(path.as_str());
    Ok(match &node.kind {
        Kind::Directory => format!(
            "d {place} {:04o} {} {} -",
            node.stat.mode, node.stat.uid, node.stat.gid
        ),
        Kind::Symlink(target) => format!("L {place} - - - - {}", target.replace('%', "%%")),
        Kind::File(_) => {
            let factory: ImagePath = format!("{FACTORY}{path}").parse()?;
            let line = format!("L+ {place} - - - - {}", factory.as_str().replace('%', "%%"));
            base.tree
                .insert(factory, node)
                .with_context(|| format!("moving {path} out of /var"))?;
            line
        }
    })
}

/// Specifiers begin with `%`; a path with blanks stands in quotation marks.
fn quoted(path: &str) -> String {
    let path = path.replace('%', "%%").replace('"', "\\\"");
    if path.contains(char::is_whitespace) {
        format!("\"{path}\"")
    } else {
        path
    }
}

/// Links and copies that systemd-tmpfiles makes from the tree.
pub fn made_at_boot(tree: &Tree) -> Result<BTreeSet<ImagePath>> {
    let mut made = BTreeSet::new();
    for line in lines(tree)? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, path, _, _, _, _, from] = words[..] else {
            continue;
        };
        let (Ok(path), Ok(from)) = (path.parse(), from.parse()) else {
            continue;
        };
        if kind.starts_with(['L', 'C']) && tree.get(&from).is_some() {
            made.insert(path);
        }
    }
    Ok(made)
}

/// Paths that the tree's own tmpfiles.d make: a second line would be a warning
/// at every boot.
fn declared(tree: &Tree) -> Result<BTreeSet<String>> {
    let lines = lines(tree)?;
    let making = lines.iter().filter(|line| makes(line));
    Ok(making
        .filter_map(|line| path_of(line))
        .map(str::to_owned)
        .collect())
}

/// All of the tree's tmpfiles.d.
fn lines(tree: &Tree) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for directory in TMPFILES_DIRS {
        let directory: ImagePath = directory.parse()?;
        for (path, _) in tree.iter() {
            if path.parent().as_ref() != Some(&directory) || !path.name().ends_with(".conf") {
                continue;
            }
            let text = crate::image::units::text_at(tree, path)?.unwrap_or_default();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    Ok(lines)
}

/// Whether a line brings something into being, rather than adjusts or removes.
fn makes(line: &str) -> bool {
    line.starts_with(['d', 'D', 'q', 'Q', 'f', 'F', 'L', 'C', 'v'])
}

fn path_of(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}
