//! An image that does not come up, or is not healthy, beside one that is: the machine is back
//! on that one by itself, keeps it, and says why.
//!
//! The disk is made as an update makes it: the other version's root and hash tree are in slot B
//! of a node that is set up, its UKI is on the ESP. Its version is the newer one, so that
//! systemd-boot starts it first.
//!
//! | new version | it is left |
//! |---|---|
//! | the kernel panics | by the kernel (`panic=`), once per try |
//! | a block of the root is another one | by the initrd, once per try |
//! | first boot fails | by its health, at once |
//! | a kubelet dies | by its health, at once |
//! | good, and its power is cut | never: the next try is its last, and it is good |

mod disk;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Images, build_container_host, directory, image, seed, worker_image};
use nodeimg_test_support::debian::recipe;
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::guest::{Facts, Guest};
use nodeimg_test_support::media::Seed;
use nodeimg_test_support::real;
use nodeimg_test_support::worker::Worker;

use disk::{Version, add_entry, changed, place_of};

/// What the node knows of versions.
pub(super) const ABOUT: &str = "\
fact update cat /var/lib/nodeimg/update.json
fact told nodeimg-firstboot status
fact json nodeimg-firstboot status --json
mkdir /run/esp
mount -o ro /dev/vda1 /run/esp
fact entries ls /run/esp/EFI/Linux
fact versions nodeimg-update list
fact timer systemctl is-enabled nodeimg-update.timer
fact health journalctl --boot --no-pager --output=cat --unit=nodeimg-health --unit=nodeimg-bless
";
/// As many bytes as what it takes the place of: no program of the initrd can start.
const PANICS: (&str, &str) = ("console=tty0", "rdinit=/none");
/// Octal, for the kernel; a test need not read why.
const AT_ONCE: (&str, &str) = ("panic=30", "panic=01");

/// One try is left of three, and the kernel of the new version finds nothing to start.
#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_kernel_that_panics() {
    let Some(image) = image("amd64") else { return };
    let _skipped = panics("rollback-panic", &image, "amd64");
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_kernel_that_panics_on_arm64() {
    if !nodeimg_test_support::judge::is_full("a rollback on arm64") {
        return;
    }
    let Some(image) = image("arm64") else { return };
    let _skipped = panics("rollback-panic-arm64", &image, "arm64");
}

fn panics(name: &str, image: &Path, arch: &str) -> Option<()> {
    let old = Version::of(image)?;
    let directory = directory(name);
    let next = next_of(old.version());
    let new = Version::of(image)?
        .renamed(&next)
        .with(PANICS)
        .with(AT_ONCE);
    let disk = Disk::copy(&image.join("disk.raw"), &directory.join("disk.raw"));
    add_entry(&disk, &new.uki, &format!("{}+1-2.efi", new.stem)).then_some(())?;
    let guest = Guest::new(name, &disk.path).seed(&seed(&directory, "node-0"));
    let facts = guest.with(&["--arch", arch]).script(ABOUT).facts()?;
    facts.expect("state", "running");
    facts.expect("failed", "");
    facts.expect_parts("os-release", &[old.version()]);
    expect_left(&facts, &old, &new, 3);
    facts.expect_parts("update", &["it never came as far as its own health check"]);
    facts.expect_console(&["Kernel panic"]);
    // The updater is there by default, and nothing starts it.
    facts.expect_parts("versions", &[old.version(), "runs"]);
    facts.expect("timer", "disabled");
    fs::remove_dir_all(directory).unwrap();
    Some(())
}

/// The first digit is one more: a version of as many characters.
fn next_of(version: &str) -> String {
    let first = version.as_bytes()[0];
    assert!(first.is_ascii_digit() && first != b'9', "{version}");
    format!("{}{}", char::from(first + 1), &version[1..])
}

/// The old version is good and runs, the new one is bad and is not forgotten.
#[track_caller]
fn expect_left(facts: &Facts, old: &Version, new: &Version, tries: u32) {
    expect_back(facts, &old.stem, &new.stem, tries);
}

/// The same by the names of their entries.
#[track_caller]
pub(super) fn expect_back(facts: &Facts, old: &str, new: &str, tries: u32) {
    facts.expect("entries", &format!("{old}.efi {new}+0-{tries}.efi"));
    let version = |entry: &'_ str| entry.split_once('_').unwrap().1.to_owned();
    let (old, new) = (version(old), version(new));
    let version = format!("\"version\": \"{new}\"");
    let booted = format!("\"booted\": \"{old}\"");
    let boots = format!("\"boots\": {tries}");
    facts.expect_parts("update", &[&version, &booted, &boots]);
    let told = format!("failed {new}, tried {tries} time");
    let words: Vec<&str> = facts["told"].split_whitespace().collect();
    assert!(words.join(" ").contains(&told), "{}", &facts["told"]);
    facts.expect_parts("json", &["\"update\": {", &version]);
}

/// A node that is set up, whose slot B is filled.
struct Node {
    directory: PathBuf,
    old: Version,
}

impl Node {
    /// One boot of `image`; the disk then stands still.
    fn set_up(name: &str, image: &Path, seed: &Path, left: u32) -> Option<Node> {
        let directory = directory(name);
        let keep = directory.join("keep");
        let guest = Guest::new(&format!("{name}-set-up"), &image.join("disk.raw")).keep(&keep);
        let guest = guest.seed(seed);
        let facts = guest.left(left).script(ABOUT).facts()?;
        let old = Version::of(image)?;
        // Nothing to go back to: good as soon as it is up.
        facts.expect("entries", &format!("{}.efi", old.stem));
        facts.expect("state", "running");
        let raw = directory.join("set-up.raw");
        let from = keep.join("disk.qcow2");
        let arguments = ["convert", "-O", "raw", from.to_str()?, raw.to_str()?];
        changed("qemu-img", &arguments).then_some(())?;
        fs::remove_dir_all(keep).unwrap();
        Some(Node { directory, old })
    }

    /// A copy of its disk with `new` in slot B; `count` is of its entry's name.
    fn updated(&self, name: &str, new: &Version, count: &str) -> Option<Disk> {
        let from = self.directory.join("set-up.raw");
        let disk = Disk::copy(&from, &self.directory.join(format!("{name}.raw")));
        let path = disk.path.to_str()?;
        let hash = fs::read_to_string(new.image.join("root.roothash")).unwrap();
        for (number, file, digits) in [
            (4, "root.verity", &hash[32..64]),
            (5, "root.squashfs", &hash[..32]),
        ] {
            let bytes = fs::read(new.image.join(file)).unwrap();
            let (start, length) = place_of(&disk, number);
            assert!(bytes.len() as u64 <= length, "{file}: {length}");
            std::os::unix::fs::FileExt::write_all_at(&disk.file, &bytes, start).unwrap();
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
            let guid = parts.map(|range| &digits[range]).join("-");
            let number = number.to_string();
            changed("sfdisk", &["--quiet", "--part-uuid", path, &number, &guid]).then_some(())?;
        }
        add_entry(&disk, &new.uki, &format!("{}{count}.efi", new.stem)).then_some(disk)
    }

    fn boot(&self, name: &str, disk: &Disk) -> Guest {
        let keep = self.directory.join(format!("{name}-keep"));
        let guest = Guest::new(name, &disk.path).with(&["--arch", "amd64"]);
        guest.keep(&keep).script(ABOUT)
    }
}

/// The container host with `more` in its recipe, for amd64.
fn another(name: &str, more: &str) -> Option<PathBuf> {
    let images = Images::build(&format!("boot-{name}"), |directory| {
        let file = directory.join("another.toml");
        let from = fs::canonicalize(recipe()).unwrap();
        let text = format!("extends = \"{}\"\n{more}", from.display());
        fs::write(&file, text).unwrap();
        fs::copy(recipe().with_extension("lock"), file.with_extension("lock")).unwrap();
        build_container_host(directory, &file, &["amd64"])
    })?;
    Some(real::output_for(&images.directory, "amd64"))
}

/// First boot of the new version cannot run. Nor does the test's script, which runs once.
pub(super) const FIRST_BOOT_FAILS: &str = "[[file]]\n\
    path = \"/etc/systemd/system/nodeimg-exec.service.d/not.conf\"\n\
    content = \"[Unit]\\nConditionPathExists=/nonexistent\\n\"\n[[file]]\n\
    path = \"/etc/systemd/system/nodeimg-firstboot.service.d/fails.conf\"\n\
    content = \"[Service]\\nExecStart=\\nExecStart=sh -c 'echo of the test; exit 7'\\n\"\n";
/// Its own check says yes at the third time.
const GOOD: &str = "version = \"14.1\"\n[[health]]\nname = \"of-the-test\"\n\
    content = \"#!/bin/sh\\necho asked >>/run/asked\\ntest $(wc -l </run/asked) -ge 3\\n\"\n";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn versions_that_are_not_healthy_and_one_that_is() {
    if !nodeimg_test_support::judge::is_full("rollbacks after each kind of failure") {
        return;
    }
    let Some(image) = image("amd64") else { return };
    let (Some(fails), Some(good)) = (
        another(
            "first-boot-fails",
            &format!("version = \"14.0\"\n{FIRST_BOOT_FAILS}"),
        ),
        another("good", GOOD),
    ) else {
        return;
    };
    let seed = seed(&directory("rollback-seed"), "node-0");
    let Some(node) = Node::set_up("rollback", &image, &seed, 6) else {
        return;
    };
    let version = |image| Version::of(image).unwrap();
    first_boot_fails(&node, &version(&fails));
    a_root_that_is_corrupt(&node, version(&good));
    a_good_one_whose_power_is_cut(&node, &version(&good));
    fs::remove_dir_all(&node.directory).unwrap();
}

/// One boot is lost, and the log says why.
fn first_boot_fails(node: &Node, new: &Version) {
    let Some(disk) = node.updated("rollback-first-boot", new, "+3") else {
        return;
    };
    let guest = node.boot("rollback-first-boot", &disk).left(4);
    let Some(facts) = guest.facts() else { return };
    facts.expect("state", "running");
    facts.expect_parts("os-release", &[node.old.version()]);
    expect_left(&facts, &node.old, new, 1);
    facts.expect_parts("update", &["first boot has failed", "of the test"]);
    facts.expect_parts("first-boot", &[r#""outcome": "unchanged""#]);
}

/// Two tries, each ended by the initrd, which tells the next boot why.
fn a_root_that_is_corrupt(node: &Node, new: Version) {
    let new = new.with(AT_ONCE);
    let Some(disk) = node.updated("rollback-root", &new, "+2-1") else {
        return;
    };
    let (root, _) = place_of(&disk, 5);
    let (inode, table) = (disk.number(root + 32), disk.number(root + 64));
    disk.flip(root + table + (inode >> 16) + 10);
    let guest = node.boot("rollback-root", &disk).left(3);
    let Some(facts) = guest.facts() else { return };
    facts.expect_parts("os-release", &[node.old.version()]);
    expect_left(&facts, &node.old, &new, 3);
    facts.expect_parts("update", &["in the initrd: "]);
    let restarts = "the machine restarts in 30 seconds";
    assert!(facts.console.matches(restarts).count() >= 2);
}

/// In the midst of its first boot, and while it is asked for its health.
fn a_good_one_whose_power_is_cut(node: &Node, new: &Version) {
    let Some(disk) = node.updated("rollback-good", new, "+3") else {
        return;
    };
    let boot = || node.boot("rollback-good", &disk);
    let later = Duration::from_millis(500);
    if !boot()
        .left(2)
        .cut("Starting nodeimg-firstboot.service", later)
    {
        return;
    }
    let Some(facts) = boot().facts() else { return };
    facts.expect("state", "running");
    facts.expect_parts("os-release", &[new.version()]);
    let entries = format!("{}.efi {}.efi", node.old.stem, new.stem);
    facts.expect("entries", &entries);
    facts.expect_parts("health", &["waiting: the check of-the-test", "is healthy"]);
    assert!(!facts["update"].contains("failed"), "{}", &facts["update"]);
    facts.expect_parts("told", &[new.version()]);
    assert!(!facts["told"].contains("not yet found healthy"));
}

/// The new version of a worker, whose kubelet ends as soon as it starts.
const KUBELET_DIES: &str = "extends = \"mine.toml\"\nversion = \"99.0\"\n[[file]]\n\
    path = \"/etc/systemd/system/nodeimg-exec.service.d/not.conf\"\n\
    content = \"[Unit]\\nConditionPathExists=/nonexistent\\n\"\n[[file]]\n\
    path = \"/etc/systemd/system/kubelet.service.d/99-dies.conf\"\n\
    content = \"[Service]\\nExecStart=\\nExecStart=sh -c 'echo of the test; exit 7'\\n\"\n";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_kubelet_that_dies() {
    if !nodeimg_test_support::judge::is_full("a rollback of a worker whose kubelet dies") {
        return;
    }
    let _skipped = kubelet_dies();
}

fn kubelet_dies() -> Option<()> {
    let image = worker_image("amd64")?;
    let place = directory("rollback-worker-image");
    for extension in ["toml", "lock"] {
        let name = Path::new("mine").with_extension(extension);
        let from = image.parent().unwrap().join(&name);
        fs::copy(from, place.join(&name)).unwrap();
    }
    let recipe = place.join("dies.toml");
    fs::write(&recipe, KUBELET_DIES).unwrap();
    fs::copy(place.join("mine.lock"), place.join("dies.lock")).unwrap();
    build_container_host(&place, &recipe, &["amd64"])?;
    let new = Version::of(&real::output_for(&place, "amd64"))?;
    let worker = Worker::new("node-0", &["10.0.2.15"]);
    let user_data = worker.user_data("10.0.2.15", "");
    let seed = Seed::no_cloud("i-worker", &user_data).write(&place.join("seed"));
    let node = Node::set_up("rollback-worker", &image, &seed, 2)?;
    let disk = node.updated("rollback-kubelet", &new, "+3")?;
    let facts = node.boot("rollback-kubelet", &disk).facts()?;
    facts.expect_parts("os-release", &[node.old.version()]);
    expect_left(&facts, &node.old, &new, 1);
    facts.expect_parts("update", &["the kubelet has ended 5 times", "of the test"]);
    facts.expect("unit-kubelet", "active");
    fs::remove_dir_all(&node.directory).unwrap();
    Some(())
}
