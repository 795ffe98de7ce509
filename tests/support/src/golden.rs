//! Digests of what was built, pinned in tests/golden.txt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::archive::sha256;
use super::place;
use super::run::listing;

/// What a change that is meant renews the digests with.
pub const RENEW: &str =
    "NODEIMG_TEST_RENEW=1 cargo test --locked --package nodeimg --test golden --test base golden";

const HEAD: &str = "\
# SHA-256 digests of what nodeimg writes, for tests/golden.rs and tests/base/golden.rs. Somebody
# who changes what nodeimg writes renews them by the command in tests/golden.rs.
";

fn file() -> PathBuf {
    place::top().join("tests/golden.txt")
}

/// Lines `DIGEST  SUBJECT/FILE`, by what is after the digest.
fn read(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
        .collect()
}

/// Every file below `directory` has the digest that is pinned for `subject`, and all that are
/// pinned are there. With `NODEIMG_TEST_RENEW` they are pinned instead.
#[track_caller]
pub fn pinned(subject: &str, directory: &Path) {
    let found: BTreeMap<String, String> = listing(directory)
        .into_iter()
        .filter(|path| directory.join(path).is_file())
        .map(|path| {
            let digest = sha256(&fs::read(directory.join(&path)).unwrap());
            (format!("{subject}/{path}"), digest)
        })
        .collect();
    assert!(!found.is_empty(), "nothing in {}", directory.display());
    // Test programs may run side by side.
    let lock = File::open(place::top().join("tests")).unwrap();
    let _turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e);
    let mut all = read(&fs::read_to_string(file()).unwrap_or_default());
    let of_subject = |name: &str| name.starts_with(&format!("{subject}/"));
    if std::env::var_os("NODEIMG_TEST_RENEW").is_some() {
        all.retain(|name, _| !of_subject(name));
        all.extend(found);
        let mut text = HEAD.to_owned();
        for (name, digest) in &all {
            writeln!(text, "{digest}  {name}").unwrap();
        }
        fs::write(file(), text).unwrap();
        return;
    }
    all.retain(|name, _| of_subject(name));
    let names: BTreeSet<&String> = all
        .keys()
        .chain(found.keys())
        .filter(|name| all.get(*name) != found.get(*name))
        .collect();
    assert!(
        names.is_empty(),
        "nodeimg writes other bytes than tests/golden.txt pins, in {names:?}. If the change is \
         meant, renew them and say why in the commit: {RENEW}"
    );
}
