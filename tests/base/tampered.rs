//! A mirror that hands out other bytes than the lock pins.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::{HOST, blob, images, recipe, store};
use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, clean};

#[test]
fn a_package_with_one_flipped_byte_is_refused() {
    let Some(images) = images() else { return };
    let packages = images.of_arch(HOST);
    let package = packages.iter().find(|p| p.name == "base-files").unwrap();
    let place = TempDir::new().unwrap();
    let mine = place.path().join("store");
    fs::create_dir(&mine).unwrap();
    let mut copy = clean(Command::new("cp"));
    Ran::of(copy.arg("-R").arg(store().join("blobs")).arg(&mine)).good();
    let kept = mine.join(blob(package).strip_prefix(store()).unwrap());
    fs::remove_file(&kept).unwrap();
    let served = place.path().join("debian").join(&package.path);
    fs::create_dir_all(served.parent().unwrap()).unwrap();
    let whole = fs::read(blob(package)).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;

    // Without a network this mirror is the only one.
    let fetch = |bytes: &[u8]| {
        fs::write(&served, bytes).unwrap();
        let mut command = clean(Command::new("unshare"));
        command.arg(if judge::is_root() { "-n" } else { "-rn" });
        command.arg(env!("CARGO_BIN_EXE_nodeimg"));
        command.args(["fetch", "--quiet", "--retries", "0", "--arch", HOST]);
        command
            .arg("--recipe")
            .arg(recipe())
            .arg("--store")
            .arg(&mine);
        let mirror = format!("file://{}/debian", place.path().display());
        Ran::of(command.args(["--debian-mirror", &mirror]))
    };
    let ran = fetch(&flipped);
    if ran.err.starts_with("unshare:") {
        judge::missing(&format!(
            "a name space without a network ({})",
            ran.err.trim()
        ));
        return;
    }
    let what = format!("base-files {} ({HOST})", package.version);
    ran.refused(1, &[&what, &package.sha256, "base-files_"]);
    assert!(!kept.exists(), "the flipped package is in the store");
    // With the right bytes there is nothing to refuse.
    fetch(&whole).good();
    assert_eq!(fs::read(&kept).unwrap(), whole);
}
