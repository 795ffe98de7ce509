//! What `[disk]` of a recipe may say beyond its types.

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::Step;

/// What the disk itself says to the kernel.
const OWNED_ARGS: [&str; 4] = ["root", "roothash", "rootflags", "rootfstype"];

pub fn kernel_args(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (index, arg) in file.disk.kernel_args.iter().enumerate() {
        let way = [
            Step::Key("disk"),
            Step::Key("kernel_args"),
            Step::Index(index),
        ];
        let name = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
        if arg.is_empty() || !arg.bytes().all(|byte| byte.is_ascii_graphic()) {
            problems.add(
                &way,
                "not a word of a kernel's command line: use `name` or \
                `name=value`, in ASCII and without blanks",
            );
        } else if OWNED_ARGS.contains(&name) {
            problems.add(
                &way,
                &format!(
                    "`{name}` is set by the disk: the root's hash decides which root is mounted"
                ),
            );
        }
    }
}
