//! Seeds that have been used: what is left of their secrets, and what the next boot makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use common::Image;
use nodeimg_test_support::seeds::{self, META_DATA, user_data};

const USER: &str = "var/lib/nodeimg/seed/user-data";

/// As an image is by default.
fn image() -> Image {
    let image = Image::new();
    image.write(
        "usr/lib/nodeimg/firstboot.json",
        seeds::SETTINGS.replace("\"keep_seed\": true, ", ""),
    );
    image
}

#[test]
fn served_and_known_again() {
    for meta in [META_DATA, "local-hostname: other\n"] {
        let image = image();
        image.seed(user_data(), meta);
        image.write("var/lib/nodeimg/seed/vendor-data", "#cloud-config\n# x\n");
        let ran = image.run(&[]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.contains("overwritten on the volume"), "{}", ran.out);
        assert_eq!(image.result()["scrub"], "overwritten");
        let left = image.text(USER);
        assert_eq!(left.len(), user_data().len());
        assert!(left.starts_with("# nodeimg: overwritten") && !left.contains("PRIVATE"));
        assert!(
            !image
                .text("var/lib/nodeimg/seed/vendor-data")
                .contains("# x")
        );
        let again = image.run(&[]);
        assert_eq!(again.code, 0, "{}", again.err);
        assert_eq!(image.result()["outcome"], "unchanged");
        assert_eq!(image.result()["scrub"], "overwritten");
        // Written again, it makes another node.
        image.seed(seeds::user_data_of("node-1"), "instance-id: iid-1\n");
        assert_eq!(image.run(&[]).code, 0);
        assert_eq!(image.text("etc/hostname"), "node-1\n");
        // A used seed makes none.
        image.write("var/lib/nodeimg/seed/meta-data", "instance-id: iid-2\n");
        let served = image.run(&[]);
        assert_eq!(served.code, 0, "{}", served.err);
        let used = "was overwritten after it had been used by instance `iid-1`";
        assert!(served.out.contains(used), "{}", served.out);
        assert_eq!(image.text("etc/hostname"), "node-1\n");
    }
}

/// A template takes it into a file: what is overwritten in one place stays in no other.
#[test]
fn a_secret_in_meta_data_goes_as_well() {
    let image = image();
    let meta = format!(
        "{META_DATA}db:\n  password: {}\n",
        "META-SECRET ".repeat(50)
    );
    let user = user_data().replace("#cloud-config", "## template: jinja\n#cloud-config")
        + "write_files: [{path: /etc/db, content: '{{ ds.meta_data.db.password }}', permissions: '0600'}]\n";
    image.seed(user, &meta);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(image.text("etc/db").contains("META-SECRET"));
    assert_eq!(image.result()["scrub"], "overwritten");
    let left = image.text("var/lib/nodeimg/seed/meta-data");
    assert!(
        left.len() == meta.len() && !left.contains("SECRET"),
        "{left}"
    );
    let again = image.run(&[]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(image.result()["outcome"], "unchanged");
    assert_eq!(image.result()["instance_id"], "iid-0");
    // Cut off in the middle: the identity is known, and the next boot finishes it.
    image.write(
        "var/lib/nodeimg/seed/meta-data",
        format!(
            "{}SSWORD: 'META-SECRET\n",
            left.trim_end().to_owned() + "\n"
        ),
    );
    let user = image.text(USER).trim_end().to_owned() + "\nkey: SECRET\n";
    image.write(USER, user);
    assert_eq!(image.run(&[]).code, 0);
    assert!(
        !image
            .text("var/lib/nodeimg/seed/meta-data")
            .contains("SECRET")
    );
}

/// Seen through a descriptor of the old file, which has no name any more.
#[test]
fn private_files_of_an_instance_that_gives_way_are_overwritten() {
    use std::io::{Read, Seek};
    let image = image();
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    let host = settings.replace("hard-way", "container-host");
    image.write("usr/lib/nodeimg/firstboot.json", host);
    let seed = |text: &str| {
        format!(
            "#cloud-config\nhostname: n\nwrite_files:\n- {{path: /etc/same, content: {text}, permissions: '0600'}}\n- {{path: /etc/{text}, content: {text}, permissions: '0640'}}\n- {{path: /etc/public-{text}, content: {text}}}\n"
        )
    };
    image.seed(seed("KEY-ONE"), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    let open = |path: &str| std::fs::File::open(image.path().join(path)).unwrap();
    let mut old = ["etc/same", "etc/KEY-ONE"].map(open);
    image.seed(seed("KEY-TWO"), "instance-id: iid-1\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text("etc/same"), "KEY-TWO");
    assert!(!image.has("etc/KEY-ONE") && !image.has("etc/public-KEY-ONE"));
    for file in &mut old {
        let mut left = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut left).unwrap();
        assert_eq!(left, [0; 7]);
    }
}

#[test]
fn what_is_no_secret_or_not_ours_stays() {
    let public = "#cloud-config\nhostname: n\ngroups: [a]\n";
    let image = image();
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    let host = settings.replace("hard-way", "container-host");
    image.write("usr/lib/nodeimg/firstboot.json", host);
    image.seed(public, META_DATA);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text(USER), public);
    assert!(image.result()["scrub"].is_null());
    // Named by whoever runs it.
    let image = self::image();
    image.seed(user_data(), META_DATA);
    let place = image.path().join("var/lib/nodeimg/seed");
    let ran = image.run(&["--seed", place.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text(USER), user_data());
    // Changed since it was used: left alone.
    let changed = user_data().replace("zone: a", "zone: b");
    image.seed(&changed, META_DATA);
    let again = image.run(&[]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(image.text(USER), changed);
    assert!(
        again.out.contains("give it a new instance-id"),
        "{}",
        again.out
    );
    // And a recipe may say that seeds are kept.
    let kept = Image::new();
    kept.seed(user_data(), META_DATA);
    assert_eq!(kept.run(&[]).code, 0);
    assert_eq!(kept.text(USER), user_data());
}

#[test]
fn not_before_it_has_served() {
    let image = image();
    image.seed(format!("{}runcmd: ['true']\n", user_data()), META_DATA);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.result()["scrub"], "pending");
    assert!(image.text(USER).contains("PRIVATE KEY"));
    // The next boot continues after an interrupted one: the commands have been run since.
    image.write(
        "var/lib/nodeimg/commands.json",
        "{\"version\": 1, \"instance_id\": \"iid-0\"}",
    );
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["scrub"], "overwritten");
    assert!(!image.text(USER).contains("PRIVATE KEY"));
}

/// Files that failed commands read lay in memory: another boot writes them again.
#[test]
fn failed_commands_get_their_files_again() {
    let image = image();
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    let kubeadm = settings.replace("hard-way", "kubeadm");
    image.write("usr/lib/nodeimg/firstboot.json", kubeadm);
    let join = "#cloud-config\nhostname: n\nwrite_files: [{path: /run/kubeadm/join.yaml, content: x}]\nruncmd: [kubeadm join --config /run/kubeadm/join.yaml]\n";
    image.seed(join, META_DATA);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    std::fs::remove_dir_all(image.path().join("run")).unwrap();
    let again = image.run(&[]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(image.text("run/kubeadm/join.yaml"), "x");
    assert_eq!(image.result()["commands"], "pending");
    // A correction counts as well, since nothing has come of the first.
    image.seed(join.replace("content: x", "content: y"), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("run/kubeadm/join.yaml"), "y");
}
