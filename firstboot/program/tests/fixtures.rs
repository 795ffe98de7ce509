//! Seeds as other projects make them, each with what a correct reader does.
//!
//! They are not in this repository: `NODEIMG_FIXTURES` names the directory that
//! has `first-boot/CASE/{CASE.toml,cidata/,config-2/}`. Without it the test is
//! skipped and says so.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::path::{Path, PathBuf};

use common::{Image, Ran};
use nodeimg_test_support::seeds;

/// The decision for cases that leave it open, or ask for more than this reader refuses.
const DECIDED: &[(&str, bool)] = &[
    // YAML 1.1: `no` is a boolean, and a host name must be text.
    ("bad-norway-booleans", false),
    // As cloud-init: the mode is taken as written.
    ("bad-perms-setuid", true),
    // A single MIME message is read like any other.
    ("ci-filter-cloud-multipart-header", true),
    // User-data that is not understood is refused, not ignored.
    ("doc-plain-ignored", false),
    // A node without a name is refused.
    ("meta-network-config-no-mac", false),
    // The interpreter is a relative path.
    ("userdata-script-crlf", false),
    // `/usr` and `/` are sealed; see `contents` for an image in which they are not.
    ("write-files-binary-tags", false),
];

struct Case {
    name: String,
    directory: PathBuf,
    verdict: String,
    section: String,
}

fn cases() -> Option<Vec<Case>> {
    let Some(base) = std::env::var_os("NODEIMG_FIXTURES") else {
        println!("skipped: NODEIMG_FIXTURES does not name the directory of the fixtures");
        return None;
    };
    let base = Path::new(&base).join("first-boot");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&base).unwrap() {
        let directory = entry.unwrap().path();
        let text = std::fs::read_to_string(directory.join("CASE.toml")).unwrap();
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap().trim_matches([' ', '=', '"']).to_owned()
        };
        cases.push(Case {
            name: directory.file_name().unwrap().to_str().unwrap().to_owned(),
            verdict: value("verdict"),
            section: value("section"),
            directory,
        });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    Some(cases)
}

/// A disk image with nothing in it but what a seed may ask for.
fn image() -> Image {
    let image = Image::new();
    image.write(
        "usr/lib/nodeimg/firstboot.json",
        seeds::SETTINGS
            .replace("hard-way", "container-host")
            .replace("[\"/etc\"]", "[\"/etc\", \"/var\"]"),
    );
    std::fs::remove_dir_all(image.path().join("usr/lib/nodeimg/templates")).unwrap();
    image.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nsys:x:3:3:sys:/dev:/usr/sbin/nologin\n",
    );
    image.write("etc/group", "root:x:0:\nusers:x:100:\n");
    image.write("tmp/existing-path", "before\n");
    image
}

fn apply(image: &Image, case: &Path) -> Ran {
    let no_cloud = case.join("cidata");
    let seed = if no_cloud.exists() {
        no_cloud
    } else {
        case.join("config-2")
    };
    image.run(&["--seed", seed.to_str().unwrap()])
}

#[test]
fn verdicts() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    for case in cases {
        let decided = DECIDED.iter().find(|(name, _)| *name == case.name);
        let good = match (decided, case.verdict.as_str()) {
            (Some((_, good)), _) => *good,
            (None, "APPLY" | "APPLY-PART" | "WARN") => true,
            (None, "REJECT") => false,
            (None, _) => continue,
        };
        let ran = apply(&image(), &case.directory);
        assert!(ran.code == 0 || ran.code == 1, "{}", case.name);
        if (ran.code == 0) != good {
            wrong.push(format!(
                "{} ({}, {}):\n{}{}",
                case.name, case.verdict, case.section, ran.out, ran.err
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong verdicts:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What a case writes: path, mode, text.
const CONTENTS: &[(&str, &str, u32, &str)] = &[
    (
        "capi-worker-join",
        "run/kubeadm/kubeadm-join-config.yaml",
        0o640,
        "---\nmy-join-config\n",
    ),
    (
        "capi-worker-join",
        "var/lib/nodeimg/bootcmd",
        0o700,
        "#!/bin/sh\necho $(date)\necho 'hello BootCommands!'\n",
    ),
    (
        "capi-worker-join",
        "var/lib/nodeimg/scripts/900-runcmd",
        0o700,
        "#!/bin/sh\n\"echo $(date) ': hello PreKubeadmCommands!'\"\nkubeadm join --config /run/kubeadm/kubeadm-join-config.yaml  && echo success > /run/cluster-api/bootstrap-success.complete\necho $(date) ': hello PostKubeadmCommands!'\n",
    ),
    ("capi-cp-init-encodings", "tmp/my-path", 0o644, "hi"),
    ("capi-cp-init-encodings", "tmp/my-other-path", 0o644, "hi\n"),
    (
        "capi-cp-init-encodings",
        "tmp/existing-path",
        0o644,
        "before\nhi\n",
    ),
    (
        "capi-cp-init-encodings",
        "run/kubeadm/kubeadm.yaml",
        0o640,
        "---\nmy-cluster-config\n---\nmy-init-config\n",
    ),
    ("capv-worker-join", "etc/hostname", 0o644, "test-vm\n"),
    (
        "capv-worker-join",
        "etc/sudoers.d/90-nodeimg-users",
        0o440,
        "capv ALL=(ALL) NOPASSWD:ALL\n",
    ),
    ("bad-unknown-keys-everywhere", "var/party", 0o644, "fun"),
    (
        "bad-unknown-keys-everywhere",
        "etc/hostname",
        0o644,
        "foo\n",
    ),
    (
        "bad-perms-setuid",
        "tmp/special.file",
        0o4711,
        "hello world\n",
    ),
    (
        "proxmox-afterburn-static-no-gateway",
        "etc/hostname",
        0o644,
        "dummy\n",
    ),
    ("userdata-empty", "etc/hostname", 0o644, "cloudimg\n"),
    (
        "write-files-binary-tags",
        "usr/bin/hello",
        0o755,
        "#!/bin/sh\necho hello world\n",
    ),
    ("write-files-binary-tags", "wark", 0o755, "foobar\n"),
    (
        "write-files-binary-tags",
        "tmp/message",
        0o644,
        "hi mom line 1\nhi mom line 2\n",
    ),
];

/// What a case's report names.
const SAID: &[(&str, &str)] = &[
    ("bad-duplicate-key-nested", "user-data:5"),
    ("bad-huge-numbers", "ntp: is text, not a mapping"),
    (
        "bad-tab-indent",
        "user-data:3: is not valid YAML (column 2)",
    ),
    (
        "bad-yaml-parse-error",
        "user-data:2: is not valid YAML (column 3)",
    ),
    (
        "bad-unknown-keys-everywhere",
        "user-data:2: coreos: is not read",
    ),
    (
        "bad-unknown-keys-everywhere",
        "section_unknown: is not read",
    ),
    ("bad-unknown-keys-everywhere", "bare_unknown: is not read"),
    (
        "bad-unknown-keys-everywhere",
        "write_files.file_unknown: is not read",
    ),
    (
        "bad-unknown-keys-everywhere",
        "users.user_unknown: is not read",
    ),
    (
        "bad-unknown-keys-everywhere",
        "users.passwd: is not applied",
    ),
    (
        "bad-write-files-hyphen",
        "write-files: is not a cloud-config key",
    ),
    ("doc-cc-disk-setup", "appears twice"),
    ("doc-cc-user-groups", "users.snapuser: is not read"),
    ("doc-cc-user-groups", "users.selinux_user: is not read"),
    (
        "jinja-hyphen-is-subtraction",
        "user-data:3: asks for `ds.meta_data.local-hostname`, which jinja reads as a subtraction; write `ds.meta_data.local_hostname`",
    ),
    (
        "proxmox-afterburn-static-no-gateway",
        "password: is not applied",
    ),
    ("userdata-base64-whole", "is base64 text"),
    ("userdata-literal-backslash-n", "written out"),
];

#[test]
fn contents() {
    let Some(cases) = cases() else { return };
    for case in cases {
        let image = image();
        if case.name == "write-files-binary-tags" {
            let settings = image.text("usr/lib/nodeimg/firstboot.json");
            let settings = settings.replace("\"/var\"", "\"/\"");
            image.write("usr/lib/nodeimg/firstboot.json", settings);
        }
        let ran = apply(&image, &case.directory);
        for (_, path, mode, text) in CONTENTS.iter().filter(|row| row.0 == case.name) {
            assert_eq!(ran.code, 0, "{}: {}", case.name, ran.err);
            assert_eq!(image.text(path), *text, "{}: {path}", case.name);
            assert_eq!(image.mode(path), *mode, "{}: {path}", case.name);
        }
        let said: Vec<String> = image.result()["problems"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|problem| {
                let of = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
                let key = of("key");
                let key = if key.is_empty() {
                    key
                } else {
                    format!("{key}: ")
                };
                format!(
                    "{}:{}: {key}{}; {}",
                    of("file"),
                    problem["line"],
                    of("reason"),
                    of("remedy")
                )
            })
            .collect();
        for (_, expected) in SAID.iter().filter(|row| row.0 == case.name) {
            assert!(
                said.iter().any(|line| line.contains(expected)),
                "{}: {expected}: {said:#?}",
                case.name
            );
        }
    }
}
