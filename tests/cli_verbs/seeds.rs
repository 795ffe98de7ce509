//! `nodeimg seed check`.
use std::fs;
use std::path::Path;

use crate::events;
use crate::support::run::{Ran, nodeimg};

fn seed(directory: &Path, user_data: &str) {
    fs::write(
        directory.join("meta-data"),
        "instance-id: i-1\nlocal-hostname: node-0\n",
    )
    .unwrap();
    fs::write(directory.join("user-data"), user_data).unwrap();
}

fn check(directory: &Path, words: &[&str]) -> Ran {
    let mut command = nodeimg();
    command.args(["seed", "check", "--recipe", "container-host"]);
    Ran::of(command.arg(directory).args(words))
}

#[test]
fn a_good_seed_says_what_would_be_written() {
    let directory = tempfile::tempdir().unwrap();
    seed(
        directory.path(),
        "#cloud-config\nwrite_files: [{path: /etc/motd, content: hi}]\npackages: [x]\n",
    );
    let ran = check(directory.path(), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out, "node-0: a good seed, 3 files\n");
    assert!(
        ran.err.contains("warning: ") && ran.err.contains("user-data:3: packages: has no effect"),
        "{}",
        ran.err
    );
    let ran = check(directory.path(), &["--json"]);
    let [event] = &events(&ran.out)[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(event["good"], true);
    assert_eq!(
        event["files"],
        serde_json::json!(["/etc/hostname", "/etc/hosts", "/etc/motd"])
    );
}

#[test]
fn every_problem_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    seed(
        directory.path(),
        "#cloud-config\nhostname: Node_0\nwrite_files: [{path: /usr/x}]\nswap: {size: 1}\n",
    );
    let ran = check(directory.path(), &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    for part in [
        "user-data:2: hostname: ",
        "user-data:3: write_files.path: ",
        "user-data:4: swap: ",
        "no node comes of this seed",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let ran = check(directory.path(), &["--json"]);
    let [event] = &events(&ran.out)[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(
        (&event["good"], event["problems"].as_array().unwrap().len()),
        (&serde_json::json!(false), 3)
    );
    fs::remove_file(directory.path().join("user-data")).unwrap();
    let ran = check(directory.path(), &[]);
    assert!(
        ran.err.contains("no `user-data`, and NoCloud needs both"),
        "{}",
        ran.err
    );
    let ran = check(Path::new("/nonexistent"), &[]);
    assert!(
        ran.err.contains("holds neither `meta-data` nor"),
        "{}",
        ran.err
    );
}
