#![allow(clippy::unwrap_used)]
use super::GoDuration;
use crate::input::recipe::tests::{recipe, refusal};

const PROGRAM: &str = "[[file]]\npath = \"/usr/libexec/kubernetes/credential-providers/mine\"\ncontent = \"#!/bin/sh\"\n";

fn provider(more: &str) -> String {
    format!("{PROGRAM}[[credential_provider]]\nname = \"mine\"\n{more}")
}

#[test]
fn each_mistake_is_told_at_its_line() {
    let images = "match_images = [\"a.example\"]\n";
    for (more, wanted) in [
        (
            format!("[[credential_provider]]\nname = \"gone\"\n{images}"),
            "mine.toml:3:8: credential_provider.gone.name: no artifact's `files` installs `/usr/libexec/kubernetes/credential-providers/gone`",
        ),
        (
            provider(""),
            "credential_provider.mine.match_images: missing",
        ),
        (
            provider("match_image = []\n"),
            "mine.toml:7:1: unknown field `match_image`",
        ),
        (
            provider("match_images = [\"a.example\", \"https://b.example\"]\n"),
            "mine.toml:7:30: credential_provider.mine.match_images[1]: `https://b.example` has a scheme",
        ),
        (
            provider("match_images = [\"a.example/*\"]\n"),
            "`a.example/*` has a path that no image's name has",
        ),
        (
            provider(&format!("{images}cache = \"12\"\n")),
            "mine.toml:8:9: `12` is not a duration",
        ),
        (
            provider(&format!("{images}api_version = \"v2\"\n")),
            "mine.toml:8:15: unknown variant `v2`",
        ),
        (
            provider(&format!("{images}env = {{ \"A B\" = \"c\" }}\n")),
            "credential_provider.mine.env.A B: not the name of an environment variable",
        ),
        (
            provider(&format!(
                "{images}service_account = {{ audience = \"a\", cache_by = \"Token\", required = false, required_annotations = [\"x\"] }}\n"
            )),
            "credential_provider.mine.service_account.required_annotations: needs `required = true`",
        ),
        (
            provider(&format!(
                "{images}api_version = \"v1beta1\"\nservice_account = {{ audience = \"a\", cache_by = \"Token\", required = false }}\n"
            )),
            "credential_provider.mine.service_account: needs `api_version = \"v1\"`",
        ),
        (
            format!(
                "[kubelet]\nextra_args = [\"--image-credential-provider-config=/x\"]\n{}",
                provider(images)
            ),
            "mine.toml:3:15: kubelet.extra_args[0]: nodeimg sets this flag",
        ),
    ] {
        let text = refusal(&more);
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
    let good = recipe(&provider(
        "match_images = [\"*.a.example:5000/team\"]\ncache = \"12h\"\n",
    ));
    assert_eq!(good.credential_providers.len(), 1);
}

#[test]
fn durations_are_gos() {
    for good in ["0", "12h", "1h30m", "500ms"] {
        assert_eq!(good.parse::<GoDuration>().unwrap().to_string(), good);
    }
    for bad in ["", "12", "h", "-1h", "1d", "1h ", "99999999h"] {
        assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
    }
}
