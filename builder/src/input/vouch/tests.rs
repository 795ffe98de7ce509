#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use nodeimg_values::epoch::Epoch;

use super::standing::{changes, summary};
use super::*;
use crate::input::lock::{Packages, Pin, Pins};
use crate::input::recipe::request::requests;
use crate::input::recipe::tests::recipe as recipe_with;

fn vouch(how: How, signer: &str) -> Vouch {
    Vouch {
        verified: Some(how),
        signer: Some(signer.to_owned()),
        issuer: Some("https://a.b".to_owned()),
        proof: Some(Digest::sha256(signer.as_bytes())),
        ..Vouch::default()
    }
}

/// Every artifact of `recipe`, the named ones vouched for.
fn lock(recipe: &Recipe, vouches: &[(&str, Vouch)]) -> Lock {
    let vouches: BTreeMap<_, _> = vouches.iter().cloned().collect();
    let pin = |request: crate::input::recipe::request::ArtifactRequest| Pin {
        vouch: vouches
            .get(request.name.as_str())
            .cloned()
            .unwrap_or_default(),
        bytes: Expected::of(&Digest::sha256(b"x"), None),
        request,
    };
    let pins = Pins {
        artifacts: requests(&recipe.artifacts).into_iter().map(pin).collect(),
        images: Vec::new(),
        packages: Packages::default(),
    };
    Lock::new(recipe, Epoch(1_790_000_000), pins)
}

#[test]
fn a_lock_with_signers_reads_back_and_one_that_is_half_is_refused() {
    let recipe = recipe_with("");
    let good = lock(&recipe, &[("runc", vouch(How::OpenPgp, "KEY"))]);
    let text = good.text();
    assert!(text.contains("verified = \"openpgp\""), "{text}");
    assert_eq!(Lock::parse(&text, "x.lock").unwrap(), good);
    let half = Vouch {
        proof: None,
        ..vouch(How::Sigstore, "a@b")
    };
    let bad = lock(&recipe, &[("runc", half)]);
    let error = format!("{:#}", Lock::parse(&bad.text(), "x.lock").unwrap_err());
    assert!(error.contains("its artifact runc (amd64)"), "{error}");
    // Of before: not a word of it.
    assert!(!lock(&recipe, &[]).text().contains("verified"));
}

#[test]
fn the_weakest_link_is_named() {
    let recipe = recipe_with("");
    let signed = [
        ("kubelet", vouch(How::Sigstore, "a@b")),
        ("runc", vouch(How::OpenPgp, "KEY")),
        ("crictl", vouch(How::Sources, "x, y")),
    ];
    let lock = lock(&recipe, &signed);
    let text = summary(&subjects(&recipe, &lock).unwrap()).unwrap();
    let says = "vouched for: 6 of 12 inputs, 2 by Sigstore, 2 by OpenPGP, 2 by independent \
                sources; the weakest link: nobody vouches for cni-plugins, containerd, kube-proxy";
    assert_eq!(text, says);
}

#[test]
fn a_policy_names_what_it_lacks() {
    let more = |require: &str| format!("[trust]\nrequire = \"{require}\"\n");
    for (require, how, lacking) in [
        ("any", How::None, false),
        ("sources", How::None, true),
        ("sources", How::Sources, false),
        ("signed", How::Sources, true),
        ("signed", How::Release, false),
        ("strict", How::None, true),
        ("strict", How::Sources, false),
    ] {
        let recipe = recipe_with(&more(require));
        let names = [
            "cni-plugins",
            "containerd",
            "crictl",
            "kube-proxy",
            "kubelet",
            "runc",
        ];
        let vouches = names.map(|name| match how {
            How::None => (name, Vouch::nobody()),
            how => (name, vouch(how, "a@b")),
        });
        let lock = lock(&recipe, &vouches);
        let found = unmet(&recipe, &subjects(&recipe, &lock).unwrap());
        assert_eq!(found.is_some(), lacking, "{require} {how:?}: {found:?}");
        if let Some(text) = found {
            assert!(text.contains("runc 1."), "{text}");
            assert!(text.contains(require), "{text}");
        }
    }
}

#[test]
fn an_identity_with_the_version_in_it_is_the_same_for_the_next() {
    let old = recipe_with("");
    let new = recipe_with("[[artifact]]\nname = \"containerd\"\nversion = \"2.3.9\"\n");
    let at = |version: &str| {
        vouch(
            How::Sigstore,
            &format!("https://a.b/w.yml@refs/tags/v{version}"),
        )
    };
    let was = lock(&old, &[("containerd", at("2.3.4"))]);
    let same = lock(&new, &[("containerd", at("2.3.9"))]);
    assert_eq!(changes(&was, &same), []);
    let branch = vouch(How::Sigstore, "https://a.b/w.yml@refs/heads/main");
    let other = changes(&was, &lock(&new, &[("containerd", branch)]));
    assert_eq!(other.len(), 2);
    assert_eq!(
        other[0].was.signer.as_deref(),
        Some("https://a.b/w.yml@refs/tags/v{version}")
    );
}

#[test]
fn a_file_of_proofs_has_the_locks_and_no_others() {
    let recipe = recipe_with("");
    let proof = Digest::sha256(b"the proof");
    let named = Vouch {
        proof: Some(proof.clone()),
        ..vouch(How::Sigstore, "a@b")
    };
    let lock = lock(&recipe, &[("runc", named)]);
    let good = Proofs::of("x.proofs", "the proof\n");
    assert!(good.strangers(&lock).is_empty());
    assert_eq!(good.text(&lock), "the proof\n");
    assert_eq!(
        good.find(&proof, None).unwrap().as_deref(),
        Some("the proof")
    );
    for text in ["the prooF\n", "the proof\nand more\n", "the pro"] {
        let strange = Proofs::of("x.proofs", text).strangers(&lock);
        assert_eq!(strange.len(), 1, "{text}");
        assert!(strange[0].starts_with("x.proofs:"), "{strange:?}");
    }
    assert!(good.strangers(&super::tests::lock(&recipe, &[])).len() == 1);
}

/// What upstream is known to sign with, as the recipes have it.
#[test]
fn the_shipped_recipes_name_upstreams_signers() {
    use crate::input::recipe::{RecipeRef, built_in_names, load};
    for name in built_in_names() {
        let recipe = load(&RecipeRef::BuiltIn(name.to_owned()), &crate::output::KINDS).unwrap();
        for artifact in &recipe.artifacts {
            let request = requests(std::slice::from_ref(artifact)).remove(0);
            let ways = demand::of_artifact(artifact, &request).unwrap();
            assert!(
                !ways.is_empty(),
                "{name}: nobody vouches for {}",
                artifact.name
            );
            let known = match artifact.name.as_str() {
                "containerd" => nodeimg_trust::known::containerd(artifact.version.as_str()),
                "runc" => nodeimg_trust::known::runc(),
                "kubelet" | "kubeadm" | "kubectl" | "kube-proxy" => {
                    nodeimg_trust::known::kubernetes_binary()
                }
                _ => continue,
            };
            assert_eq!(ways[0].demand, known, "{name}: {}", artifact.name);
        }
        for image in &recipe.images {
            let ways = demand::of_image(image);
            assert_eq!(
                ways[0].demand,
                nodeimg_trust::known::kubernetes_image(),
                "{}",
                image.name
            );
        }
    }
}
