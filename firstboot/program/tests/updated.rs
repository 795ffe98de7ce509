//! A node whose image is exchanged for a later one, or for an earlier one again.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;

use common::{Image, Ran};

const USER: &str = "#cloud-config\nhostname: n\n";
const TEMPLATES: &str = "usr/lib/nodeimg/templates";
const RENDERED: &str = "var/lib/nodeimg/rendered.json";
const STAMP: &str = "var/lib/nodeimg/instance.json";
const NOTE: &str = "var/lib/nodeimg/pending.json";
const SEED: &str = "var/lib/nodeimg/seed";

fn template(image: &Image, path: &str, text: &str) {
    image.write(&format!("{TEMPLATES}/{path}"), text);
}

/// A node that was set up, and whose seed is gone.
fn node() -> Image {
    let image = Image::host();
    for name in [
        "kept",
        "changed",
        "removed",
        "retired",
        "edited-and-retired",
    ] {
        template(&image, &format!("etc/t/{name}"), "one {{ host_name }}\n");
    }
    image.seed(USER, "instance-id: a\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text("etc/t/kept"), "one n\n");
    fs::remove_dir_all(image.path().join(SEED)).unwrap();
    image
}

#[track_caller]
fn boot(image: &Image) -> Ran {
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.result()["outcome"], "unchanged");
    ran
}

#[test]
fn templates_that_an_update_changes_are_rendered_again() {
    let image = node();
    assert_eq!(image.mode(RENDERED), 0o600);
    boot(&image);
    image.write("etc/t/changed", "mine\n");
    image.write("etc/t/edited-and-retired", "mine\n");
    fs::remove_file(image.path().join("etc/t/removed")).unwrap();
    // The update.
    let templates = image.path().join(TEMPLATES);
    for name in ["retired", "edited-and-retired"] {
        fs::remove_file(templates.join("etc/t").join(name)).unwrap();
    }
    for name in ["kept", "changed", "removed", "new", "etc-has-it"] {
        template(&image, &format!("etc/t/{name}"), "two {{ host_name }}\n");
    }
    template(&image, "etc/kubernetes/private", "p {{ host_name }}\n");
    image.write("etc/t/etc-has-it", "mine\n");
    boot(&image);
    assert_eq!(image.text("etc/t/kept"), "two n\n");
    assert_eq!(image.text("etc/t/new"), "two n\n");
    assert_eq!(image.text("etc/kubernetes/private"), "p n\n");
    assert_eq!(image.mode("etc/kubernetes/private"), 0o600);
    for name in ["changed", "edited-and-retired", "etc-has-it"] {
        assert_eq!(image.text(&format!("etc/t/{name}")), "mine\n", "{name}");
    }
    assert!(!image.has("etc/t/removed") && !image.has("etc/t/retired"));
    let warnings = image.warnings();
    for name in ["changed", "edited-and-retired", "etc-has-it"] {
        assert!(
            warnings.contains(&format!("/etc/t/{name}")),
            "{name}: {warnings}"
        );
    }
    let stamp = image.text(STAMP);
    assert!(
        stamp.contains("/etc/t/new") && !stamp.contains("/etc/t/retired"),
        "{stamp}"
    );
    // Told once, and done once.
    image.write("etc/t/kept", "mine\n");
    boot(&image);
    assert!(
        !image.warnings().contains("another template"),
        "{}",
        image.warnings()
    );
    assert_eq!(image.text("etc/t/kept"), "mine\n");
}

#[test]
fn a_power_cut_in_the_middle_leaves_nothing_that_counts_as_changed() {
    let image = node();
    template(&image, "etc/t/kept", "two {{ host_name }}\n");
    // The file was written, and the record and the stamp were not.
    image.write("etc/t/kept", "two n\n");
    boot(&image);
    assert!(
        !image.warnings().contains("another template"),
        "{}",
        image.warnings()
    );
    template(&image, "etc/t/kept", "three {{ host_name }}\n");
    boot(&image);
    assert_eq!(image.text("etc/t/kept"), "three n\n");
    // The way back.
    template(&image, "etc/t/kept", "one {{ host_name }}\n");
    boot(&image);
    assert_eq!(image.text("etc/t/kept"), "one n\n");
}

#[test]
fn values_that_are_lost_or_were_never_kept_are_told() {
    let image = node();
    template(&image, "etc/t/kept", "two {{ host_name }}\n");
    image.write(RENDERED, "{");
    boot(&image);
    assert_eq!(image.text("etc/t/kept"), "one n\n");
    assert!(
        image.warnings().contains("rendered.json"),
        "{}",
        image.warnings()
    );
    // A node of an earlier version has neither.
    let stamp = image.text(STAMP);
    let mut stamp: serde_json::Value = serde_json::from_str(&stamp).unwrap();
    stamp.as_object_mut().unwrap().remove("templates");
    image.write(STAMP, stamp.to_string());
    image.write("var/lib/nodeimg/instance-copy.json", stamp.to_string());
    boot(&image);
    assert!(
        !image.warnings().contains("rendered.json"),
        "{}",
        image.warnings()
    );
    assert_eq!(image.text("etc/t/kept"), "one n\n");
}

#[test]
fn secrets_of_a_seed_are_not_in_what_is_kept() {
    let image = Image::host();
    template(&image, "etc/t/x", "{{ host_name }}\n");
    let user = "#cloud-config\nhostname: n\nwrite_files:\n\
                - {path: /etc/k, content: HIDDEN, permissions: '0600'}\n";
    image.seed(user, "instance-id: a\n");
    assert_eq!(image.run(&[]).code, 0);
    assert!(!image.text(RENDERED).contains("HIDDEN"));
}

/// After a rollback, the first boot of an older image finds the records of a newer one.
#[test]
fn records_that_only_a_later_version_reads_are_left_alone() {
    for record in [STAMP, NOTE] {
        let image = node();
        let later = r#"{"version":2,"min_reader":2,"instance":{"id":"a"},"files":[]}"#;
        image.write(record, later);
        // Whatever the seed is: running afresh would overwrite its secrets.
        image.seed(USER, "instance-id: b\n");
        let before = image.text("etc/hostname");
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let reason = ran.reason();
        assert!(
            reason.contains("was written by the first boot of a later image"),
            "{reason}"
        );
        assert!(reason.contains("version 2 of it reads this"), "{reason}");
        assert!(reason.contains("boot the later image"), "{reason}");
        assert_eq!(image.text(record), later);
        assert_eq!(image.text("etc/hostname"), before);
        assert_eq!(image.text(&format!("{SEED}/user-data")), USER);
        let root = image.path().display().to_string();
        let ran = Ran::new(&["reprovision", "--yes", "--root", &root].map(str::to_owned));
        assert_eq!(ran.code, 1, "{}", ran.out);
        assert!(ran.err.contains("later image"), "{}", ran.err);
    }
}
