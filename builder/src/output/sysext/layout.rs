//! Where each file of an image goes in a system extension.
//!
//! systemd-sysext merges /usr and /opt and nothing else, and makes both
//! read-only. So, in this order:
//!
//! | of the image | in the extension | why |
//! |---|---|---|
//! | `/usr` | the same | it is merged |
//! | `/etc/systemd/system` and the like ([`MOVED`]) | below `/usr/lib` | read there as well; what the base has in /etc wins |
//! | `/opt`, but for what the recipe calls writable | the same | it is merged |
//! | other directories | a `d` line | made by systemd-tmpfiles, if they say something: empty, or with an owner or mode of their own |
//! | other links | an `L` line | as they are |
//! | files of a writable directory, but for programs | `/usr/share/factory` and a `C` line | a container that is given the directory needs a file there, not a link into a /usr that it does not have |
//! | other files | `/usr/share/factory` and an `L` line | a link: the bytes stay the verified ones, and change with the extension |
//!
//! Neither `C` nor `L` touches what is there already, so a node's own file
//! wins. A path that a tmpfiles.d file of the image makes is left to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;

use crate::image::units::text_at;
use crate::input::artifact::oci_image::store;
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

/// Directories whose files mean the same below /usr.
const MOVED: [(&str, &str); 8] = [
    ("/etc/modprobe.d", "/usr/lib/modprobe.d"),
    ("/etc/modules-load.d", "/usr/lib/modules-load.d"),
    ("/etc/sysctl.d", "/usr/lib/sysctl.d"),
    ("/etc/systemd/network", "/usr/lib/systemd/network"),
    ("/etc/systemd/system", "/usr/lib/systemd/system"),
    ("/etc/sysusers.d", "/usr/lib/sysusers.d"),
    ("/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"),
    ("/etc/udev/rules.d", "/usr/lib/udev/rules.d"),
];
const FACTORY: &str = "/usr/share/factory";
/// Behind the names that packages give their files.
const TMPFILES: &str = "/usr/lib/tmpfiles.d/nodeimg-sysext.conf";

/// Where a path goes.
enum Fate {
    /// Into the extension, there.
    Merged(ImagePath),
    /// To its own place at boot, by a line of tmpfiles.d.
    Made,
}

/// What gives a base system the files of an image.
pub struct Extension {
    pub tree: Tree,
    /// Where each regular file of the image is in it.
    pub homes: BTreeMap<ImagePath, ImagePath>,
}

/// The extension for `image`.
pub fn extension(image: &Tree, writable: &[ImagePath]) -> Result<Extension> {
    let mut tree = Tree::default();
    let mut homes = BTreeMap::new();
    let mut lines = String::new();
    let known = made_already(image)?;
    for (path, node) in image.iter() {
        // Parents come by themselves, with the modes that the base has.
        if node.origin == Origin::Implied {
            continue;
        }
        let fate = fate(path, writable)?;
        let home = match &fate {
            Fate::Merged(to) => to.clone(),
            Fate::Made => format!("{FACTORY}{path}").parse()?,
        };
        let is_file = matches!(node.kind, Kind::File(_));
        if is_file || matches!(fate, Fate::Merged(_)) {
            let mut node = node.clone();
            if let Kind::Symlink(target) = &mut node.kind
                && !store::holds(path)
            {
                *target = retarget(path, &home, target, writable)?;
            }
            tree.insert(home.clone(), node)?;
        }
        if is_file {
            homes.insert(path.clone(), home);
        }
        if matches!(fate, Fate::Made) && (is_file || !known.contains(&escaped(path))) {
            lines += &made(image, path, node, writable);
        }
    }
    if !lines.is_empty() {
        let text = format!("# What lies outside of /usr and /opt.\n{lines}");
        let origin = Origin::Recipe("sysext".to_owned());
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, origin);
        tree.insert(TMPFILES.parse()?, node)?;
    }
    Ok(Extension { tree, homes })
}

fn fate(path: &ImagePath, writable: &[ImagePath]) -> Result<Fate> {
    let below = |directory: &str| -> Result<bool> { Ok(path.is_within(&directory.parse()?)) };
    if below("/usr")? || (below("/opt")? && !is_writable(path, writable)) {
        return Ok(Fate::Merged(path.clone()));
    }
    for (from, to) in MOVED {
        if let Some(rest) = path.as_str().strip_prefix(from)
            && below(from)?
        {
            return Ok(Fate::Merged(format!("{to}{rest}").parse()?));
        }
    }
    Ok(Fate::Made)
}

fn is_writable(path: &ImagePath, writable: &[ImagePath]) -> bool {
    writable.iter().any(|directory| path.is_within(directory))
}

/// A link's text in the extension: what it points to may have moved.
fn retarget(
    from: &ImagePath,
    to: &ImagePath,
    target: &str,
    writable: &[ImagePath],
) -> Result<String> {
    let Some(aim) = resolved(from, target) else {
        return Ok(target.to_owned());
    };
    match fate(&aim, writable)? {
        Fate::Merged(moved) if moved != aim || (from != to && !target.starts_with('/')) => {
            Ok(moved.as_str().to_owned())
        }
        Fate::Made if from != to => Ok(aim.as_str().to_owned()),
        _ => Ok(target.to_owned()),
    }
}

/// The path that a link at `from` names; `None` if it is odd.
fn resolved(from: &ImagePath, target: &str) -> Option<ImagePath> {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.relative().rsplit_once('/')?.0.split('/').collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/")).parse().ok()
}

/// The line for what cannot be in the extension where it is; for a file it
/// names none, so that tmpfiles.d looks below /usr/share/factory.
fn made(image: &Tree, path: &ImagePath, node: &Node, writable: &[ImagePath]) -> String {
    let at = escaped(path);
    let stat = &node.stat;
    let owned = format!("{:04o} {} {}", stat.mode, stat.uid, stat.gid);
    match &node.kind {
        Kind::Directory => {
            let plain = stat.mode == 0o755 && stat.uid == 0 && stat.gid == 0;
            let empty = !image.iter().any(|(p, _)| p.parent().as_ref() == Some(path));
            match plain && !empty {
                true => String::new(),
                false => format!("d {at} {owned} -\n"),
            }
        }
        Kind::Symlink(target) => format!("L {at} - - - - {}\n", target.replace('%', "%%")),
        Kind::File(_) => {
            let program = stat.mode & 0o111 != 0;
            match is_writable(path, writable) && !program {
                true => format!("C {at} {owned} -\n"),
                false => format!("L {at} - - - -\n"),
            }
        }
    }
}

/// Second fields of all tmpfiles.d lines in the image.
fn made_already(image: &Tree) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for directory in ["/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"] {
        let directory: ImagePath = directory.parse()?;
        for (path, _) in image.iter().filter(|(path, _)| path.is_within(&directory)) {
            let text = text_at(image, path)?.unwrap_or_default();
            let fields = text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_whitespace().nth(1));
            known.extend(fields.map(|at| at.trim_end_matches('/').to_owned()));
        }
    }
    Ok(known)
}

/// A path as [tmpfiles.d(5)](https://www.freedesktop.org/software/systemd/man/latest/tmpfiles.d.html)
/// reads it.
fn escaped(path: &ImagePath) -> String {
    let mut text = String::new();
    for c in path.as_str().chars() {
        match c {
            '%' => text.push_str("%%"),
            ' ' | '"' | '\'' | '\\' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\x{:02x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests;
