#![allow(clippy::unwrap_used)]
use std::process::Command;

use nodeimg_test_support::judge;
use tempfile::TempDir;

use super::*;

fn seed(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn error(directory: &TempDir) -> String {
    let mut to = tempfile::tempfile().unwrap();
    format!("{:#}", write(directory.path(), &mut to).unwrap_err())
}

/// What mtools and blkid say of the medium: the label, and a file's text.
fn judged(directory: &TempDir, file: &str) -> Option<(String, String)> {
    let mut medium = tempfile::NamedTempFile::new().unwrap();
    write(directory.path(), medium.as_file_mut()).unwrap();
    let mut blkid = Command::new("blkid");
    let label = judge::run(
        blkid
            .args(["-p", "-o", "value", "-s", "LABEL"])
            .arg(medium.path()),
    )?;
    let mut mtype = Command::new("mtype");
    let text = judge::run(mtype.arg("-i").arg(medium.path()).arg(format!("::{file}")))?;
    let text_of = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some((text_of(label.stdout), text_of(text.stdout)))
}

#[test]
fn both_layouts_have_the_label_that_is_looked_for() {
    let nocloud = seed(&[
        ("meta-data", "instance-id: a\n"),
        ("user-data", "#cloud-config\n"),
    ]);
    if let Some((label, text)) = judged(&nocloud, "user-data") {
        assert_eq!(
            (label.as_str(), text.as_str()),
            ("CIDATA\n", "#cloud-config\n")
        );
    }
    let path = "openstack/latest/meta_data.json";
    let drive = seed(&[(path, "{}")]);
    if let Some((label, text)) = judged(&drive, path) {
        assert_eq!((label.as_str(), text.as_str()), ("CONFIG-2\n", "{}"));
    }
}

#[test]
fn a_directory_that_is_no_seed_is_refused() {
    for (files, want) in [
        (vec![("x", "")], "holds neither"),
        (vec![("meta-data", "")], "lacks `user-data`"),
        (vec![("user-data", "")], "lacks `meta-data`"),
        (
            vec![("meta-data", ""), ("user-data", ""), ("openstack/x", "")],
            "holds both",
        ),
    ] {
        let say = error(&seed(&files));
        assert!(say.contains(want), "{want}: {say}");
    }
}

#[test]
fn what_is_too_large_for_a_seed_is_not_read() {
    let directory = seed(&[("meta-data", ""), ("user-data", "")]);
    let big = File::create(directory.path().join("vendor-data")).unwrap();
    big.set_len(MOST + 1).unwrap();
    assert!(error(&directory).contains("more than 64 MiB"));
}

#[test]
fn links_are_followed_and_pipes_are_not_read() {
    let directory = seed(&[
        ("meta-data", ""),
        ("secret", "#cloud-config\nhostname: a\n"),
    ]);
    std::os::unix::fs::symlink("secret", directory.path().join("user-data")).unwrap();
    if let Some((_, text)) = judged(&directory, "user-data") {
        assert!(text.contains("hostname: a"), "{text}");
    }
    let pipe = directory.path().join("network-config");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(error(&directory).contains("neither a file nor"));
}

/// By it a node knows the medium that it was set up from.
#[test]
fn another_seed_has_another_volume_id() {
    let id = |text: &str| volume_id(&[("user-data".to_owned(), text.as_bytes().to_vec())]);
    assert_eq!(id("a"), id("a"));
    assert_ne!(id("a"), id("b"));
}
