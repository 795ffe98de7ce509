//! Every library that a program of the tree asks its loader for is in the tree.
//!
//! A package that the recipe leaves out shows here, before a node finds out.
//! No ldconfig cache is built: the loader's own directories suffice, and the
//! lint holds the tree to just these. Libraries that a program opens by
//! itself (`dlopen`) are not seen.

use anyhow::{Result, bail};

use super::Base;
use crate::image::libraries;
use crate::input::artifact::oci_image::store;
use crate::tree::Kind;

pub fn check(base: &mut Base<'_>) -> Result<()> {
    let mut problems = Vec::new();
    for (path, node) in base.tree.iter() {
        let Kind::File(content) = &node.kind else {
            continue;
        };
        if store::holds(path) {
            continue;
        }
        let Some(wants) = libraries::wants(base.tree, base.facts.arch, path, content)? else {
            continue;
        };
        let of = |wanted: libraries::NeededLibrary, what: &str| {
            wanted.way.is_none().then(|| {
                format!(
                    "`{path}` (from {}) needs the {what} `{}`, which is not in the image",
                    node.origin, wanted.name
                )
            })
        };
        let libraries = wants.libraries.into_iter();
        problems.extend(libraries.filter_map(|wanted| of(wanted, "library")));
        problems.extend(wants.interpreter.and_then(|wanted| of(wanted, "loader")));
    }
    if problems.is_empty() {
        return Ok(());
    }
    problems.push("add the packages that hold them to `base.packages`".to_owned());
    bail!("{}", problems.join("\n"))
}
