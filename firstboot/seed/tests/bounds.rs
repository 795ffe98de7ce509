//! Seeds with very much of one thing: each is read and planned, or refused by name, in a time
//! that grows as the seed does.
//!
//! The bound is more than ten times what each takes, so that a busy machine passes; at a cost
//! that grows with the square, each would take minutes.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::examine::{Elsewhere, Outlook, outlook};
use nodeimg_seed::plan::UnknownImage;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::{Problems, Severity};
use nodeimg_test_support::seeds::{self, META_DATA};

const BOUND: Duration = Duration::from_secs(60);

const HEAD: &str = "#cloud-config\nhostname: n\n";

fn settings(profile: &str) -> ImageSettings {
    let text = seeds::SETTINGS.replace("hard-way", profile);
    ImageSettings::from_json(text.as_bytes()).unwrap()
}

/// What becomes of a seed of a container host, and its errors.
#[track_caller]
fn judge(seed: &Seed, profile: &str) -> (Option<Outlook>, Vec<String>) {
    let began = Instant::now();
    let mut problems = Problems::new();
    let image = UnknownImage::default();
    let elsewhere = Elsewhere {
        image: &image,
        judge: None,
        templates: &[],
        architecture: "x86_64",
        now: u64::try_from(seeds::days_from_now(0).unix_timestamp()).unwrap(),
    };
    let outlook = outlook(seed, &settings(profile), &elsewhere, &mut problems);
    let took = began.elapsed();
    assert!(took < BOUND, "{took:?}");
    let errors = problems.into_vec().into_iter();
    let errors = errors.filter(|problem| problem.severity == Severity::Error);
    (outlook, errors.map(|error| error.to_string()).collect())
}

fn no_cloud(user: &str, meta: &str) -> Seed {
    let mut seed = Seed::new(Layout::NoCloud, SeedFile::new("meta-data", meta));
    seed.user_data = Some(SeedFile::new("user-data", user));
    seed
}

fn drive(meta: &str) -> Seed {
    let mut seed = Seed::new(Layout::ConfigDrive, SeedFile::new("meta_data.json", meta));
    seed.user_data = Some(SeedFile::new("user_data", HEAD));
    seed
}

#[track_caller]
fn good(seed: &Seed) -> Outlook {
    let (outlook, errors) = judge(seed, "container-host");
    outlook.unwrap_or_else(|| panic!("{errors:#?}"))
}

#[track_caller]
fn refused(seed: &Seed, expected: &str) {
    let (outlook, errors) = judge(seed, "container-host");
    assert!(
        outlook.is_none() && errors.iter().any(|error| error.contains(expected)),
        "{errors:#?}"
    );
}

/// `item(0)`, `item(1)` ...
fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

/// A key that sshd takes, another one for each number.
fn ssh_key(number: usize) -> String {
    let mut bytes = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    bytes.extend(number.to_be_bytes().repeat(4));
    format!("ssh-ed25519 {}", STANDARD.encode(bytes))
}

#[test]
fn users_and_groups() {
    let users = many(19_000, |k| format!("- {{name: u{k}, groups: 'a,b'}}\n"));
    let planned = good(&no_cloud(&format!("{HEAD}users:\n{users}"), META_DATA));
    assert!(planned.files.contains(&"/etc/passwd".to_owned()));
    let names = many(20_000, |k| format!("u{k},"));
    good(&no_cloud(&format!("{HEAD}users: '{names}'\n"), META_DATA));
    good(&no_cloud(&format!("{HEAD}groups: '{names}'\n"), META_DATA));
    let members = many(20_000, |k| format!("u{k}, "));
    let both = format!("{HEAD}users: '{names}'\ngroups: {{g: [{members}]}}\n");
    good(&no_cloud(&both, META_DATA));
    let more = many(70_000, |k| format!("u{k},"));
    refused(
        &no_cloud(&format!("{HEAD}users: '{more}'\n"), META_DATA),
        "no free user id left",
    );
}

#[test]
fn ssh_keys() {
    let keys = many(20_000, |k| format!("- {}\n", ssh_key(k)));
    good(&no_cloud(
        &format!("{HEAD}ssh_authorized_keys:\n{keys}"),
        META_DATA,
    ));
    let keys = many(60_000, |k| format!(",\"k{k}\":\"{}\"", ssh_key(k)));
    let meta = format!(
        "{{\"uuid\":\"u\",\"hostname\":\"n\",\"public_keys\":{{{}}}}}",
        &keys[1..]
    );
    // More than a file of a seed may have, but what a service says is one, too.
    let planned = good(&drive(&meta));
    assert!(
        planned
            .files
            .iter()
            .any(|file| file.ends_with("authorized_keys.d/root"))
    );
}

#[test]
fn files() {
    let files = many(10_000, |k| format!("- {{path: /etc/m/{k}, content: x}}\n"));
    let planned = good(&no_cloud(
        &format!("{HEAD}write_files:\n{files}"),
        META_DATA,
    ));
    assert!(planned.files.len() > 10_000);
    let piece = "y".repeat(500);
    let adds = many(8_000, |_| {
        "- {path: /etc/m, content: *a, append: true}\n".to_owned()
    });
    good(&no_cloud(
        &format!("{HEAD}x: &a {piece}\nwrite_files:\n{adds}"),
        META_DATA,
    ));
}

#[test]
fn keys_of_meta_data() {
    let keys = many(30_000, |k| format!("k-{k}: 1\n"));
    good(&no_cloud(HEAD, &format!("{META_DATA}{keys}")));
    for count in [40_000, 200_000] {
        let keys = many(count, |k| format!(",\"k-{k}\":0"));
        good(&drive(&format!(
            "{{\"uuid\":\"u\",\"hostname\":\"n\"{keys}}}"
        )));
    }
}

#[test]
fn layers_and_parts() {
    let keys = |name: char| many(40_000, |k| format!("{name}{k}: 1\n"));
    let mut seed = no_cloud(&format!("{HEAD}{}", keys('k')), META_DATA);
    seed.vendor_data = Some(SeedFile::new(
        "vendor-data",
        format!("#cloud-config\n{}", keys('v')),
    ));
    good(&seed);
    let inside = |name: char| many(40_000, |k| format!("  {name}{k}: 1\n"));
    let mut seed = no_cloud(&format!("{HEAD}x:\n{}", inside('k')), META_DATA);
    seed.vendor_data = Some(SeedFile::new(
        "vendor-data",
        format!("#cloud-config\nx:\n{}", inside('v')),
    ));
    good(&seed);
    for indent in ["", "  "] {
        let mut mime =
            "Content-Type: multipart/mixed; boundary=B\nMIME-Version: 1.0\n\n".to_owned();
        for part in 0..95 {
            let keys = many(900, |k| format!("{indent}k{part}_{k}: 1\n"));
            let head = if indent.is_empty() { "" } else { "x:\n" };
            let _infallible = write!(
                mime,
                "--B\nContent-Type: text/cloud-config\n\n#cloud-config\n\
                 merge_how: dict(recurse_dict)\n{head}{keys}\n"
            );
        }
        mime.push_str("--B--\n");
        good(&no_cloud(&mime, "instance-id: i\nlocal-hostname: n\n"));
    }
}

#[test]
fn unknown_keys() {
    let keys = many(49_000, |k| format!("  k{k}: 1\n"));
    let user = seeds::user_data() + &keys;
    let (outlook, errors) = judge(&no_cloud(&user, META_DATA), "hard-way");
    assert!(outlook.is_some() || !errors.is_empty());
}

#[test]
fn lists() {
    let hosts = many(30_000, |k| format!("    h{k}: 10.0.0.1\n"));
    let user = seeds::user_data().replace("nodeimg:\n", &format!("nodeimg:\n  hosts:\n{hosts}"));
    let (outlook, errors) = judge(&no_cloud(&user, META_DATA), "hard-way");
    assert!(outlook.is_some() || !errors.is_empty(), "{errors:#?}");
    let commands = many(90_000, |k| format!("- echo {k}\n"));
    good(&no_cloud(&format!("{HEAD}bootcmd:\n{commands}"), META_DATA));
    good(&no_cloud(&format!("{HEAD}runcmd:\n{commands}"), META_DATA));
    let servers = many(90_000, |k| format!("n{k}.example, "));
    good(&no_cloud(
        &format!("{HEAD}ntp: {{servers: [{servers}]}}\n"),
        META_DATA,
    ));
    let anchors = many(10_000, |k| format!("- &a{k} y\n"));
    let aliases = many(10_000, |k| format!("- *a{k}\n"));
    good(&no_cloud(
        &format!("{HEAD}x:\n{anchors}{aliases}"),
        META_DATA,
    ));
}

#[test]
fn certificates_of_one_name() {
    let other = seeds::Authority::new("kubernetes").cert;
    let many = seeds::block(4, &other.repeat(400));
    let own = seeds::block(4, &seeds::cert());
    let user = seeds::user_data();
    assert!(user.contains(&own), "the sample has another shape");
    let user = user.replacen(&own, &format!("{own}{}", &many[2..]), 1);
    let (outlook, errors) = judge(&no_cloud(&user, META_DATA), "hard-way");
    let said = errors
        .iter()
        .any(|error| error.contains("holds 401 certificates, more than 64"));
    assert!(outlook.is_none() && said, "{errors:#?}");
}

#[test]
fn all_that_is_decoded_has_one_bound() {
    let text = "a".repeat(1 << 19);
    let file = |k: usize| format!("- {{path: /etc/m{k}, encoding: b64, content: *z}}\n");
    let alias = |count: usize| {
        let packed = STANDARD.encode(&text);
        format!("{HEAD}x: &z {packed}\nwrite_files:\n{}", many(count, file))
    };
    good(&no_cloud(&alias(3), META_DATA));
    // Each of two files has a form of its own: both take from the same.
    let inner = |name: &str| format!("#cloud-config\n{name}: '{}'\n", "y".repeat(3_900_000));
    let mut seed = no_cloud(&inner("k"), META_DATA);
    seed.vendor_data = Some(SeedFile::new("vendor-data", inner("v")));
    good(&seed);
    let archive = |name: &str| {
        let part = format!(
            "- content: |\n    #cloud-config\n    {name}: '{}'\n",
            "y".repeat(1_900_000)
        );
        format!("#cloud-config-archive\n{}", part.repeat(2))
    };
    let mut seed = no_cloud(&archive("k"), META_DATA);
    seed.vendor_data = Some(SeedFile::new("vendor-data", archive("v")));
    seed.vendor_data2 = Some(SeedFile::new("vendor-data2", archive("w")));
    refused(&seed, "too many, too large or too deeply nested");
    // Aliases count as well: each part is small, and grows.
    let part = format!(
        "- content: |\n    #cloud-config\n    a: &a '{}'\n    b: [{}]\n",
        "y".repeat(4000),
        "*a, ".repeat(900)
    );
    let grown = format!("#cloud-config-archive\n{}", part.repeat(6));
    refused(
        &no_cloud(&grown, META_DATA),
        "aliases expanded, to more than",
    );
}
