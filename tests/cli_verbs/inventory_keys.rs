//! Keys of an inventory that others read: Ironic an image's checksum, `nodeimg-update` where a
//! node's updates come from.
use std::fs;

use serde_json::Value;

use super::inventory::{folder, inventory, node, seed};

/// Metal3's rules of an image and its checksum, by its own code and that of Ironic's agent.
#[test]
fn an_image_of_metal3_has_a_checksum_that_ironic_takes() {
    let directory = folder("");
    let here = directory.path();
    let export = |keys: &str, name: &str| {
        inventory(here, &(node("a", "192.168.10.101") + keys));
        let (to, out) = (format!("metal3={name}"), format!("{name}.seeds"));
        let words = ["new", "--inventory", "nodes.toml", &out, "--export", &to];
        seed(here, &words)
    };
    let (short, long) = ("0a".repeat(32), "0B".repeat(64));
    let list = "https://images.example/SHA256SUMS";
    for (number, (sum, kind)) in [(&*short, "sha256"), (&*long, "sha512"), (list, "auto")]
        .into_iter()
        .enumerate()
    {
        let keys = format!("image = 'https://images.example/disk.raw'\nimage_checksum = '{sum}'\n");
        let name = format!("good{number}");
        export(&keys, &name).good();
        let text = fs::read_to_string(here.join(&name)).unwrap();
        let written: Value = serde_json::from_str(&text).unwrap();
        let image = &written["items"][1]["spec"]["image"];
        assert_eq!(image["checksum"], sum);
        assert_eq!(image["checksumType"], kind);
    }
    export("image = 'oci://registry.example/nodes/web:1'\n", "oci").good();
    let web = "image = 'https://images.example/disk.raw'\n";
    let md5 = "0c".repeat(16);
    let tagged = format!("sha256:{short}");
    for (keys, why) in [
        (web.to_owned(), "image_checksum"),
        (format!("{web}image_checksum = '{md5}'\n"), "SHA-256"),
        (format!("{web}image_checksum = '{tagged}'\n"), "SHA-256"),
        (format!("{web}image_checksum = 'SHA256SUMS'\n"), "SHA-256"),
        (
            format!("image = 'oci://registry.example/nodes/web:1'\nimage_checksum = '{short}'\n"),
            "takes no image_checksum",
        ),
    ] {
        export(&keys, "bad").refused(1, &["nodes.toml:", why]);
        assert!(!here.join("bad").exists() && !here.join("bad.seeds").exists());
    }
}

/// A node's own updates: by flags for all, by a line for one, judged as the node will.
#[test]
fn updates_of_nodes_come_from_flags_and_lines() {
    let two = node("a", "192.168.10.101")
        + "update_schedule = 'Sun 03:00'\nupdate_window = 'Sun 04:00'\nupdate_duration = '2h'\n\
           update_zone = 'Europe/Berlin'\n"
        + &node("b", "192.168.10.102");
    let directory = folder(&two);
    let here = directory.path();
    let recipe = "extends = 'hard-way'\nname = 'own'\n[update]\nsource = '/media'\n";
    fs::write(here.join("own.toml"), recipe).unwrap();
    let with = |more: &[&str], out: &str| {
        let mut words = vec![
            "new",
            "--recipe",
            "own.toml",
            "--inventory",
            "nodes.toml",
            out,
        ];
        words.extend(more);
        seed(here, &words)
    };
    let source = "oci://registry.example/nodes/own";
    with(&["--update-source", source], "out").good();
    let text = |node: &str| fs::read_to_string(here.join(format!("out/{node}/user-data"))).unwrap();
    let (a, b) = (text("a"), text("b"));
    for line in [
        "source: \"oci://registry.example/nodes/own\"",
        "schedule: \"Sun 03:00\"",
        "window: \"Sun 04:00\"",
        "duration: \"2h\"",
        "zone: \"Europe/Berlin\"",
    ] {
        assert!(a.contains(line), "{line}: {a}");
    }
    assert!(b.contains(source) && !b.contains("schedule"), "{b}");
    let checks = |words: &[&str]| {
        let mut all = vec!["check", "--recipe", "own.toml"];
        all.extend(words);
        seed(here, &all)
    };
    checks(&["out/a"]).good();
    checks(&["--inventory", "nodes.toml"]).good();

    // Each value is judged, wherever it comes from, before anything is written.
    for (flag, value, why) in [
        ("--update-source", "ftp://x", "source"),
        ("--update-schedule", "sometimes", "schedule"),
        ("--update-window", "25:00", "window"),
        ("--update-zone", "Mars", "zone"),
    ] {
        let ran = with(&[flag, value], "bad");
        assert_eq!(ran.code, Some(1), "{flag} {value}: {}", ran.err);
        assert!(ran.err.contains(why), "{flag}: {}", ran.err);
        assert!(!here.join("bad").exists());
    }
    fs::write(
        here.join("key.pub"),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    )
    .unwrap();
    let ran = with(&["--update-key", "key.pub"], "bad");
    assert!(ran.err.contains("is not a seed's to say"), "{}", ran.err);
    inventory(
        here,
        &(node("c", "192.168.10.103") + "update_schedule = 'sometimes'\n"),
    );
    let ran = checks(&["--inventory", "nodes.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("schedule"), "{}", ran.err);
    inventory(
        here,
        &(node("c", "192.168.10.103") + "update_shedule = 'never'\n"),
    );
    checks(&["--inventory", "nodes.toml"])
        .refused(1, &["nodes.toml:", "did you mean `update_schedule`?"]);
}
