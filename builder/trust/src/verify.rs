//! Judges a proof by a demand.

use std::time::{SystemTime, UNIX_EPOCH};

use nodeimg_values::digest::{Algorithm, Digest};

use crate::demand::{Artifact, Demand, Instance, Keys, Signer};
use crate::openpgp;
use crate::proof::{Answer, Proof};
use crate::refusal::{Refusal, Why};
use crate::roots::Roots;
use crate::sigstore::{self, Fault, Over, Root, Signed};
use crate::sources;
use crate::vouched::{How, Vouched};

/// Who vouches for `artifact` by `proof`, if it meets `demand`.
///
/// `at` is when the lock was written, in Unix seconds: an OpenPGP key that was valid then
/// may have expired since. Certificates of Sigstore's are judged at the time that a log or a
/// time stamp authority states.
///
/// # Errors
/// A [`Refusal`]: the artifact, the fault, who signed, who should have, what to do.
pub fn verify(
    artifact: &Artifact<'_>,
    demand: &Demand,
    proof: Option<&Proof>,
    roots: &Roots,
    at: i64,
) -> Result<Vouched, Box<Refusal>> {
    judged(artifact, demand, proof, roots, at).map_err(|fault| {
        Box::new(Refusal {
            help: clock(at).unwrap_or_default() + &help(fault.why, demand),
            why: fault.why,
            artifact: artifact.name.to_string(),
            fault: fault.fault,
            signed_by: fault.signed_by,
            demanded: demand.to_string(),
        })
    })
}

/// The first of several candidates that meets `demand`; else the refusal of the one that
/// came nearest to it.
pub fn first<'p>(
    artifact: &Artifact<'_>,
    demand: &Demand,
    candidates: &'p [Proof],
    roots: &Roots,
    at: i64,
) -> Result<(&'p Proof, Vouched), Box<Refusal>> {
    let mut nearest: Option<Box<Refusal>> = None;
    for candidate in candidates {
        match verify(artifact, demand, Some(candidate), roots, at) {
            Ok(vouched) => return Ok((candidate, vouched)),
            Err(refusal) => {
                let nearer = nearest.as_ref().is_none_or(|it| refusal.why > it.why);
                nearest = if nearer { Some(refusal) } else { nearest };
            }
        }
    }
    Err(match nearest {
        Some(refusal) => refusal,
        None => Box::new(Refusal {
            why: Why::Missing,
            artifact: artifact.name.to_string(),
            fault: "there is no proof".to_string(),
            signed_by: None,
            demanded: demand.to_string(),
            help: help(Why::Missing, demand),
        }),
    })
}

/// The statement that `bundle` holds, and who signed it, if that meets `demand` (a
/// [`Demand::Attestation`]). What it is about is not compared with anything: that is for whoever
/// reads it. `name` is what messages call the bundle.
///
/// # Errors
/// As [`verify()`].
pub fn statement(
    name: &str,
    demand: &Demand,
    bundle: &str,
    roots: &Roots,
) -> Result<(Vec<u8>, Vouched), Box<Refusal>> {
    let refused = |fault: Fault| {
        Box::new(Refusal {
            help: help(fault.why, demand),
            why: fault.why,
            artifact: name.to_string(),
            fault: fault.fault,
            signed_by: fault.signed_by,
            demanded: demand.to_string(),
        })
    };
    let payload = sigstore::payload(bundle).map_err(refused)?;
    // The library judges an attestation together with something that it is about.
    let about = about(&payload).ok_or_else(|| {
        let fault = "the statement names no file with a SHA-256";
        refused(Fault::new(Why::Damaged, fault))
    })?;
    let artifact = Artifact {
        name,
        sha256: &about,
        url: None,
        content: None,
    };
    let proof = Proof::Sigstore {
        bundle: bundle.to_string(),
    };
    let vouched = verify(&artifact, demand, Some(&proof), roots, 0)?;
    Ok((payload, vouched))
}

/// The first digest that a statement names.
fn about(payload: &[u8]) -> Option<Digest> {
    let statement: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let subjects = statement.get("subject")?.as_array()?;
    let hex = subjects
        .iter()
        .find_map(|subject| subject.pointer("/digest/sha256"));
    Digest::new(Algorithm::Sha256, hex?.as_str()?).ok()
}

fn judged(
    artifact: &Artifact<'_>,
    demand: &Demand,
    proof: Option<&Proof>,
    roots: &Roots,
    at: i64,
) -> Result<Vouched, Fault> {
    if artifact.sha256.algorithm() != Algorithm::Sha256 {
        let fault = format!("{} is not a SHA-256, which proofs name", artifact.sha256);
        return Err(Fault::new(Why::Artifact, fault));
    }
    match (demand, proof) {
        (_, None) => Err(Fault::new(Why::Missing, "there is no proof")),
        (Demand::OpenPgp(keys), Some(proof)) => by_key(artifact, keys, proof, at),
        (Demand::Sources { least }, Some(Proof::Sources { answers })) => {
            by_sources(artifact, *least, answers)
        }
        (Demand::Blob { signers, instance }, Some(Proof::Sums { list, bundle })) => {
            let root = root(roots, *instance)?;
            let over = Over::Bytes(list.as_bytes());
            let signed = sigstore::blob(bundle, over, signers, root)?;
            match sources::listed(artifact, list) {
                Ok(()) => Ok(sealed(signed, root, None)),
                Err(fault) => Err(Fault {
                    signed_by: Some(signed.signer),
                    ..Fault::new(Why::Artifact, fault)
                }),
            }
        }
        (Demand::Image { signers, instance }, Some(Proof::Cosign { payload, bundle })) => {
            let root = root(roots, *instance)?;
            let payload = Some(payload.as_str());
            let signed = sigstore::image(bundle, payload, artifact.sha256, signers, root)?;
            let source = source(&signed);
            Ok(sealed(signed, root, source))
        }
        (_, Some(Proof::Sigstore { bundle })) => by_bundle(artifact, demand, bundle, roots),
        (_, Some(proof)) => Err(other_kind(proof)),
    }
}

fn by_bundle(
    artifact: &Artifact<'_>,
    demand: &Demand,
    bundle: &str,
    roots: &Roots,
) -> Result<Vouched, Fault> {
    let sha256 = artifact.sha256;
    let over = Over::Digest(sha256, artifact.content);
    match demand {
        Demand::Blob { signers, instance } => {
            let root = root(roots, *instance)?;
            let signed = sigstore::blob(bundle, over, signers, root)?;
            Ok(sealed(signed, root, None))
        }
        Demand::Attestation {
            signers,
            predicate_type,
            instance,
        } => {
            let root = root(roots, *instance)?;
            let (signed, _) = sigstore::attestation(bundle, over, signers, predicate_type, root)?;
            let source = source(&signed);
            Ok(sealed(signed, root, source))
        }
        Demand::Image { signers, instance } => {
            let root = root(roots, *instance)?;
            let signed = sigstore::image(bundle, None, sha256, signers, root)?;
            let source = source(&signed);
            Ok(sealed(signed, root, source))
        }
        Demand::Build(build) => {
            let root = root(roots, build.instance)?;
            let (signed, source) = sigstore::build(bundle, over, build, root)?;
            Ok(sealed(signed, root, Some(source)))
        }
        Demand::Release { repository, tag } => {
            let root = root(roots, Instance::GitHub)?;
            let signed = sigstore::release(bundle, sha256, repository, tag, root)?;
            Ok(Vouched {
                how: How::Release,
                ..sealed(signed, root, None)
            })
        }
        _ => Err(Fault::new(
            Why::Missing,
            "the proof is a Sigstore bundle, which is not what is demanded",
        )),
    }
}

fn by_key(artifact: &Artifact<'_>, keys: &Keys, proof: &Proof, at: i64) -> Result<Vouched, Fault> {
    let Proof::OpenPgp {
        signature,
        signed,
        answers,
    } = proof
    else {
        return Err(other_kind(proof));
    };
    let parts = (signature.as_str(), signed.as_deref(), answers.as_slice());
    let signed = openpgp::verify(artifact, keys, parts, at);
    let signed = signed.map_err(|(why, fault, signed_by)| Fault {
        why,
        fault,
        signed_by,
    })?;
    Ok(Vouched {
        signed_at: signed.signed_at,
        root: Some(Digest::sha256(&keys.keyring)),
        backed_by: signed.with,
        ..plain(How::OpenPgp, signed.signer)
    })
}

fn by_sources(artifact: &Artifact<'_>, least: u8, answers: &[Answer]) -> Result<Vouched, Fault> {
    let parties = sources::agreeing(artifact, answers);
    let parties = parties.map_err(|(why, fault)| Fault::new(why, fault))?;
    if parties.len() < usize::from(least.max(1)) {
        let said = match parties.is_empty() {
            true => "nobody names".to_string(),
            false => format!("only {} names", parties.join(", ")),
        };
        return Err(Fault::new(Why::Sources, format!("{said} the digest")));
    }
    Ok(plain(How::Sources, parties.join(", ")))
}

fn other_kind(proof: &Proof) -> Fault {
    let fault = format!(
        "the proof is {}, which is not what is demanded",
        proof.kind()
    );
    Fault::new(Why::Missing, fault)
}

fn root(roots: &Roots, instance: Instance) -> Result<&Root, Fault> {
    roots.of(instance).ok_or_else(|| {
        let fault = "no trusted root of a private Sigstore was given";
        Fault::new(Why::Root, fault)
    })
}

fn plain(how: How, signer: String) -> Vouched {
    Vouched {
        how,
        signer,
        issuer: None,
        signed_at: None,
        log_index: None,
        source: None,
        root: None,
        backed_by: Vec::new(),
    }
}

fn sealed(signed: Signed, root: &Root, source: Option<String>) -> Vouched {
    Vouched {
        issuer: signed.issuer,
        signed_at: signed.signed_at,
        log_index: signed.log_index,
        source,
        root: Some(root.digest.clone()),
        ..plain(How::Sigstore, signed.signer)
    }
}

/// `URL@COMMIT` of the source, if the certificate names it.
fn source(signed: &Signed) -> Option<String> {
    let claims = &signed.claims;
    let (url, commit) = (
        &claims.source_repository_uri,
        &claims.source_repository_digest,
    );
    Some(format!("{}@{}", url.as_ref()?, commit.as_ref()?))
}

/// Certificates and logs of the future are not trusted: a machine without a battery for its
/// clock refuses them all.
fn clock(at: i64) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let behind = i64::try_from(now).ok()? < at.saturating_sub(24 * 3600);
    behind.then(|| {
        "this machine's clock is behind the time at which the lock was written: set it; then "
            .to_string()
    })
}

fn help(why: Why, demand: &Demand) -> String {
    let by_key = demand
        .signers()
        .iter()
        .any(|it| matches!(it, Signer::Key { .. }));
    match why {
        Why::Missing => {
            "fetch upstream's signature with `nodeimg lock`, or name in the recipe's \
                         `verify` what upstream publishes"
        }
        Why::Damaged => "fetch the proof again with `nodeimg lock`; a mirror may have changed it",
        Why::Signer => {
            "if upstream announced another signer, name it in the recipe's `verify`; \
                        else do not use the file"
        }
        Why::Artifact => {
            "the proof is of another version or the file was replaced: fetch both \
                          again from upstream"
        }
        Why::Invalid if by_key => {
            "compare the key in the recipe with the one that upstream \
                                   publishes; else do not use the file"
        }
        Why::Invalid => {
            "do not use the file before upstream explains it; a private Sigstore \
                         needs its own trusted root"
        }
        Why::Expired => {
            "add a second source of the digest, or take a release that was signed \
                         with a valid key; a new certificate authority needs `nodeimg trust update`"
        }
        Why::Sources => "compare the sources by hand; one of them may have been replaced",
        Why::Root => "give the trusted root or keyring that upstream publishes",
        Why::Content => "fetch the file first: the signature covers its bytes",
    }
    .to_string()
}
