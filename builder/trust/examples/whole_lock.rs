//! How long the proofs of a whole lock take, from their file to the last verdict:
//! `cargo run --release -p nodeimg-trust --example whole_lock`.
//!
//! The proofs are the public vectors, as many and of the kinds that a lock has: Kubernetes'
//! binaries, a build, images, runc and two sources.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow};
use nodeimg_trust::demand::{Build, Signer};
use nodeimg_trust::{Artifact, Demand, Instance, Proof, Roots, collect, known, proof, verify};
use nodeimg_values::digest::{Algorithm, Digest};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const BEACON: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const NGINX: &str =
    "https://github.com/chainguard-images/nginx/.github/workflows/release.yaml@refs/heads/main";

struct Item {
    digest: Digest,
    demand: Demand,
    proof: Digest,
    content: Option<PathBuf>,
}

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

fn read(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(vector(name))?)
}

fn signers(identity: &str) -> Vec<Signer> {
    vec![Signer::Identity {
        identity: identity.to_string(),
        issuer: ISSUER.to_string(),
    }]
}

type Signed = (Digest, Demand, Proof, Option<PathBuf>);

fn build() -> Result<Signed> {
    let build = Build {
        git_ref: "refs/heads/main".to_string(),
        triggers: vec!["workflow_dispatch".to_string()],
        issuer: format!("{ISSUER}/hammer-time"),
        ..Build::of_tag("too-legit/attest", ".github/workflows/integration.yml", "")
    };
    let bundle = read("attestations/custom-issuer.sigstore.json")?;
    let bundle = collect::from_bundle(&bundle)?;
    let hex = "afa27b44d43b02a9fea41d13cedc2e4016cfcf87c5dbf990e593669aa8ce286d";
    let digest = Digest::new(Algorithm::Sha256, hex)?;
    Ok((digest, Demand::Build(build), bundle, None))
}

/// Six signed files, four images, two builds, runc, two sources.
fn lock() -> Result<(Vec<Item>, String)> {
    let instance = Instance::PublicGood;
    let blob = Demand::Blob {
        signers: signers(BEACON),
        instance,
    };
    let bundle = read("conformance/happy-path-v0.3/bundle.sigstore.json")?;
    let bundle = collect::from_bundle(&bundle)?;
    let file = Digest::sha256(&read("conformance/a.txt")?);
    let mut all: Vec<Signed> = vec![(file, blob, bundle, None); 6];

    let layer: BTreeMap<String, String> =
        serde_json::from_slice(&read("image/nginx.annotations.json")?)?;
    let image = collect::from_cosign_layer(&layer, &read("image/nginx.payload")?)?;
    let demand = Demand::Image {
        signers: signers(NGINX),
        instance,
    };
    let hex = "f45669d78bbc90cc03d430a7276425adb013cb229998e79917c0f5d0c6049110";
    let digest = Digest::new(Algorithm::Sha256, hex)?;
    all.extend(vec![(digest, demand, image, None); 4]);

    all.extend(vec![build()?; 2]);

    let signature = collect::from_openpgp(&read("runc/v1.5.1.tag.asc")?, None)?;
    let digest = Digest::sha256(&read("runc/v1.5.1.tag")?);
    all.push((
        digest,
        known::runc(),
        signature,
        Some(vector("runc/v1.5.1.tag")),
    ));

    let digest = Digest::sha256(b"crictl");
    let answers = ["https://a.example/sums", "https://b.example/sums"]
        .map(|url| collect::answer(url, &format!("{}  crictl", digest.hex()), Some("crictl")));
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let sources = collect::from_answers(answers)?;
    all.extend(vec![(digest, known::unsigned(), sources, None); 2]);

    let text = proof::write(all.iter().map(|(_, _, proof, _)| proof))?;
    let items = all.into_iter().map(|(digest, demand, proof, content)| {
        let proof = proof.digest()?;
        Ok(Item {
            digest,
            demand,
            proof,
            content,
        })
    });
    Ok((items.collect::<Result<_>>()?, text))
}

fn judge(items: &[Item], text: &str) -> Result<()> {
    let roots = Roots::built_in()?;
    let proofs: BTreeMap<Digest, Proof> = proof::read(text)?;
    for item in items {
        let artifact = Artifact {
            name: "thing",
            sha256: &item.digest,
            url: None,
            content: item.content.as_deref(),
        };
        let proof = proofs.get(&item.proof);
        verify(&artifact, &item.demand, proof, &roots, 1_796_000_000)
            .map_err(|refusal| anyhow!("{refusal}"))?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let (items, text) = lock()?;
    for _ in 0..3 {
        let start = Instant::now();
        judge(&items, &text)?;
        println!(
            "{} proofs: {:.3} s",
            items.len(),
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
