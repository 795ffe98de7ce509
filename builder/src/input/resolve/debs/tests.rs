#![allow(clippy::unwrap_used)]
mod bundle;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nodeimg_values::progress::{Mode, Progress};

use super::*;
use crate::input::debian::mirror::{Mirror, PACKAGES};
use crate::input::debian::samples;
use crate::input::fetch::{Fetcher, Mirrors, Options};
use crate::input::recipe::{self, Recipe, RecipeRef};
use crate::input::resolve::base;
use crate::output::KINDS;
use crate::store::Store;

const RECIPE: &str = "name = \"x\"\nversion = \"1\"\nprofile = \"container-host\"\n\
    [base]\nsuite = \"trixie\"\npackages = [\"tool\"]\nprovided = [\"perl\"]\n";
const CONTROL: &str = "Package: agent\nVersion: 1.2-1\nArchitecture: all\nDepends: helper (>= 1)\nRecommends: extra\n";

/// A publisher's server and Debian's mirror, both directories.
struct World {
    mirror: Mirror,
    place: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let mirror = Mirror::new();
        let packages = |text: &str| {
            text.replace("Size: 10", "Size: 1")
                .replace("Size: 11", "Size: 1")
        };
        mirror.suite("debian", "trixie", &packages(PACKAGES), "");
        let helper = "Package: helper\nVersion: 2\nFilename: pool/main/h/helper.deb\nSize: 1\nSHA256: HASH\n";
        mirror.suite("debian-security", "trixie-security", helper, "");
        for (name, text) in [
            ("debian/pool/main/t/tool.deb", "x"),
            ("debian-security/pool/main/h/helper.deb", "x"),
        ] {
            let path = mirror.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let world = World {
            mirror,
            place: tempfile::tempdir().unwrap(),
        };
        world.publish(
            "agent_1.2.deb",
            &samples::deb(&[("./control", CONTROL)], &[("./usr/bin/agent", "x")]),
        );
        world
    }

    fn publish(&self, name: &str, bytes: &[u8]) {
        let path = self.served().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn served(&self) -> PathBuf {
        self.place.path().join("served")
    }

    fn options(&self) -> Options {
        let served = format!("https://files.example=file://{}", self.served().display());
        let archives = ["debian", "debian-security"];
        let archives = archives.map(|name| (name.to_owned(), vec![self.mirror.url(name)]));
        let mirrors = Mirrors::new(&[served, self.mirror.rule()], None, &[]).unwrap();
        Options {
            offline: true,
            mirrors: mirrors.with_archives(archives.into()).unwrap(),
            ..Options::default()
        }
    }

    /// What `lock` makes of the recipe, over `old`.
    fn lock(&self, recipe: &Recipe, old: &Packages, again: bool) -> Result<Packages> {
        let store = Store::open(&self.place.path().join("store")).unwrap();
        let progress = Progress::new(Mode::Quiet);
        let fetcher = Fetcher::new(&store, self.options(), &progress);
        let publishers = Publishers {
            fetcher: &fetcher,
            known: &BTreeMap::new(),
        };
        let known = base::Known {
            packages: old,
            allow_older: false,
            again: &|_| again,
        };
        let base = recipe.base.as_ref().unwrap();
        base::packages(
            base,
            &publishers,
            self.mirror.key.keyring(),
            known,
            &progress,
        )
    }

    fn first(&self, more: &str) -> Result<Packages> {
        self.lock(&asking(more), &Packages::default(), false)
    }

    fn refusal(&self, more: &str) -> String {
        format!("{:#}", self.first(more).unwrap_err())
    }

    /// With a control file of these lines, and these files.
    fn with(&self, control: &str, data: &[(&str, &str)]) -> &World {
        let control = [("./control", control)];
        self.publish("agent_1.2.deb", &samples::deb(&control, data));
        self
    }

    fn told(&self, more: &str) -> Vec<String> {
        let store = Store::open(&self.place.path().join("store")).unwrap();
        let progress = Progress::new(Mode::Quiet);
        let fetcher = Fetcher::new(&store, self.options(), &progress);
        let publishers = Publishers {
            fetcher: &fetcher,
            known: &BTreeMap::new(),
        };
        let old = Packages::default();
        let asked = Asked {
            old: &old,
            again: &|_| false,
        };
        let recipe = asking(more);
        let debs = publishers.debs(recipe.base.as_ref().unwrap(), asked);
        debs.unwrap().1
    }
}

/// A recipe whose base has the package `agent`, with these lines of its table.
fn asking(more: &str) -> Recipe {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.toml");
    let text = format!("{RECIPE}[[base.deb]]\nname = \"agent\"\n{more}\n");
    fs::write(&path, text).unwrap();
    recipe::load(&RecipeRef::File(path), &KINDS).unwrap()
}

const URL: &str = "version = \"1.2\"\nurl = \"https://files.example/agent_{version}.deb\"";

fn names(packages: &Packages) -> Vec<String> {
    packages.packages.iter().map(|pin| pin.what()).collect()
}

#[test]
fn it_is_resolved_with_the_rest_and_pinned_by_its_url() {
    let world = World::new();
    let packages = world.first(URL).unwrap();
    assert_eq!(
        names(&packages)[..3],
        [
            "agent 1.2-1 (amd64)",
            "helper 2 (amd64)",
            "tool 1.0-1 (amd64)"
        ]
    );
    let agent = &packages.packages[0];
    assert_eq!(agent.own_url(), Some("https://files.example/agent_1.2.deb"));
    let request = packages.request(agent).unwrap();
    assert_eq!(request.url, "https://files.example/agent_1.2.deb");
    assert_eq!(packages.url(agent).unwrap(), request.url);
}

#[test]
fn what_is_not_the_package_that_the_recipe_says_is_never_pinned() {
    let file = &[("./usr/bin/agent", "x")][..];
    let swapped = |from: &str, to: &str| CONTROL.replace(from, to);
    for (control, want) in [
        (
            swapped("agent", "agent-lite"),
            "`Package: agent-lite`, the recipe says `name = \"agent\"`",
        ),
        (
            swapped("1.2-1", "1.3-1"),
            "`Version: 1.3-1`, the recipe says `version = \"1.2\"`",
        ),
        (
            swapped("1.2-1", "one two"),
            "`Version: one two`, which is not a version",
        ),
        (swapped("all", "arm64"), "it is for arm64, not for amd64"),
        (
            swapped("all", "riscv64"),
            "it is for riscv64, not for amd64",
        ),
        (
            swapped("all\n", "all\n\nPackage: b\n"),
            "more than one paragraph",
        ),
        (
            swapped("(>= 1)", "(>= 9)"),
            "agent needs helper (>= 9), which is not available",
        ),
        (
            swapped("helper", "nothing-like-it"),
            "the suite has no nothing-like-it",
        ),
        (
            swapped("helper (>= 1)", "${misc:Depends}"),
            "the field `Depends` of agent",
        ),
    ] {
        let world = World::new();
        let told = world.with(&control, file).refusal(URL);
        assert!(told.contains(want), "{control}: {told}");
    }
    let elf = "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0\x01\0\0\0";
    let world = World::new();
    let told = world
        .with(CONTROL, &[("./usr/bin/agent", elf)])
        .refusal(URL);
    assert!(
        told.contains("its file `/usr/bin/agent`") && told.contains("arm64"),
        "{told}"
    );
    for (bytes, want) in [
        (
            &b"<!DOCTYPE html><title>Sign in</title>"[..],
            "it looks like a web page",
        ),
        (b"", "it is empty"),
        (b"\x1f\x8b", "it is a gzip file"),
        (b"!<arch>\n", "does not begin with `debian-binary`"),
        (
            &samples::deb(&[("./control", CONTROL)], &[])[..200],
            "cut short",
        ),
    ] {
        world.publish("agent_1.2.deb", bytes);
        let told = world.refusal(URL);
        assert!(
            told.contains("the package agent (amd64) is not pinned") && told.contains(want),
            "{told}"
        );
    }
    fs::remove_file(world.served().join("agent_1.2.deb")).unwrap();
    let told = world.refusal(URL);
    assert!(
        told.contains("the package agent (amd64): https://files.example/agent_1.2.deb"),
        "{told}"
    );
}

#[test]
fn the_publishers_checksum_counts() {
    let world = World::new();
    let checked = format!("{URL}\nchecksum = \"{{url}}.sha256\"");
    let bytes = fs::read(world.served().join("agent_1.2.deb")).unwrap();
    let hex = Digest::sha256(&bytes).hex().to_owned();
    world.publish(
        "agent_1.2.deb.sha256",
        format!("{hex}  agent_1.2.deb\n").as_bytes(),
    );
    let packages = world.first(&checked).unwrap();
    assert_eq!(packages.packages[0].sha256.hex(), hex);
    let other = "0".repeat(64);
    world.publish(
        "agent_1.2.deb.sha256",
        format!("{other}  agent_1.2.deb\n").as_bytes(),
    );
    let told = world.refusal(&checked);
    assert!(told.contains(&format!("expected sha256:{other}")), "{told}");
    let told = world.lock(&asking(&checked), &packages, false).unwrap_err();
    let told = format!("{told:#}");
    assert!(told.contains("nodeimg lock --update agent"), "{told}");
}

/// Nobody signs what is at a URL: the lock keeps it until it is asked for again.
#[test]
fn it_stays_as_it_is_locked_until_it_is_asked_for_again() {
    let world = World::new();
    let first = world.first(URL).unwrap();
    let others = [("./control", CONTROL), ("./md5sums", "")];
    world.publish("agent_1.2.deb", &samples::deb(&others, &[]));
    let recipe = asking(URL);
    assert_eq!(world.lock(&recipe, &first, false).unwrap(), first);
    let again = world.lock(&recipe, &first, true).unwrap();
    assert_ne!(again.packages[0].sha256, first.packages[0].sha256);
    // Not in the store any more, and gone from the server: an error, never other bytes.
    fs::remove_dir_all(world.place.path().join("store")).unwrap();
    let told = format!("{:#}", world.lock(&recipe, &first, false).unwrap_err());
    assert!(told.contains("bytes, but the lock says"), "{told}");
    // From another place, it is another package.
    world.publish("other.deb", &samples::deb(&others, &[]));
    let moved = asking("url = \"https://files.example/other.deb\"");
    let moved = world.lock(&moved, &first, false).unwrap();
    assert_eq!(
        moved.packages[0].own_url(),
        Some("https://files.example/other.deb")
    );
}

#[test]
fn it_comes_before_what_an_index_has_and_that_is_told() {
    let world = World::new();
    let more = "[[base.deb]]\nname = \"helper\"\nurl = \"https://files.example/helper.deb\"";
    let control = "Package: helper\nVersion: 1\nArchitecture: all\n";
    world.publish("helper.deb", &samples::deb(&[("./control", control)], &[]));
    let packages = world.first(&format!("{URL}\n{more}")).unwrap();
    assert_eq!(names(&packages)[1], "helper 1 (amd64)");
    let control = control.replace("Version: 1", "Version: 0");
    world.publish("helper.deb", &samples::deb(&[("./control", &control)], &[]));
    fs::remove_dir_all(world.place.path().join("store")).unwrap();
    let told = world.refusal(&format!("{URL}\n{more}"));
    assert!(
        told.contains("agent needs helper (>= 1)") && told.contains("`base.deb` has helper 0"),
        "{told}"
    );
}

#[test]
fn setuid_programs_are_told() {
    let world = World::new();
    assert_eq!(world.told(URL), [""; 0]);
    let control = [("./control", CONTROL)];
    let plain = samples::deb(&control, &[("./usr/bin/agent", "x")]);
    // The mode of its one file, and the checksum of that header.
    let at = plain
        .windows(9)
        .rposition(|part| part == b"0000755\x000")
        .unwrap();
    let mut setuid = plain;
    setuid[at..at + 7].copy_from_slice(b"0004755");
    let sum = at + 48;
    let old = std::str::from_utf8(&setuid[sum..sum + 7]).unwrap();
    let new = u32::from_str_radix(old, 8).unwrap() + 4;
    setuid[sum..sum + 7].copy_from_slice(format!("{new:07o}").as_bytes());
    world.publish("agent_1.2.deb", &setuid);
    let told = world.told(URL).join("\n");
    assert!(
        told.contains("the package agent (amd64) brings `/usr/bin/agent`, which is setuid"),
        "{told}"
    );
}
