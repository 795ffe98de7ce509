//! Real signatures of files, images and tags, and what a refusal says.

use std::collections::BTreeMap;
use std::fs;

use nodeimg_trust::demand::Keys;
use nodeimg_trust::{Artifact, Demand, How, Instance, Proof, Roots, Why, collect, known, verify};
use nodeimg_values::digest::Digest;

use crate::common::*;

#[test]
fn a_classic_image_signature() {
    let annotations: BTreeMap<String, String> =
        serde_json::from_str(&text("image/nginx.annotations.json")).unwrap();
    let payload = bytes("image/nginx.payload");
    let proof = collect::from_cosign_layer(&annotations, &payload).unwrap();
    let image = sha256("f45669d78bbc90cc03d430a7276425adb013cb229998e79917c0f5d0c6049110");
    let identity =
        "https://github.com/chainguard-images/nginx/.github/workflows/release.yaml@refs/heads/main";
    let demand = |identity: &str| Demand::Image {
        signers: vec![
            signer("somebody@else.example", GITHUB),
            signer(identity, GITHUB),
        ],
        instance: Instance::PublicGood,
    };
    let good = judge(&image, &demand(identity), &proof).unwrap();
    assert_eq!(good.signer, identity);
    assert_eq!(good.signed_at, Some(1_665_712_784));
    let refusal = judge(&image, &demand("x@y.example"), &proof).unwrap_err();
    assert_eq!(refusal.why, Why::Signer, "{refusal}");
    let refusal = judge(&sha256(PY), &demand(identity), &proof).unwrap_err();
    assert_eq!(refusal.why, Why::Artifact, "{refusal}");
    // A signature of a text is none of an image, and the other way round.
    assert!(judge(&image, &blob(identity, GITHUB), &proof).is_err());
    let Proof::Cosign { payload, bundle } = proof else {
        panic!("not cosign's")
    };
    let text = payload.replace("f45669d7", "f45669d8");
    let changed = Proof::Cosign {
        payload: text,
        bundle,
    };
    assert!(judge(&image, &demand(identity), &changed).is_err());
}

/// A tag's text as the artifact, its signature as runc's releases have it beside a binary.
fn tag(name: &str, keys: &Keys, at: i64) -> Result<nodeimg_trust::Vouched, Why> {
    let content = path(&format!("runc/{name}.tag"));
    let digest = Digest::sha256(&fs::read(&content).unwrap());
    let artifact = Artifact {
        name,
        sha256: &digest,
        url: Some("https://github.com/opencontainers/runc/releases/download/x/runc.amd64"),
        content: Some(&content),
    };
    let proof = collect::from_openpgp(&bytes(&format!("runc/{name}.tag.asc")), None).unwrap();
    let demand = Demand::OpenPgp(keys.clone());
    let judged = verify(
        &artifact,
        &demand,
        Some(&proof),
        &Roots::built_in().unwrap(),
        at,
    );
    judged.map_err(|refusal| refusal.why)
}

#[test]
fn runcs_tags_need_the_union_of_two_keyrings() {
    let Demand::OpenPgp(keys) = known::runc() else {
        panic!("not OpenPGP")
    };
    let kir = "C2428CD75720FACDCF76B6EA17DE5ECB75A1100E";
    for name in ["v1.1.14", "v1.1.15", "v1.2.0", "v1.2.5", "v1.4.3", "v1.5.1"] {
        let good = tag(name, &keys, AT).unwrap();
        assert_eq!(good.how, How::OpenPgp, "{name}");
        assert_eq!(
            good.signer == kir,
            name == "v1.1.15",
            "{name}: {}",
            good.signer
        );
    }
    assert!(tag("v1.1.5", &keys, AT).is_err());
    // With the newer keyring alone, whose keys lost older self-signatures.
    let both = String::from_utf8(keys.keyring.to_vec()).unwrap();
    let older = both
        .match_indices("-----BEGIN PGP PUBLIC KEY")
        .nth(3)
        .unwrap()
        .0;
    let newer = Keys {
        keyring: both.as_bytes()[..older].to_vec().into(),
        ..keys.clone()
    };
    assert_eq!(tag("v1.1.15", &newer, AT).unwrap_err(), Why::Expired);
    tag("v1.1.14", &newer, AT).unwrap();
    // Only pinned keys count.
    let other = Keys {
        primary: vec!["00".repeat(20)],
        ..keys.clone()
    };
    assert_eq!(tag("v1.2.0", &other, AT).unwrap_err(), Why::Root);
    let only_kir = Keys {
        primary: vec![kir.to_string()],
        ..keys.clone()
    };
    assert_eq!(tag("v1.2.0", &only_kir, AT).unwrap_err(), Why::Signer);
    // Kir's key ends in April 2028: after it the signature could be of any time.
    assert_eq!(
        tag("v1.1.15", &keys, 1_900_000_000).unwrap_err(),
        Why::Expired
    );
    // Signed after the lock was written.
    assert!(tag("v1.5.1", &keys, 1_700_000_000).is_err());
}

#[test]
fn a_signature_of_cosign_3_is_not_an_attestation_nor_the_other_way_round() {
    let proof = collect::from_bundle(&bytes("attestations/cosign-v3-blob.sigstore.json")).unwrap();
    let digest = Digest::sha256(&bytes("attestations/cosign-v3-blob.txt"));
    let signers = vec![signer(
        "w.vollprecht@gmail.com",
        "https://github.com/login/oauth",
    )];
    let instance = Instance::PublicGood;
    let blob = Demand::Blob {
        signers: signers.clone(),
        instance,
    };
    judge(&digest, &blob, &proof).unwrap();
    // An image whose manifest has that digest is signed by the same bundle.
    let image = Demand::Image {
        signers: signers.clone(),
        instance,
    };
    judge(&digest, &image, &proof).unwrap();
    let predicate_type = "https://slsa.dev/provenance/v1".to_string();
    let attestation = Demand::Attestation {
        signers,
        predicate_type,
        instance,
    };
    let refusal = judge(&digest, &attestation, &proof).unwrap_err();
    assert_eq!(refusal.why, Why::Missing, "{refusal}");

    // Whoever attests anything of a file has not signed it.
    let proof = &attested("custom-issuer.sigstore.json")[0];
    let identity =
        "https://github.com/too-legit/attest/.github/workflows/integration.yml@refs/heads/main";
    let signers = vec![signer(identity, &format!("{GITHUB}/hammer-time"))];
    for demand in [
        Demand::Blob {
            signers: signers.clone(),
            instance,
        },
        Demand::Image { signers, instance },
    ] {
        let refusal = judge(&sha256(CUSTOM), &demand, proof).unwrap_err();
        assert_eq!(refusal.why, Why::Missing, "{refusal}");
        assert!(refusal.fault.contains("slsa.dev"), "{refusal}");
    }
}

#[test]
fn a_refusal_says_who_signed_who_should_have_and_what_to_do() {
    let bundle = text("conformance/happy-path-v0.3/bundle.sigstore.json");
    let digest = Digest::sha256(&bytes("conformance/a.txt"));
    let proof = Proof::Sigstore { bundle };
    let refusal = judge(&digest, &known::kubernetes_binary(), &proof).unwrap_err();
    let text = refusal.to_string();
    for part in [
        "thing: somebody else signed it",
        &format!("signed by: {BEACON} (issuer {GITHUB})"),
        "must be:   signed by krel-staging@k8s-releng-prod.iam.gserviceaccount.com (issuer https://accounts.google.com) at sigstore.dev",
        "help: ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for demand in [
        known::kubernetes_image(),
        known::containerd("2.3.4"),
        known::runc(),
        known::unsigned(),
    ] {
        let refusal = judge(
            &digest,
            &demand,
            &Proof::Sources {
                answers: Vec::new(),
            },
        )
        .unwrap_err();
        assert!(
            matches!(refusal.why, Why::Missing | Why::Sources),
            "{refusal}"
        );
        let artifact = Artifact {
            name: "thing",
            sha256: &digest,
            url: None,
            content: None,
        };
        let roots = Roots::built_in().unwrap();
        let refusal = verify(&artifact, &demand, None, &roots, AT).unwrap_err();
        assert_eq!(refusal.why, Why::Missing);
        let private = Demand::Blob {
            signers: Vec::new(),
            instance: Instance::Private,
        };
        let refusal = verify(&artifact, &private, Some(&proof), &roots, AT).unwrap_err();
        assert_eq!(refusal.why, Why::Root);
    }
    // Nobody named signs nothing.
    let nobody = Demand::Blob {
        signers: Vec::new(),
        instance: Instance::PublicGood,
    };
    assert_eq!(
        judge(&digest, &nobody, &proof).unwrap_err().why,
        Why::Signer
    );
}

/// A signature over a list counts for the files in it. The list is a text that was signed.
#[test]
fn a_signed_list_vouches_for_what_it_names() {
    let list = text("image/nginx.payload");
    let layer: BTreeMap<String, String> =
        serde_json::from_str(&text("image/nginx.annotations.json")).unwrap();
    let Proof::Cosign { bundle, .. } = collect::from_cosign_layer(&layer, list.as_bytes()).unwrap()
    else {
        panic!("not cosign's")
    };
    let bundle = collect::from_bundle(bundle.as_bytes()).unwrap();
    let proof = collect::from_signed_list(list.as_bytes(), bundle.clone()).unwrap();
    let identity =
        "https://github.com/chainguard-images/nginx/.github/workflows/release.yaml@refs/heads/main";
    let named = sha256("f45669d78bbc90cc03d430a7276425adb013cb229998e79917c0f5d0c6049110");
    let demand = blob(identity, GITHUB);
    assert_eq!(judge(&named, &demand, &proof).unwrap().signer, identity);
    let refusal = judge(&sha256(PY), &demand, &proof).unwrap_err();
    assert_eq!(refusal.why, Why::Artifact, "{refusal}");
    let refusal = judge(&named, &blob("a@b.example", GITHUB), &proof).unwrap_err();
    assert_eq!(refusal.why, Why::Signer, "{refusal}");
    let changed = collect::from_signed_list(list.replace("f45669", "f45660").as_bytes(), bundle);
    let other = sha256("f45660d78bbc90cc03d430a7276425adb013cb229998e79917c0f5d0c6049110");
    assert!(judge(&other, &demand, &changed.unwrap()).is_err());
    let sources = Proof::Sources {
        answers: Vec::new(),
    };
    assert!(collect::from_signed_list(b"x", sources).is_err());
}

#[test]
fn a_clock_that_is_behind_is_named() {
    let digest = Digest::sha256(b"x");
    let artifact = Artifact {
        name: "thing",
        sha256: &digest,
        url: None,
        content: None,
    };
    let roots = Roots::built_in().unwrap();
    let at = |at: i64| {
        verify(&artifact, &known::unsigned(), None, &roots, at)
            .unwrap_err()
            .help
    };
    assert!(at(1 << 40).contains("clock"), "{}", at(1 << 40));
    assert!(!at(1_600_000_000).contains("clock"));
}
