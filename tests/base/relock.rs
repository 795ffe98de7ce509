//! A lock whose packages the mirror no longer has.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{HOST, Lock, Package, fetched, recipe, store, with_network};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::{Ran, nodeimg};

/// As if `package` had been another one when the lock was made.
fn aged(lock: &str, package: &Package) -> String {
    let old = lock
        .replace(&package.path, "pool/main/n/nothing/nothing_0_all.deb")
        .replace(&package.sha256, &sha256(b"nothing"));
    assert_ne!(old, lock);
    // The digest is of all but itself and the first line.
    let (first, rest) = old.split_once('\n').unwrap();
    let is_digest = |line: &&str| line.starts_with("digest = ");
    let own = rest.lines().find(is_digest).unwrap();
    let body = rest.replacen(&format!("{own}\n"), "", 1);
    let digest = format!("digest = \"sha256:{}\"", sha256(body.as_bytes()));
    format!("{first}\n{}", rest.replacen(own, &digest, 1))
}

fn fetch(recipe: &Path, more: &[&str]) -> Command {
    let mut command = nodeimg();
    command.args(["fetch", "--retries", "0", "--arch", HOST]);
    command.arg("--recipe").arg(recipe);
    command.arg("--store").arg(store()).args(more);
    command
}

#[test]
fn a_base_that_the_mirror_dropped_is_locked_anew_from_debians_own_indexes() {
    if !fetched() {
        return;
    }
    let place = TempDir::new().unwrap();
    let mine = place.path().join("mine.toml");
    let lock = mine.with_extension("lock");
    fs::copy(recipe(), &mine).unwrap();
    let fitting = fs::read_to_string(recipe().with_extension("lock")).unwrap();
    let parsed: Lock = toml::from_str(&fitting).unwrap();
    let mut packages = parsed.package.iter();
    let package = packages
        .find(|p| p.name == "psmisc" && p.arch == HOST)
        .unwrap();
    let old = aged(&fitting, package);
    fs::write(&lock, &old).unwrap();

    // Nothing of the kind unless it is asked for.
    let mut plain = fetch(&mine, &[]);
    with_network(&mut plain);
    let what = format!("psmisc {} ({HOST})", package.version);
    let says = [&what, "nodeimg lock --update base", "--relock-base"];
    Ran::of(&mut plain).refused(1, &says);
    assert_eq!(fs::read_to_string(&lock).unwrap(), old);
    // Nor if there is nothing to lock it from.
    let offline = Ran::of(&mut fetch(&mine, &["--relock-base", "--offline"]));
    offline.refused(
        1,
        &[&what, "--relock-base cannot re-lock", "--offline forbids"],
    );
    assert_eq!(fs::read_to_string(&lock).unwrap(), old);

    let mut asked = fetch(&mine, &["--relock-base"]);
    with_network(asked.env("SOURCE_DATE_EPOCH", "1795000000"));
    let ran = Ran::of(&mut asked).good();
    let said = format!("re-locked the base system in {}", lock.display());
    assert!(ran.err.contains(&said), "{}", ran.err);
    let new = fs::read_to_string(&lock).unwrap();
    assert!(!new.contains("nothing_0_all.deb") && new.contains("\"psmisc\""));
    assert!(new.contains("\nepoch = 1795000000\n"), "{}", &new[..300]);
    // Good from now on: with no network.
    Ran::of(&mut fetch(&mine, &["--offline"])).good();
}
