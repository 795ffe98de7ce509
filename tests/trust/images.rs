//! Signatures of container images, in their registry.

use std::fs;

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::registry_server::{Auth, Registry};
use nodeimg_test_support::run::Ran;
use serde_json::json;

use super::{ISSUER, SIGNER, Trust, bundle_of};

/// An index that names nothing: enough for a lock.
fn index() -> Vec<u8> {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
    });
    index.to_string().into_bytes()
}

/// With an image in a registry that `signatures` are in.
fn with_image(signers: &[&str]) -> (Trust, Registry) {
    let mut trust = Trust::new();
    let registry = Registry::start(Auth::Open);
    let digest = format!("sha256:{}", sha256(&index()));
    registry.put("/v2/pause/manifests/3.10", &index());
    registry.put(&format!("/v2/pause/manifests/{digest}"), &index());
    let mut layers = Vec::new();
    for signer in signers {
        let (payload, annotations) = trust.sigstore.sign_image(signer, &digest);
        let blob = format!("sha256:{}", sha256(&payload));
        registry.put(&format!("/v2/pause/blobs/{blob}"), &payload);
        layers.push(json!({
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": blob, "size": payload.len(), "annotations": annotations,
        }));
    }
    if !layers.is_empty() {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest, "size": 2 },
            "layers": layers,
        });
        let tag = format!("sha256-{}.sig", sha256(&index()));
        registry.put(
            &format!("/v2/pause/manifests/{tag}"),
            manifest.to_string().as_bytes(),
        );
    }
    let text = format!(
        "{}\n[[artifact]]\nname = \"pause\"\nkind = \"oci_image\"\nimage = \
         \"{}/pause:3.10\"\nverify = {{ sigstore = {{ identity = \"{SIGNER}\", issuer = \
         \"{ISSUER}\", instance = \"private\" }} }}\n",
        trust.world.recipe,
        registry.address()
    );
    trust.world.write_recipe(&text);
    (trust, registry)
}

fn pinned(trust: &Trust) -> toml::Table {
    let lock: toml::Table = trust.world.lock_text().parse().unwrap();
    lock["image"].as_array().unwrap()[0]
        .as_table()
        .unwrap()
        .clone()
}

#[test]
fn any_of_an_images_signatures_may_be_by_its_signer() {
    let (trust, _registry) = with_image(&["somebody@else.test", SIGNER]);
    Ran::of(&mut trust.lock(&[])).good();
    let pin = pinned(&trust);
    assert_eq!(pin["verified"].as_str(), Some("sigstore"));
    assert_eq!(pin["signer"].as_str(), Some(SIGNER));
    let proofs = fs::read_to_string(trust.proofs()).unwrap();
    assert!(proofs.contains("docker-manifest-digest"), "{proofs}");
    Ran::of(&mut trust.lock(&["--check"])).good();
}

#[test]
fn an_image_that_only_others_signed_is_refused() {
    let (trust, _registry) = with_image(&["somebody@else.test"]);
    let ran = Ran::of(&mut trust.lock(&[])).refused(1, &[]);
    for says in ["the image pause", "somebody@else.test", SIGNER] {
        assert!(ran.err.contains(says), "no {says} in {}", ran.err);
    }
}

#[test]
fn an_image_without_a_signature_is_told() {
    let (trust, _registry) = with_image(&[]);
    let ran = Ran::of(&mut trust.lock(&[])).good();
    assert!(ran.err.contains("the image pause (amd64): "), "{}", ran.err);
    assert_eq!(pinned(&trust)["verified"].as_str(), Some("none"));
}

/// The bundle of cosign 3: in a manifest that refers to the image.
fn refer(trust: &Trust, registry: &Registry, list: &str, subject: &str) {
    let bundle = bundle_of(&trust.sigstore, SIGNER, &index()).into_bytes();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let put = |bytes: &[u8]| {
        let digest = format!("sha256:{}", sha256(bytes));
        for place in ["blobs", "manifests"] {
            registry.put(&format!("/v2/pause/{place}/{digest}"), bytes);
        }
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    };
    let layer = put(&bundle);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": layer,
        "layers": [layer],
        "subject": { "mediaType": "x", "digest": subject, "size": index().len() },
    });
    let mut entry = put(manifest.to_string().as_bytes());
    entry["artifactType"] = json!(kind);
    let all = json!({ "schemaVersion": 2, "manifests": [entry] });
    registry.put(&format!("/v2/pause/{list}"), all.to_string().as_bytes());
}

#[test]
fn a_bundle_that_refers_to_an_image_counts_by_the_interface_and_by_the_tag() {
    let digest = sha256(&index());
    let own = format!("sha256:{digest}");
    for list in [
        format!("referrers/{own}"),
        format!("manifests/sha256-{digest}"),
    ] {
        let (trust, registry) = with_image(&[]);
        refer(&trust, &registry, &list, &own);
        Ran::of(&mut trust.lock(&[])).good();
        let pin = pinned(&trust);
        assert_eq!(pin["verified"].as_str(), Some("sigstore"), "{list}");
        assert_eq!(pin["signer"].as_str(), Some(SIGNER));
        Ran::of(&mut trust.lock(&["--check"])).good();
    }
}

#[test]
fn what_refers_to_another_image_does_not_count() {
    let own = format!("sha256:{}", sha256(&index()));
    let (trust, registry) = with_image(&[]);
    let other = format!("sha256:{}", sha256(b"another"));
    refer(&trust, &registry, &format!("referrers/{own}"), &other);
    Ran::of(&mut trust.lock(&[])).good();
    assert_eq!(pinned(&trust)["verified"].as_str(), Some("none"));
    // A registry that answers the tag with the image itself.
    let (trust, registry) = with_image(&[]);
    let tag = format!("/v2/pause/manifests/{}", own.replace(':', "-"));
    registry.put(&tag, &index());
    Ran::of(&mut trust.lock(&[])).good();
    assert_eq!(pinned(&trust)["verified"].as_str(), Some("none"));
}
