#![allow(clippy::unwrap_used)]
use super::*;
use crate::recipe::tests::recipe;

fn lock() -> (Recipe, Lock) {
    let recipe = recipe("");
    let known = Expected {
        sha256: Some(Digest::sha256(b"x")),
        ..Expected::default()
    };
    let entries = recipe
        .lock_requests()
        .into_iter()
        .map(|request| Entry::new(request, &known))
        .collect();
    let lock = Lock::new(&recipe, Epoch(1_790_000_000), entries, Packages::default());
    (recipe, lock)
}

#[test]
fn the_text_reads_back_and_fits() {
    let (recipe, lock) = lock();
    let again = Lock::parse(&lock.text(), "x.lock").unwrap();
    assert_eq!(again, lock);
    let locked = again.check(&recipe, "x.lock").unwrap();
    assert_eq!(
        locked.entries(&recipe, Arch::Arm64).unwrap().len(),
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
        lock.text() + "\n# a note\n",
    ] {
        let error = Lock::parse(&edited, "x.lock").unwrap_err().to_string();
        assert!(error.contains("edited by hand"), "{error}");
    }
    for broken in ["", "version = 1", "[[artifact]]", "\0"] {
        let error = format!("{:#}", Lock::parse(broken, "x.lock").unwrap_err());
        assert!(error.starts_with("x.lock is no lock"), "{error}");
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
    let requests = newer.lock_requests();
    let of = |name: &str| requests.iter().find(|r| r.name.as_str() == name).unwrap();
    assert!(lock.answer(of("runc")).is_none());
    assert!(lock.answer(of("containerd")).is_some());
}

#[test]
fn settings_that_move_no_bytes_leave_the_lock_alone() {
    let (_, lock) = lock();
    assert!(
        lock.check(&recipe("[kubelet]\nmax_pods = 17\n"), "x.lock")
            .is_ok()
    );
}
