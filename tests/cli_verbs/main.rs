//! Every verb on good input, as a user drives it.
//!
//! A module is named after its verb: `build` (events, silence, rebuilds), `fetch` (bundles,
//! `--offline`), `doctor`, `events` (against their schema), `exit_status`, `flash`, `habits` (what
//! people type), `init`, `inventory`, `lock`, `recipes`, `run`, `run_exec` (`run --exec`), `runtimes`
//! (the container runtime of an image), `seed`, `several` (images of one command; traces),
//! `shells` (completions, the manual), `sign`, `store`, `stored_images` (container
//! images in an image with CRI-O), `test`, `verify`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod build;
mod doctor;
mod events;
mod exit_status;
mod fetch;
mod flash;
mod habits;
mod init;
mod inspect;
mod inventory;
mod inventory_keys;
mod lock;
mod recipes;
mod run;
mod run_exec;
mod runtimes;
mod seed;
mod several;
mod shells;
mod sign;
mod store;
mod stored_images;
mod test;
mod verify;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What changes when a file is rewritten, whatever is in it.
fn identity(path: &Path) -> (u64, i64, i64) {
    let meta = fs::metadata(path).unwrap();
    (meta.ino(), meta.mtime(), meta.mtime_nsec())
}

/// Every line of standard output as the JSON object that it must be.
#[track_caller]
fn events(out: &str) -> Vec<serde_json::Value> {
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(value @ serde_json::Value::Object(_)) => value,
        other => panic!("`{line}` is no JSON object: {other:?}"),
    };
    out.lines().map(parse).collect()
}
