#![allow(clippy::unwrap_used)]
use crate::input::recipe::tests::{recipe, refusal};

const BASE: &str = "[base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n";

#[test]
fn what_was_asked_for_moves_the_digest_and_mirrors_do_not() {
    let digest = |more: &str| recipe(&format!("{BASE}{more}")).digest();
    assert_ne!(digest(""), recipe("").digest());
    assert_eq!(
        digest(""),
        digest("mirrors = [\"http://mirror.example/debian\"]\nallow_expired = [\"sid\"]\n")
    );
    // `main` is always read.
    assert_eq!(digest(""), digest("components = [\"main\"]\n"));
    for more in [
        "provided = [\"perl\"]\n",
        "pins = { containerd = \"sid\" }\n",
        "arch_packages = { arm64 = [\"linux-image-cloud-arm64\"] }\n",
        "arch_exclude = { arm64 = [\"perl\"] }\n",
        "arch_provided = { arm64 = [\"perl\"] }\n",
        "components = [\"non-free-firmware\"]\n",
    ] {
        assert_ne!(digest(""), digest(more), "{more}");
    }
}

#[test]
fn bad_tables_are_told() {
    for (more, wants) in [
        (
            "[base]\npackages = [\"systemd\"]\n",
            ["base: `suite`", "trixie"],
        ),
        (
            "[base]\nsuite = \"trixie\"\n",
            ["base: `packages`", "missing"],
        ),
        (
            &format!("{BASE}exclude = [\"systemd\"]\n"),
            ["base.exclude[0]", "`packages` too"],
        ),
        (
            &format!("{BASE}exclude = [\"perl\"]\nprovided = [\"perl\"]\n"),
            ["base.exclude[0]", "`provided` too"],
        ),
        (
            &format!("{BASE}exclude = [\"b1\"]\nchoices = {{ a1 = \"b1\" }}\n"),
            ["base.choices.a1", "`b1`"],
        ),
        (
            &format!("{BASE}arch_exclude = {{ arm64 = [\"systemd\"] }}\n"),
            ["base.arch_exclude.arm64[0]", "`packages` too"],
        ),
        (
            &format!("{BASE}components = [\"nonfree-firmware\"]\n"),
            ["mine.toml:5:", "non-free-firmware"],
        ),
        (
            &format!("{BASE}mirrors = [\"mirror.example\"]\n"),
            ["base.mirrors[0]", "URL"],
        ),
        (
            &format!("{BASE}provided = [\"Perl\"]\n"),
            ["mine.toml:5:12", "name of a Debian package"],
        ),
        (
            &format!("{BASE}accept_scripts = [\"tool/postrm sha256:00\"]\n"),
            ["mine.toml:5:18", "64 hex digits"],
        ),
        (
            &format!("{BASE}accept_scripts = [\"tool\"]\n"),
            ["mine.toml:5:18", "PACKAGE/SCRIPT"],
        ),
    ] {
        let text = refusal(more);
        for want in wants {
            assert!(text.contains(want), "{more:?} should say {want:?}:\n{text}");
        }
    }
}
