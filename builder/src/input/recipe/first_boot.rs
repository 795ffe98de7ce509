//! What `[first_boot]` of a recipe may say beyond its types.

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::Step;

/// In seconds: the unit's own limit is behind the longest wait.
const MOST: u32 = 600;

pub fn check(file: &RecipeFile, problems: &mut Problems<'_>) {
    if file.first_boot.wait.is_some_and(|wait| wait > MOST) {
        problems.add(
            &[Step::Key("first_boot"), Step::Key("wait")],
            "longer than 600 seconds: a node without a seed should report that sooner",
        );
    }
}
