//! `nodeimg.registries`, alone and over what the image says.
use nodeimg_seed::check::registries;
use nodeimg_seed::contract::registries::{Format, Public};
use nodeimg_seed::plan;
use nodeimg_seed::text::problem::Problems;
use nodeimg_test_support::seeds;

use super::{Case, GROUND};

/// A good node with these lines below `nodeimg.registries`, from line 6 on.
fn with(lines: &str) -> Case {
    Case::with("  node_ip:", &format!("  registries:\n{lines}  node_ip:"))
}

/// Text of several lines as a YAML block.
fn block(key: &str, text: &str) -> String {
    let lines = text.lines().map(|line| format!("        {line}\n"));
    format!("      {key}: |\n{}", lines.collect::<String>())
}

#[test]
fn each_mistake_is_told_at_its_line() {
    let pem = seeds::ca();
    for (lines, expected) in [
        (
            "    a.example: {mirror: [https://m]}\n",
            "user-data:6: nodeimg.registries.a.example.mirror: is not a key of this version; did you mean `mirrors`?",
        ),
        (
            "    https://a.example: {plain_http: true}\n",
            "is a URL, not the name of a registry",
        ),
        (
            "    a.example/team: {mirrors: [https://m.example]}\n",
            "user-data:6: nodeimg.registries.a.example/team: is a part of a registry, and containerd has settings for whole registries only",
        ),
        (
            "    a.example:\n      mirrors:\n        - https://m.example\n        - m.example\n",
            "user-data:9: nodeimg.registries.a.example.mirrors: is not an http or https URL",
        ),
        (
            "    a.example:\n      fallback: false\n",
            "user-data:7: nodeimg.registries.a.example.fallback: leaves no place to pull from",
        ),
        (
            "    a.example:\n      username: me\n",
            "user-data:7: nodeimg.registries.a.example.username: has no `password` beside it",
        ),
        (
            "    a.example:\n      password: SECRET\n",
            "user-data:7: nodeimg.registries.a.example.password: has no `username` beside it",
        ),
        (
            "    a.example: {username: a, password: SECRET, token: SECRET}\n",
            "token: stands in place of `username` and `password`",
        ),
        (
            "    a.example: {token: \"SE\\nCRET\"}\n",
            "token: holds a line break",
        ),
        (
            "    a.example: {username: \"a:b\", password: SECRET}\n",
            "username: holds a colon",
        ),
        (
            "    _default: {username: a, password: SECRET}\n",
            "username: belongs to one registry, and this entry is for all others",
        ),
        (
            "    a.example:\n      ca: |\n        -----BEGIN CERTIFICATE-----\n        SECRET\n",
            "user-data:8: nodeimg.registries.a.example.ca: starts a block that does not end",
        ),
        (
            &format!(
                "    a.example:\n      plain_http: true\n{}",
                block("ca", &pem)
            ),
            "ca: has no effect with `plain_http`",
        ),
        (
            &format!("    a.example:\n{}", block("cert", &pem)),
            "cert: has no `key` beside it",
        ),
    ] {
        let case = with(lines);
        case.fails(expected);
        let (_, errors, _) = case.run();
        assert!(
            !errors.iter().any(|error| error.contains("SECRET")),
            "{errors:?}"
        );
    }
}

#[test]
fn a_key_must_be_that_of_its_certificate() {
    let (one, other) = (seeds::kubelet(), seeds::proxy());
    let pair = |key: &str| {
        with(&format!(
            "    a.example:\n{}{}",
            block("cert", &one.cert),
            block("key", key)
        ))
    };
    pair(&one.key).says_nothing();
    pair(&other.key).fails("key: does not belong to the certificate beside it");
}

/// What CRI-O has no words for; and what it has, and containerd has not.
#[test]
fn the_image_decides_what_can_be_said() {
    let mut case = with("    _default: {mirrors: [https://m.example]}\n");
    case.says_nothing();
    case.settings.registries.format = Format::Crio;
    case.fails("user-data:6: nodeimg.registries._default: is for all registries, and CRI-O has settings for registries by name only");
    let mut case = with("    docker.io/library: {mirrors: [https://m.example]}\n");
    case.settings.registries.format = Format::Crio;
    case.says_nothing();
}

/// Key by key: the image's mirrors stay, and use what the seed says of their host.
#[test]
fn a_seed_adds_to_its_image() {
    let mut case =
        with("    m.example: {username: me, password: pw}\n    docker.io: {fallback: false}\n");
    let hub = Public {
        mirrors: vec!["https://m.example/hub".to_owned()],
        ..Public::default()
    };
    case.settings
        .registries
        .hosts
        .insert("docker.io".to_owned(), hub);
    let node = case.good();
    let checked = node.registries.as_ref().unwrap();
    let names: Vec<String> = checked
        .entries
        .iter()
        .map(|entry| entry.name.whole())
        .collect();
    assert_eq!(names, ["docker.io", "m.example"]);
    assert!(matches!(
        checked.entries[1].login,
        Some(registries::Login::Password { .. })
    ));
    let plan = plan::plan(&node, &GROUND, &mut Problems::new()).unwrap();
    let hosts = plan
        .text("/etc/containerd/certs.d/docker.io/hosts.toml")
        .unwrap();
    assert!(
        hosts.contains("server = \"https://m.example/v2/hub\""),
        "{hosts}"
    );
    let file = |path: &str| plan.files.iter().find(|file| file.path == path).unwrap();
    assert_eq!(
        file("/etc/containerd/conf.d/50-nodeimg-registries.toml").mode,
        0o600
    );
    // Without a word of the seed, the image's own files stay.
    assert!(
        Case::with("  node_ip:", "  node_ip:")
            .good()
            .registries
            .is_none()
    );
}
