//! What `[disk]` of a recipe may say beyond its types.

use nodeimg_formats::update::MAX_LABEL;
use nodeimg_values::arch::Arch;

use super::file::RecipeFile;
use super::output::OutputKind;
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
    // `gpt`: the kernel reads the second partition table if a power cut has torn the first one.
    // A kernel that has panicked starts the machine once more, as late as a person can read
    // why. The last console is the one that systemd itself speaks on: a node has a serial line
    // more often than someone before its screen. `loglevel`: the kernel waits for every letter
    // that it writes to a serial line, and most of what it has to say at a boot is information,
    // which stays in its log and in the journal; systemd itself reports its units.
    match arch {
        Arch::Amd64 => {
            "root=/dev/mapper/root rootfstype=squashfs ro gpt panic=30 loglevel=6 console=tty0 \
             console=ttyS0,115200"
        }
        Arch::Arm64 => {
            "root=/dev/mapper/root rootfstype=squashfs ro gpt panic=30 loglevel=6 console=tty0 \
             console=ttyAMA0,115200"
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

/// Of the build number behind the version, with its `-`.
const BUILD: usize = "-202609120755".len();

/// What an update is told by: the name and the version, which the disk's partitions and the
/// UKI are called by.
pub fn identity(file: &RecipeFile, outputs: &[&OutputKind], problems: &mut Problems<'_>) {
    let is_of_disk = outputs.iter().any(|output| output.is_of_disk());
    let (key, version) = match (&file.version, &file.kubernetes) {
        (Some(version), _) => ("version", version),
        (None, Some(version)) => ("kubernetes", version),
        (None, None) => return,
    };
    if !is_of_disk {
        return;
    }
    let version = version.as_str();
    // The others of a version are those of systemd-sysupdate too.
    if version.contains('~') {
        let plain = version.replace('~', "-");
        let reason = format!(
            "`{version}` cannot be the version of a disk: updates know letters, digits, `.`, `+` \
             and `-`. Write it without `~`: `{plain}` is older than what has a number there"
        );
        problems.add(&[Step::Key(key)], &reason);
    }
    // One letter of the name, and what tells it from others: see `nodeimg_formats::update::label`.
    let most = MAX_LABEL - "n-0123_".len() - BUILD;
    if version.len() > most {
        let reason = format!(
            "`{version}` is too long for the version of a disk: the labels of its partitions hold \
             it with the time of its lock. Use at most {most} characters"
        );
        problems.add(&[Step::Key(key)], &reason);
    }
}

/// What a slot may be: the partition table counts whole MiB, and the rest is decided when the
/// size of the root is known.
pub fn slot_size(file: &RecipeFile, problems: &mut Problems<'_>) {
    let Some(size) = file.disk.slot_size else {
        return;
    };
    if size.0 == 0 || !size.0.is_multiple_of(1 << 20) {
        let reason =
            format!("{size} is not a slot's size: use a whole number of MiB, such as `2 GiB`");
        problems.add(&[Step::Key("disk"), Step::Key("slot_size")], &reason);
    }
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
    use std::process::Command;

    use nodeimg_test_support::judge;
    use nodeimg_values::epoch::Epoch;

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

    #[test]
    fn versions_sort_as_the_locks_do_and_hold_no_counter() {
        let of = |version: &str, epoch| {
            let recipe = disk_recipe(&format!("version = \"{version}\"\n"));
            recipe.build_name(Epoch(epoch))
        };
        let day = 1_789_200_000;
        assert_eq!(of("13.0", day), "mine_13.0-202609120800");
        assert_eq!(of("1.2+3", day), "mine_1.2.3-202609120800");
        // Two locks of one day, and the next release of the recipe.
        let rising = [
            of("13.0", day),
            of("13.0", day + 60),
            of("13.0", day + 86_400),
            of("13.0.1", day - 86_400),
            of("13.1-rc.1", day),
            of("13.1", day),
        ];
        for pair in rising.windows(2) {
            let mut judge = Command::new("systemd-analyze");
            judge.args(["compare-versions", &pair[0], "lt", &pair[1]]);
            let Some(told) = judge::run(&mut judge) else {
                return;
            };
            assert!(told.status.success(), "{pair:?}");
        }
    }

    fn said(more: &str) -> String {
        load_text(more).map_or_else(|error| format!("{error:#}"), |_| String::new())
    }

    #[test]
    fn a_disk_has_a_version_and_a_name_that_updates_can_read() {
        let disk = "outputs = [\"disk\"]\nname = \"mine\"\n";
        let refused = said(&format!("{disk}version = \"1~rc1\"\n"));
        assert!(refused.contains("mine.toml:"), "{refused}");
        assert!(
            refused.contains("version: `1~rc1` cannot be the version of a disk"),
            "{refused}"
        );
        assert!(refused.contains("`1-rc1`"), "{refused}");
        let versioned = |length: usize| {
            let version = "1".repeat(length);
            said(&format!("{disk}version = \"{version}\"\n"))
        };
        let refused = versioned(17);
        assert!(refused.contains("mine.toml:"), "{refused}");
        assert!(refused.contains("Use at most 16 characters"), "{refused}");
        assert!(!versioned(16).contains("characters"));
        let long = "n".repeat(60);
        let long = format!("outputs = [\"disk\"]\nname = \"{long}\"\nversion = \"13.0\"\n");
        assert!(!said(&long).contains("characters"));
    }

    #[test]
    fn a_slot_is_whole_mebibytes() {
        for bad in ["0 MiB", "1536 KiB", "100 B"] {
            let refused = refusal(&format!("[disk]\nslot_size = \"{bad}\"\n"));
            assert!(
                refused.contains("mine.toml:3:13: disk.slot_size: "),
                "{refused}"
            );
        }
        let recipe = recipe("[disk]\nslot_size = \"2 GiB\"\n");
        assert_eq!(recipe.disk.slot_size.map(|size| size.0), Some(2 << 30));
    }
}
