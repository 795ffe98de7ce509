//! `#cloud-config-archive`: a YAML list of parts.
use zeroize::Zeroizing;

use super::{Found, Refusal};
use crate::text::yaml::{self, Kind, Node};

const SHAPE: &str = "write a list of `{type: ..., content: ...}`";

pub(super) fn parts(text: &str) -> Result<Vec<Found>, Refusal> {
    let root = yaml::parse(text).map_err(|error| {
        let reason = format!(
            "is not valid YAML (column {}): {}",
            error.column, error.reason
        );
        Refusal::at(error.line, reason, "correct the YAML")
    })?;
    let Some(root) = root else {
        return Ok(Vec::new());
    };
    let Kind::Sequence(items) = &root.kind else {
        let reason = format!("is an archive that is {}, not a list", root.what());
        return Err(Refusal::at(root.line, reason, SHAPE));
    };
    items.iter().map(part).collect()
}

/// A value with a tag, such as `!!binary`: its text is not what it means.
fn tagged(item: &Node) -> Option<&Node> {
    let has_tag = |node: &&Node| node.scalar().is_some_and(|scalar| scalar.tag.is_some());
    let values = item.entries().unwrap_or_default().iter();
    std::iter::once(item)
        .chain(values.map(|entry| &entry.value))
        .find(has_tag)
}

fn part(item: &Node) -> Result<Found, Refusal> {
    let text = |node: &Node| node.scalar().map(|scalar| scalar.text.clone());
    let mut found = Found::default();
    let mut content = text(item);
    if let Some(node) = tagged(item) {
        let reason = "has a YAML tag that is not supported";
        return Err(Refusal::at(
            node.line,
            reason,
            "write the value as plain text",
        ));
    }
    for entry in item.entries().unwrap_or_default() {
        let value = text(&entry.value);
        let shown = || value.as_ref().map(|text| text.expose().to_owned());
        match entry.key.expose().to_ascii_lowercase().as_str() {
            "content" => content = value,
            "type" => found.content_type = shown(),
            "filename" => found.name = shown().map(|name| super::mime::file_name(&name)),
            "launch-index" => found.launch_index = true,
            "merge-type" | "x-merge-type" => found.merge = shown(),
            key => {
                let reason = format!("has an item with the unknown key `{key}`");
                let remedy = "an item has `type`, `content`, `filename`, and `merge-type`";
                return Err(Refusal::at(entry.line, reason, remedy));
            }
        }
    }
    let Some(content) = content else {
        let reason = "has an item without text in `content`";
        return Err(Refusal::at(item.line, reason, SHAPE));
    };
    found.bytes = Zeroizing::new(content.expose().as_bytes().to_vec());
    Ok(found)
}
