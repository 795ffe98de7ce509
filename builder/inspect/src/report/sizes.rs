//! What made the image big.

use std::collections::BTreeMap;

use super::packages::Owners;
use super::{DirectorySize, Owner, Size};
use crate::root::{Kind, Root};

/// Parts of a path that name a directory of the report: `/usr/lib/modules/6.12/kernel/drivers`.
const DEPTH: usize = 6;

/// By owner, the largest first.
pub fn by_owner(root: &Root, owners: &Owners<'_>) -> Vec<Size> {
    let stored = root.stored();
    let mut sizes: BTreeMap<Owner, (Size, BTreeMap<String, u64>)> = BTreeMap::new();
    for (path, node) in root.nodes() {
        let Kind::File(size) = node.kind else {
            continue;
        };
        let owner = owners.of_file(path);
        let (sum, directories) = sizes.entry(owner.clone()).or_insert_with(|| {
            let sum = Size {
                owner,
                size: 0,
                stored: 0,
                files: 0,
                directories: Vec::new(),
            };
            (sum, BTreeMap::new())
        });
        let takes = stored.get(path).copied().unwrap_or_default();
        sum.size += size;
        sum.stored += takes;
        sum.files += 1;
        *directories.entry(directory(path)).or_default() += takes;
    }
    let mut sizes: Vec<Size> = sizes
        .into_values()
        .map(|(sum, directories)| with(sum, directories))
        .collect();
    sizes.sort_by(|one, other| (other.stored, &one.owner).cmp(&(one.stored, &other.owner)));
    sizes
}

fn with(mut sum: Size, directories: BTreeMap<String, u64>) -> Size {
    sum.directories = directories
        .into_iter()
        .map(|(path, stored)| DirectorySize { path, stored })
        .collect();
    sum.directories
        .sort_by(|one, other| (other.stored, &one.path).cmp(&(one.stored, &other.path)));
    sum
}

fn directory(path: &str) -> String {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let parts: Vec<&str> = above.split('/').skip(1).take(DEPTH).collect();
    format!("/{}", parts.join("/"))
}
