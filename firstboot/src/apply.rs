//! Plan to disk, safe at any power cut.
//!
//! # Order
//! 1. a note of all files concerned: those of the previous instance and of this one;
//! 2. the previous instance's files that this one does not have are removed;
//! 3. each file: temporary file, sync, rename; then each directory is synced;
//! 4. the stamp; 5. the note is removed.
//!
//! Wherever it stops, the note is there or the stamp is not, so that the next
//! run does all of it again and ends in the same state.
use std::collections::BTreeSet;
use std::io;

use nodeimg_firstboot::plan::Plan;
use nodeimg_firstboot::stamp::{PENDING_PATH, Pending, STAMP_PATH, STAMP_VERSION, Stamp};
use serde::Serialize;

use crate::root::{Access, Gate, Root};

const MAX_STATE_FILE: usize = 1 << 20;

const STATE_ACCESS: Access = Access {
    mode: 0o644,
    uid: 0,
    gid: 0,
};

/// What could not be done, and why.
pub(crate) struct Failure {
    pub(crate) doing: String,
    pub(crate) cause: io::Error,
}

/// What earlier boots left behind.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) pending: Option<Pending>,
}

impl State {
    /// Unreadable state counts as none: then everything is done afresh.
    pub(crate) fn read(root: &Root) -> Self {
        let bytes = |path| root.read(path, MAX_STATE_FILE).ok().flatten();
        let pending = bytes(PENDING_PATH).map(|bytes| Pending::read(&bytes).unwrap_or_default());
        Self {
            stamp: bytes(STAMP_PATH).and_then(|bytes| Stamp::read(&bytes)),
            pending,
        }
    }

    /// The instance that is set up whole. Not one with a run begun over it, and
    /// not one whose files are gone, as after a loss of a volatile `/etc`.
    pub(crate) fn finished(&self, root: &Root) -> Option<&Stamp> {
        let stamp = self.stamp.as_ref().filter(|_| self.pending.is_none())?;
        stamp
            .files
            .iter()
            .all(|path| root.exists(path))
            .then_some(stamp)
    }

    fn files(&self) -> BTreeSet<String> {
        let stamped = self.stamp.iter().flat_map(|stamp| &stamp.files);
        let pending = self.pending.iter().flat_map(|pending| &pending.files);
        stamped.chain(pending).cloned().collect()
    }
}

/// Who the plan is for.
pub(crate) struct Instance<'a> {
    pub(crate) id: &'a str,
    pub(crate) host_name: &'a str,
}

pub(crate) fn apply(
    root: &Root,
    plan: &Plan,
    instance: &Instance<'_>,
    state: &State,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let planned: BTreeSet<String> = plan.paths().into_iter().collect();
    let before = state.files();
    let files = before.union(&planned).cloned().collect();
    write_state(
        root,
        PENDING_PATH,
        &Pending {
            version: STAMP_VERSION,
            files,
        },
        gate,
    )?;
    let mut touched: BTreeSet<&str> = BTreeSet::new();
    for path in before.difference(&planned) {
        failing(root, "removing", path, root.remove(path, gate))?;
        touched.insert(path);
    }
    for file in &plan.files {
        let access = Access {
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
        };
        let bytes = file.content.expose().as_bytes();
        failing(
            root,
            "writing",
            &file.path,
            root.replace(&file.path, bytes, access, gate),
        )?;
        touched.insert(&file.path);
    }
    sync_directories(root, &touched, gate)?;
    let stamp = Stamp {
        version: STAMP_VERSION,
        instance_id: instance.id.to_owned(),
        host_name: instance.host_name.to_owned(),
        plan_digest: plan.digest(),
        files: planned.into_iter().collect(),
    };
    write_state(root, STAMP_PATH, &stamp, gate)?;
    failing(
        root,
        "removing",
        PENDING_PATH,
        root.remove(PENDING_PATH, gate),
    )?;
    failing(
        root,
        "syncing the directory of",
        PENDING_PATH,
        root.sync_parent(PENDING_PATH, gate),
    )
}

/// Each directory once. One that a removed file stood in may be gone as well.
fn sync_directories(
    root: &Root,
    paths: &BTreeSet<&str>,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let mut synced: BTreeSet<&str> = BTreeSet::new();
    for path in paths {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if synced.insert(directory) && (directory.is_empty() || root.exists(directory)) {
            failing(
                root,
                "syncing the directory of",
                path,
                root.sync_parent(path, gate),
            )?;
        }
    }
    Ok(())
}

fn write_state(
    root: &Root,
    path: &str,
    value: &impl Serialize,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let written = serde_json::to_vec(value)
        .map_err(io::Error::other)
        .and_then(|bytes| root.replace(path, &bytes, STATE_ACCESS, gate))
        .and_then(|()| root.sync_parent(path, gate));
    failing(root, "writing", path, written)
}

fn failing<T>(root: &Root, doing: &str, path: &str, result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|cause| Failure {
        doing: format!("{doing} {}", root.shown(path)),
        cause,
    })
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
