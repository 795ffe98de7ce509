//! Memory, and what is said of a seed with hundreds of problems.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::io::Write;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::Image;
use flate2::Compression;
use flate2::write::GzEncoder;
use nodeimg_test_support::seeds::{self, META_DATA};

fn image() -> Image {
    let image = Image::new();
    let settings = seeds::SETTINGS.replace("hard-way", "container-host");
    image.write("usr/lib/nodeimg/firstboot.json", settings);
    image
}

/// Address space, in KiB: an attempt to have more ends the program by a signal.
const MEMORY: u32 = 200 << 10;

#[test]
fn what_unpacks_to_too_much_is_refused_in_little_memory() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 8 << 20]).unwrap();
    let packed = STANDARD.encode(encoder.finish().unwrap());
    let files: String = (0..100)
        .map(|k| format!("- {{path: /etc/z{k}, encoding: gz+b64, content: {packed}}}\n"))
        .collect();
    let image = image();
    image.seed(
        format!("#cloud-config\nhostname: n\nwrite_files:\n{files}"),
        META_DATA,
    );
    let ran = Command::new("/bin/sh")
        .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_nodeimg-firstboot"))
        .arg("--root")
        .arg(image.path())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1), "{:?}", ran.status);
    let said = image.result()["problems"][0]["reason"].to_string();
    assert!(said.contains("unpacks to more than"), "{said}");
    let remedy = image.result()["problems"][0]["remedy"].to_string();
    assert!(remedy.contains("16 MiB in all"), "{remedy}");
    // Once, however many files are beyond the bound.
    let told = image.result()["problems"].as_array().unwrap().clone();
    let errors = told.iter().filter(|told| told["severity"] == "error");
    assert_eq!(errors.count(), 1, "{told:?}");
}

#[test]
fn an_error_is_said_before_hundreds_of_warnings() {
    let image = image();
    let unknown: String = (0..300).map(|k| format!("key_{k}: 1\n")).collect();
    image.seed(
        format!("#cloud-config\nhostname: n\n{unknown}write_files: [{{path: relative}}]\n"),
        META_DATA,
    );
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1);
    let first = ran.reason().find("1. ").unwrap();
    assert!(
        ran.reason()[first..].contains("is a relative path"),
        "{}",
        ran.err
    );
    let problems = image.result()["problems"].as_array().unwrap().clone();
    assert_eq!(problems[0]["severity"], "error");
    assert!(
        problems[0]["reason"]
            .to_string()
            .contains("is a relative path")
    );
    let rest = problems[1..]
        .iter()
        .all(|problem| problem["severity"] == "warning");
    assert!(rest && problems.len() == 202, "{}", problems.len());
}

#[test]
fn accounts_that_would_let_nobody_in() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV";
    for (text, expected) in [
        (
            "ssh_authorized_keys: ['ssh-ed25519 notbase64!!!!!!!!!!!!!!']".to_owned(),
            "is not valid base64",
        ),
        (
            format!("ssh_authorized_keys: ['x {key}']"),
            "neither a type of key nor with options",
        ),
        (
            "users: [{name: a, sudo: nonsense rule}]".to_owned(),
            "is not a rule of sudoers(5)",
        ),
        (
            "users:\n- {name: a, uid: '2000'}\n- {name: a, uid: '2001'}".to_owned(),
            "gives the user `a` another `uid` than the one in line 4",
        ),
        (
            "timezone: Europe".to_owned(),
            "is not a time zone of this image",
        ),
    ] {
        let image = image();
        image.write("usr/share/zoneinfo/Europe/Berlin", "TZif");
        image.seed(format!("#cloud-config\nhostname: n\n{text}\n"), META_DATA);
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{text}");
        assert!(ran.reason().contains(expected), "{text}: {}", ran.err);
    }
    let image = image();
    let good = format!(
        "#cloud-config\nhostname: n\nusers:\n- {{name: a, uid: '2000', ssh_authorized_keys: ['no-pty {key} x']}}\n- {{name: a, sudo: 'ALL=(ALL) NOPASSWD:ALL'}}\n"
    );
    image.seed(good, META_DATA);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(image.text("etc/passwd").contains("a:x:2000:"));
    assert!(
        image
            .text("etc/sudoers.d/90-nodeimg-users")
            .contains("a ALL=(ALL) NOPASSWD:ALL")
    );
}

#[test]
fn hints_are_true() {
    let image = image();
    image.write("var/lib/nodeimg/seed/network_config", "version: 2\n");
    image.seed("#cloud-config\nhostname: n\n", META_DATA);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let expected = "seed/network_config: is not read: a seed has `network-config`; rename it";
    assert!(ran.out.contains(expected), "{}", ran.out);
    let image = self::image();
    image.seed("#cloud-config\nhostname: n\nhostname: m\n", META_DATA);
    let ran = image.run(&[]);
    let expected = "the key `hostname` appears twice in the same mapping, in line 2 and in line 3";
    assert!(ran.reason().contains(expected), "{}", ran.err);
    // There is no file to blame for what is missing.
    let image = self::image();
    let meta = "var/lib/nodeimg/seed/openstack/latest/meta_data.json";
    image.write(meta, "{\"uuid\": \"u\"}");
    let ran = image.run(&[]);
    let expected = "seed (which has no openstack/latest/user_data): hostname: no host name";
    assert!(ran.reason().contains(expected), "{}", ran.err);
}
