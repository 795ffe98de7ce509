//! The folder `cidata` on the EFI System Partition that the machine booted
//! from: what a person can edit on a flashed card with any laptop.
use nodeimg_seed::volume::FileSystem;

use super::{Found, Search, medium};
use crate::media;

const DIRECTORY: &str = "/cidata";

pub(super) fn find(search: &Search<'_>) -> Found {
    let partition = search
        .system
        .and_then(|system| media::boot_partition(system, search.media));
    match partition {
        Some(partition) => medium::read(partition, FileSystem::Vfat, DIRECTORY, false),
        None => Found::Absent(Vec::new()),
    }
}
