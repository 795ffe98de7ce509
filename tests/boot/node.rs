//! A node with a seed, on its first boot and on the next.

use std::fs;

use super::support::guest::{Facts, Guest};
use super::support::image::manifest;
use super::{directory, image, seed};

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn amd64_comes_up_twice() {
    comes_up_twice("amd64", "x86_64");
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn arm64_comes_up_twice() {
    comes_up_twice("arm64", "aarch64");
}

fn comes_up_twice(arch: &str, machine: &str) {
    let Some(image) = image(arch) else { return };
    let directory = directory(arch);
    let seed = seed(&directory, "node-7");
    let boot = |name: &str| {
        let guest = Guest::new(&format!("{arch}-{name}"), &image);
        guest.seed(&seed).keep(&directory.join("keep")).facts()
    };
    let Some(first) = boot("first") else { return };
    first.is("machine", machine);
    is_healthy(&first);
    let root_hash = fs::read_to_string(image.join("root.roothash")).unwrap();
    root_is_verified(&first, root_hash.trim());
    runtime_is_up(&first);
    is_the_seeds_node(&first, "applied");
    has_its_writable_paths(&first, &image);
    first.is("counter", "1");

    let second = boot("second").unwrap();
    is_healthy(&second);
    root_is_verified(&second, root_hash.trim());
    is_the_seeds_node(&second, "unchanged");
    second.is("counter", "2");
    second.is("own-plugin", "/opt/cni/bin/of-the-test");
    for same in ["machine-id", "host-key"] {
        second.is(same, &first[same]);
    }
    // It takes room, and the next run begins anew.
    fs::remove_dir_all(directory).unwrap();
}

fn is_healthy(facts: &Facts) {
    facts.is("failed", "");
    facts.is("state", "running");
    facts.is("multi-user", "active");
    for unit in [
        "ssh",
        "systemd-networkd",
        "systemd-resolved",
        "systemd-journald",
        "dbus",
    ] {
        facts.is(&format!("unit-{unit}"), "active");
    }
    facts.has("address", &["10.0.2.15/24"]);
    facts.has("os-release", &["debian container-host "]);
    facts.is("forwarding", "1 1");
    facts.has("iptables", &["-N NODEIMG"]);
    assert_eq!(facts["machine-id"].len(), 32, "{}", &facts["machine-id"]);
}

fn root_is_verified(facts: &Facts, root_hash: &str) {
    facts.has("root", &["/dev/mapper/root squashfs ro,"]);
    facts.has("table", &[" verity 1 ", root_hash]);
    facts.has("cmdline", &[&format!("roothash={root_hash} ")]);
    // V: every block read so far was as the hash tree says.
    let status = &facts["verity"];
    assert!(status.ends_with(" verity V"), "{status}");
}

fn runtime_is_up(facts: &Facts) {
    facts.is("unit-containerd", "active");
    let plugins = &facts["plugins"];
    let words: Vec<&str> = plugins.split_whitespace().collect();
    for plugin in ["cri", "overlayfs"] {
        let at = words.iter().position(|word| *word == plugin);
        let at = at.unwrap_or_else(|| panic!("no plugin {plugin}: {plugins}"));
        assert_eq!(words[at + 2], "ok", "{plugin}: {plugins}");
    }
    facts.has("containerd", &["Server:"]);
    facts.has("loopback-plugin", &["supportedVersions"]);
}

fn is_the_seeds_node(facts: &Facts, outcome: &str) {
    facts.is("host-name", "node-7");
    facts.is("static-name", "node-7");
    facts.is("first-boot-unit", "active");
    facts.has(
        "first-boot",
        &[
            &format!(r#""outcome": "{outcome}""#),
            r#""instance_id": "i-node-7""#,
            "NoCloud",
        ],
    );
}

/// What the recipe calls writable is, what the manifest does not is not.
fn has_its_writable_paths(facts: &Facts, image: &std::path::Path) {
    let manifest = manifest(image);
    let writable = manifest["image"]["writable"].as_array().unwrap();
    assert!(writable.len() > 2, "{writable:?}");
    for path in writable {
        facts.is(&format!("writable-{}", path.as_str().unwrap()), "yes");
    }
    for path in ["/root", "/home", "/tmp", "/run"] {
        facts.is(&format!("writable-{path}"), "yes");
    }
    for path in ["/", "/usr", "/usr/local"] {
        facts.is(&format!("writable-{path}"), "no");
    }
    facts.has("var", &["ext4 rw"]);
    facts.is("etc", "overlay");
    facts.is("tmp", "tmpfs");
    facts.has("partitions", &["esp", "root-a", "state"]);
}
