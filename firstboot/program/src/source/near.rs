//! Volumes that someone meant to be a seed and that almost are.
//!
//! Asked only if there is no seed and the report is due: it opens volumes that have
//! nothing to do with a seed.
use nodeimg_seed::read::seed::Layout;
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::volume::FileSystem;

use super::medium::{CONFIG_DRIVE, NO_CLOUD};
use crate::media::{self, Medium};

/// Volumes opened at most; a storage server has hundreds.
const MOST: usize = 16;

/// One problem for each near miss, with its remedy.
pub(crate) fn near_misses(media: &[Medium]) -> Problems {
    let mut problems = Problems::new();
    let mut opened = 0;
    for medium in media {
        let place = Place::file(medium.device.path.display().to_string());
        let labels = medium.labels();
        let near = labels.iter().find_map(|label| Some((label, near(label)?)));
        match (medium.file_system(), near) {
            (None, Some((label, _))) => {
                let reason = format!(
                    "has the label `{label}` but not a file system that first \
                    boot reads"
                );
                problems.error(&place, reason, "format it as vfat, iso9660 or ext4");
            }
            (Some(kind), Some((label, expected))) => {
                let reason = format!("found `{label}` ({kind}), expected `{expected}`");
                problems.error(&place, reason, "correct the label");
            }
            (Some(kind), None) if opened < MOST => {
                opened += 1;
                if let Some((file, expected)) = holds_seed(medium, kind) {
                    let has = match labels.first() {
                        Some(label) => format!("the label `{label}`"),
                        None => "no label".to_owned(),
                    };
                    let reason = format!("holds `{file}` but has {has}, expected `{expected}`");
                    problems.error(&place, reason, format!("give it the label `{expected}`"));
                }
            }
            _ => {}
        }
    }
    problems
}

/// The label that a person probably meant. `None` for a correct label on a readable
/// volume: then there is a seed, or a more precise reason.
fn near(label: &str) -> Option<&'static str> {
    let fold = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    [NO_CLOUD[0], CONFIG_DRIVE[0]]
        .into_iter()
        .find(|wanted| fold(label) == fold(wanted))
}

/// The file that identifies a seed in the volume, and the label that it should have.
fn holds_seed(medium: &Medium, kind: FileSystem) -> Option<(&'static str, &'static str)> {
    let root = media::open(&medium.device, kind).ok()?;
    let (no_cloud, drive) = (Layout::NoCloud.names(), Layout::ConfigDrive.names());
    if root.exists(drive.meta_data) {
        return Some((drive.meta_data, CONFIG_DRIVE[0]));
    }
    let both = root.exists(no_cloud.meta_data) && root.exists(no_cloud.user_data);
    both.then_some((no_cloud.user_data, NO_CLOUD[0]))
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn labels_that_are_nearly_right() {
        for (label, expected) in [
            ("Config-2", Some("config-2")),
            ("CONFIG_2", Some("config-2")),
            ("CiData", Some("cidata")),
            ("CI DATA", Some("cidata")),
            ("config", None),
            ("ESP", None),
            ("", None),
        ] {
            assert_eq!(near(label), expected, "{label}");
        }
    }
}
