//! Attestations of builds and releases by GitHub, real ones.

use std::fs;

use nodeimg_trust::demand::Build;
use nodeimg_trust::{Artifact, Demand, How, Instance, Proof, Roots, Why, collect, first};
use nodeimg_values::digest::Digest;

use crate::common::*;

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
    others_are_refused(&build, proof);
    let other = Build {
        predicate_type: "https://x.example/v1".to_string(),
        ..build.clone()
    };
    let refusal = judge(&sha256(CUSTOM), &Demand::Build(other), proof).unwrap_err();
    assert_eq!(refusal.why, Why::Missing, "{refusal}");
    let refusal = judge(&sha256(PY), &Demand::Build(build), proof).unwrap_err();
    assert_eq!(refusal.why, Why::Artifact, "{refusal}");
}

/// Each part of a demand that is another.
fn others_are_refused(build: &Build, proof: &Proof) {
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
