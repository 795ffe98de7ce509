//! What a seed says to the updater: its configuration, and a key.
use super::{Image, PlannedFile};
use crate::contract::paths::{UPDATE_CONFIG, UPDATE_KEY, UPDATER};
use crate::read::node_config::{Pair, UPDATE_KEY as KEY};
use crate::text::problem::Problems;
use crate::text::secret::Secret;
use crate::text::yaml::write::quoted;

/// For root alone: a source may hold a login. A basic string of TOML escapes as JSON does.
pub(super) fn files(
    update: &[Pair],
    image: &dyn Image,
    problems: &mut Problems,
) -> Vec<PlannedFile> {
    let Some(first) = update.first() else {
        return Vec::new();
    };
    if !image.exists(UPDATER) {
        let reason = "is for an image that updates itself, and this one does not";
        let remedy = "remove `update`, or build a disk whose recipe does not have `enable = false` in `[update]`";
        problems.error(&first.value.place, reason, remedy);
    }
    let mut files = Vec::new();
    let mut text = String::from("# Written by first boot, from the seed.\n");
    for Pair { name, value } in update {
        if name == KEY {
            files.push(PlannedFile::public(UPDATE_KEY, &value.value).over_image());
            text.extend(["keys = [", &quoted(UPDATE_KEY), "]\n"]);
        } else {
            text.extend([name, " = ", &quoted(&value.value), "\n"]);
        }
    }
    files.push(PlannedFile::private(UPDATE_CONFIG, Secret::new(text)).over_image());
    files
}
