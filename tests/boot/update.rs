//! A node that updates itself: `nodeimg-update` in a machine that runs, with versions that
//! were built, signed and published by nodeimg.
//!
//! | source | what comes of it |
//! |---|---|
//! | a registry, by https and with the seed's CA; by hand, then by the unit (the second one: NODEIMG_TEST_FULL=1) | two versions, one after the other: each is found healthy, and the node is the same |
//! | a medium, a version each (NODEIMG_TEST_FULL=1) | a kernel that panics, a first boot that fails, a root that is not what was written: back on the old one, which does not take it again; a good one, in whose midst the power is cut |

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directory;
use super::rollback::{ABOUT, FIRST_BOOT_FAILS, expect_back};
use nodeimg_test_support::debian::{fetched, recipe, verb_of};
use nodeimg_test_support::guest::{Facts, Guest};
use nodeimg_test_support::media::Seed;
use nodeimg_test_support::publisher::{Publisher, Version, applied, tell};
use nodeimg_test_support::push_registry::{Kind, Pushed};
use nodeimg_test_support::real;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::tls_server::tls_relay;

/// The host, as QEMU's user network has it.
const HOST: &str = "10.0.2.2";
const REPOSITORY: &str = "nodes/container-host";
/// What a node keeps through updates.
const ABOUT_THE_NODE: &str = "\
fact seed-file cat /etc/nodeimg/of-the-test
fact boot-seconds sh -c 'systemd-analyze time | head -n 1'
fact namespaces ctr namespaces ls -q
ctr namespaces create kept 2>/dev/null
";
/// `apply SOURCE`, by hand: what it says, its exit status and how long it took.
const APPLY: &str = "\
# The boot entries as nobody has mounted them.
umount /run/esp
apply() {
    begun=$(date +%s%N)
    fact \"$1\" sh -c \"nodeimg-update apply --json $2; echo status \\$?\"
    fact \"$1-milliseconds\" echo $((($(date +%s%N) - begun) / 1000000))
}
";
const LISTED: &str = "\
fact listed nodeimg-update list
fact reboot-required cat /run/reboot-required
";

/// Builds the container host for amd64 as `version`, with `more` in its recipe.
fn build(
    publisher: &Publisher,
    place: &Path,
    version: &str,
    outputs: &[&str],
    more: &str,
) -> Option<Version> {
    if !fetched() {
        return None;
    }
    let place = place.join(version);
    fs::create_dir_all(&place).unwrap();
    let file = place.join("node.toml");
    let from = fs::canonicalize(recipe()).unwrap();
    let text = format!(
        "extends = \"{}\"\nversion = \"{version}\"\n{}{more}",
        from.display(),
        publisher.table()
    );
    fs::write(&file, text).unwrap();
    fs::copy(recipe().with_extension("lock"), file.with_extension("lock")).unwrap();
    let mut build = verb_of(&file, "build", &["amd64"]);
    let firstboot = real::firstboot("amd64")?;
    build.arg("--firstboot");
    build.arg(format!("amd64={}", firstboot.display()));
    for output in outputs {
        build.args(["--output", output]);
    }
    Ran::of(build.args(["--offline", "--out"]).arg(&place)).good();
    Some(publisher.sign(&place, "amd64"))
}

/// A file that only this version has.
fn with_file(text: &str) -> String {
    format!("[[file]]\npath = \"/usr/share/of-the-test\"\ncontent = \"{text}\\n\"\n")
}

/// What `apply` has told by this name.
#[track_caller]
fn expect_applied(facts: &Facts, name: &str, new: &Version) -> serde_json::Value {
    facts.expect_parts(name, &["status 0"]);
    let milliseconds: f64 = facts[&format!("{name}-milliseconds")].parse().unwrap();
    let said = applied(&new.version, &facts[name], milliseconds / 1000.0);
    assert_eq!(said["version"], new.version, "{said}");
    assert_eq!(said["signed"], true, "{said}");
    said
}

/// The version runs, and is good.
#[track_caller]
fn expect_version(facts: &Facts, version: &Version) {
    facts.expect("state", "running");
    facts.expect("failed", "");
    facts.expect_parts("os-release", &[&version.version]);
    let entry = format!("{}.efi", version.entry);
    let entries: Vec<&str> = facts["entries"].split(' ').collect();
    assert!(entries.contains(&entry.as_str()), "{entries:?}");
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_node_updates_itself_from_a_registry_twice() {
    let _skipped = from_a_registry();
}

fn from_a_registry() -> Option<()> {
    let place = directory("update");
    let publisher = Publisher::new(&place.join("keys"))?;
    let build = |version: &str, outputs: &[&str]| {
        build(&publisher, &place, version, outputs, &with_file(version))
    };
    let first = build("14.0", &["disk", "update"])?;
    let second = build("14.1", &["update"])?;
    let is_full = nodeimg_test_support::judge::is_full("a second update, by the unit");
    let third = match is_full {
        true => Some(build("14.2", &["update"])?),
        false => None,
    };
    let registry = Pushed::start(Kind::default());
    let (port, authority) = tls_relay(&[HOST], registry.address());
    second.publish(registry.address(), REPOSITORY);
    let authority = authority.replace('\n', "\n    ");
    let user_data = format!(
        "#cloud-config\nhostname: node-0\nca_certs:\n  trusted:\n  - |\n    {authority}\n\
         write_files:\n- path: /etc/nodeimg/update.toml\n  content: |\n    \
         source = \"oci://{HOST}:{port}/{REPOSITORY}\"\n\
         - path: /etc/nodeimg/of-the-test\n  content: of the seed\n"
    );
    let seed = Seed::no_cloud("i-update", &user_data).write(&place.join("seed"));
    let boot = |name: &str, left: u32| {
        let guest = Guest::new(name, &first.image.join("disk.raw")).seed(&seed);
        guest.keep(&place.join("keep")).left(left).script(ABOUT)
    };
    let by_hand = format!("{ABOUT_THE_NODE}{APPLY}apply applied\n{LISTED}");
    let before = boot("update-first", 3).script(&by_hand).facts()?;
    expect_version(&before, &first);
    let bytes = expect_applied(&before, "applied", &second)["bytes"].clone();
    assert!(bytes["fetched"].as_u64().unwrap() < 8 << 20, "{bytes}");
    assert!(bytes["copied"].as_u64().unwrap() > 64 << 20, "{bytes}");
    before.expect_parts("listed", &[&first.version, &second.version]);
    before.expect_parts("reboot-required", &[&second.version]);

    if let Some(third) = &third {
        third.publish(registry.address(), REPOSITORY);
    }
    let by_the_unit = format!(
        "{ABOUT_THE_NODE}umount /run/esp\nfact started systemctl start nodeimg-update.service\n\
         fact unit journalctl --boot --no-pager --output=cat --unit=nodeimg-update\n{LISTED}"
    );
    let between = boot("update-second", 2).script(&by_the_unit).facts()?;
    expect_the_same(&before, &between);
    expect_version(&between, &second);
    between.expect("started", "");
    let Some(third) = third else {
        between.expect_parts("unit", &["nothing newer"]);
        fs::remove_dir_all(&place).unwrap();
        return Some(());
    };
    between.expect_parts("unit", &[&third.version, "MB are fetched"]);

    let at_last = format!("{ABOUT_THE_NODE}{APPLY}apply applied\n");
    let after = boot("update-third", 1).script(&at_last).facts()?;
    expect_the_same(&before, &after);
    expect_version(&after, &third);
    after.expect_parts("applied", &["status 4"]);
    let entries = format!("{}.efi {}.efi", second.entry, third.entry);
    after.expect("entries", &entries);
    tell(&format!(
        "boots of three versions: {}",
        seconds(&[&before, &between, &after])
    ));
    fs::remove_dir_all(place).unwrap();
    Some(())
}

/// Identity, state and what the seed asked for.
#[track_caller]
fn expect_the_same(before: &Facts, after: &Facts) {
    for name in ["host-name", "machine-id", "host-key", "seed-file"] {
        after.expect(name, &before[name]);
    }
    after.expect_parts("first-boot", &[r#""outcome": "unchanged""#]);
    // In containerd's own state.
    after.expect_parts("namespaces", &["kept"]);
    let counted = |facts: &Facts| facts["counter"].split(' ').next().unwrap().parse::<u32>();
    assert!(counted(after).unwrap() > counted(before).unwrap());
}

/// Of each what systemd says of it: `Startup finished in ... = 1min 2.345s`.
fn seconds(boots: &[&Facts]) -> String {
    let of = |facts: &&Facts| {
        let told = facts["boot-seconds"].rsplit(" = ").next();
        told.unwrap_or_default().trim().to_owned()
    };
    boots.iter().map(of).collect::<Vec<_>>().join(", ")
}

#[test]
#[ignore = "boots for minutes; ci/test --shard update runs it"]
fn versions_that_fail_after_an_update_and_a_power_cut_in_one() {
    if nodeimg_test_support::judge::is_full("versions that fail after an update") {
        let _skipped = from_media();
    }
}

/// A node whose updates lie on media, one version each.
struct Node {
    place: PathBuf,
    first: Version,
    seed: PathBuf,
}

impl Node {
    /// With the media of `versions` as `/run/NUMBER`.
    fn boot(&self, name: &str, media: &[&Path], left: u32) -> Guest {
        let guest = Guest::new(name, &self.first.image.join("disk.raw")).seed(&self.seed);
        let mut guest = guest.keep(&self.place.join("keep")).left(left);
        guest = guest.script(ABOUT).script(APPLY);
        for (number, medium) in media.iter().enumerate() {
            let serial = format!("medium-{number}");
            guest = guest.disk(medium, &serial, false).script(&format!(
                "mkdir /run/{number}; mount -o ro /dev/disk/by-id/virtio-{serial} /run/{number}\n"
            ));
        }
        guest
    }
}

fn from_media() -> Option<()> {
    let place = directory("update-media");
    let publisher = Publisher::new(&place.join("keys"))?;
    let build =
        |version, outputs: &[&str], more: &str| build(&publisher, &place, version, outputs, more);
    let first = build("14.0", &["disk", "update"], "")?;
    // No program of the initrd can start.
    let panics = "[disk]\nkernel_args = [\"rdinit=/none\", \"panic=1\"]\n";
    let panics = build("14.1", &["update"], panics)?;
    let fails = build("14.2", &["update"], FIRST_BOOT_FAILS)?;
    let corrupt = build("14.3", &["update"], &with_file("corrupt"))?;
    let good = build("14.4", &["update"], &with_file("good"))?;
    let medium = |of: &Version| of.medium(&place.join(format!("{}.img", of.version)));
    let media = [&panics, &fails, &corrupt, &good].map(medium);
    let [Some(one), Some(two), Some(three), Some(four)] = media else {
        return None;
    };
    let seed = super::seed(&place, "node-0");
    let node = Node { place, first, seed };
    let old = &node.first.entry;

    let facts = node
        .boot("update-media", &[&one], 6)
        .script("apply one /run/0\n")
        .facts()?;
    expect_version(&facts, &node.first);
    expect_applied(&facts, "one", &panics);

    let script = "apply again /run/0\napply two /run/1\n";
    let facts = node
        .boot("update-panicked", &[&one, &two], 5)
        .script(script)
        .facts()?;
    facts.expect_console(&["Kernel panic"]);
    expect_version(&facts, &node.first);
    expect_back(&facts, old, &panics.entry, 3);
    expect_not_again(&facts);
    expect_applied(&facts, "two", &fails);

    // What is read of the new root first is not what was written and read back.
    let script = "apply again /run/0\napply three /run/1\n\
                  dd if=/dev/zero of=/dev/vda5 bs=4096 count=1 conv=notrunc,fsync\n";
    let facts = node
        .boot("update-failed", &[&two, &three], 4)
        .script(script)
        .facts()?;
    expect_version(&facts, &node.first);
    expect_back(&facts, old, &fails.entry, 1);
    facts.expect_parts("update", &["first boot has failed", "of the test"]);
    expect_not_again(&facts);
    expect_applied(&facts, "three", &corrupt);

    let facts = node
        .boot("update-corrupt", &[&three], 3)
        .script("apply again /run/0\n")
        .facts()?;
    expect_version(&facts, &node.first);
    expect_back(&facts, old, &corrupt.entry, 3);
    facts.expect_parts("update", &["in the initrd: "]);
    expect_not_again(&facts);

    power_cut(&node, &four, &good)?;
    fs::remove_dir_all(&node.place).unwrap();
    Some(())
}

/// A version that has failed is refused.
#[track_caller]
fn expect_not_again(facts: &Facts) {
    facts.expect_parts("again", &["status 3", "failed", "\"refused\": true"]);
}

/// In the midst of an update; the next one goes on where that was.
fn power_cut(node: &Node, medium: &Path, good: &Version) -> Option<()> {
    let script = "echo now the update begins >/dev/console\napply cut /run/0\n";
    let guest = node.boot("update-cut", &[medium], 3).script(script);
    if !guest.cut_meanwhile("now the update begins", Duration::from_secs(5)) {
        return None;
    }
    let facts = node
        .boot("update-after-cut", &[medium], 2)
        .script("apply four /run/0\n");
    let facts = facts.facts()?;
    expect_version(&facts, &node.first);
    expect_applied(&facts, "four", good);
    let facts = node
        .boot("update-good", &[medium], 1)
        .script("apply again /run/0\n")
        .facts()?;
    expect_version(&facts, good);
    facts.expect_parts("again", &["status 4"]);
    Some(())
}
