//! A node that is set up stays set up, whatever its seed's place answers later and whatever
//! is lost of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;

use common::{Image, Ran};

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

/// The operator's word.
fn reprovision(image: &Image) {
    let root = image.path().display().to_string();
    let ran = Ran::new(&["reprovision", "--yes", "--root", &root].map(str::to_owned));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(image.has("var/lib/nodeimg/reprovision"), "{}", ran.out);
}

fn is_stamp(image: &Image) -> bool {
    image.has(STAMP) && image.text(STAMP).contains("\"instance_id\":\"a\"")
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
        if user.is_some() {
            assert_eq!(image.run(&[]).code, 0);
            assert_eq!(image.text("etc/hostname"), "n\n", "{title}");
            assert_eq!(image.result()["outcome"], "unchanged", "{title}");
            reprovision(&image);
        }
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
            if both && !is_stamp(&image) {
                reprovision(&image);
            }
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

const ALICES: &str = "etc/ssh/authorized_keys.d/alice";
const RULES: &str = "etc/sudoers.d/90-nodeimg-users";

/// A node with the account of alice, and its seed is still there.
fn with_alice() -> Image {
    let image = Image::host();
    keep_seed(&image, true);
    image.write("etc/shadow", "root:*::0:99999:7:::\n");
    let more = "- {path: /var/lib/alice/.ssh/authorized_keys, content: k}\n- {path: /etc/sudoers.d/mine, content: 'root ALL=(ALL) ALL'}\n";
    image.seed(alice("n") + more, "instance-id: a\n");
    assert_eq!(image.run(&[]).code, 0);
    image
}

/// Whatever else is lost, and wherever a repair is cut short.
#[test]
fn what_was_revoked_stays_revoked() {
    let granting = [
        ALICES,
        RULES,
        "var/lib/alice/.ssh/authorized_keys",
        "etc/sudoers.d/mine",
    ];
    for lost in [
        "etc/hosts",
        "etc/hostname",
        "etc/ssh/sshd_config.d/50-nodeimg-keys.conf",
    ] {
        for cut in [false, true] {
            let image = with_alice();
            let passwd = "root:x:0:0:root:/root:/bin/bash\n";
            image.write("etc/passwd", passwd);
            image.write("etc/shadow", "root:!::0:99999:7:::\n");
            for path in granting.iter().chain(&[lost]) {
                fs::remove_file(image.path().join(path)).unwrap();
            }
            if cut {
                image.write(
                    "var/lib/nodeimg/pending.json",
                    "{\"version\":1,\"files\":[],\"repair\":true}",
                );
            }
            assert_eq!(image.run(&[]).code, 0);
            let told = image.warnings();
            assert!(image.has(lost) && told.contains(lost), "{told}");
            assert_eq!(image.text("etc/passwd"), passwd, "{lost}");
            assert!(image.text("etc/shadow").starts_with("root:!:"), "{lost}");
            for path in granting {
                assert!(!image.has(path), "{lost}, {cut}: {path}");
                assert!(told.contains(path), "{told}");
            }
            assert!(told.contains("nodeimg-firstboot reprovision"), "{told}");
            assert!(!image.has("var/lib/nodeimg/pending.json"));
            assert_eq!(image.run(&[]).code, 0);
            assert_eq!(image.result()["outcome"], "unchanged", "{lost}");
            assert!(!image.has(ALICES));
            // The deliberate way.
            reprovision(&image);
            assert_eq!(image.run(&[]).code, 0);
            assert!(granting.iter().all(|path| image.has(path)), "{lost}");
            assert!(image.text("etc/passwd").contains("alice"));
        }
    }
}

/// A node cannot do without them, and the seed's accounts may have been removed.
#[test]
fn lost_tables_of_accounts_are_the_images_again() {
    let image = with_alice();
    for path in ["etc/passwd", "etc/shadow", "etc/hosts"] {
        fs::remove_file(image.path().join(path)).unwrap();
    }
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(
        image.text("etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\n"
    );
    assert!(image.has(ALICES) && image.has("etc/hosts"));
    let told = image.warnings();
    assert!(told.contains("is the image's again"), "{told}");
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["outcome"], "unchanged");
}

/// An `/etc` that does not outlive a boot has lost everything: that is more than a repair.
#[test]
fn a_volatile_etc_gets_all_of_its_seed_again() {
    let image = with_alice();
    fs::remove_dir_all(image.path().join("etc")).unwrap();
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/shadow", "root:*::0:99999:7:::\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/ssh/x", ""),
        ("etc/containerd/config.toml", "x"),
    ] {
        image.write(path, text);
    }
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["outcome"], "applied");
    assert!(image.text("etc/passwd").contains("alice"));
    assert!(
        image.has(ALICES) && image.has(RULES),
        "{}",
        image.warnings()
    );
}

/// Without a record it cannot be told whose node it is, so only the operator's word counts.
#[test]
fn a_node_that_has_lost_its_records_takes_no_seed_by_itself() {
    for gone in [
        &[][..],
        &["etc/ssh", "etc/sudoers.d"],
        &["var/lib/nodeimg/original", "etc/ssh", "etc/sudoers.d"],
    ] {
        for (title, id, host) in [("its own", "a", "n"), ("another", "b", "b")] {
            let image = with_alice();
            for path in [STAMP, RECORD] {
                fs::remove_file(image.path().join(path)).unwrap();
            }
            for path in gone {
                fs::remove_dir_all(image.path().join(path)).unwrap();
            }
            let user = format!("#cloud-config\nhostname: {host}\n");
            image.seed(user, &format!("instance-id: {id}\n"));
            for _ in 0..2 {
                let before = image.written();
                let ran = image.run(&[]);
                assert_eq!(ran.code, 0, "{title}: {}", ran.reason());
                let told = image.warnings();
                assert_eq!(image.result()["outcome"], "unchanged", "{title}: {told}");
                assert!(told.contains("takes no seed by itself"), "{told}");
                assert!(told.contains("nodeimg-firstboot reprovision"), "{told}");
                assert_eq!(image.text("etc/hostname"), "n\n");
                assert!(image.text("etc/passwd").contains("alice"));
                let outside = |files: Vec<String>| -> Vec<String> {
                    files
                        .into_iter()
                        .filter(|file| !file.starts_with("run/"))
                        .collect()
                };
                assert_eq!(outside(image.written()), outside(before), "{title}");
            }
            assert_eq!(image.status(&[]).code, 3);
            reprovision(&image);
            assert_eq!(image.run(&[]).code, 0);
            assert_eq!(image.result()["instance_id"], id);
            assert_eq!(image.text("etc/hostname"), format!("{host}\n"));
            if !gone.contains(&"var/lib/nodeimg/original") {
                assert!(!image.text("etc/passwd").contains("alice"), "{title}");
            }
        }
    }
}

/// A power cut in the first run, before its note: copies of originals, and nothing else.
#[test]
fn a_first_run_that_was_cut_short_goes_on_with_its_seed() {
    for note in [false, true] {
        let image = Image::host();
        image.seed(alice("n"), "instance-id: a\n");
        let passwd = image.text("etc/passwd");
        image.write("var/lib/nodeimg/original/etc/passwd", passwd);
        image.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        if note {
            image.write(
                "var/lib/nodeimg/pending.json",
                "{\"version\":1,\"files\":[\"/etc/hosts\",\"/etc/hostname\"]}",
            );
            image.write("etc/hostname", "n\n");
            image.write("etc/hosts", "127.0.1.1 n\n");
            image.write(RULES, "alice ALL=(ALL) NOPASSWD:ALL\n");
        }
        assert_eq!(image.run(&[]).code, 0);
        assert_eq!(
            image.result()["outcome"],
            "applied",
            "{note}: {}",
            image.warnings()
        );
        assert!(image.text("etc/passwd").contains("alice"));
    }
}
