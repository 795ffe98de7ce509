//! Whose node it is: what a set-up node takes, and the operator's word.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;

use common::{Image, Ran};
use nodeimg_test_support::seeds::{SETTINGS, user_data};

/// An image with this in its settings, set up as `i-1`.
fn node(settings: &str) -> Image {
    let image = Image::new();
    let text = SETTINGS.replace("\"seed_wait\"", &format!("{settings}\"seed_wait\""));
    image.write("usr/lib/nodeimg/firstboot.json", text);
    image.seed(user_data(), "instance-id: i-1\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    image
}

fn stamp(image: &Image) -> serde_json::Value {
    serde_json::from_str(&image.text("var/lib/nodeimg/instance.json")).unwrap()
}

fn reprovision(image: &Image, options: &[&str]) -> Ran {
    let root = image.path().display().to_string();
    let mut all = vec!["reprovision".to_owned(), "--root".to_owned(), root];
    all.extend(options.iter().map(|option| (*option).to_owned()));
    Ran::new(&all)
}

const NOTE: &str = "var/lib/nodeimg/reprovision";
const NEVER: &str = "\"reprovision\": \"never\", ";

#[test]
fn the_stamp_says_where_the_seed_came_from() {
    let image = node("");
    let stamp = stamp(&image);
    assert!(stamp["seed"]["origin"].is_object(), "{stamp}");
    // The node's own disk: nothing that could be exchanged.
    assert!(stamp["seed"]["origin"]["medium"].is_null(), "{stamp}");
}

#[test]
fn the_state_directory_is_the_nodes_own() {
    for (settings, expected) in [
        ("", "i-2"),
        ("\"reprovision\": \"same-source\", ", "i-2"),
        ("\"reprovision\": \"any\", ", "i-2"),
        (NEVER, "i-1"),
    ] {
        let image = node(settings);
        image.seed(user_data(), "instance-id: i-2\n");
        let ran = image.run(&[]);
        assert_eq!(ran.code, 0, "{settings}: {}", ran.err);
        assert_eq!(image.result()["instance_id"], expected, "{settings}");
        assert_eq!(stamp(&image)["instance_id"], expected);
        let warns = ran
            .out
            .contains("holds a new instance, and this image takes none");
        assert_eq!(warns, settings == NEVER, "{}", ran.out);
    }
}

#[test]
fn the_operators_word_is_asked_for_and_counts_once() {
    let image = node(NEVER);
    image.seed(user_data(), "instance-id: i-2\n");
    // Nobody is there to say yes.
    let ran = reprovision(&image, &[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("nothing has changed"), "{}", ran.err);
    assert!(ran.out.contains("instance i-1"), "{}", ran.out);
    assert!(!image.has(NOTE));

    let ran = reprovision(&image, &["--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(image.has(NOTE));
    // It takes effect with the next run alone.
    assert_eq!(stamp(&image)["instance_id"], "i-1");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("`nodeimg-firstboot reprovision` was run"),
        "{}",
        ran.out
    );
    assert_eq!(stamp(&image)["instance_id"], "i-2");
    assert!(!image.has(NOTE));

    image.seed(user_data(), "instance-id: i-3\n");
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(stamp(&image)["instance_id"], "i-2");
}

/// New certificates and keys for the instance that is set up.
#[test]
fn the_same_instance_is_applied_once_more_if_the_operator_says_so() {
    let image = node("");
    let write = |text: &str| {
        let extra = format!("\nwrite_files: [{{path: /etc/rotated, content: {text}}}]\n");
        image.seed(user_data() + &extra, "instance-id: i-1\n");
    };
    write("first");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!image.has("etc/rotated"));
    assert!(
        ran.out.contains("the changes have no effect"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("nodeimg-firstboot reprovision"),
        "{}",
        ran.out
    );

    assert_eq!(reprovision(&image, &["--yes"]).code, 0);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text("etc/rotated"), "first");
    assert_eq!(image.result()["outcome"], "applied");
    // And that is the end of it.
    let ran = image.run(&[]);
    assert_eq!(image.result()["outcome"], "unchanged", "{}", ran.out);
    assert!(!ran.out.contains("have no effect"), "{}", ran.out);
}

#[test]
fn a_node_that_is_not_set_up_needs_no_word() {
    let image = Image::new();
    let ran = reprovision(&image, &["--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("is not set up"), "{}", ran.out);
    assert!(!image.has(NOTE));
}

/// A stamp of an earlier version has no origin, and is read all the same.
#[test]
fn an_earlier_stamp_is_read() {
    let image = node("");
    let mut old = stamp(&image);
    old["seed"].as_object_mut().unwrap().remove("origin");
    fs::write(
        image.path().join("var/lib/nodeimg/instance.json"),
        old.to_string(),
    )
    .unwrap();
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.result()["outcome"], "unchanged");
}
