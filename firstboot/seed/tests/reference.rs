//! The reference pages list what there is: keys, placeholders, examples, paths.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use nodeimg_seed::contract::paths::{self, BINARY_PATH, TEMPLATE_DIR};
use nodeimg_seed::contract::{report, settings, stamp};
use nodeimg_seed::read::{cloud_config, node_config};
use nodeimg_seed::text::template::{PLACEHOLDERS, Template, Values};

const PAGES: &str = concat!(
    include_str!("../../../docs/reference/first-boot/seed.md"),
    include_str!("../../../docs/reference/first-boot/network.md"),
    include_str!("../../../docs/reference/first-boot/user-data.md"),
    include_str!("../../../docs/reference/first-boot/nodeimg.md"),
);

#[test]
fn everything_is_listed() {
    for placeholder in PLACEHOLDERS {
        assert!(
            PAGES.contains(&format!("| `{}` |", placeholder.name)),
            "{}",
            placeholder.name
        );
    }
    for key in node_config::key_names() {
        assert!(PAGES.contains(&format!("| `{key}` |")), "{key}");
    }
    for key in cloud_config::key_names().filter(|key| *key != "ca-certs") {
        assert!(PAGES.contains(&format!("| `{key}` |")), "{key}");
    }
    for path in [
        TEMPLATE_DIR,
        settings::SETTINGS_PATH,
        stamp::STAMP_PATH,
        stamp::PENDING_PATH,
        report::RESULT_PATH,
        paths::HOSTNAME,
        paths::HOSTS,
        paths::KUBELET_CA,
        paths::KUBE_PROXY_KUBECONFIG,
    ] {
        assert!(PAGES.contains(&format!("`{path}`")), "{path}");
    }
    assert!(PAGES.contains(BINARY_PATH.rsplit('/').next().unwrap()));
}

/// The builder tries templates with the examples: in JSON they must be JSON.
#[test]
fn examples_fit_their_places() {
    let text = "{\"ipam\": {\"ranges\": {{ cni_ranges }}, \"routes\": {{ cni_routes }}}}";
    let template = Template::parse(text).unwrap();
    template.check_supplied().unwrap();
    let rendered = template.render(&Values::examples()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&rendered).unwrap();
    assert_eq!(json["ipam"]["ranges"][0][0]["subnet"], "10.200.0.0/24");
}
