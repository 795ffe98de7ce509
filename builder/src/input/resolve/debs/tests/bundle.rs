//! An offline bundle of packages from everywhere.

use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use super::*;
use crate::input::bring::{Then, bring};
use crate::input::debian::TestKey;
use crate::input::lock::{Lock, Pins};

/// A bundle is enough for another machine, whatever the packages come from.
#[test]
fn a_bundle_brings_everything_to_a_machine_without_a_network() {
    for flat in [true, false] {
        let world = World::new();
        let key = TestKey::new(None);
        let date = "Tue, 14 Nov 2023 22:13:00 UTC";
        world.mirror.foreign(flat, FOREIGN, date, &key);
        let pool = world.mirror.path("repo/deb/pool");
        fs::create_dir_all(&pool).unwrap();
        fs::write(pool.join("extra.deb"), "x").unwrap();
        fs::write(world.place.path().join("key.asc"), key.public()).unwrap();
        let place = match flat {
            true => "suite = \"/\"",
            false => "suite = \"stable\"\ncomponents = [\"main\"]",
        };
        let with_extra = CONTROL.replace("Recommends", "Pre-Depends");
        world.with(&with_extra, &[]);
        let recipe = asking(&format!(
            "{URL}\n[[base.repository]]\nname = \"other\"\n\
             url = \"https://repo.example/deb\"\n{place}\nsigned_by = \"{}\"\n",
            world.place.path().join("key.asc").display()
        ));
        let packages = world.lock(&recipe, &Packages::default(), false).unwrap();
        let pins = Pins {
            packages,
            ..Pins::default()
        };
        let text = Lock::new(&recipe, Epoch(1), pins).text();
        let archs = Arch::ALL;
        let brought = |store: &Store, options: Options, bundle: Option<&PathBuf>| {
            let progress = Progress::new(Mode::Quiet);
            let fetcher = Fetcher::new(store, options, &progress);
            let locked = Lock::parse(&text, "x.lock")?.check(&recipe, "x.lock")?;
            let fetched = bring(&fetcher, &recipe, &locked, &archs, Then::Keep)?;
            let blobs: Vec<_> = fetched
                .values()
                .flat_map(|fetched| fetched.blobs())
                .collect();
            if let Some(path) = bundle {
                store.export_bundle(&blobs, path)?;
            }
            let names = fetched.values().flat_map(|fetched| &fetched.packages);
            Ok::<_, anyhow::Error>(names.map(|(pin, _)| pin.what()).collect::<Vec<_>>())
        };
        let store = Store::open(&world.place.path().join("store")).unwrap();
        let bundle = world.place.path().join("bundle.tar");
        let there = brought(&store, world.options(), Some(&bundle)).unwrap();
        let want = ["agent 1.2-1", "extra 1", "helper 2", "tool 1.0-1"];
        let want = archs
            .iter()
            .flat_map(|arch| want.map(|name| format!("{name} ({arch})")));
        assert_eq!(there, want.collect::<Vec<_>>());
        // Elsewhere: nothing in the store, and every server is dead.
        let dead = || Options {
            offline: true,
            ..Options::default()
        };
        let elsewhere = Store::open(&world.place.path().join("elsewhere")).unwrap();
        let error = format!("{:#}", brought(&elsewhere, dead(), None).unwrap_err());
        assert!(error.contains("--offline forbids fetching"), "{error}");
        elsewhere.import_bundle(&bundle).unwrap();
        assert_eq!(brought(&elsewhere, dead(), None).unwrap(), there);
    }
}

/// What the repository of another publisher has: `extra`, which the agent needs.
const FOREIGN: &str = "Package: extra\nVersion: 1\nArchitecture: all\nFilename: pool/extra.deb\nSize: 1\nSHA256: HASH\n";
