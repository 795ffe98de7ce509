//! Real signatures, attestations and damaged ones, as their publishers test with them; see
//! `vectors/README.md` for where each is from.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::*;
use nodeimg_trust::demand::{Build, Keys};
use nodeimg_trust::{Artifact, Demand, How, Instance, Proof, Roots, Signer, Why, collect};
use nodeimg_trust::{first, known, verify};
use nodeimg_values::digest::Digest;

/// One case of sigstore-conformance: whether it verifies.
fn conforms(case: &str) -> Result<How, String> {
    let file = |name: &str| fs::read(path(&format!("conformance/{case}/{name}"))).ok();
    let line = |name: &str| file(name).map(|it| String::from_utf8(it).unwrap().trim().to_string());
    let artifact = match file("artifact") {
        Some(_) => path(&format!("conformance/{case}/artifact")),
        None => path("conformance/a.txt"),
    };
    let bundle = String::from_utf8(file("bundle.sigstore.json").unwrap()).unwrap();
    let roots = Roots::built_in().unwrap();
    let (roots, instance) = match line("root") {
        None => (roots, Instance::PublicGood),
        Some(root) => {
            let json = bytes(&format!("conformance/roots/{root}.json"));
            let roots = roots
                .with_private(&json)
                .map_err(|error| format!("{error:#}"))?;
            (roots, Instance::Private)
        }
    };
    let signers = vec![match line("key.pub") {
        Some(pem) => Signer::Key { pem },
        None => signer(
            &line("identity").unwrap_or(BEACON.to_string()),
            &line("issuer").unwrap_or(GITHUB.to_string()),
        ),
    }];
    let demand = match payload(&bundle) {
        None => Demand::Blob { signers, instance },
        Some(statement) => Demand::Attestation {
            signers,
            predicate_type: statement["predicateType"]
                .as_str()
                .unwrap_or_default()
                .to_string(),
            instance,
        },
    };
    let proof = Proof::Sigstore { bundle };
    let digest = Digest::sha256(&fs::read(&artifact).unwrap());
    // By the digest alone, and with the file: both must say the same.
    let mut outcomes = [None, Some(artifact.as_path())].map(|content| {
        let artifact = Artifact {
            name: case,
            sha256: &digest,
            url: None,
            content,
        };
        verify(&artifact, &demand, Some(&proof), &roots, AT)
            .map(|vouched| vouched.how)
            .map_err(|refusal| refusal.to_string())
    });
    assert_eq!(
        outcomes[0].is_ok(),
        outcomes[1].is_ok(),
        "{case}: {outcomes:?}"
    );
    std::mem::replace(&mut outcomes[0], Ok(How::None))
}

#[test]
fn sigstore_conformance() {
    let mut wrong = Vec::new();
    let (mut good, mut bad) = (0, 0);
    for entry in fs::read_dir(path("conformance")).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        if case == "a.txt" || case == "roots" {
            continue;
        }
        let outcome = conforms(&case);
        match case.ends_with("_fail") {
            true => bad += 1,
            false => good += 1,
        }
        if outcome.is_ok() == case.ends_with("_fail") {
            wrong.push(format!("{case}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((good, bad), (21, 49));
}

const PY: &str = "ae57936def59bc4c75edd3a837d89bcefc6d3a5e31d55a6fa7a71624f92c3c3b";
const REUSABLE: &str = "49a3aa6075e0f49f82843e74b5baa614ad2a588e6675612bf108a0a008c5ac25";
const CUSTOM: &str = "afa27b44d43b02a9fea41d13cedc2e4016cfcf87c5dbf990e593669aa8ce286d";

fn attested(file: &str) -> Vec<Proof> {
    collect::from_attestations(&bytes(&format!("attestations/{file}"))).unwrap()
}

#[test]
fn a_build_is_of_exactly_this_repository_workflow_and_run() {
    let proof = &attested("custom-issuer.sigstore.json")[0];
    let workflow = ".github/workflows/integration.yml";
    let build = Build {
        issuer: format!("{GITHUB}/hammer-time"),
        ..build("too-legit/attest", workflow, "workflow_dispatch")
    };
    let good = judge(&sha256(CUSTOM), &Demand::Build(build.clone()), proof).unwrap();
    assert_eq!(good.how, How::Sigstore);
    assert_eq!(good.signer, build.identity());
    assert_eq!(good.issuer.as_deref(), Some(build.issuer.as_str()));
    let source = "https://github.com/too-legit/attest@283bf967fa3c591925dd25e6a6e8e781542117bf";
    assert_eq!(good.source.as_deref(), Some(source));
    assert!(good.signed_at.unwrap() > 1_726_000_000);
    for (what, other) in [
        (
            "issuer",
            Build {
                issuer: GITHUB.to_string(),
                ..build.clone()
            },
        ),
        (
            "repository",
            Build {
                repository: "too-legit/other".to_string(),
                ..build.clone()
            },
        ),
        (
            "ref",
            Build {
                git_ref: "refs/tags/v1".to_string(),
                ..build.clone()
            },
        ),
        (
            "workflow",
            Build {
                workflow: ".github/workflows/x.yml".to_string(),
                ..build.clone()
            },
        ),
        (
            "trigger",
            Build {
                triggers: vec!["push".to_string()],
                ..build.clone()
            },
        ),
        (
            "signer",
            Build {
                signer: Some("https://github.com/a/b/c@d".to_string()),
                ..build.clone()
            },
        ),
    ] {
        let refusal = judge(&sha256(CUSTOM), &Demand::Build(other), proof).unwrap_err();
        assert_eq!(refusal.why, Why::Signer, "{what}: {refusal}");
        let by = refusal.signed_by.clone().unwrap();
        assert!(by.contains("too-legit/attest"), "{what}: {refusal}");
    }
    let other = Build {
        predicate_type: "https://x.example/v1".to_string(),
        ..build.clone()
    };
    let refusal = judge(&sha256(CUSTOM), &Demand::Build(other), proof).unwrap_err();
    assert_eq!(refusal.why, Why::Missing, "{refusal}");
    let refusal = judge(&sha256(PY), &Demand::Build(build), proof).unwrap_err();
    assert_eq!(refusal.why, Why::Artifact, "{refusal}");
}

#[test]
fn a_reusable_workflow_signs_under_its_own_name() {
    let proof = &attested("reusable-workflow-attestation.sigstore.json")[0];
    let signer = "https://github.com/github/artifact-attestations-workflows/.github/workflows/attest.yml@09b495c3f12c7881b3cc17209a327792065c1a1d";
    let build = build(
        "malancas/attest-demo",
        ".github/workflows/shared.yml",
        "workflow_dispatch",
    );
    let named = Build {
        signer: Some(signer.to_string()),
        ..build.clone()
    };
    let good = judge(&sha256(REUSABLE), &Demand::Build(named), proof).unwrap();
    assert_eq!(good.signer, signer);
    assert!(
        good.source
            .unwrap()
            .starts_with("https://github.com/malancas/attest-demo@95baf273")
    );
    let refusal = judge(&sha256(REUSABLE), &Demand::Build(build), proof).unwrap_err();
    assert_eq!(refusal.why, Why::Signer, "{refusal}");
}

#[test]
fn githubs_own_instance_and_the_public_one_do_not_stand_for_each_other() {
    let proof = &attested("github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl")[0];
    let workflow = ".github/workflows/build-python.yml";
    let own = Build {
        instance: Instance::GitHub,
        ..build("actions/attest-demo", workflow, "workflow_dispatch")
    };
    judge(&sha256(PY), &Demand::Build(own.clone()), proof).unwrap();
    let public = Build {
        instance: Instance::PublicGood,
        ..own.clone()
    };
    assert!(judge(&sha256(PY), &Demand::Build(public), proof).is_err());

    let proof = &attested("reusable-workflow-attestation.sigstore.json")[0];
    assert!(judge(&sha256(REUSABLE), &Demand::Build(own), proof).is_err());
}

#[test]
fn of_several_lines_the_first_that_holds_counts() {
    let file = path("attestations/sigstore-js-2.1.0.tgz");
    let digest = Digest::sha256(&fs::read(&file).unwrap());
    let demand = Demand::Build(build(
        "sigstore/sigstore-js",
        ".github/workflows/release.yml",
        "push",
    ));
    let artifact = Artifact {
        name: "sigstore-js",
        sha256: &digest,
        url: None,
        content: Some(&file),
    };
    let roots = Roots::built_in().unwrap();
    let mut lines = attested("sigstoreBundle-invalid-signature.json");
    lines.extend(attested("sigstore-js-2.1.0_with_2_bundles.jsonl"));
    assert_eq!(lines.len(), 3);
    let (chosen, vouched) = first(&artifact, &demand, &lines, &roots, AT).unwrap();
    assert!(std::ptr::eq(chosen, &lines[1]));
    assert!(
        vouched
            .source
            .unwrap()
            .ends_with("@26d16513386ffaa790b1c32f927544f1322e4194")
    );
    let old = attested("sigstore-js-2.1.0-bundle-v0.1.json");
    first(&artifact, &demand, &old, &roots, AT).unwrap();
    // The statement names a SHA-512 only, so the bytes are needed.
    let blind = Artifact {
        content: None,
        ..artifact
    };
    assert!(first(&blind, &demand, &lines, &roots, AT).is_err());
    let refusal = first(&artifact, &demand, &lines[..1], &roots, AT).unwrap_err();
    assert!(refusal.why != Why::Missing, "{refusal}");
    let refusal = first(&artifact, &demand, &[], &roots, AT).unwrap_err();
    assert_eq!(refusal.why, Why::Missing);
    let api = format!(
        r#"{{"attestations":[{{"bundle":{}}},{{"bundle":null,"bundle_url":"x"}}]}}"#,
        text("attestations/sigstore-js-2.1.0-bundle-v0.1.json")
    );
    let api = collect::from_attestations(api.as_bytes()).unwrap();
    assert_eq!(api.len(), 1);
    first(&artifact, &demand, &api, &roots, AT).unwrap();
}

#[test]
fn bundles_without_a_certificate_are_refused() {
    let name = "attestations/github_provenance_demo-0.0.12-py3-none-any-bundle-missing";
    let demand = Demand::Build(Build {
        instance: Instance::GitHub,
        ..build(
            "actions/attest-demo",
            ".github/workflows/build-python.yml",
            "workflow_dispatch",
        )
    });
    for kind in ["cert", "verification-material"] {
        let bundle = text(&format!("{name}-{kind}.jsonl"));
        let proof = Proof::Sigstore { bundle };
        assert!(judge(&sha256(PY), &demand, &proof).is_err(), "{kind}");
    }
}

#[test]
fn a_release_is_of_this_repository_and_tag() {
    let release = |repository: &str, tag: &str| Demand::Release {
        repository: repository.to_string(),
        tag: tag.to_string(),
    };
    for (file, repository, tag, digest) in [
        (
            "github-release.json",
            "bdehamer/delme",
            "v6",
            "e15b593c6ab8d7725a3cc82226ef816cac6bf9c70eed383bd459295cc65f5ec3",
        ),
        (
            "github-release-v0.2.json",
            "jdx/communique",
            "v0.1.9",
            "fabce7391876734f9574e5dd3a247b65ce507d234a6c75991b24c903b24c470d",
        ),
    ] {
        let proof = &attested(file)[0];
        let digest = sha256(digest);
        let good = judge(&digest, &release(repository, tag), proof).unwrap();
        assert_eq!(good.how, How::Release);
        assert_eq!(good.signer, "https://dotcom.releases.github.com");
        assert!(good.signed_at.is_some());
        let refusal = judge(&digest, &release(repository, "v7"), proof).unwrap_err();
        assert_eq!(refusal.why, Why::Signer, "{refusal}");
        let refusal = judge(&digest, &release("a/b", tag), proof).unwrap_err();
        assert_eq!(refusal.why, Why::Signer, "{refusal}");
        let refusal = judge(&sha256(PY), &release(repository, tag), proof).unwrap_err();
        assert_eq!(refusal.why, Why::Artifact, "{refusal}");
        // It says what is served: no build, no signature.
        let build = Demand::Build(build(repository, ".github/workflows/x.yml", "push"));
        assert!(judge(&digest, &build, proof).is_err());
    }
}

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
