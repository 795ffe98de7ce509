//! What `[disk]` of a recipe may say beyond its types.

use nodeimg_values::arch::Arch;

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::Step;

/// What the disk itself says to the kernel.
const OWNED_ARGS: [&str; 4] = ["root", "roothash", "rootflags", "rootfstype"];

/// More is cut off, in silence: `COMMAND_LINE_SIZE` of amd64 and arm64 is 2048 bytes with
/// the one that ends the text
/// ([arm64](https://github.com/torvalds/linux/blob/v6.12/arch/arm64/include/uapi/asm/setup.h),
/// [x86](https://github.com/torvalds/linux/blob/v6.12/arch/x86/include/asm/setup.h)).
const MAX_COMMAND_LINE: usize = 2047;
/// Hexadecimal digits of a root hash.
const ROOT_HASH: usize = 64;

/// The disk's own words behind the root hash.
pub fn own_words(arch: Arch) -> &'static str {
    // A kernel that has panicked starts the machine once more, as late as a person can read
    // why. The last console is the one that systemd itself speaks on: a node has a serial line
    // more often than someone before its screen.
    match arch {
        Arch::Amd64 => {
            "root=/dev/mapper/root rootfstype=squashfs ro panic=30 console=tty0 console=ttyS0,115200"
        }
        Arch::Arm64 => {
            "root=/dev/mapper/root rootfstype=squashfs ro panic=30 console=tty0 console=ttyAMA0,115200"
        }
    }
}

/// How many bytes the command line has, on the machine on which it is longest.
fn length(words: &[String]) -> usize {
    let own = |arch| "roothash=".len() + ROOT_HASH + " ".len() + own_words(arch).len();
    let own = Arch::ALL.into_iter().map(own).max().unwrap_or_default();
    let given: usize = words.iter().map(|word| " ".len() + word.len()).sum();
    own + given
}

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
    let words = &file.disk.kernel_args;
    let length = length(words);
    if !words.is_empty() && length > MAX_COMMAND_LINE {
        let over = length - MAX_COMMAND_LINE;
        problems.add(
            &[Step::Key("disk"), Step::Key("kernel_args")],
            &format!(
                "the kernel's command line would have {length} bytes with nodeimg's own words, \
                 and the kernel reads only {MAX_COMMAND_LINE}: shorten it by {over}"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::input::recipe::tests::{disk_recipe, load_text, recipe, refusal};

    #[test]
    fn words_stay_as_they_are_given() {
        let words = [
            "hugepagesz=1G",
            "hugepages=16",
            "hugepagesz=2M",
            "hugepages=16",
            "console=ttyS1",
            "console=tty0",
            "console=ttyS1",
            "quiet",
            "quiet",
        ];
        let list = words.map(|word| format!("\"{word}\"")).join(", ");
        let text = format!("[disk]\nkernel_args = [{list}]\n");
        assert_eq!(disk_recipe(&text).disk.kernel_args, words);
        assert_eq!(recipe(&text).disk.kernel_args, words);
    }

    #[test]
    fn words_and_flags_of_an_extended_recipe_come_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let first = "extends = \"hard-way\"\n[disk]\nkernel_args = [\"a=1\", \"b\"]\n\
                     [kubelet]\nextra_args = [\"--v=4\"]\n[kube_proxy]\nextra_args = [\"--v=4\"]\n";
        let second = "extends = \"first.toml\"\n[disk]\nkernel_args = [\"a=2\", \"b\", \"a=1\"]\n\
                      [kubelet]\nextra_args = [\"--v=2\", \"--v=4\"]\n\
                      [kube_proxy]\nextra_args = [\"--v=2\", \"--v=4\"]\n";
        std::fs::write(path("first.toml"), first).unwrap();
        std::fs::write(path("second.toml"), second).unwrap();
        let from = crate::input::recipe::RecipeRef::File(path("second.toml"));
        let recipe = crate::input::recipe::load(&from, &crate::output::KINDS).unwrap();
        assert_eq!(recipe.disk.kernel_args, ["a=1", "b", "a=2", "b", "a=1"]);
        let flags = ["--v=4", "--v=2", "--v=4"];
        assert_eq!(recipe.kubelet.extra_args, flags);
        assert_eq!(recipe.kube_proxy.extra_args, flags);
    }

    #[test]
    fn a_command_line_that_the_kernel_would_cut_is_refused_at_its_key() {
        // With nodeimg's own 154 bytes on arm64, and the blanks.
        let with = |len: usize| format!("[disk]\nkernel_args = [\"a\", \"{}\"]\n", "x".repeat(len));
        let own = "roothash=".len() + 64 + 1 + super::own_words(super::Arch::Arm64).len();
        let fits = 2047 - own - " a ".len();
        load_text(&with(fits)).unwrap();
        let refused = refusal(&with(fits + 1));
        assert!(
            refused.contains("mine.toml:3:15: disk.kernel_args: "),
            "{refused}"
        );
        assert!(
            refused.contains("2048 bytes") && refused.contains("shorten it by 1"),
            "{refused}"
        );
    }
}
