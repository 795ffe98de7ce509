//! dpkg's records of what is installed, for vulnerability scanners and
//! `dpkg-query`: nothing in the image writes them.
//!
//! ```text
//! /usr/lib/sysimage/dpkg/status             every package's control file, as installed
//!                        info/format        1: names of files with their architecture
//!                        info/NAME.list     paths (NAME:ARCH.list where Multi-Arch is same)
//!                        info/NAME.md5sums
//! /var/lib/dpkg                             a link to it
//! ```
//! In /usr, so that it is of the image and changes with it
//! ([dpkg(1)](https://manpages.debian.org/dpkg.1)).

use std::fmt::Write;

use anyhow::{Context, Result};

use super::excludes::excluded;
use crate::artifact::deb::Package;
use crate::tree::{Content, ImagePath, Node, Origin, Tree};

const DATABASE: &str = "/usr/lib/sysimage/dpkg";
const STEP: &str = "dpkg's records";

/// Adds the records of `packages`.
pub fn record(packages: &[Package], tree: &mut Tree) -> Result<()> {
    let mut status = String::new();
    put(tree, "info/format", b"1\n".to_vec())?;
    for package in packages {
        let control = package.control.get("control");
        let control = control.with_context(|| format!("{} has no control file", package.name))?;
        let control = String::from_utf8_lossy(control);
        stanza(&mut status, &control);
        let name = file_name(&package.name, &control);
        put(
            tree,
            &format!("info/{name}.list"),
            list(package).into_bytes(),
        )?;
        if let Some(sums) = package.control.get("md5sums") {
            put(tree, &format!("info/{name}.md5sums"), sums.clone())?;
        }
    }
    put(tree, "status", status.into_bytes())?;
    let link: ImagePath = "/var/lib/dpkg".parse()?;
    if tree.get(&link).is_none() {
        let target = "../../usr/lib/sysimage/dpkg";
        tree.insert(link, Node::symlink(target, Origin::Base(STEP.to_owned())))?;
    }
    Ok(())
}

fn put(tree: &mut Tree, name: &str, bytes: Vec<u8>) -> Result<()> {
    let node = Node::file(Content::inline(bytes), 0o644, Origin::Base(STEP.to_owned()));
    tree.insert(format!("{DATABASE}/{name}").parse()?, node)
}

/// The control file with its state after the first line.
fn stanza(status: &mut String, control: &str) {
    let control = control.trim_matches('\n');
    let (first, rest) = control.split_once('\n').unwrap_or((control, ""));
    // Writing to a String cannot fail.
    let _ = write!(status, "{first}\nStatus: install ok installed\n{rest}\n\n");
}

fn file_name(name: &str, control: &str) -> String {
    let field = |name: &str| {
        let line = control.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    match (field("Multi-Arch:"), field("Architecture:")) {
        (Some("same"), Some(arch)) => format!("{name}:{arch}"),
        _ => name.to_owned(),
    }
}

fn list(package: &Package) -> String {
    let paths = package.nodes.iter().map(|(path, _)| path);
    let mut text = "/.\n".to_owned();
    for path in paths.filter(|path| !excluded(path)) {
        let _ = writeln!(text, "{path}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Read;
    use std::process::Command;

    use super::*;
    use crate::tree::Kind;

    fn package(name: &str, more: &str) -> Package {
        let control = format!(
            "Package: {name}\nVersion: 1:2-3\nArchitecture: arm64\n{more}Maintainer: x <x@example.org>\nDescription: x\n y\n"
        );
        let node = |path: &str| {
            let node = Node::directory(0o755, Origin::Package(name.to_owned()));
            (path.parse().unwrap(), node)
        };
        Package {
            name: name.to_owned(),
            nodes: vec![node("/usr/bin"), node("/usr/share/man/man1")],
            control: BTreeMap::from([
                ("control".to_owned(), control.into_bytes()),
                ("md5sums".to_owned(), b"0  usr/bin/x\n".to_vec()),
            ]),
        }
    }

    #[test]
    fn records_that_dpkg_itself_reads() {
        let mut tree = Tree::default();
        let packages = [package("libx", "Multi-Arch: same\n"), package("tool", "")];
        record(&packages, &mut tree).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("info")).unwrap();
        for (path, node) in tree.iter() {
            let Some(rest) = path.as_str().strip_prefix(&format!("{DATABASE}/")) else {
                continue;
            };
            if let Kind::File(content) = &node.kind {
                let mut text = String::new();
                content.reader().read_to_string(&mut text).unwrap();
                fs::write(dir.path().join(rest), text).unwrap();
            }
        }
        let names: Vec<_> = fs::read_dir(dir.path().join("info"))
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(names.len(), 5);
        let list = fs::read_to_string(dir.path().join("info/libx:arm64.list")).unwrap();
        assert_eq!(list, "/.\n/usr/bin\n");
        let query = |args: &[&str]| {
            let admin = format!("--admindir={}", dir.path().display());
            Command::new("dpkg-query").arg(admin).args(args).output()
        };
        let Ok(shown) = query(&["-W", "-f", "${Package} ${Version} ${db:Status-Status}\\n"]) else {
            assert!(std::env::var_os("CI").is_none(), "dpkg-query is missing");
            eprintln!("skipped: there is no dpkg-query here");
            return;
        };
        assert_eq!(
            String::from_utf8(shown.stdout).unwrap(),
            "libx 1:2-3 installed\ntool 1:2-3 installed\n"
        );
        let files = query(&["-L", "libx:arm64"]).unwrap();
        assert_eq!(String::from_utf8(files.stdout).unwrap(), list);
    }
}
