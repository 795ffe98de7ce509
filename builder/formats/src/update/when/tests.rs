use std::process::Command;

use super::{calendar, source, span, window, zone};

/// systemd's own word; `None` without its program.
fn systemd_takes(text: &str) -> Option<bool> {
    let output = Command::new("systemd-analyze")
        .args(["calendar", "--", text])
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output();
    output.ok().map(|output| output.status.success())
}

fn agrees(text: &str) {
    let mine = calendar(text).is_ok();
    match systemd_takes(text) {
        Some(theirs) => assert_eq!(mine, theirs, "`{text}`: systemd-analyze says {theirs}"),
        None => assert!(
            std::env::var_os("CI").is_none(),
            "systemd-analyze is missing"
        ),
    }
}

#[test]
fn times_are_what_systemd_takes() {
    for text in [
        "daily",
        "WEEKLY UTC",
        "bi-annually",
        "half-yearly",
        "daily Europe/Berlin",
        "Mon",
        "mon..fri",
        "Mon-Fri 10:00",
        "Sat,Sun 02:00",
        "Sat,",
        "Mon,,Tue",
        "Tue..Mon",
        "Thursd 1:0",
        "10",
        "10:00",
        "10:*:*",
        "*:0/15",
        "*/15:00",
        "*",
        "*-*",
        "*-*~3",
        "*-*~1..3",
        "*-*~3..1",
        "*-02~29",
        "*-02~7/7",
        "*-02~8/7",
        "*-02~03",
        "2~3",
        "12-24",
        "13-1",
        "24-1",
        "1-1-1-1",
        "@123",
        "Mon @123",
        "@-1",
        "@1 2:00",
        "02..05:00",
        "5..3:00",
        "5..6/2:00",
        "5/0:00",
        "10/13:00",
        "10/14:00",
        "24:00",
        "23:59:59.999999",
        "*:*:60",
        "1:2:3:4",
        "1:",
        ":1",
        "-1:00",
        "+1:00",
        "99-1-1",
        "100-1-1",
        "1969-1-1",
        "2199-1-1",
        "2200-1-1",
        "2026/2-1-1",
        "*,1:00",
        "2026-01-01T10:00",
        "2026-01-01 10:00",
        "Sun *-*-1..7 03:00",
        "Sun daily",
        "Mon10:00",
        "Sun UTC",
        "UTC",
        "*-*-1..5/2,7",
        "10:00:1/59",
        "10:00:1.5/0.5",
        "daily;",
        "",
        "tomorrow",
        "Sun 3am",
        "0 3 * * *",
        "every day",
        "03:00 Europe/Nowhere/",
    ] {
        agrees(text);
    }
}

/// What people type, put together from parts; always the same ones.
#[test]
fn times_of_all_kinds_are_what_systemd_takes() {
    const DAYS: [&str; 8] = [
        "",
        "",
        "Sun ",
        "Mon..Fri ",
        "Sat,Sun ",
        "Fri..Mon ",
        "Weekday ",
        "tue, ",
    ];
    const DATES: [&str; 12] = [
        "",
        "",
        "*-*-* ",
        "*-*-1 ",
        "*-1/3-1 ",
        "*-*-32 ",
        "1..4-1 ",
        "*-*~1/5 ",
        "2026-12-24 ",
        "1-2..1 ",
        "*-0-1 ",
        "*-2,4,13-1 ",
    ];
    const HOURS: [&str; 8] = ["0", "03", "1..5", "*", "0/6", "25", "22..2", "1,13"];
    const REST: [&str; 8] = [
        ":0",
        ":00:00",
        ":0/5",
        ":60",
        ":*:*",
        "",
        ":30:1.25",
        ":0..59/7:0",
    ];
    let mut seed = 19_u64;
    let mut pick = |of: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % of
    };
    for _ in 0..150 {
        agrees(&format!(
            "{}{}{}{}",
            DAYS[pick(8)],
            DATES[pick(12)],
            HOURS[pick(8)],
            REST[pick(8)]
        ));
    }
}

#[test]
fn sources() {
    for good in [
        "/media/usb",
        "https://images.example/nodes/",
        "https://images.example",
        "http://[fd00::1]:8080/a/",
        "https://me:word@host/x/",
        "oci://registry.example/nodes/container-host",
        "oci://127.0.0.1:5000/a/b:13.0-20261121",
        "oci://[::1]:5000/a",
    ] {
        assert_eq!(source(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", "is not a source"),
        ("nodes/", "is not a source"),
        ("ftp://x/", "is not a source"),
        ("HTTPS://x/", "is not a source"),
        ("https://", "no host"),
        ("https:///nodes/", "no host"),
        ("https://host:port/", "no host"),
        ("https://host:99999/", "no host"),
        ("https://a b/", "no host"),
        ("https://[fe80::x]/", "no host"),
        ("https://host/a b", "characters"),
        ("/a\nb", "characters"),
        ("https://host/?list", "query"),
        ("oci://registry.example", "no repository"),
        ("oci://host/", "no repository"),
        ("oci://host/Nodes", "no repository"),
        ("oci://host/a:", "no repository"),
        ("oci://host/a@sha256:00", "no repository"),
        ("oci://host//a", "no repository"),
        ("-", "is not a source"),
    ] {
        let found = source(bad).unwrap_err();
        assert!(found.contains(why), "{bad}: {found}");
    }
}

#[test]
fn lengths_and_zones() {
    for (text, seconds) in [
        ("2h", 7200),
        ("90min", 5400),
        ("1h 30min", 5400),
        ("1 hour 5", 3605),
        ("1d", 86_400),
    ] {
        assert_eq!(span(text), Some(seconds), "{text}");
    }
    for bad in [
        "",
        "h",
        "0",
        "-1h",
        "1.5h",
        "2 weeks",
        "1h;",
        "99999999999999999999h",
    ] {
        assert_eq!(span(bad), None, "{bad}");
    }
    assert!(zone("Europe/Berlin") && zone("America/Argentina/Buenos_Aires") && zone("UTC"));
    assert!(
        !zone("Berlin") && !zone("Europe/") && !zone("../etc/passwd") && !zone("Europe/Berlin x")
    );
}

#[test]
fn windows_of_reboots() {
    assert_eq!(
        window("Sun 03:00", Some("2h"), Some("Europe/Berlin")),
        Ok(())
    );
    assert_eq!(window("never", None, None), Ok(()));
    for (when, duration, zone, which) in [
        ("sometimes", None, None, "window"),
        ("daily", Some("30"), None, "duration"),
        ("daily", Some("8d"), None, "duration"),
        ("daily", None, Some("Berlin"), "zone"),
        ("daily UTC", None, Some("Europe/Berlin"), "zone"),
    ] {
        assert_eq!(window(when, duration, zone).unwrap_err().0, which);
    }
}
