//! The bundles of sigstore-conformance.

use std::fs;

use nodeimg_trust::{Artifact, Demand, How, Instance, Proof, Roots, Signer, verify};
use nodeimg_values::digest::Digest;

use crate::common::*;

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
