#![allow(clippy::unwrap_used)]
use nodeimg_values::digest::Expected;

use super::*;
use crate::input::recipe::request::requests;
use crate::input::recipe::tests::recipe;
use crate::input::recipe::tests::recipe as recipe_with;

fn images(recipe: &Recipe) -> Vec<PinnedImage> {
    let digest = Digest::sha256(b"index");
    let pin = |request| Pin {
        request,
        bytes: TopDigest {
            digest: digest.clone(),
        },
        vouch: Vouch::default(),
    };
    requests(&recipe.images).into_iter().map(pin).collect()
}

fn lock() -> (Recipe, Lock) {
    let recipe = recipe("");
    let known = Expected::of(&Digest::sha256(b"x"), None);
    let pin = |request| Pin {
        request,
        bytes: known.clone(),
        vouch: Vouch::default(),
    };
    let artifacts = requests(&recipe.artifacts).into_iter().map(pin).collect();
    let pins = Pins {
        artifacts,
        images: images(&recipe),
        packages: Packages::default(),
    };
    let lock = Lock::new(&recipe, Epoch(1_790_000_000), pins);
    (recipe, lock)
}

#[test]
fn the_text_reads_back_and_fits() {
    let (recipe, lock) = lock();
    let again = Lock::parse(&lock.text(), "x.lock").unwrap();
    assert_eq!(again, lock);
    let locked = again.check(&recipe, "x.lock").unwrap();
    assert_eq!(
        locked.artifacts(&recipe, &[Arch::Arm64]).unwrap().len(),
        recipe.artifacts.len()
    );
}

#[test]
fn an_edited_lock_is_refused() {
    let (_, lock) = lock();
    let other = Digest::sha256(b"y");
    let hex = Digest::sha256(b"x");
    for edited in [
        lock.text().replacen(hex.hex(), other.hex(), 1),
        lock.text().replace("1790000000", "1790000001"),
    ] {
        let error = Lock::parse(&edited, "x.lock").unwrap_err().to_string();
        assert!(error.contains("edited by hand"), "{error}");
    }
    let last = lock.text().lines().count();
    for (edited, line) in [
        (lock.text() + "\n# a note\n", last + 2),
        (lock.text().replacen("name = \"", "name  = \"", 1), 8),
        (
            lock.text()
                .replacen("arch = \"amd64\"", "arch = 'amd64'", 1),
            9,
        ),
        (lock.text().replacen("arch = ", "other = 1\narch = ", 1), 9),
    ] {
        let error = Lock::parse(&edited, "x.lock").unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("x.lock:{line} is not as")),
            "{edited}: {error}"
        );
    }
    for broken in ["", "version = 1", "[[artifact]]", "\0"] {
        let error = format!("{:#}", Lock::parse(broken, "x.lock").unwrap_err());
        assert!(error.starts_with("x.lock is not a lock"), "{error}");
    }
}

#[test]
fn what_editors_make_of_lines_means_nothing() {
    let (_, lock) = lock();
    let text = lock.text();
    for same in [
        text.replace('\n', "\r\n"),
        text.replace('\n', "  \n"),
        text.replace('\n', " \t\r\n"),
        text.replace("\n\n", "\n\n\n"),
        text.replace("\n\n", "\n"),
        format!("\u{feff}{}\n\n", text.trim_end()),
    ] {
        assert_eq!(Lock::parse(&same, "x.lock").unwrap(), lock, "{same:?}");
    }
}

#[test]
fn a_stale_lock_names_the_key() {
    let (_, lock) = lock();
    let newer = recipe("[[artifact]]\nname = \"runc\"\nversion = \"9.9.9\"\n");
    let error = lock
        .clone()
        .check(&newer, "x.lock")
        .unwrap_err()
        .to_string();
    assert!(error.contains("artifact.runc.version (amd64)"), "{error}");
    assert!(error.contains("9.9.9"), "{error}");
    let requests = requests(&newer.artifacts);
    let of = |name: &str| requests.iter().find(|r| r.name.as_str() == name).unwrap();
    assert!(answer(&lock.pins.artifacts, of("runc")).is_none());
    assert!(answer(&lock.pins.artifacts, of("containerd")).is_some());
}

#[test]
fn settings_that_move_no_bytes_leave_the_lock_alone() {
    let (_, lock) = lock();
    assert!(
        lock.check(&recipe("[kubelet]\nmax_pods = 17\n"), "x.lock")
            .is_ok()
    );
}

const BASE_TABLE: &str = "[base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n";

fn lock_with_base(recipe: &Recipe) -> Lock {
    let package = |arch| PinnedPackage {
        name: "systemd".parse().unwrap(),
        arch,
        version: "1:257-1".into(),
        place: Place::Archive {
            suite: "trixie".parse().unwrap(),
            component: Default::default(),
            path: "pool/main/s/systemd.deb".into(),
        },
        sha256: Digest::sha256(b"x"),
        size: 7,
    };
    let index = Index {
        suite: "trixie".parse().unwrap(),
        archive: "debian".parse().unwrap(),
        url: None,
        date: "20260912T075541Z".parse().unwrap(),
        sha256: Digest::sha256(b"y"),
    };
    let base = recipe.base.as_ref().unwrap();
    let packages = Arch::ALL.map(package).into_iter().rev().collect();
    let packages = Packages::new(base, vec![index], packages);
    let pins = Pins {
        packages,
        ..lock().1.pins
    };
    Lock::new(recipe, Epoch(1_790_000_000), pins)
}

#[test]
fn the_base_system_is_in_the_text_and_covered_by_the_digest() {
    let whole = recipe(&format!("outputs = [\"rootfs-tar\"]\n{BASE_TABLE}"));
    let lock = lock_with_base(&whole);
    assert_eq!(Lock::parse(&lock.text(), "x.lock").unwrap(), lock);
    for edited in [
        lock.text().replacen("size = 7", "size = 8", 1),
        lock.text().replacen("20260912T", "20260913T", 1),
        lock.text()
            .replacen("base = \"sha256:", "base = \"sha256:0", 1)
            .replacen("0\"", "\"", 1),
        lock.text() + "stray = 1\n",
    ] {
        assert!(Lock::parse(&edited, "x.lock").is_err(), "{edited}");
    }
    let overlay = recipe(BASE_TABLE);
    let locked = lock.clone().check(&overlay, "x.lock").unwrap();
    assert_eq!(
        locked.packages(&[Arch::Arm64]).len(),
        0,
        "of one's own base"
    );
    let locked = lock.check(&whole, "x.lock").unwrap();
    let packages = locked.packages(&[Arch::Arm64]);
    assert_eq!(packages.len(), 1);
    assert_eq!(
        locked.pins().packages.url(packages[0]).unwrap(),
        "https://snapshot.debian.org/archive/debian/20260913T075541Z/pool/main/s/systemd.deb"
    );
}

#[test]
fn a_lock_of_another_base_is_stale() {
    let with_base = recipe(BASE_TABLE);
    let more = format!("{BASE_TABLE}arch_packages = {{ arm64 = [\"udev\"] }}\n");
    let other = format!("{BASE_TABLE}provided = [\"perl\"]\n");
    for (lock, recipe, want) in [
        (
            lock_with_base(&with_base),
            recipe(&more),
            "`udev` is not in the lock for arm64",
        ),
        (
            lock_with_base(&with_base),
            recipe(&other),
            "a different `[base]`",
        ),
        (
            lock_with_base(&with_base),
            recipe(""),
            "base: in the lock, not in the recipe",
        ),
        (lock().1, with_base, "base: in the recipe, not in the lock"),
    ] {
        let error = lock.check(&recipe, "x.lock").unwrap_err().to_string();
        assert!(error.contains(want), "should say {want}: {error}");
    }
}

#[test]
fn images_are_in_the_text_and_covered_by_the_digest() {
    let (recipe, lock) = lock();
    assert_eq!(lock.pins.images.len(), 2);
    let moved = lock.text().replace(
        Digest::sha256(b"index").hex(),
        Digest::sha256(b"other").hex(),
    );
    let error = Lock::parse(&moved, "x.lock").unwrap_err().to_string();
    assert!(error.contains("edited by hand"), "{error}");
    let locked = lock.clone().check(&recipe, "x.lock").unwrap();
    let pinned = locked.images(&recipe, &[Arch::Arm64]).unwrap();
    assert_eq!(pinned.len(), 1);
    let newer =
        recipe_with("[[artifact]]\nname = \"pause\"\nimage = \"registry.k8s.io/pause:9\"\n");
    let error = lock
        .clone()
        .check(&newer, "x.lock")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("artifact.pause.image (arm64): the recipe says `registry.k8s.io/pause:9`"),
        "{error}"
    );
    let mut without = lock;
    without.pins.images.clear();
    let error = without.check(&recipe, "x.lock").unwrap_err().to_string();
    assert!(
        error.contains("artifact.pause: not in the lock for amd64"),
        "{error}"
    );
}

/// As git and editors on other systems leave a file.
#[test]
fn line_ends_are_no_change() {
    let (_, lock) = lock();
    let text = lock.text();
    for same in [
        text.replace('\n', "\r\n"),
        format!("\u{feff}{text}"),
        format!("\u{feff}{}", text.replace('\n', "\r\n")),
        text.trim_end().to_owned(),
        format!("{text}\n"),
    ] {
        assert_eq!(Lock::parse(&same, "x.lock").unwrap(), lock, "{same:?}");
    }
    let conflict = text.replacen("epoch", "<<<<<<< HEAD\nepoch", 1);
    let error = Lock::parse(&conflict, "x.lock").unwrap_err().to_string();
    assert!(
        error.starts_with("x.lock:4 has the marks of a merge conflict"),
        "{error}"
    );
    assert!(!error.contains("--update"), "{error}");
}

/// Each has a digest that is right.
#[test]
fn what_is_not_whole_is_refused_whoever_wrote_its_digest() {
    let recipe = recipe(BASE_TABLE);
    let good = lock_with_base(&recipe);
    let signed = |change: &dyn Fn(&mut Pins)| {
        let mut lock = good.clone();
        change(&mut lock.pins);
        lock.digest = Digest::sha256(lock.body().as_bytes());
        Lock::parse(&lock.text(), "x.lock")
    };
    assert_eq!(signed(&|_| {}).unwrap(), good);
    type Change = fn(&mut Pins);
    let table: [(&str, Change); 11] = [
        ("is there twice for amd64", |pins| {
            let mut second = pins.artifacts[0].clone();
            second.bytes = Expected::of(&Digest::sha256(b"evil"), None);
            pins.artifacts.insert(1, second);
        }),
        ("is out of order", |pins| pins.artifacts.reverse()),
        ("`pause` is there twice", |pins| {
            pins.images.insert(1, pins.images[0].clone());
        }),
        ("`systemd` is there twice", |pins| {
            let package = pins.packages.packages[0].clone();
            pins.packages.packages.insert(1, package);
        }),
        ("its indexes are not in order", |pins| {
            pins.packages.indexes.push(pins.packages.indexes[0].clone());
        }),
        ("no index of the suite", |pins| {
            pins.packages.indexes.clear()
        }),
        ("but no `base`", |pins| pins.packages.base = None),
        ("but no `base`", |pins| {
            pins.packages = Packages {
                unattended: true,
                ..Packages::default()
            };
        }),
        ("is not a path in an archive", |pins| {
            pins.packages.packages[0].place = Place::Archive {
                suite: "trixie".parse().unwrap(),
                component: Default::default(),
                path: "../../etc/hostname".into(),
            };
        }),
        ("is not an https URL", |pins| {
            pins.packages.packages[0].place = Place::Url {
                url: "file:///etc/hostname".into(),
            };
        }),
        ("is not a version", |pins| {
            pins.packages.packages[0].version = "1\u{1b}[2J".into();
        }),
    ];
    for (want, change) in table {
        let error = format!("{:#}", signed(&change).unwrap_err());
        assert!(error.contains(want), "should say {want}: {error}");
        assert!(error.starts_with("x.lock is not a lock"), "{error}");
    }
}

/// With nothing of an archive, and no other key beside its own.
#[test]
fn a_package_with_a_url_of_its_own_is_read_again() {
    let recipe = recipe(BASE_TABLE);
    let mut lock = lock_with_base(&recipe);
    let place = &mut lock.pins.packages.packages[0].place;
    *place = Place::Url {
        url: "https://x.example/systemd.deb".into(),
    };
    let lock = Lock::new(&recipe, lock.epoch, lock.pins);
    let text = lock.text();
    let want = "name = \"systemd\"\narch = \"amd64\"\nversion = \"1:257-1\"\n\
        url = \"https://x.example/systemd.deb\"\nsha256 = ";
    assert!(text.contains(want), "{text}");
    assert_eq!(Lock::parse(&text, "x.lock").unwrap(), lock);
    let both = text.replace("systemd.deb\"\n", "systemd.deb\"\nsuite = \"trixie\"\n");
    assert!(Lock::parse(&both, "x.lock").is_err());
}

#[test]
fn paths_in_an_archive() {
    for good in ["pool/main/o/o_1%3a2+b~1_amd64.deb", "tool.deb"] {
        assert!(is_archive_path(good), "{good}");
    }
    for bad in [
        "", "/etc/x", "a//b", "a/../b", "./a", ".a", "a/", "a b", "a\\b", "ä",
    ] {
        assert!(!is_archive_path(bad), "{bad}");
    }
}
