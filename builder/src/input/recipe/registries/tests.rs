#![allow(clippy::unwrap_used)]
use crate::image::rootfs;
use crate::input::recipe::tests::{recipe, refusal};

#[test]
fn each_mistake_is_told_at_its_line() {
    for (more, wanted) in [
        (
            "[registries.\"docker.io\"]\nmirror = [\"https://m\"]\n",
            "mine.toml:3:1: unknown field `mirror`",
        ),
        (
            "[registries.\"docker.io\"]\nmirrors = [\"https://m.example\", \"m.example\"]\n",
            "mine.toml:3:33: registries.docker.io.mirrors[1]: is not an http or https URL",
        ),
        (
            "[registries.\"docker.io/library\"]\nmirrors = [\"https://m.example\"]\n",
            "mine.toml:2:1: registries.docker.io/library: is a part of a registry, and containerd has settings for whole registries only",
        ),
        (
            "[registries.\"a.example\"]\nfallback = false\n",
            "mine.toml:3:12: registries.a.example.fallback: leaves no place to pull from",
        ),
        (
            "[registries.\"a.example\"]\nca = \"/nonexistent/ca.crt\"\n",
            "mine.toml:3:6: registries.a.example.ca: reading /nonexistent/ca.crt: No such file",
        ),
    ] {
        let text = refusal(more);
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
}

#[test]
fn a_ca_that_is_none_is_told_with_its_own_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "a comment\n-----BEGIN CERTIFICATE-----\nAAAA\n",
    )
    .unwrap();
    let path = file.path().display();
    let text = refusal(&format!("[registries.\"a.example\"]\nca = \"{path}\"\n"));
    let wanted = format!(
        "mine.toml:3:6: registries.a.example.ca: {path}:2: starts a block that does not end"
    );
    assert!(text.contains(&wanted), "{wanted}:\n{text}");
}

/// With the way out, and without the line that has it.
#[test]
fn a_secret_is_refused_and_not_shown() {
    for key in ["username", "password", "token", "cert", "key"] {
        let text = refusal(&format!("[registries.\"a.example\"]\n{key} = \"SECRET\"\n"));
        let way = format!("as `nodeimg.registries.\"a.example\".{key}`");
        assert!(
            text.contains("mine.toml:3:") && text.contains(&way),
            "{text}"
        );
        assert!(!text.contains("SECRET"), "{text}");
    }
}

/// Files of the image, and what first boot has to know to add to them.
#[test]
fn an_image_has_what_all_of_its_nodes_need() {
    let recipe = recipe(
        "[registries.\"docker.io\"]\nmirrors = [\"https://m.example/hub\"]\n\
         [registries._default]\nmirrors = [\"http://10.0.0.5:5000\"]\n",
    );
    let mut tree = crate::tree::Tree::default();
    rootfs::registries(&recipe, &mut tree).unwrap();
    for name in ["docker.io", "_default"] {
        let path = format!("/etc/containerd/certs.d/{name}/hosts.toml");
        assert!(tree.get(&path.parse().unwrap()).is_some(), "{path}");
    }
    assert_eq!(
        recipe.registries["docker.io"].mirrors,
        ["https://m.example/hub"]
    );
}
