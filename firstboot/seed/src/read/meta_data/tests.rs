#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{MetaData, read};
use crate::read::seed::{Layout, Seed, SeedFile};
use crate::text::problem::Problems;

fn run(layout: Layout, text: &str, user_data: &str) -> (Option<MetaData>, Vec<String>) {
    let mut problems = Problems::new();
    let mut seed = Seed::new(layout, SeedFile::new("meta", text));
    seed.user_data = Some(SeedFile::new("user", user_data));
    let meta = read(&seed, &mut problems);
    (meta, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn identity_and_name() {
    use Layout::{ConfigDrive, NoCloud};
    for (layout, text, id, name) in [
        (
            NoCloud,
            "instance-id: i-1\nlocal-hostname: n",
            "i-1",
            Some("n"),
        ),
        (
            NoCloud,
            "{\"instance-id\": \"i-1\", \"hostname\": \"n\"}",
            "i-1",
            Some("n"),
        ),
        (
            NoCloud,
            "instance-id: 007\nhostname: b\nlocal-hostname: b\nregion: 1",
            "007",
            Some("b"),
        ),
        (
            ConfigDrive,
            "{\"uuid\": \"u\", \"hostname\": \"h\", \"name\": \"n\", \"meta\": []}",
            "u",
            Some("h"),
        ),
        (
            ConfigDrive,
            "{\"uuid\": \"u\", \"name\": \"n\"}",
            "u",
            Some("n"),
        ),
        (
            ConfigDrive,
            "{\"uuid\": \"u\", \"hostname\": \"\"}",
            "u",
            None,
        ),
    ] {
        let (meta, problems) = run(layout, text, "");
        let meta = meta.unwrap_or_else(|| panic!("{text}: {problems:?}"));
        assert_eq!(meta.instance_id, id, "{text}");
        assert_eq!(
            meta.hostname.map(|name| name.value).as_deref(),
            name,
            "{text}"
        );
        assert!(problems.is_empty(), "{text}: {problems:?}");
    }
}

#[test]
fn told() {
    use Layout::{ConfigDrive, NoCloud};
    for (layout, text, expected) in [
        (
            NoCloud,
            "local-hostnam: n",
            "meta:1: local-hostnam: has no effect but in templates that ask for it; did you mean `local-hostname`?",
        ),
        (
            ConfigDrive,
            "{\"uuid\": \"u\", \"uid\": 1}",
            "meta: uid: has no effect but in templates that ask for it; did you mean `uuid`?",
        ),
        (
            NoCloud,
            "local-hostname: a\nhostname: b",
            "meta:2: hostname: has no effect: `local-hostname` names this node",
        ),
        (
            ConfigDrive,
            "{\"uuid\": \"u\", \"public_keys\": {\"k\": 5}}",
            "meta: public_keys.k: is not the text of a key, and has no effect",
        ),
        (
            NoCloud,
            "public-keys: ['']",
            "meta:1: public-keys: is empty and has no effect",
        ),
        (
            NoCloud,
            "local-hostname: 0x10",
            "meta:1: local-hostname: is a number in YAML",
        ),
    ] {
        let (meta, problems) = run(layout, text, "");
        assert!(meta.is_some(), "{text}");
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{text}: {problems:?}");
    }
}

#[test]
fn refused() {
    use Layout::{ConfigDrive, NoCloud};
    let long = format!("instance-id: {}", "x".repeat(300));
    let deep = format!(
        "{{\"uuid\": \"u\", \"meta\": {}{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    for (layout, text, expected) in [
        (ConfigDrive, deep.as_str(), "nested more than 127 levels"),
        (NoCloud, "- a", "meta:1: is a list, not a mapping"),
        (NoCloud, "a: 1\na: 2", "meta:2: is not valid YAML"),
        (NoCloud, long.as_str(), "longer than 256"),
        (ConfigDrive, "", "ends too early"),
        (ConfigDrive, "non-json garbage {}", "is not valid JSON"),
        (ConfigDrive, "{\"uuid\": 5}", "is not an object with text"),
        (ConfigDrive, "{}", "has no `uuid`"),
    ] {
        let (meta, problems) = run(layout, text, "");
        assert!(
            meta.is_none() && problems[0].contains(expected),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn a_missing_identity_comes_from_the_bytes() {
    let id = |user_data| run(Layout::NoCloud, "", user_data).0.unwrap().instance_id;
    assert_eq!(id("a"), id("a"));
    assert_ne!(id("a"), id("b"));
    assert_eq!(id("a").len(), "seed-".len() + 32);
}

/// cloud-init would not use the seed.
#[test]
fn a_mode_that_has_no_effect_is_told() {
    for (mode, told) in [
        ("local", 0),
        ("net", 0),
        ("disabled", 1),
        ("pass", 1),
        ("[net]", 1),
    ] {
        let text = format!("instance-id: i\ndsmode: {mode}");
        let (_, problems) = run(Layout::NoCloud, &text, "");
        assert_eq!(problems.len(), told, "{mode}: {problems:?}");
        assert!(
            problems
                .iter()
                .all(|problem| problem.contains("dsmode: has no effect")),
            "{problems:?}"
        );
    }
}
