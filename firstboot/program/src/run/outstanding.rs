//! The commands of an instance that remain to be run.
use nodeimg_seed::contract::paths::{COMMANDS_DONE, SCRIPTS, is_volatile};
use nodeimg_seed::contract::stamp::{MAX_STATE, Stamp};
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::Problems;
use serde::{Deserialize, Serialize};

use crate::root::Root;
use crate::run::result;

#[derive(Serialize, Deserialize)]
struct Done {
    #[serde(default)]
    version: u32,
    instance_id: String,
}

/// The scripts of an instance, in order.
pub(crate) fn scripts(stamp: &Stamp) -> Vec<&String> {
    let inside = |path: &&String| path.starts_with(SCRIPTS);
    let mut scripts: Vec<&String> = stamp.all_files().filter(inside).collect();
    scripts.sort();
    scripts
}

/// Whether anything remains to be run for this instance.
pub(crate) fn is_pending(root: &Root, stamp: &Stamp) -> bool {
    if scripts(stamp).is_empty() {
        return false;
    }
    let bytes = root.read(COMMANDS_DONE, MAX_STATE).ok().flatten();
    let done = bytes.and_then(|bytes| serde_json::from_slice::<Done>(&bytes).ok());
    done.is_none_or(|done| done.instance_id != stamp.instance_id)
}

/// Whether commands that failed in an earlier boot need the seed again: it was
/// corrected since, or files that they read were in memory and are gone.
pub(crate) fn wants_seed(root: &Root, stamp: &Stamp, seed: &Seed) -> bool {
    let lost = |path: &String| is_volatile(path) && !root.exists(path);
    is_corrected(root, stamp, seed) || (is_pending(root, stamp) && stamp.all_files().any(lost))
}

/// Whether the seed has changed since commands of it failed.
pub(crate) fn is_corrected(root: &Root, stamp: &Stamp, seed: &Seed) -> bool {
    let taken = stamp.seed.as_ref();
    is_pending(root, stamp) && taken.is_some_and(|taken| taken.digest != seed.digest())
}

/// All scripts of the instance have succeeded.
pub(crate) fn note_done(root: &Root, stamp: &Stamp, problems: &mut Problems) {
    let done = Done {
        version: 1,
        instance_id: stamp.instance_id.clone(),
    };
    result::keep(root, COMMANDS_DONE, &done, problems);
}
