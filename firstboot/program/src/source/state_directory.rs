//! `/var/lib/nodeimg/seed`: baked into the image or left on the state partition.
use super::{Found, Search, directory};

const DIRECTORY: &str = "/var/lib/nodeimg/seed";

pub(super) fn find(search: &Search<'_>) -> Found {
    if !search.root.exists(DIRECTORY) {
        return Found::Absent(vec![format!(
            "{}: is not there",
            search.root.shown(DIRECTORY)
        )]);
    }
    directory::read(search.root, DIRECTORY)
}
