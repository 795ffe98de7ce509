//! A node that is set up stays set up, whatever its seed's place answers later and whatever
//! is lost of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;

use common::Image;

const USER: &str = "#cloud-config\nhostname: n\nwrite_files: [{path: /etc/ok, content: x}]\n";
const SEED: &str = "var/lib/nodeimg/seed";
const STAMP: &str = "var/lib/nodeimg/instance.json";
const RECORD: &str = "var/lib/nodeimg/instance-copy.json";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV alice";

fn keep_seed(image: &Image, keep: bool) {
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    let mut settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    settings["keep_seed"] = keep.into();
    image.write("usr/lib/nodeimg/firstboot.json", settings.to_string());
}

fn alice(host: &str) -> String {
    format!(
        "#cloud-config\nhostname: {host}\nusers:\n- {{name: alice, sudo: 'ALL=(ALL) NOPASSWD:ALL', \
         ssh_authorized_keys: ['{KEY}']}}\nwrite_files:\n- {{path: /etc/motd, content: A}}\n"
    )
}

type Change = fn(&Image);

/// What becomes of the seed of instance `a`, and whether that is more than no seed.
const CHANGES: [(&str, Change, bool); 14] = [
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

/// Whatever is in the seed's place, a node that is set up starts.
#[test]
fn any_answer_but_a_valid_seed_of_a_new_instance_is_a_warning() {
    for (title, change, refused) in CHANGES {
        let image = Image::host();
        image.seed(alice("n"), "instance-id: a\n");
        assert_eq!(image.run(&[]).code, 0);
        let mut before = image.written();
        change(&image);
        for _ in 0..2 {
            let ran = image.run(&[]);
            assert_eq!(ran.code, 0, "{title}: {}", ran.reason());
            let told = image.warnings();
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
                let image = Image::host();
                keep_seed(&image, keep);
                image.seed(alice("n"), "instance-id: a\n");
                assert_eq!(image.run(&[]).code, 0);
                if !with_seed {
                    fs::remove_dir_all(image.path().join(SEED)).unwrap();
                }
                fs::remove_file(image.path().join(lost)).unwrap();
                let ran = image.run(&[]);
                let title = format!("{lost}, kept {keep}, seed {with_seed}");
                assert_eq!(ran.code, 0, "{title}: {}", ran.reason());
                let told = image.warnings();
                assert!(told.contains(lost), "{title}: {told}");
                assert_eq!(image.text("etc/hostname"), "n\n", "{title}");
            }
        }
    }
}

/// Without any record, the node is still known to be set up, whatever its seed has become.
#[test]
fn a_node_without_records_is_kept() {
    for (title, user) in [
        ("overwritten", None),
        ("gone", Some("")),
        ("broken", Some("<html>")),
    ] {
        let image = Image::host();
        keep_seed(&image, false);
        image.seed(alice("n"), "instance-id: a\n");
        assert_eq!(image.run(&[]).code, 0);
        assert_eq!(image.result()["scrub"], "overwritten");
        for path in [STAMP, RECORD] {
            image.write(path, "\0\0");
        }
        match user {
            None => {}
            Some("") => fs::remove_dir_all(image.path().join(SEED)).unwrap(),
            Some(user) => image.seed(user, "instance-id: b\n"),
        }
        for _ in 0..2 {
            let ran = image.run(&[]);
            assert_eq!(ran.code, 0, "{title}: {}", ran.reason());
            assert_eq!(image.result()["outcome"], "unchanged", "{title}");
            assert_eq!(image.result()["host_name"], "n", "{title}");
            assert!(image.text("etc/passwd").contains("alice"), "{title}");
        }
        if user.is_some() {
            let told = image.warnings();
            assert!(
                told.contains(STAMP) && told.contains("is damaged"),
                "{told}"
            );
        }
        image.seed("#cloud-config\nhostname: c\n", "instance-id: c\n");
        assert_eq!(image.run(&[]).code, 0);
        assert!(!image.text("etc/passwd").contains("alice"), "{title}");
        assert!(!image.has("etc/ssh/authorized_keys.d/alice"), "{title}");
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
            let image = Image::host();
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
    let image = Image::host();
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
    let image = Image::host();
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
