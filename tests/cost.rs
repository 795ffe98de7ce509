//! What a warm build takes of a processor, in instructions, by room and by library: the root file
//! system of recipes/container-host for amd64, with everything derived before. More than a tenth
//! more than tests/cost.txt records, of all or of a part, fails; growth below a thousandth of all does not.
//!
//! valgrind counts them, so that the figures are the same on a busy machine, on another one, and
//! where nobody may read the processor's own counters. They are those of the program that tests
//! drive, which is not optimized: each part is compared with itself alone, and where one grows,
//! `ci/bench` says by how many seconds.
//!
//! A change that is meant renews them:
//!
//! ```text
//! NODEIMG_TEST_RENEW=1 cargo test --locked --package nodeimg --test cost
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_formats::update::PROGRAM_MARKER;
use nodeimg_test_support::debian::{fetched, recipe, verb};
use nodeimg_test_support::run::{Ran, host_program};
use nodeimg_test_support::{archive, judge, place, real};
use tempfile::TempDir;

const RENEW: &str = "NODEIMG_TEST_RENEW=1 cargo test --locked --package nodeimg --test cost";
const HEAD: &str = "\
# Millions of instructions of a warm build, for tests/cost.rs, which says of what. Somebody who
# makes a part of nodeimg dearer for a reason renews them by the command there.
";
const ALL: &str = "all";
/// Of C, and of types that have no path.
const OTHER: &str = "other";
const MILLION: u64 = 1_000_000;

type Counts = BTreeMap<String, u64>;

#[test]
fn a_warm_build_takes_what_is_recorded() {
    if !fetched() {
        return;
    }
    let committed = place::top().join("recipes/container-host.lock");
    let used = recipe().with_extension("lock");
    if fs::read(committed).unwrap() != fs::read(used).unwrap() {
        judge::say("the cost: left out, the mirror no longer has what the committed lock pins");
        return;
    }
    let place = TempDir::new_in(real::directory("")).unwrap();
    Ran::of(&mut build(place.path())).good();
    fs::remove_dir_all(place.path().join("out")).unwrap();
    let Some(found) = counted(&build(place.path()), place.path()) else {
        return;
    };
    let file = place::top().join("tests/cost.txt");
    if std::env::var_os("NODEIMG_TEST_RENEW").is_some() {
        fs::write(&file, written(&found)).unwrap();
        return;
    }
    let recorded = read(&fs::read_to_string(&file).unwrap());
    let dearer = dearer(&recorded, &found);
    assert!(
        dearer.is_empty(),
        "a warm build takes more instructions than tests/cost.txt records, in millions:\n{}\nLook \
         for the reason; if the cost is worth it, renew the figures and say why in the commit: \
         {RENEW}",
        dearer.join("\n")
    );
    if found[ALL] * 10 < recorded[ALL] * 9 {
        judge::say(&format!(
            "a warm build takes {} of {} million instructions: keep that by {RENEW}",
            found[ALL], recorded[ALL]
        ));
    }
}

fn build(place: &Path) -> Command {
    let firstboot = place.join("firstboot");
    fs::write(&firstboot, archive::firstboot("amd64")).unwrap();
    let updater = place.join("updater");
    fs::write(&updater, archive::static_program("amd64", PROGRAM_MARKER)).unwrap();
    let mut build = verb("build", &["amd64"]);
    build.args(["--output", "root", "--offline", "--firstboot"]);
    build.arg(format!("amd64={}", firstboot.display()));
    build.arg("--update");
    build.arg(format!("amd64={}", updater.display()));
    build.arg("--out").arg(place.join("out"));
    build
}

/// Millions of instructions of each part that has one; `None`, with a printed skip, without
/// valgrind.
fn counted(build: &Command, place: &Path) -> Option<Counts> {
    // It reads all lines of a program's sources first, which takes longer than the build.
    let program = place.join("nodeimg");
    let mut strip = host_program("strip");
    strip.args(["--strip-debug", "-o"]).arg(&program);
    Ran::of(strip.arg(build.get_program())).good();
    let counts = place.join("counts");
    let mut valgrind = host_program("valgrind");
    valgrind.args([
        "--quiet",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--branch-sim=no",
    ]);
    valgrind.arg(format!("--cachegrind-out-file={}", counts.display()));
    valgrind.arg(program).args(build.get_args());
    let told = judge::run(&mut valgrind)?;
    Ran::from(told, "valgrind".to_owned()).good();
    Some(parts(&fs::read_to_string(counts).unwrap()))
}

/// Of [cachegrind's file](https://valgrind.org/docs/manual/cg-manual.html#cg-manual.fileformat):
/// `fn=FUNCTION`, then `LINE INSTRUCTIONS` for each of its lines.
fn parts(text: &str) -> Counts {
    let mut counts = Counts::new();
    let mut part = OTHER.to_owned();
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            part = part_of(function);
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let count = line.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
            *counts.entry(part.clone()).or_default() += count;
            *counts.entry(ALL.to_owned()).or_default() += count;
        }
    }
    let of = |(part, count): (String, u64)| (part, (count + MILLION / 2) / MILLION);
    let millions = counts.into_iter().map(of);
    millions.filter(|(_, count)| *count > 0).collect()
}

/// A room of ours, or a library: `nodeimg::image` for `<nodeimg::image::X as core::Y>::z`.
fn part_of(function: &str) -> String {
    let path = function.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && !"_:".contains(c));
    let mut words = path[..end.unwrap_or(path.len())].split("::");
    match (words.next(), words.next()) {
        (Some(own), Some(room)) if own.starts_with("nodeimg") => format!("{own}::{room}"),
        (Some(library), Some(_)) => library.to_owned(),
        _ => OTHER.to_owned(),
    }
}

/// A line for each part that takes a tenth more than before, if that is worth a thousandth of all.
fn dearer(recorded: &Counts, found: &Counts) -> Vec<String> {
    let floor = recorded[ALL] / 1000;
    let is_dearer = |part: &str, count: u64| {
        let before = recorded.get(part).copied().unwrap_or_default();
        count * 10 > before * 11 && count > before + floor
    };
    let dearer = found
        .iter()
        .filter(|(part, count)| is_dearer(part, **count));
    let tell = |(part, count): (&String, &u64)| {
        let before = recorded.get(part).copied().unwrap_or_default();
        format!("  {part}: {count}, recorded: {before}")
    };
    dearer.map(tell).collect()
}

fn read(text: &str) -> Counts {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(count, part)| (part.trim().to_owned(), count.parse().unwrap()))
        .collect()
}

fn written(counts: &Counts) -> String {
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(part, count)| (u64::MAX - **count, *part));
    let mut text = HEAD.to_owned();
    for (part, count) in rows {
        writeln!(text, "{count:>7} {part}").unwrap();
    }
    text
}

#[test]
fn a_part_that_grows_by_a_tenth_is_told() {
    let of = |rows: &[(&str, u64)]| -> Counts {
        rows.iter()
            .map(|(part, count)| ((*part).to_owned(), *count))
            .collect()
    };
    let recorded = of(&[(ALL, 1000), ("a", 500), ("b", 20)]);
    assert_eq!(recorded, read(&written(&recorded)));
    let same = of(&[(ALL, 1090), ("a", 549), ("b", 21), ("c", 1)]);
    assert_eq!(dearer(&recorded, &same), Vec::<String>::new());
    let more = of(&[(ALL, 1101), ("a", 551), ("b", 31), ("c", 11)]);
    let named: Vec<String> = dearer(&recorded, &more);
    let named: Vec<&str> = named
        .iter()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(named, ["  a", "  all", "  b", "  c"]);
}

#[test]
fn instructions_belong_to_the_room_of_their_function() {
    let text = "events: Ir\nfl=???\nfn=<nodeimg::image::boot::Uki as core::fmt::Debug>::fmt\n\
                7 2000000\n8 400000\nfn=nodeimg_formats::gpt::write\n0 1000000\n\
                fn=zlib_rs::inflate::<impl State>::run\n1 3000000\n\
                fn=core::slice::sort::<nodeimg::tree::Node>\n0 5000000\n\
                fn=ZSTD_compress\n0 7000000\nsummary: 18400000\n";
    let parts = parts(text);
    let rows = parts.iter().map(|(part, count)| (part.as_str(), *count));
    let expected = [
        ("all", 18),
        ("core", 5),
        ("nodeimg::image", 2),
        ("nodeimg_formats::gpt", 1),
        ("other", 7),
        ("zlib_rs", 3),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}
