//! What is written about an instance: the stamp with its copy, the note, and what its templates
//! were rendered with.
use std::io;

use nodeimg_seed::contract::rendered::{self, RENDERED_PATH, Rendered};
use nodeimg_seed::contract::stamp::{RECORD_PATH, STAMP_PATH, Stamp};
use nodeimg_seed::plan::{Content, Plan, PlannedFile};
use serde::Serialize;

use super::{Failure, failing};
use crate::root::gate::Gate;
use crate::root::{Access, Root};

/// Writes the stamp and its copy.
pub(crate) fn write_stamp(root: &Root, stamp: &Stamp, gate: &mut dyn Gate) -> Result<(), Failure> {
    write_state(root, STAMP_PATH, stamp, gate)?;
    write_state(root, RECORD_PATH, stamp, gate)
}

/// Keeps what later images' templates are rendered with.
pub(crate) fn write_rendered(
    root: &Root,
    rendered: &Rendered,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let access = Access {
        mode: 0o600,
        ..Access::PUBLIC
    };
    write_json(root, RENDERED_PATH, &rendered.to_json(), access, gate)
}

pub(super) fn rendered_of(plan: &Plan, instance_id: &str) -> Rendered {
    let of_template = |file: &&PlannedFile| plan.rendered.contains(&file.path);
    let files = plan.files.iter().filter(of_template);
    let mut rendered = Rendered {
        instance_id: instance_id.to_owned(),
        ..Rendered::default()
    };
    for (name, value) in plan.values.all() {
        rendered.values.insert(name.to_owned(), value.into());
    }
    for file in files {
        if let Content::Bytes(bytes) = &file.content {
            let digest = rendered::of_file(bytes.expose());
            rendered.files.insert(file.path.clone(), digest.into());
        }
    }
    rendered
}

pub(super) fn write_state(
    root: &Root,
    path: &str,
    value: &impl Serialize,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    write_json(root, path, value, Access::PUBLIC, gate)
}

fn write_json(
    root: &Root,
    path: &str,
    value: &impl Serialize,
    access: Access,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let written = serde_json::to_vec(value)
        .map_err(io::Error::other)
        .and_then(|bytes| root.replace(path, &bytes, access, gate))
        .and_then(|()| root.sync_parent(path, gate));
    failing(root, "writing it", path, written)
}
