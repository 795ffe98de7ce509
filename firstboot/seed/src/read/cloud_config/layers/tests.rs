//! Which layer counts.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::read_seed;
use crate::contract::profile::container_host;
use crate::read::cloud_config::UserData;
use crate::read::seed::{Layout, Seed, SeedFile};
use crate::text::jinja::Value;
use crate::text::problem::Problems;

fn run(layout: Layout, user: &str, first: &str, second: &str) -> (Option<UserData>, Vec<String>) {
    let file = |name: &str, text: &str| (!text.is_empty()).then(|| SeedFile::new(name, text));
    let seed = Seed {
        user_data: file("user", user),
        vendor_data: file("vendor", first),
        vendor_data2: file("vendor2", second),
        ..Seed::new(layout, SeedFile::new("meta", ""))
    };
    let mut problems = Problems::new();
    let data = read_seed(&seed, &Value::None, &container_host::PROFILE, &mut problems);
    (data, problems.iter().map(ToString::to_string).collect())
}

/// Without problems, but that keys of a lower layer have no effect.
fn good(layout: Layout, user: &str, first: &str, second: &str) -> UserData {
    let (data, problems) = run(layout, user, first, second);
    let mut others = problems.iter();
    assert!(
        others.all(|line| line.contains("has no effect")),
        "{problems:?}"
    );
    data.unwrap()
}

fn servers(data: &UserData) -> Vec<String> {
    let ntp = data.ntp.as_ref();
    let servers = ntp.map(|ntp| ntp.servers.iter().map(|server| server.value.clone()));
    servers.into_iter().flatten().collect()
}

#[test]
fn user_data_counts_and_vendor_data_fills_in() {
    let user = "#cloud-config\nhostname: mine\nntp: {servers: [a]}\n";
    let vendor =
        "#cloud-config\nhostname: theirs\ntimezone: Etc/UTC\nntp: {servers: [b], pools: [p]}\n";
    let data = good(Layout::NoCloud, user, vendor, "");
    assert_eq!(data.hostname.as_ref().unwrap().value, "mine");
    assert_eq!(data.timezone.as_ref().unwrap().value, "Etc/UTC");
    assert_eq!(servers(&data), ["a"]);
    assert_eq!(data.ntp.unwrap().pools[0].value, "p");
    let (_, told) = run(Layout::NoCloud, user, vendor, "");
    assert_eq!(
        told,
        [
            "vendor:2: hostname: has no effect: that of user is kept",
            "vendor:4: ntp.servers: has no effect: that of user is kept"
        ]
    );
    // And without user-data, or with vendor-data switched off.
    let alone = good(Layout::NoCloud, "", vendor, "");
    assert_eq!(alone.hostname.unwrap().value, "theirs");
    let off = format!("{user}vendor_data: {{enabled: false}}\n");
    assert!(good(Layout::NoCloud, &off, vendor, "").timezone.is_none());
    assert!(
        good(Layout::NoCloud, &off, "garbage", "")
            .timezone
            .is_none()
    );
}

#[test]
fn vendors_scripts_come_first() {
    let data = good(
        Layout::NoCloud,
        "#!/bin/sh\nmine\n",
        "#!/bin/sh\ntheirs\n",
        "",
    );
    let texts: Vec<&str> = data
        .scripts
        .iter()
        .map(|script| script.text.expose())
        .collect();
    assert_eq!(texts, ["#!/bin/sh\ntheirs\n", "#!/bin/sh\nmine\n"]);
    assert!(data.secret);
}

#[test]
fn openstacks_is_json() {
    let config = |host: &str| format!("\"#cloud-config\\nhostname: {host}\\n\"");
    let host = |first: &str, second: &str| {
        let data = good(Layout::ConfigDrive, "", first, second);
        data.hostname.map(|name| name.value)
    };
    for (first, expected) in [
        (config("a"), Some("a")),
        (format!("{{\"cloud-init\": {}}}", config("a")), Some("a")),
        (format!("[{}, {}]", config("a"), config("b")), Some("b")),
        ("{\"other\": {\"a\": [1]}}".to_owned(), None),
        ("{}".to_owned(), None),
        ("null".to_owned(), None),
    ] {
        assert_eq!(host(&first, "").as_deref(), expected, "{first}");
    }
    let (_, told) = run(Layout::ConfigDrive, "", "{\"other\": {\"a\": [1]}}", "");
    assert_eq!(
        told,
        ["vendor: other: has no effect: only `cloud-init` is read"]
    );
    // Data made for the machine takes precedence over data made for all.
    assert_eq!(host(&config("a"), &config("b")).as_deref(), Some("b"));
}

#[test]
fn what_cannot_be_read_is_said_with_a_way_out() {
    for (layout, vendor, expected) in [
        (
            Layout::NoCloud,
            "garbage",
            "vendor:1: is in an unknown format",
        ),
        (
            Layout::NoCloud,
            "#cloud-config\na: [",
            "vendor:2: is not valid YAML",
        ),
        (Layout::ConfigDrive, "garbage", "vendor: is not valid JSON"),
        (
            Layout::ConfigDrive,
            "{\"cloud-init\": {}}",
            "is neither text nor a list",
        ),
        (Layout::ConfigDrive, "[5]", "is neither text nor a list"),
    ] {
        let (data, problems) = run(layout, "", vendor, "");
        assert!(
            data.is_none() && problems[0].contains(expected),
            "{problems:?}"
        );
        let hint = problems.last().unwrap();
        assert!(
            hint.contains("add `vendor_data: {enabled: false}`"),
            "{hint}"
        );
    }
}
