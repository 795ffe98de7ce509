//! dpkg's database, for scanners and for `dpkg-query --admindir`: which package
//! of which version is here. Nothing on the node changes it.
//!
//! ```text
//! /usr/lib/sysimage/dpkg/status              control stanzas, `install ok installed`
//!                       /info/format         `1`: lists are named by `name:arch` too
//!                       /info/NAME[:ARCH].list, .md5sums
//! /var/lib/dpkg/status                       the same text: scanners follow no link
//!              /...                          links to the rest
//! ```
//! On a node with a `/var` of its own, tmpfiles.d makes `/var/lib/dpkg` a link to all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::{Base, Package};
use crate::tree::{ImagePath, Origin};

const ADMIN: &str = "/usr/lib/sysimage/dpkg";
/// Where every Debian system has it.
pub const VAR: &str = "/var/lib/dpkg";
const LINKED: [&str; 4] = ["available", "diversions", "info", "statoverride"];

pub fn database(base: &mut Base<'_>) -> Result<()> {
    let packages = base.facts.packages;
    if packages.is_empty() {
        return Ok(());
    }
    let mut owned: BTreeMap<String, Vec<ImagePath>> = BTreeMap::new();
    for (path, node) in base.tree.iter() {
        if let Origin::Package(name) = &node.origin {
            owned.entry(name.clone()).or_default().push(path.clone());
        }
    }
    let mut status = String::new();
    for package in packages {
        status.push_str(&stanza(package)?);
        let stem = format!("{ADMIN}/info/{}", info_name(package));
        let paths = owned.remove(&package.name).unwrap_or_default();
        base.file(&format!("{stem}.list"), list(&paths))?;
        if !package.md5sums.is_empty() {
            let present: BTreeSet<&str> = paths.iter().map(ImagePath::as_str).collect();
            base.file(&format!("{stem}.md5sums"), md5sums(package, &present))?;
        }
    }
    base.file(&format!("{ADMIN}/status"), status.clone())?;
    base.file(&format!("{ADMIN}/info/format"), "1\n")?;
    for empty in ["available", "diversions", "statoverride"] {
        base.file(&format!("{ADMIN}/{empty}"), "")?;
    }
    // For who looks at the image from outside, or runs it with the `/var` that it has.
    for name in LINKED {
        base.link(&format!("{VAR}/{name}"), &format!("../../..{ADMIN}/{name}"))?;
    }
    base.file(&format!("{VAR}/status"), status)
}

/// The control file with `Package:` and `Status:` first, and a blank line. Not every
/// publisher begins with the name.
fn stanza(package: &Package) -> Result<String> {
    let text = package.control.trim_end();
    let of_name = |line: &&str| {
        let field = line.split_once(':');
        field.is_some_and(|(name, _)| name.eq_ignore_ascii_case("Package"))
    };
    let Some(first) = text.lines().find(of_name) else {
        bail!("the control file of `{}` has no `Package`", package.name);
    };
    let rest: Vec<&str> = text.lines().filter(|line| !of_name(line)).collect();
    let rest = rest.join("\n");
    Ok(format!("{first}\nStatus: install ok installed\n{rest}\n\n"))
}

fn info_name(package: &Package) -> String {
    match (package.field("Multi-Arch"), package.field("Architecture")) {
        (Some("same"), Some(arch)) => format!("{}:{arch}", package.name),
        _ => package.name.clone(),
    }
}

/// The paths with all directories above them, as dpkg lists them.
fn list(paths: &[ImagePath]) -> String {
    let mut all = BTreeSet::new();
    for path in paths {
        let mut next = Some(path.clone());
        while let Some(path) = next.filter(|path| *path != ImagePath::root()) {
            next = path.parent();
            if !all.insert(path) {
                break;
            }
        }
    }
    let mut text = "/.\n".to_owned();
    for path in all {
        let _ = writeln!(text, "{path}");
    }
    text
}

/// Lines of the files that are still here: a verifier asks for no other.
fn md5sums(package: &Package, present: &BTreeSet<&str>) -> String {
    let here = |line: &&str| {
        let Some((_, file)) = line.split_once("  ") else {
            return false;
        };
        let path = ImagePath::from_relative(file);
        path.is_ok_and(|path| present.contains(path.as_str()))
    };
    let mut text = String::new();
    for line in package.md5sums.lines().filter(here) {
        let _ = writeln!(text, "{line}");
    }
    text
}
