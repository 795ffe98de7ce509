//! Paths that cannot be written are told before anything is, and stop no later run.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;

use common::Image;

const USER: &str = "#cloud-config\nhostname: n\nwrite_files: [{path: /etc/ok, content: x}]\n";
const PENDING: &str = "var/lib/nodeimg/pending.json";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV alice";

fn user_with(file: &str) -> String {
    format!("#cloud-config\nhostname: n\nwrite_files:\n- {{path: '{file}', content: x}}\n")
}

/// A path that cannot be written is told with its line before anything is, and stops
/// neither the corrected seed nor the next instance.
#[test]
fn a_slip_in_a_path_poisons_nothing() {
    let name = |length: usize| format!("/etc/{}", "n".repeat(length));
    let below = format!("/etc/{}", vec!["n".repeat(200); 6].join("/"));
    for slip in [
        "/etc/containerd",
        "/etc/ssh",
        "/var/lib/nodeimg",
        "/run/nodeimg",
        "/var/log",
        "/var/lib",
        "/etc/passwd/x",
        "/etc/hostname/x",
        "/etc/a//b",
        "/etc/ssl//b",
        "/etc//hostname",
        "/var//lib/nodeimg/instance.json",
        "/etc/a/./b",
        "/etc/a/",
        &name(243),
        &name(255),
        &name(300),
        &below,
    ] {
        for before in [false, true] {
            let image = Image::host();
            if before {
                image.seed(USER, "instance-id: good\n");
                assert_eq!(image.run(&[]).code, 0);
            }
            let tree = |image: &Image| {
                let mut files = image.written();
                files.retain(|file| !file.starts_with("run/nodeimg/"));
                files
            };
            let untouched = tree(&image);
            image.seed(user_with(slip), "instance-id: bad\n");
            let ran = image.run(&[]);
            assert_eq!(ran.code, i32::from(!before), "{slip} {before}: {}", ran.out);
            let told = format!("{}{}", ran.reason(), ran.out);
            assert!(
                told.contains("user-data:4: write_files.path: "),
                "{slip}: {told}"
            );
            assert_eq!(tree(&image), untouched, "{slip} {before}");
            assert!(!image.has(PENDING));
            for id in ["bad", "another"] {
                image.seed(USER, &format!("instance-id: {id}\n"));
                let ran = image.run(&[]);
                assert_eq!(ran.code, 0, "{slip} {before} {id}: {}", ran.reason());
                assert!(!ran.out.contains("warning"), "{slip}: {}", ran.out);
            }
        }
    }
}

#[test]
fn entries_against_each_other_and_homes() {
    for (user, told) in [
        (
            "write_files:\n- {path: /etc/q, content: x}\n- {path: /etc/q/r, content: x}\n",
            "user-data:5: write_files.path: asks for `/etc/q/r`, which is below `/etc/q`",
        ),
        (
            "users:\n- {name: bob, homedir: /var/home/bob/}\n",
            "user-data:4: users.homedir: is not the path of a file or a directory",
        ),
        (
            "users:\n- {name: bob, homedir: /etc/group}\n",
            "which is a directory",
        ),
        (
            "write_files:\n- {path: /etc/ssh/authorized_keys.d, content: x}\nssh_authorized_keys: ['KEY']\n",
            "user-data:4: write_files.path: asks for a file at `/etc/ssh/authorized_keys.d`",
        ),
    ] {
        let image = Image::host();
        let user = format!("#cloud-config\nhostname: n\n{}", user.replace("KEY", KEY));
        image.seed(user, "instance-id: bad\n");
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{told}: {}", ran.out);
        let reason = ran.reason();
        assert!(reason.contains(told), "{told}: {reason}");
        assert!(!image.has("etc/hostname") && !image.has(PENDING), "{told}");
    }
}

#[test]
fn links_lead_only_where_a_seed_may_write() {
    use std::os::unix::fs::symlink;
    let image = Image::host();
    fs::create_dir_all(image.path().join("usr/lib/x")).unwrap();
    fs::create_dir_all(image.path().join("var/data")).unwrap();
    symlink("/usr/lib", image.path().join("etc/sealed")).unwrap();
    symlink("/nowhere", image.path().join("etc/dangling")).unwrap();
    symlink("/var/data", image.path().join("etc/data")).unwrap();
    symlink("/var/lib/nodeimg", image.path().join("etc/state")).unwrap();
    for (file, told) in [
        ("/etc/sealed/x", "it leads through a link to `/usr/lib/x`"),
        ("/etc/dangling/x", "is a dangling link"),
        (
            "/etc/state/instance.json",
            "leads through a link to `/var/lib/nodeimg/instance.json`",
        ),
    ] {
        image.seed(user_with(file), "instance-id: bad\n");
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{file}");
        assert!(ran.reason().contains(told), "{file}: {}", ran.reason());
        assert!(!image.has("etc/hostname"));
    }
    // One file by two names.
    let two = "#cloud-config\nhostname: n\nwrite_files:\n- {path: /etc/data/f, content: x}\n- {path: /var/data/f, content: y}\n";
    image.seed(two, "instance-id: bad\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1);
    assert!(ran.reason().contains("and so does"), "{}", ran.reason());
    image.seed(user_with("/etc/data/f"), "instance-id: good\n");
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("var/data/f"), "x");
}

/// What the instance before has written does not stand in the way of the next one.
#[test]
fn a_file_may_become_a_directory_and_a_directory_a_file() {
    let image = Image::host();
    for (id, file) in [
        ("a", "/etc/q"),
        ("b", "/etc/q/r/s"),
        ("c", "/etc/q"),
        ("d", "/etc/q/r"),
    ] {
        image.seed(user_with(file), &format!("instance-id: {id}\n"));
        let ran = image.run(&[]);
        assert_eq!(ran.code, 0, "{id}: {}", ran.reason());
        assert_eq!(image.result()["outcome"], "applied", "{id}: {}", ran.out);
        assert_eq!(image.text(&file[1..]), "x");
    }
    // Not one that somebody else has put something into.
    image.write("etc/q/theirs", "x");
    image.seed(user_with("/etc/q"), "instance-id: e\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.reason());
    assert_eq!(image.result()["seed_refused"], true);
    assert!(image.has("etc/q/r") && image.has("etc/q/theirs"));
}

/// Notes of earlier versions may hold paths that nothing can be done with.
#[test]
fn what_cannot_be_removed_is_passed_over_and_named() {
    let image = Image::host();
    let long = format!("/etc/{}", "n".repeat(250));
    let files = [
        "/etc/containerd",
        "/etc/passwd/x",
        &long,
        "/../../up",
        "relative",
        "/",
    ];
    let note = serde_json::json!({"version": 1, "files": files});
    image.write(PENDING, note.to_string());
    image.seed(USER, "instance-id: i\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.reason());
    let told = image.warnings();
    assert!(
        told.contains("/etc/containerd") && told.contains("is of an earlier instance"),
        "{told}"
    );
    assert!(image.has("etc/containerd/config.toml") && !image.has(PENDING));
    assert_eq!(image.run(&[]).code, 0);
    assert!(!image.warnings().contains("earlier instance"));
}
