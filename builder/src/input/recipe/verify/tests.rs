#![allow(clippy::unwrap_used)]
use super::super::tests::{load_text, refusal};
use super::*;

const SIGSTORE: &str = "identity = \"a@b.example\", issuer = \"https://accounts.google.com\"";

fn kubelet(verify: &str) -> String {
    format!("[[artifact]]\nname = \"kubelet\"\nverify = {{ {verify} }}\n")
}

#[test]
fn what_nobody_could_verify_is_refused_at_its_key() {
    let bundle = "bundle = \"{url}.sigstore.json\"";
    let key = "keys = [\"C2428CD75720FACDCF76B6EA17DE5ECB75A1100E\"], signature = \"{url}.asc\"";
    let revoked = "revoked = [\"c242 8cd7 5720 facd cf76 b6ea 17de 5ecb 75a1 100e\"]";
    for (verify, says) in [
        (String::new(), "verify: set `sigstore`"),
        (
            "none = \"own\", sources = 2".to_owned(),
            "verify.none: `none` excludes",
        ),
        ("none = \" \"".to_owned(), "say why nobody vouches"),
        (
            format!("sigstore = {{ {SIGSTORE} }}"),
            "say where the signature is",
        ),
        (
            format!("sigstore = {{ {SIGSTORE}, signature = \"{{url}}.sig\" }}"),
            "`signature` and `certificate` go together",
        ),
        (
            format!("sigstore = {{ {bundle}, identity = \".*@b\", issuer = \"https://a.b\" }}"),
            "is a pattern, but an identity is exact",
        ),
        (
            format!("sigstore = {{ {bundle}, identity = [], issuer = \"https://a.b\" }}"),
            "name who must have signed",
        ),
        (
            format!("sigstore = {{ {bundle}, identity = \"{{tag}}\", issuer = \"https://a.b\" }}"),
            "placeholder other than",
        ),
        (
            format!("sigstore = {{ {bundle}, identity = \"a\", issuer = \"google\" }}"),
            "verify.sigstore.issuer: not an https URL",
        ),
        (
            "openpgp = { keys = [\"75A1100E\"], signature = \"{url}.asc\" }".to_owned(),
            "not a whole fingerprint",
        ),
        (
            "openpgp = { keys = [], signature = \"{url}.asc\" }".to_owned(),
            "name the fingerprint",
        ),
        (
            format!("openpgp = {{ {key}, {revoked} }}"),
            "every one of them is in `revoked`",
        ),
        (
            "release = { repository = \"plugins\" }".to_owned(),
            "is not `OWNER/NAME`",
        ),
        (
            "release = { repository = \"../x\" }".to_owned(),
            "is not `OWNER/NAME`",
        ),
        ("sources = 1".to_owned(), "at least 2"),
        ("sources = 2".to_owned(), "only 1 are named"),
        (
            "none = \"own\", stated_by = [\"https://a.b/c\"]".to_owned(),
            "verify.stated_by: only with `sources`",
        ),
    ] {
        let text = refusal(&kubelet(&verify));
        assert!(text.contains(says), "{verify}: {text}");
        assert!(text.contains("mine.toml:"), "{verify}: {text}");
    }
}

#[test]
fn an_image_is_vouched_for_in_its_registry_alone() {
    let pause = |verify: &str| format!("[[artifact]]\nname = \"pause\"\nverify = {{ {verify} }}\n");
    assert!(load_text(&pause(&format!("sigstore = {{ {SIGSTORE} }}"))).is_ok());
    let with_file = format!("sigstore = {{ {SIGSTORE}, bundle = \"https://a.b/c\" }}");
    assert!(refusal(&pause(&with_file)).contains("are in its registry"));
    let text = refusal(&pause(
        "sources = 2, stated_by = [\"https://a.b/c\", \"https://d.e/f\"]",
    ));
    assert!(text.contains("by `sigstore` only"), "{text}");
}

#[test]
fn a_recipe_takes_the_place_of_who_vouches_and_keeps_the_policy() {
    let recipe = load_text(
        "[trust]\nrequire = \"strict\"\n[[artifact]]\nname = \"kubelet\"\nverify = { none = \
         \"built by ourselves\" }\n",
    )
    .unwrap();
    assert_eq!(recipe.trust.require, Some(Require::Strict));
    let mut all = recipe.artifacts.iter();
    let kubelet = all.find(|a| a.name.as_str() == "kubelet").unwrap();
    let verify = kubelet.verify.clone().unwrap();
    assert_eq!(verify.none.as_deref(), Some("built by ourselves"));
    assert_eq!(verify.sigstore, None);
}

/// A lock of before these keys still fits.
#[test]
fn who_vouches_moves_no_digest() {
    let plain = load_text("").unwrap();
    let other = load_text(&kubelet("none = \"x\"")).unwrap();
    assert_eq!(plain.digest(), other.digest());
}
