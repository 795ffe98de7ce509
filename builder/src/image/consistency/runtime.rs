//! Files of the container runtime's configuration that people lay in.

use anyhow::Result;

use super::{Findings, Judged, is_given};
use crate::image::units::text_at;
use crate::input::recipe::runtime::LaidFile;
use crate::tree::Kind;

pub fn judge(judged: &Judged<'_>, found: &mut Findings) -> Result<()> {
    let runtime = judged.recipe.runtime;
    let (Some(laid), Some(version)) = (runtime.laid, judged.runtime) else {
        return Ok(());
    };
    let mut texts = Vec::new();
    for (path, node) in judged.own() {
        if !matches!(node.kind, Kind::File(_)) || !is_given(&node.origin) {
            continue;
        }
        let parent = path.parent();
        let is_beside = parent.is_some_and(|parent| parent.as_str() == laid.folder);
        let is_read = path.name().ends_with(laid.ending);
        if path.as_str() == runtime.config || is_beside && is_read {
            let text = text_at(judged.tree, path)?.unwrap_or_default();
            texts.push((path, node, text));
        } else if is_beside {
            found.warnings.push(format!(
                "`{path}` (from {}) has no effect: {} reads `{}/*{}`; rename it",
                node.origin, runtime.shared.name, laid.folder, laid.ending
            ));
        }
    }
    let given: Vec<LaidFile<'_>> = texts
        .iter()
        .map(|(path, node, text)| LaidFile {
            path: path.as_str(),
            label: format!("`{path}` (from {})", node.origin),
            text,
        })
        .collect();
    if given.is_empty() {
        return Ok(());
    }
    let own = text_at(judged.tree, &runtime.config.parse()?)?.unwrap_or_default();
    let wrong = (laid.check)(&given, &own, version);
    found.problems.extend(wrong);
    Ok(())
}
