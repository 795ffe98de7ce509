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

/// The templates of the recipe are rendered as well.
#[test]
fn a_seed_meets_the_recipes_templates() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = directory.path().join("k.toml");
    fs::write(
        &recipe,
        "extends = \"container-host\"\nname = \"k\"\noverlay = [\"mine\"]\n",
    )
    .unwrap();
    let templates = directory.path().join("mine/templates/etc");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("who"), "{{ host_name }}\n").unwrap();
    let words = ["--json", "--recipe", recipe.to_str().unwrap()];
    let run = |user_data: &str| {
        seed(directory.path(), user_data);
        let mut command = nodeimg();
        command.args(["seed", "check"]).args(words);
        Ran::of(command.arg(directory.path()))
    };
    let ran = run("#cloud-config\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = events(&ran.out);
    let files = events[0]["files"].as_array().unwrap();
    assert!(files.contains(&"/etc/who".into()), "{files:?}");
    let ran = run("#cloud-config\nwrite_files: [{path: /etc/who, content: x}]\n");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out.contains("is a file that first boot writes itself"),
        "{}",
        ran.out
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
