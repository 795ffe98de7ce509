//! The binary on bad seeds: each ends in a report that names the place and the remedy,
//! in bounded time, and no message holds a secret.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use common::Image;
use nodeimg_test_support::seeds::{self, META_DATA, user_data};

/// Bytes that must never be seen outside the files that are to hold them.
const SECRET: &[u8] = b"THE-SECRET-BYTES-OF-A-PRIVATE-KEY-THAT-MUST-NOT-BE-SEEN-ANYWHERE";

/// Directories that are nearly seeds: the files in them, and the message.
#[test]
fn near_misses_are_named() {
    for (files, expected) in [
        (
            &[][..],
            "holds neither `meta-data` and `user-data` nor `openstack/latest/meta_data.json`",
        ),
        (
            &["user-data.txt", "meta-data.txt"],
            "found `user-data.txt`, expected `user-data`",
        ),
        (
            &["User-Data", "Meta-Data"],
            "found `Meta-Data`, expected `meta-data`",
        ),
        (
            &["userdata", "metadata"],
            "found `metadata`, expected `meta-data`",
        ),
        (
            &["user_data", "meta_data.json"],
            "found `user_data`, expected `user-data`",
        ),
        (
            &["user-data", "metadata.yaml"],
            "holds `user-data` but no `meta-data`, and NoCloud needs both; found `metadata.yaml`",
        ),
        (&["meta-data"], "holds `meta-data` but no `user-data`"),
        (
            &["openstack/2018-08-27/meta_data.json"],
            "found `openstack/` with [\"2018-08-27\"] only, expected `openstack/latest/`",
        ),
        (
            &["OpenStack/latest/meta_data.json"],
            "found `OpenStack/`, expected `openstack/`",
        ),
        (
            &["openstack/latest/meta-data.json"],
            "found `openstack/latest/meta-data.json`, expected",
        ),
        (
            &["openstack/latest/user_data"],
            "found `openstack/latest/` without `meta_data.json`",
        ),
        (&["ec2/latest/meta-data.json"], "found an EC2 tree"),
        (
            &["cidata/user-data", "cidata/meta-data"],
            "found a seed one level down in `cidata/`",
        ),
    ] {
        let image = Image::new();
        let seed = tempfile::tempdir().unwrap();
        for file in files {
            let path = seed.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let ran = image.run(&["--seed", seed.path().to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{files:?}");
        let said = serde_json::to_string(&image.result())
            .unwrap()
            .replace("\\\"", "\"");
        assert!(said.contains(expected), "{files:?}: {said}");
    }
}

/// What a source finds beside what it takes.
#[test]
fn warnings_of_a_source_are_told() {
    let image = Image::host();
    let at = |name: &str| format!("var/lib/nodeimg/seed/openstack/{name}");
    let files = r#"[{"path": "/etc/x", "content_path": "/content/0000", "mode": "0600"}]"#;
    let text = format!(r#"{{"uuid": "u", "hostname": "n", "files": {files}}}"#);
    image.write(&at("latest/meta_data.json"), text);
    image.write(&at("latest/user-data"), "");
    image.write(&at("content/0000"), "x");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.reason());
    let told = image.warnings();
    assert!(told.contains("files[0].mode"), "{told}");
    assert!(
        told.contains("latest/user-data") && told.contains("`user_data`"),
        "{told}"
    );
}

#[test]
fn no_seed_and_no_image() {
    let image = Image::new();
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.reason().contains("var/lib/nodeimg/seed: is not there"),
        "{}",
        ran.err
    );
    let file = image.write("some-file", "");
    let ran = image.run(&["--seed", file.to_str().unwrap()]);
    assert!(
        ran.reason().contains("is a file; give the directory"),
        "{}",
        ran.err
    );
    std::fs::remove_file(image.path().join("usr/lib/nodeimg/firstboot.json")).unwrap();
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.reason().contains("this image has no first boot"),
        "{}",
        ran.err
    );
}

#[test]
fn templates_that_cannot_be_rendered() {
    for (path, text, expected) in [
        ("etc/x", "{{ nonsense }}", "no value named `nonsense`"),
        (
            "etc/x",
            "a\n{{ host_name",
            "templates/etc/x:2: line 2, column 1: `{{` is not closed",
        ),
        (
            "etc/hostname",
            "x",
            "renders to a file that first boot itself writes",
        ),
        ("etc/y", "\u{0}{{", "is not closed"),
    ] {
        let image = Image::new();
        image.seed(user_data(), META_DATA);
        image.write(&format!("usr/lib/nodeimg/templates/{path}"), text);
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{path}");
        let reason = image.result()["problems"][0].to_string();
        assert!(
            ran.reason().contains(expected) || reason.contains(expected),
            "{path}: {}",
            ran.err
        );
        let metrics = "run/nodeimg/metrics/nodeimg.prom 644";
        assert_eq!(image.written(), [metrics, "run/nodeimg/result.json 644"]);
    }
}

#[test]
fn bombs_end_soon() {
    let head = "#cloud-config\nhostname: n\n";
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    for (name, user) in [
        (
            "brackets",
            format!("{head}nodeimg: {}", "[".repeat(100_000)),
        ),
        ("laughs", format!("{head}{laughs}")),
        (
            "many keys",
            format!(
                "{head}nodeimg:\n{}",
                (0..150_000)
                    .map(|n| format!("  k{n}: 1\n"))
                    .collect::<String>()
            ),
        ),
        (
            "a problem a line",
            format!(
                "{head}nodeimg:\n{}",
                (0..40_000)
                    .map(|n| format!("  k{n}: 1\n"))
                    .collect::<String>()
            ),
        ),
        (
            "one long line",
            format!("{head}nodeimg: {{node_ip: {}}}", "1".repeat(3 << 20)),
        ),
        ("too large", format!("{head}# {}", "x".repeat(5 << 20))),
        ("mega key", format!("{head}{}: 1", "k".repeat(1 << 20))),
    ] {
        let image = Image::new();
        image.seed(user, META_DATA);
        let start = Instant::now();
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{name}");
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{name}: {:?}",
            start.elapsed()
        );
        assert!(
            ran.err.len() < 100_000,
            "{name}: a report of {} bytes",
            ran.err.len()
        );
    }
}

#[test]
fn hostile_names_and_kinds() {
    // A seed file that leads out of the seed, and one that is not a file.
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    let user = image.path().join("var/lib/nodeimg/seed/user-data");
    std::fs::remove_file(&user).unwrap();
    symlink("/etc/passwd", &user).unwrap();
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.reason()
            .contains("holds `meta-data` but no `user-data`"),
        "{}",
        ran.err
    );
    std::fs::remove_file(&user).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&user)
        .status()
        .unwrap();
    assert!(made.success());
    let ran = image.run(&[]);
    assert!(
        ran.reason()
            .contains("user-data: cannot be read: is not a regular file"),
        "{}",
        ran.err
    );
    // A root whose directories lead out.
    let image = Image::new();
    let outside = tempfile::tempdir().unwrap();
    image.seed(user_data(), META_DATA);
    symlink(outside.path(), image.path().join("etc")).unwrap();
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.reason()
            .contains("a dangling link, but must be a directory"),
        "{}",
        ran.err
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// Any ten characters of a secret count as a leak, plain or in base64.
fn leaks(secret: &str) -> impl Iterator<Item = String> {
    let parts = secret.as_bytes().windows(10);
    parts.map(|part| String::from_utf8(part.to_vec()).unwrap())
}

/// Ways in which a key ends up in the wrong place, and good runs.
#[test]
fn no_secret_is_said() {
    let good = user_data();
    // The seed's private key: the middle of its text, which no other key has.
    let encoded: String = seeds::key().lines().skip(1).take(2).collect();
    let encoded = encoded[48..].to_owned();
    let raw = String::from_utf8(SECRET.to_vec()).unwrap();
    let body: Vec<String> = seeds::key().lines().map(str::to_owned).collect();
    let users = [
        good.clone(),
        good.replace("PRIVATE KEY", "CERTIFICATE"),
        good.replace("    key: |", "    keys: |"),
        good.replace("    key: |\n", "    key:\n"),
        good.replace("    key: |\n", "    key: |\n  "),
        good.replace("      -----BEGIN PRIVATE", "     -----BEGIN PRIVATE"),
        good.replace("-----END PRIVATE KEY-----", ""),
        good.replace(
            "    key: |\n      -----BEGIN PRIVATE KEY-----\n",
            "    key: !tag |\n",
        ),
        format!("{good}  {raw}: 1\n"),
        format!("{good}  bootstrap_token: {raw}\n"),
        format!("{good}  {{{}}}\n", body[1]),
        format!("{good}  api_key: {}\n{}\n", body[1], body[2]),
        format!(
            "#cloud-config\nnodeimg: {{kubelet: {{{}: 1, key: [{}]}}}}\npassword: {raw}\nchpasswd: {{list: ['root:{raw}']}}\n",
            body[1], body[2]
        ),
        format!(
            "#cloud-config\nnodeimg:\n  kubelet:\n    kubeconfig: |\n      kind: Config\n      users: [{{name: x, user: {{token: {raw}}}}}]\n"
        ),
        format!("#cloud-config\nnodeimg:\n  kubelet:\n    kubeconfig: '{raw}: *{raw}'\n"),
        format!("{raw}\n"),
        format!("#!/bin/sh\necho {raw}\n"),
    ];
    let lines = body[1..body.len() - 1].iter().map(String::as_str);
    let parts: Vec<String> = [raw.as_str(), &encoded]
        .into_iter()
        .chain(lines)
        .flat_map(leaks)
        .collect();
    for (index, user) in users.iter().enumerate() {
        let image = Image::new();
        image.seed(user, META_DATA);
        let ran = image.run(&[]);
        assert_eq!(ran.code, i32::from(index != 0), "seed {index}: {}", ran.err);
        let mut said = vec![ran.out, ran.err, image.text("run/nodeimg/result.json")];
        for arguments in [&[][..], &["--json"]] {
            let status = image.status(arguments);
            said.extend([status.out, status.err]);
        }
        if index == 0 {
            said.push(image.text("var/lib/nodeimg/instance.json"));
        }
        for text in said {
            // The box breaks lines; look at the text as one.
            let joined: String = text
                .chars()
                .filter(|c| !c.is_whitespace() && *c != '|')
                .collect();
            let leak = parts.iter().find(|part| joined.contains(part.as_str()));
            assert!(leak.is_none(), "seed {index} says {leak:?}:\n{text}");
        }
    }
}
