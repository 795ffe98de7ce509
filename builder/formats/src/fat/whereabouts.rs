//! What a byte of a volume that [`super::write`] made belongs to.

use super::directory::Directories;
use super::volume::{BACKUP_SECTOR, FIRST_CLUSTER};
use super::*;

/// What the byte at `at` belongs to, in a volume of these files, for people.
///
/// # Errors
/// Those of [`super::write`].
pub fn whereabouts(files: &[File<'_>], options: &Options<'_>, at: u64) -> Result<String> {
    let mut files = files.to_vec();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let directories = Directories::of(&files)?;
    let volume = fitting(options.size, &directories, &files)?;
    let layout = Layout::of(&directories, &files, volume);
    let first = volume.position(FIRST_CLUSTER);
    if at >= first {
        let cluster = FIRST_CLUSTER + ((at - first) / volume.cluster_size()) as u32;
        return Ok(in_cluster(&layout, &files, cluster, at));
    }
    let sector = at / SECTOR;
    let fat = volume.fats().filter(|fat| at >= *fat).count();
    Ok(match (sector, fat) {
        (0, _) => "its boot sector".to_owned(),
        (1, _) => "its table of free space".to_owned(),
        (sector, 0) if (BACKUP_SECTOR..BACKUP_SECTOR + 2).contains(&sector) => {
            "the second copy of its boot sector".to_owned()
        }
        (_, 0) => "its reserved sectors, where nothing is written".to_owned(),
        (_, 1) => "its first FAT".to_owned(),
        _ => "its second FAT".to_owned(),
    })
}

fn in_cluster(layout: &Layout, files: &[File<'_>], cluster: u32, at: u64) -> String {
    let holds = |run: &Run| (run.first..run.first + run.count).contains(&cluster);
    if layout.directories.iter().any(holds) {
        return "one of its directories".to_owned();
    }
    let Some((file, run)) = files.iter().zip(&layout.files).find(|(_, run)| holds(run)) else {
        return "a free cluster, where nothing is written".to_owned();
    };
    let path = file.path.escape_debug();
    match at - layout.volume.position(run.first) < file.content.size() {
        true => format!("the file `{path}`"),
        false => format!("the rest of the last cluster of `{path}`, where nothing is written"),
    }
}
