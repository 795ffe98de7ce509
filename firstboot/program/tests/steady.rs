//! A node that is set up stays set up, whatever its seed's place answers later; and what
//! cannot be written is told before anything is.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;

use common::Image;

const USER: &str = "#cloud-config\nhostname: n\nwrite_files: [{path: /etc/ok, content: x}]\n";
const SEED: &str = "var/lib/nodeimg/seed";
const STAMP: &str = "var/lib/nodeimg/instance.json";
const RECORD: &str = "var/lib/nodeimg/instance-copy.json";
const PENDING: &str = "var/lib/nodeimg/pending.json";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEEEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA alice";

/// A host of containers whose image has a few files and directories.
fn host() -> Image {
    let image = Image::new();
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    let mut settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    settings["profile"] = "container-host".into();
    settings["writable"] = serde_json::json!(["/etc", "/var"]);
    image.write("usr/lib/nodeimg/firstboot.json", settings.to_string());
    let templates = image.path().join("usr/lib/nodeimg/templates");
    fs::remove_dir_all(&templates).unwrap();
    fs::create_dir_all(&templates).unwrap();
    image.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    image.write("etc/group", "root:x:0:\n");
    image.write("etc/containerd/config.toml", "x");
    for directory in ["etc/ssh", "var/log", "etc/ssl/b"] {
        fs::create_dir_all(image.path().join(directory)).unwrap();
    }
    image
}

fn user_with(file: &str) -> String {
    format!("#cloud-config\nhostname: n\nwrite_files:\n- {{path: '{file}', content: x}}\n")
}

fn alice(host: &str) -> String {
    format!(
        "#cloud-config\nhostname: {host}\nusers:\n- {{name: alice, sudo: 'ALL=(ALL) NOPASSWD:ALL', \
         ssh_authorized_keys: ['{KEY}']}}\nwrite_files:\n- {{path: /etc/motd, content: A}}\n"
    )
}

fn warnings(image: &Image) -> String {
    let problems = image.result()["problems"].clone();
    let problems = problems.as_array().cloned().unwrap_or_default();
    let warnings = problems
        .iter()
        .filter(|problem| problem["severity"] == "warning");
    warnings.map(|problem| format!("{problem}\n")).collect()
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
            let image = host();
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
        let image = host();
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
    let image = host();
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

/// What the instance before has written is no obstacle to the next one.
#[test]
fn a_file_may_become_a_directory_and_a_directory_a_file() {
    let image = host();
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
    let image = host();
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
    let told = warnings(&image);
    assert!(
        told.contains("/etc/containerd") && told.contains("is of an earlier instance"),
        "{told}"
    );
    assert!(image.has("etc/containerd/config.toml") && !image.has(PENDING));
    assert_eq!(image.run(&[]).code, 0);
    assert!(!warnings(&image).contains("earlier instance"));
}

/// Whatever is in the seed's place, a node that is set up starts.
#[test]
fn any_answer_but_a_valid_seed_of_a_new_instance_is_a_warning() {
    type Change = fn(&Image);
    let changes: [(&str, Change, bool); 14] = [
        (
            "gone",
            |image| fs::remove_dir_all(image.path().join(SEED)).unwrap(),
            false,
        ),
        (
            "no user-data",
            |image| fs::remove_file(image.path().join(SEED).join("user-data")).unwrap(),
            true,
        ),
        (
            "no meta-data",
            |image| fs::remove_file(image.path().join(SEED).join("meta-data")).unwrap(),
            true,
        ),
        (
            "meta-data emptied",
            |image| drop(image.write(&format!("{SEED}/meta-data"), "")),
            true,
        ),
        (
            "meta-data is no YAML",
            |image| drop(image.write(&format!("{SEED}/meta-data"), "a: [\n")),
            true,
        ),
        (
            "meta-data is binary",
            |image| drop(image.write(&format!("{SEED}/meta-data"), b"\xff\xfe\0")),
            true,
        ),
        (
            "user-data too large",
            |image| drop(image.write(&format!("{SEED}/user-data"), vec![b'#'; 5 << 20])),
            true,
        ),
        (
            "network-config is a directory",
            |image| fs::create_dir(image.path().join(SEED).join("network-config")).unwrap(),
            true,
        ),
        (
            "vendor-data is a directory",
            |image| fs::create_dir(image.path().join(SEED).join("vendor-data")).unwrap(),
            true,
        ),
        (
            "another instance, HTML",
            |image| image.seed("<html>Sign in</html>", "instance-id: b\n"),
            true,
        ),
        (
            "another instance, bad name",
            |image| image.seed("#cloud-config\nhostname: B_B\n", "instance-id: b\n"),
            true,
        ),
        (
            "another instance, bad network",
            |image| {
                image.seed(USER, "instance-id: b\n");
                image.write(&format!("{SEED}/network-config"), "[[[\n");
            },
            true,
        ),
        (
            "another instance, nothing in it",
            |image| image.seed("", "instance-id: b\n"),
            true,
        ),
        (
            "the same instance, garbage",
            |image| image.seed("\0\0", "instance-id: a\n"),
            false,
        ),
    ];
    for (title, change, refused) in changes {
        let image = host();
        image.seed(alice("n"), "instance-id: a\n");
        assert_eq!(image.run(&[]).code, 0);
        let mut before = image.written();
        change(&image);
        for _ in 0..2 {
            let ran = image.run(&[]);
            assert_eq!(ran.code, 0, "{title}: {}", ran.reason());
            let told = warnings(&image);
            let mut after = image.written();
            after.retain(|file| !file.starts_with("run/"));
            before.retain(|file| !file.starts_with("run/"));
            assert_eq!(after, before, "{title}");
            assert_eq!(image.result()["outcome"], "unchanged", "{title}: {told}");
            assert_eq!(image.result()["instance_id"], "a", "{title}");
            let is_refused = image.result()["seed_refused"] == true;
            assert_eq!(is_refused, refused, "{title}: {told}");
            assert_eq!(
                told.contains("this node stays `a`"),
                refused,
                "{title}: {told}"
            );
        }
        if refused {
            assert_eq!(image.status(&[]).code, 3, "{title}");
        }
        // The node's own seed is good again, and so is a new one.
        fs::remove_dir_all(image.path().join(SEED)).ok();
        image.seed(USER, "instance-id: c\n");
        assert_eq!(image.run(&[]).code, 0, "{title}");
        assert_eq!(image.result()["outcome"], "applied", "{title}");
        assert!(!image.text("etc/passwd").contains("alice"), "{title}");
    }
}

#[test]
fn missing_files_are_repaired_or_told() {
    for keep in [true, false] {
        for lost in [
            "etc/ssh/authorized_keys.d/alice",
            "etc/hosts",
            "etc/hostname",
            "etc/sudoers.d/90-nodeimg-users",
            STAMP,
        ] {
            for with_seed in [true, false] {
                let image = host();
                let settings = image.text("usr/lib/nodeimg/firstboot.json");
                let mut settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
                settings["keep_seed"] = keep.into();
                image.write("usr/lib/nodeimg/firstboot.json", settings.to_string());
                image.seed(alice("n"), "instance-id: a\n");
                assert_eq!(image.run(&[]).code, 0);
                if !with_seed {
                    fs::remove_dir_all(image.path().join(SEED)).unwrap();
                }
                fs::remove_file(image.path().join(lost)).unwrap();
                let ran = image.run(&[]);
                let title = format!("{lost}, kept {keep}, seed {with_seed}");
                assert_eq!(ran.code, 0, "{title}: {}", ran.reason());
                let told = warnings(&image);
                assert!(told.contains(lost), "{title}: {told}");
                assert_eq!(image.text("etc/hostname"), "n\n", "{title}");
            }
        }
    }
}

/// A later version's stamp, a damaged one, none: the next instance takes everything of the
/// one before with it.
#[test]
fn an_instance_takes_its_access_with_it_whatever_became_of_the_stamp() {
    let big = |text: String| {
        let mut stamp: serde_json::Value = serde_json::from_str(&text).unwrap();
        let files = stamp["files"].as_array_mut().unwrap();
        files.extend(vec![format!("/etc/{}", "x".repeat(200)).into(); 6000]);
        Some(stamp.to_string())
    };
    type Harm<'a> = &'a dyn Fn(String) -> Option<String>;
    let harms: [(&str, Harm<'_>); 7] = [
        ("none", &Some),
        ("removed", &|_| None),
        ("empty", &|_| Some(String::new())),
        ("garbage", &|_| Some("\0".repeat(300))),
        ("later version", &|text| {
            Some(text.replace("\"version\":1", "\"version\":2"))
        }),
        ("unknown key", &|text| {
            Some(text.replacen('{', "{\"later\":[1],", 1))
        }),
        ("over 1 MiB", &big),
    ];
    for (title, harm) in harms {
        for both in [false, true] {
            let image = host();
            image.write("etc/motd", "IMAGE");
            image.seed(alice("a"), "instance-id: a\n");
            assert_eq!(image.run(&[]).code, 0);
            assert!(image.text("etc/passwd").contains("alice"));
            let paths = if both {
                &[STAMP, RECORD][..]
            } else {
                &[STAMP][..]
            };
            for path in paths {
                match harm(image.text(path)) {
                    Some(text) => drop(image.write(path, text)),
                    None => fs::remove_file(image.path().join(path)).unwrap(),
                }
            }
            image.seed("#cloud-config\nhostname: b\n", "instance-id: b\n");
            let ran = image.run(&[]);
            assert_eq!(ran.code, 0, "{title} {both}: {}", ran.reason());
            assert_eq!(image.result()["outcome"], "applied");
            let passwd = image.text("etc/passwd");
            assert!(!passwd.contains("alice"), "{title} {both}: {passwd}");
            assert_eq!(image.text("etc/motd"), "IMAGE", "{title} {both}");
            for path in [
                "etc/ssh/authorized_keys.d/alice",
                "etc/sudoers.d/90-nodeimg-users",
            ] {
                assert!(!image.has(path), "{title} {both}: {path}");
            }
            assert_eq!(image.run(&[]).code, 0);
            assert_eq!(image.result()["outcome"], "unchanged", "{title} {both}");
        }
    }
}

/// A stamp may be as large as what a seed can ask for.
#[test]
fn many_long_paths_are_remembered() {
    let image = host();
    let mut user = "#cloud-config\nhostname: n\nruncmd: [[touch, /x]]\nwrite_files:\n".to_owned();
    let deep = vec!["d".repeat(240); 4].join("/");
    for n in 0..1100 {
        user.push_str(&format!(
            "- {{path: /etc/many/{deep}/{n:06}, content: x}}\n"
        ));
    }
    image.seed(user, "instance-id: a\n");
    assert_eq!(image.run(&[]).code, 0);
    assert!(image.text(STAMP).len() > 1 << 20);
    for outcome in ["applied", "unchanged"] {
        assert_eq!(image.result()["outcome"], outcome);
        assert_eq!(image.result()["commands"], "pending");
        assert_eq!(image.status(&[]).code, 0);
        assert_eq!(image.run(&[]).code, 0);
    }
    image.seed(USER, "instance-id: b\n");
    assert_eq!(image.run(&[]).code, 0);
    let left = fs::read_dir(image.path().join("etc/many").join(deep)).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn warnings_can_be_watched() {
    let image = host();
    image.seed("#cloud-config\nhostname: N_N\n", "instance-id: a\n");
    assert_eq!(image.run(&[]).code, 1);
    assert_eq!(image.status(&[]).code, 1);
    let metrics = "run/nodeimg/metrics/nodeimg.prom";
    let has = |line: &str| {
        let text = image.text(metrics);
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    };
    has("nodeimg_firstboot_set_up 0");
    image.seed(USER, "instance-id: a\n");
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.status(&[]).code, 0);
    has("nodeimg_firstboot_set_up 1");
    has("nodeimg_firstboot_warnings 0");
    has("nodeimg_firstboot_seed_refused 0");
    has("nodeimg_firstboot_info{host_name=\"n\",instance_id=\"a\",outcome=\"applied\"} 1");
    image.seed("#cloud-config\nhostname: N_N\n", "instance-id: b\n");
    assert_eq!(image.run(&[]).code, 0);
    let status = image.status(&["--json"]);
    assert_eq!(status.code, 3, "{}", status.out);
    let json: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(json["seed_refused"], true);
    has("nodeimg_firstboot_seed_refused 1");
    has("nodeimg_firstboot_errors 0");
    assert!(!image.text(metrics).contains("nodeimg_firstboot_warnings 0"));
}
