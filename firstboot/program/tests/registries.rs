//! Registries of a seed on a node whose image has some of its own: written for root alone
//! where they are secret, never said, and gone with their instance.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use common::Image;
use nodeimg_test_support::seeds::{META_DATA, SETTINGS};

const HOSTS: &str = "etc/containerd/certs.d/docker.io/hosts.toml";
const LOGINS: &str = "etc/containerd/conf.d/50-nodeimg-registries.toml";
const PASSWORD: &str = "THE-PASSWORD-OF-A-REGISTRY";

/// A container host whose image has a mirror of Docker Hub.
fn image() -> Image {
    let image = Image::new();
    let settings = SETTINGS.replace("hard-way", "container-host").replace(
        "\"epoch\"",
        "\"registries\": {\"hosts\": {\"docker.io\": {\"mirrors\": [\"https://m.example/hub\"]}}}, \"epoch\"",
    );
    image.write("usr/lib/nodeimg/firstboot.json", settings);
    std::fs::remove_dir_all(image.path().join("usr/lib/nodeimg/templates")).unwrap();
    image.write(HOSTS, "# of the image\n");
    image
}

fn seed(image: &Image, registries: &str, instance: &str) {
    let user = format!("#cloud-config\nhostname: n\nnodeimg:\n  registries:\n{registries}");
    image.seed(user, &META_DATA.replace("iid-0", instance));
}

#[test]
fn a_login_is_for_root_alone_and_goes_with_its_instance() {
    let image = image();
    let login = format!("    m.example: {{username: me, password: {PASSWORD}}}\n");
    seed(&image, &login, "i-1");
    let ran = image.run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(image.text(LOGINS).contains(PASSWORD));
    assert_eq!(image.mode(LOGINS), 0o600);
    // The image's own mirrors stay in it.
    let hosts = image.text(HOSTS);
    assert!(hosts.contains("https://m.example/v2/hub"), "{hosts}");
    let report = image.result().to_string();
    assert!(!ran.out.contains(PASSWORD) && !report.contains(PASSWORD));
    // The same boot again has nothing to do.
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text(HOSTS), hosts);
    // Another instance that does not mention registries has the image's file again.
    image.seed(
        "#cloud-config\nhostname: n\n",
        &META_DATA.replace("iid-0", "i-2"),
    );
    let ran = image.run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(image.text(HOSTS), "# of the image\n");
    assert!(!image.has(LOGINS));
}

#[test]
fn a_bad_entry_is_reported_without_its_secret() {
    let image = image();
    let login = format!("    m.example:\n      password: {PASSWORD}\n");
    seed(&image, &login, "i-1");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let place = "user-data:6: nodeimg.registries.m.example.password: has no `username` beside it";
    assert!(ran.reason().contains(place), "{}", ran.reason());
    let said = [ran.out, ran.err, image.result().to_string()].concat();
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(!image.has(LOGINS));
    assert_eq!(image.text(HOSTS), "# of the image\n");
}
