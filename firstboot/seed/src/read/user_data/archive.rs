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

fn part(item: &Node) -> Result<Found, Refusal> {
    let text = |node: &Node| node.scalar().map(|scalar| scalar.text.clone());
    if let Some(content) = text(item) {
        return Ok(Found {
            content_type: None,
            name: None,
            launch_index: false,
            bytes: Zeroizing::new(content.expose().as_bytes().to_vec()),
        });
    }
    let content = item.get("content").and_then(text);
    let Some(content) = content else {
        let reason = "has an item without text in `content`";
        return Err(Refusal::at(item.line, reason, SHAPE));
    };
    let of = |key: &str| {
        item.get(key)
            .and_then(text)
            .map(|text| text.expose().to_owned())
    };
    Ok(Found {
        content_type: of("type"),
        name: of("filename").map(|name| super::mime::file_name(&name)),
        launch_index: item.get("launch-index").is_some(),
        bytes: Zeroizing::new(content.expose().as_bytes().to_vec()),
    })
}
