//! Judges a proof by a demand.

use crate::{Artifact, Demand, Proof, Refusal, Roots, Vouched};

/// Who vouches for `artifact` by `proof`, if it meets `demand`.
///
/// `at` is when the lock was written, in Unix seconds: a key that was valid then may have
/// expired since. Certificates of Sigstore's are judged at the time that a log or a time
/// stamp authority states.
pub fn verify(
    artifact: &Artifact<'_>,
    demand: &Demand,
    proof: Option<&Proof>,
    roots: &Roots,
    at: i64,
) -> Result<Vouched, Box<Refusal>> {
    let _ = (artifact, demand, proof, roots, at);
    Err(Box::new(Refusal {
        why: crate::Why::Missing,
        artifact: artifact.name.to_string(),
        fault: "not written yet".to_string(),
        signed_by: None,
        demanded: String::new(),
        help: String::new(),
    }))
}

/// The first of several candidates that meets `demand`; else the refusal that says most.
pub fn first<'p>(
    artifact: &Artifact<'_>,
    demand: &Demand,
    candidates: &'p [Proof],
    roots: &Roots,
    at: i64,
) -> Result<(&'p Proof, Vouched), Box<Refusal>> {
    let mut refused = None;
    for candidate in candidates {
        match verify(artifact, demand, Some(candidate), roots, at) {
            Ok(vouched) => return Ok((candidate, vouched)),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    match refused {
        Some(refusal) => Err(refusal),
        None => Err(missing(artifact)),
    }
}

fn missing(artifact: &Artifact<'_>) -> Box<Refusal> {
    Box::new(Refusal {
        why: crate::Why::Missing,
        artifact: artifact.name.to_string(),
        fault: "there is no proof".to_string(),
        signed_by: None,
        demanded: String::new(),
        help: String::new(),
    })
}
