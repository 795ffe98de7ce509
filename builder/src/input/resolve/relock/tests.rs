#![allow(clippy::unwrap_used)]
use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use nodeimg_values::progress::{Mode, Progress};
use serde_json::Value;

use super::*;
use crate::input::bring::{Then, bring};
use crate::input::chosen::Needs;
use crate::input::debian::Archives;
use crate::input::debian::mirror::{Mirror, PACKAGES};
use crate::input::fetch::{Mirrors, Options, Retry};
use crate::input::recipe;
use crate::output::KINDS;
use crate::store::Store;

const RECIPE: &str = "name = \"x\"\nversion = \"1\"\nprofile = \"container-host\"\n\
    [base]\nsuite = \"trixie\"\npackages = [\"tool\"]\nprovided = [\"perl\"]\n";
/// Nothing here boots.
const ANY: Needs = |_, _| Ok(());
const OLD: Epoch = Epoch(1_600_000_000);

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recipe with a lock from when the mirror had another version of the tool.
struct World {
    mirror: Mirror,
    place: tempfile::TempDir,
    said: Sink,
}

impl World {
    fn new() -> World {
        let mirror = Mirror::new();
        let packages = |text: &str| {
            text.replace("Size: 10", "Size: 1")
                .replace("Size: 11", "Size: 1")
        };
        mirror.suite("debian", "trixie", &packages(PACKAGES), "");
        mirror.suite("debian-security", "trixie-security", "", "");
        for file in ["t/tool.deb", "h/helper.deb"] {
            let path = mirror.path("debian/pool/main").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let world = World {
            mirror,
            place: tempfile::tempdir().unwrap(),
            said: Sink::default(),
        };
        fs::write(world.place.path().join("x.toml"), RECIPE).unwrap();
        world.lock("pool/main/t/tool_0.9.deb", b"old");
        world
    }

    /// Pins a tool with these bytes at this place of the archive.
    fn lock(&self, path: &str, bytes: &[u8]) {
        let recipe = recipe::load(&self.recipe(), &KINDS).unwrap();
        let package = |name: &str, arch, path: &str, bytes: &[u8]| PinnedPackage {
            name: name.parse().unwrap(),
            arch,
            version: "0.9".to_owned(),
            place: crate::input::lock::Place::Archive {
                suite: "trixie".parse().unwrap(),
                component: Default::default(),
                path: path.to_owned(),
            },
            sha256: Digest::sha256(bytes),
            size: bytes.len() as u64,
        };
        let index = crate::input::lock::Index {
            suite: "trixie".parse().unwrap(),
            archive: "debian".parse().unwrap(),
            url: None,
            date: "20231101T000000Z".parse().unwrap(),
            sha256: Digest::sha256(b""),
        };
        let both = Arch::ALL.map(|arch| {
            let helper = package("helper", arch, "pool/main/h/helper.deb", b"x");
            [package("tool", arch, path, bytes), helper]
        });
        let packages = Packages::new(
            recipe.base.as_ref().unwrap(),
            vec![index],
            both.into_iter().flatten().collect(),
        );
        let pins = Pins {
            packages,
            ..Pins::default()
        };
        let lock = Lock::new(&recipe, OLD, pins);
        fs::write(self.lock_path(), lock.text()).unwrap();
    }

    fn lock_path(&self) -> PathBuf {
        self.place.path().join("x.lock")
    }

    fn locked(&self) -> Lock {
        Lock::parse(&fs::read_to_string(self.lock_path()).unwrap(), "x.lock").unwrap()
    }

    fn recipe(&self) -> RecipeRef {
        RecipeRef::File(self.place.path().join("x.toml"))
    }

    /// Fetches everything for amd64, without any network; how many blobs there are.
    fn fetch(&self, mirrors: &[&str], keyring: Keyring) -> Result<usize> {
        let progress = Progress::to(Mode::Json, Box::new(self.said.clone()));
        let mut chosen = Chosen::load(&self.recipe(), None, &KINDS, &[])?;
        let relock = Relock {
            keyring,
            ..Relock::of(None, None, &mut chosen)?
        };
        let store = Store::open(&self.place.path().join("store"))?;
        let named: Vec<String> = mirrors.iter().map(|name| self.mirror.url(name)).collect();
        let base = chosen.recipe.base.as_ref().unwrap();
        let archives = Archives::find(&named, base, Path::new("/etc/apt"))?;
        let options = Options {
            offline: true,
            mirrors: Mirrors::new(&[], None, &[])?.with_archives(archives.into_mirrors())?,
            jobs: 2,
            retry: Retry {
                attempts: 1,
                ..Retry::default()
            },
            warm_command: "nodeimg fetch".to_owned(),
            ..Options::default()
        };
        let fetcher = Fetcher::new(&store, options, &progress);
        around(Some(&relock), &mut chosen, &fetcher, &progress, |chosen| {
            let locked = chosen.locked(ANY)?;
            let fetched = bring(
                &fetcher,
                &chosen.recipe,
                &locked,
                &[Arch::Amd64],
                Then::Keep,
            )?;
            Ok(fetched[&Arch::Amd64].blobs().count())
        })
    }

    fn events(&self) -> Vec<Value> {
        let said = String::from_utf8(self.said.0.lock().unwrap().clone()).unwrap();
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn relocked(&self) -> Option<Value> {
        self.events()
            .into_iter()
            .find(|event| event["event"] == "relocked")
    }
}

#[test]
fn what_the_mirror_dropped_is_locked_anew_and_said() {
    let world = World::new();
    assert_eq!(
        world
            .fetch(&["debian"], world.mirror.key.keyring())
            .unwrap(),
        2
    );
    let event = world.relocked().unwrap();
    assert_eq!(event["path"], world.lock_path().to_str().unwrap());
    assert_eq!(event["changed"], 2, "the tool, for both architectures");
    let lock = world.locked();
    let tool = lock
        .pins
        .packages
        .packages
        .iter()
        .find(|p| p.name.as_str() == "tool");
    assert_eq!(tool.unwrap().version, "1.0-1");
    assert!(lock.epoch > OLD);
    assert!(lock.pins.packages.unattended);
    // It is the recipe's lock from now on: nothing is to be locked again.
    let again = World {
        said: Sink::default(),
        ..world
    };
    assert_eq!(
        again
            .fetch(&["debian"], again.mirror.key.keyring())
            .unwrap(),
        2
    );
    assert_eq!(again.relocked(), None);
    assert_eq!(again.locked(), lock);
}

#[test]
fn what_is_there_is_not_locked_anew() {
    let world = World::new();
    let old = world.mirror.path("debian/pool/main/t/tool_0.9.deb");
    fs::write(old, "old").unwrap();
    let before = world.locked();
    assert_eq!(
        world
            .fetch(&["debian"], world.mirror.key.keyring())
            .unwrap(),
        2
    );
    assert_eq!(world.relocked(), None);
    assert_eq!(world.locked(), before);
}

/// Whatever is wrong, the lock stays as it is.
#[test]
fn nothing_else_makes_a_new_lock() {
    let refused = |world: &World, mirrors: &[&str], keyring: Keyring| {
        let before = world.locked();
        let error = format!("{:#}", world.fetch(mirrors, keyring).unwrap_err());
        assert_eq!(world.locked(), before, "{error}");
        assert_eq!(world.relocked(), None, "{error}");
        error
    };
    let world = World::new();
    let error = refused(&world, &["debian"], Keyring::debian().unwrap());
    assert!(
        error.contains("tool 0.9 (amd64)") && error.contains("trusted key"),
        "{error}"
    );

    let world = World::new();
    let error = refused(&world, &[], world.mirror.key.keyring());
    assert!(
        error.contains("cannot re-lock the base system: --offline"),
        "{error}"
    );
    assert!(error.contains("tool 0.9 (amd64)"), "{error}");

    let world = World::new();
    fs::write(world.mirror.path("debian/pool/main/t/tool_0.9.deb"), "OLD").unwrap();
    let error = refused(&world, &["debian"], world.mirror.key.keyring());
    assert!(error.contains("expected sha256:"), "{error}");

    let world = World::new();
    world.lock("pool/main/t/tool.deb", b"x");
    fs::remove_file(world.mirror.path("debian/pool/main/t/tool.deb")).unwrap();
    fs::remove_file(world.mirror.path("debian/pool/main/h/helper.deb")).unwrap();
    let error = refused(&world, &["debian"], world.mirror.key.keyring());
    assert!(
        error.contains("list the packages that it does not have"),
        "{error}"
    );
}

#[test]
fn a_built_in_recipes_new_lock_lies_with_the_images() {
    let name = "container-host";
    let built_in = RecipeRef::BuiltIn(name.to_owned());
    let out = tempfile::tempdir().unwrap();
    let own = out.path().join("container-host.lock");
    let (shipped_label, shipped) = Chosen::shipped_lock(name);
    let shipped = Lock::parse(&shipped.unwrap(), "shipped").unwrap();
    let recipe = recipe::load(&built_in, &KINDS).unwrap();
    let at = |epoch| Lock::new(&recipe, epoch, shipped.pins.clone()).text();
    let other = Lock::new(&recipe, Epoch(u64::MAX >> 1), Pins::default()).text();
    for (there, taken) in [
        (None, false),
        (Some(at(Epoch(shipped.epoch.0 - 1))), false),
        (Some(at(shipped.epoch)), true),
        (Some(at(Epoch(shipped.epoch.0 + 1))), true),
        (Some("broken".to_owned()), false),
        (Some(other), false),
    ] {
        let _ = fs::remove_file(&own);
        if let Some(text) = &there {
            fs::write(&own, text).unwrap();
        }
        let mut chosen = Chosen::load(&built_in, None, &KINDS, &[]).unwrap();
        let relock = Relock::of(None, Some(out.path()), &mut chosen).unwrap();
        assert_eq!(relock.to, own);
        assert_eq!(chosen.label != shipped_label, taken, "{there:?}");
        assert_eq!(chosen.lock == there, taken);
        chosen.locked(ANY).unwrap();
    }
    // If it is told which file, that one; and it begins with the shipped lock.
    let named = out.path().join("mine.lock");
    let mut chosen = Chosen::load(&built_in, Some(&named), &KINDS, &[]).unwrap();
    let relock = Relock::of(Some(&named), None, &mut chosen).unwrap();
    assert_eq!(relock.to, named);
    chosen.locked(ANY).unwrap();
    let mut chosen = Chosen::load(&built_in, None, &KINDS, &[]).unwrap();
    let error = Relock::of(None, None, &mut chosen).unwrap_err();
    assert!(error.to_string().contains("--lock FILE"), "{error}");
}
