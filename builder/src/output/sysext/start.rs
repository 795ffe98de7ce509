//! What starts an extension's services.
//!
//! systemd works out what a boot starts before it merges extensions, so links
//! in `multi-user.target.wants` come too late. `Upholds=` does not: it is
//! looked at again whenever units are reloaded. It names a target rather than
//! the services, since it would start a failed one again and again, and first
//! boot fails for good if the seed is wrong.
//!
//! The target also wants a service that does what the boot did before the
//! merge: modules, kernel parameters, tmpfiles.

use anyhow::Result;

use crate::input::recipe::Recipe;
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

const UNITS: &str = "/usr/lib/systemd/system";

/// Adds the target, its service and what upholds it.
pub fn add(tree: &mut Tree, recipe: &Recipe, extension: &str) -> Result<()> {
    let name = format!("nodeimg-{}", recipe.name);
    let units = enabled(tree)?;
    let setup = format!("{name}-setup.service");
    let files = [
        (format!("{name}.target"), target(extension)),
        (setup.clone(), setup_service(tree, extension, &units)?),
        (
            format!("multi-user.target.d/10-{name}.conf"),
            format!("[Unit]\nUpholds={name}.target\n"),
        ),
    ];
    let origin = || Origin::Recipe("sysext".to_owned());
    for (path, text) in files {
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, origin());
        tree.insert(format!("{UNITS}/{path}").parse()?, node)?;
    }
    for unit in units.iter().chain([&setup]) {
        tree.insert(
            format!("{UNITS}/{name}.target.wants/{unit}").parse()?,
            Node::symlink(format!("../{unit}"), origin()),
        )?;
    }
    Ok(())
}

/// The units that a boot of the image itself would start.
fn enabled(tree: &Tree) -> Result<Vec<String>> {
    Ok(files_in(tree, &format!("{UNITS}/multi-user.target.wants"))?
        .map(|(path, _)| path.name().to_owned())
        .collect())
}

fn target(extension: &str) -> String {
    format!("[Unit]\nDescription=Services of the system extension {extension}\n")
}

fn setup_service(tree: &Tree, extension: &str, units: &[String]) -> Result<String> {
    let names = |directory: &str| -> Result<Vec<String>> {
        Ok(files_in(tree, directory)?
            .filter(|(_, node)| matches!(node.kind, Kind::File(_)))
            .map(|(path, _)| path.name())
            .filter(|name| name.ends_with(".conf"))
            .map(quoted)
            .collect())
    };
    let mut commands = String::new();
    for (program, directory) in [
        // A module that the kernel lacks or has built in stops nothing.
        (
            "-/usr/lib/systemd/systemd-modules-load",
            "/usr/lib/modules-load.d",
        ),
        ("/usr/lib/systemd/systemd-sysctl", "/usr/lib/sysctl.d"),
        ("systemd-tmpfiles --create", "/usr/lib/tmpfiles.d"),
    ] {
        let names = names(directory)?;
        if !names.is_empty() {
            commands += &format!("ExecStart={program} {}\n", names.join(" "));
        }
    }
    let before = units.join(" ");
    Ok(format!(
        "[Unit]\nDescription=Host settings of the system extension {extension}\n\
         Before={before}\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n{commands}"
    ))
}

/// As one argument of a command line in a unit.
fn quoted(name: &str) -> String {
    let text = name
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{text}\"")
}

/// Everything right in `directory`.
fn files_in<'a>(
    tree: &'a Tree,
    directory: &str,
) -> Result<impl Iterator<Item = (&'a ImagePath, &'a Node)>> {
    let directory: ImagePath = directory.parse()?;
    Ok(tree
        .iter()
        .filter(move |(path, _)| path.parent().as_ref() == Some(&directory)))
}
