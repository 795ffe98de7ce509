//! The same recipe and lock give the same bytes: whoever builds, wherever, and
//! whatever the umask, the locale, the time zone and the number of CPUs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::elsewhere::{Elsewhere, of_files};
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, clean};
use nodeimg_test_support::synthetic::{MACHINE_NAMES, World};
use tempfile::TempDir;

/// How one build differs from another.
struct Variant {
    name: &'static str,
    who: Elsewhere,
    /// Built a second time from a store that has everything made already.
    warm: bool,
    environment: &'static [(&'static str, &'static str)],
    /// The recipe's directory, and where the build runs and writes, below
    /// this build's own directory.
    recipe: &'static str,
    cwd: &'static str,
    out: &'static str,
}

const VARIANTS: [Variant; 4] = [
    Variant {
        name: "as it comes",
        who: Elsewhere {
            umask: "022",
            nobody: false,
            one_cpu: false,
        },
        warm: false,
        environment: &[],
        recipe: "recipe",
        cwd: ".",
        out: "out",
    },
    Variant {
        name: "as nobody, one CPU, umask 077, elsewhere",
        who: Elsewhere {
            umask: "077",
            nobody: true,
            one_cpu: true,
        },
        warm: true,
        environment: &[
            ("TZ", "Pacific/Kiritimati"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("SOURCE_DATE_EPOCH", "1"),
        ],
        recipe: "a/deeper place/recipe",
        cwd: "a",
        out: "b/c/images",
    },
    Variant {
        name: "umask 077, all CPUs, another zone",
        who: Elsewhere {
            umask: "077",
            nobody: false,
            one_cpu: false,
        },
        warm: false,
        environment: &[
            ("TZ", "America/St_Johns"),
            ("LANG", "C.UTF-8"),
            ("COLUMNS", "20"),
        ],
        recipe: "x/recipe",
        cwd: "x/recipe",
        out: "o",
    },
    Variant {
        name: "as nobody, umask 022",
        who: Elsewhere {
            umask: "022",
            nobody: true,
            one_cpu: false,
        },
        warm: false,
        environment: &[("USER", "nobody"), ("LC_ALL", "C")],
        recipe: "recipe",
        cwd: "recipe",
        out: "../out",
    },
];

/// What is built, from where.
struct Subject<'a> {
    /// Copied for each build with the modes that its umask gives.
    recipe: &'a Path,
    file: &'a str,
    mirror: &'a str,
    firstboot: [PathBuf; 2],
}

/// One build with nothing in common with others but the subject: its own copy
/// of program and recipe, store and output. Gives a digest for each file.
fn digests(subject: &Subject<'_>, variant: &Variant) -> Vec<String> {
    let place = TempDir::new().unwrap();
    let at = |path: &str| place.path().join(path);
    for directory in [variant.recipe, variant.cwd] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    let mut copy = clean(Command::new("sh"));
    // `cp` without -p: the modes are those of the umask.
    copy.args([
        "-c",
        "umask $1 && cp -R \"$2/.\" \"$3\"",
        "sh",
        variant.who.umask,
    ]);
    Ran::of(copy.arg(subject.recipe).arg(at(variant.recipe))).good();
    fs::copy(env!("CARGO_BIN_EXE_nodeimg"), at("nodeimg")).unwrap();
    fs::set_permissions(at("nodeimg"), Permissions::from_mode(0o755)).unwrap();

    let mut build = variant.who.command(place.path());
    build.arg(at("nodeimg"));
    build
        .current_dir(at(variant.cwd))
        .envs(variant.environment.iter().copied());
    build.args([
        "build",
        "--quiet",
        "--output",
        "overlay",
        "--mirror",
        subject.mirror,
        "--out",
        variant.out,
    ]);
    build
        .arg("--recipe")
        .arg(at(variant.recipe).join(subject.file));
    build.arg("--store").arg(at("the store"));
    for (arch, binary) in MACHINE_NAMES.iter().zip(&subject.firstboot) {
        fs::copy(binary, at(arch)).unwrap();
        fs::set_permissions(at(arch), Permissions::from_mode(0o644)).unwrap();
        build
            .args(["--arch", arch, "--firstboot"])
            .arg(format!("{arch}={}", at(arch).display()));
    }
    Ran::of(&mut build).good();
    let cold = of_files(&at(variant.cwd).join(variant.out));
    if variant.warm {
        Ran::of(build.arg("--force")).good();
        let warm = of_files(&at(variant.cwd).join(variant.out));
        assert_eq!(warm, cold, "{}: from a warm store", variant.name);
    }
    cold
}

#[track_caller]
fn all_alike(subject: &Subject<'_>, variants: &[Variant]) {
    let first = digests(subject, &variants[0]);
    assert_eq!(first.len(), 2 + 2 * 6, "{first:?}");
    for variant in &variants[1..] {
        assert_eq!(digests(subject, variant), first, "{}", variant.name);
    }
}

#[test]
fn tiny_images_are_the_same_from_everywhere() {
    let mut world = World::new();
    for (path, text) in [
        ("root/etc/motd", "hello\n"),
        ("root/etc/Zebra/b", "b\n"),
        ("root/etc/Zebra/a", "a\n"),
        ("root/usr/local/bin/hello", "#!/bin/sh\n"),
        ("templates/etc/nodeimg/more.conf", "ip={{ node_ip }}\n"),
    ] {
        let path = world.path("overlay").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let recipe = world.recipe.clone() + "\n[[file]]\npath = \"/etc/extra\"\nsource = \"extra\"\n";
    world.write_recipe(&recipe);
    fs::write(world.path("extra"), "extra\n").unwrap();
    world.lock();
    let from = world.path("from");
    fs::create_dir(&from).unwrap();
    for name in ["recipe.toml", "recipe.lock", "overlay", "extra"] {
        fs::rename(world.path(name), from.join(name)).unwrap();
    }
    let subject = Subject {
        recipe: &from,
        file: "recipe.toml",
        mirror: &world.mirror(),
        firstboot: MACHINE_NAMES.map(|arch| world.firstboot(arch)),
    };
    all_alike(&subject, &VARIANTS);
    // Not because nothing is ever seen: one byte elsewhere is another image.
    let before = digests(&subject, &VARIANTS[0]);
    fs::write(from.join("extra"), "Extra\n").unwrap();
    assert_ne!(digests(&subject, &VARIANTS[0]), before);
}

#[test]
fn real_images_are_the_same_from_everywhere() {
    let Some(mirror) = real::mirror() else { return };
    let [Some(amd64), Some(arm64)] = MACHINE_NAMES.map(real::firstboot) else {
        return;
    };
    let recipe = real::recipe("hard-way");
    let from = TempDir::new().unwrap();
    for file in [recipe.clone(), recipe.with_extension("lock")] {
        fs::copy(&file, from.path().join(file.file_name().unwrap())).unwrap();
    }
    let subject = Subject {
        recipe: from.path(),
        file: recipe.file_name().unwrap().to_str().unwrap(),
        mirror: &mirror,
        firstboot: [amd64, arm64],
    };
    // Two are enough here: they differ in everything.
    all_alike(&subject, &VARIANTS[..2]);
}
