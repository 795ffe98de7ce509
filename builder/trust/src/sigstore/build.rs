//! Provenance of a build by GitHub Actions.
//!
//! The certificate says which workflow had the token, the signed predicate what it says it
//! built. Both must name the demanded repository, ref and workflow.

use super::bundle::{Fault, Over, Signed, attestation};
use super::root::Root;
use super::statement::Statement;
use crate::demand::{Build, SLSA_PROVENANCE, Signer};
use crate::refusal::Why;

/// What SLSA's provenance had before 1.0.
const SLSA_0_2: &str = "https://slsa.dev/provenance/v0.2";

/// The signature, and `URL@COMMIT` of the source.
pub(crate) fn build(
    json: &str,
    over: Over<'_>,
    build: &Build,
    root: &Root,
) -> Result<(Signed, String), Fault> {
    let signers = [Signer::Identity {
        identity: build.identity(),
        issuer: build.issuer.clone(),
    }];
    let (signed, statement) = attestation(json, over, &signers, &build.predicate_type, root)?;
    let by = |(why, fault): (Why, String)| Fault {
        signed_by: Some(signed.signer.clone()),
        ..Fault::new(why, fault)
    };
    let commit = claims(&signed, build).map_err(by)?;
    predicate(&statement, build, &commit).map_err(by)?;
    let source = format!("{}@{commit}", url(build));
    Ok((signed, source))
}

fn url(build: &Build) -> String {
    format!("https://github.com/{}", build.repository)
}

/// What the certificate says of the run; gives the source's commit.
fn claims(signed: &Signed, build: &Build) -> Result<String, (Why, String)> {
    let claims = &signed.claims;
    let repository = url(build);
    let workflow = format!("{repository}/{}@{}", build.workflow, build.git_ref);
    for (what, got, want) in [
        (
            "source repository",
            &claims.source_repository_uri,
            &repository,
        ),
        ("source ref", &claims.source_repository_ref, &build.git_ref),
        ("workflow", &claims.build_config_uri, &workflow),
    ] {
        if got.as_ref() != Some(want) {
            let got = got.as_deref().unwrap_or("nothing");
            let fault = format!("the certificate's {what} is {got}, not {want}");
            return Err((Why::Signer, fault));
        }
    }
    let trigger = claims.build_trigger.as_deref().unwrap_or("nothing");
    if !build.triggers.iter().any(|it| it == trigger) {
        let fault = format!(
            "the run was started by {trigger}, not by {}",
            build.triggers.join(" or ")
        );
        return Err((Why::Signer, fault));
    }
    let runner = claims.runner_environment.as_deref().unwrap_or("nothing");
    if runner != "github-hosted" && !(build.self_hosted && runner == "self-hosted") {
        let fault = format!("the run was on a machine of the kind {runner}, not github-hosted");
        return Err((Why::Signer, fault));
    }
    match &claims.source_repository_digest {
        Some(commit) if is_commit(commit) => Ok(commit.clone()),
        _ => Err((
            Why::Damaged,
            "the certificate does not name the source's commit".to_string(),
        )),
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|it| it.is_ascii_hexdigit())
}

/// What the signed predicate says was built; types without such fields say nothing.
fn predicate(statement: &Statement, build: &Build, commit: &str) -> Result<(), (Why, String)> {
    const V1: &str = "/predicate/buildDefinition/externalParameters/workflow";
    const V0_2: &str = "/predicate/invocation/configSource";
    let repository = url(build);
    let checks = match statement.predicate_type() {
        SLSA_PROVENANCE => vec![
            (V1, "repository", repository),
            (V1, "ref", build.git_ref.clone()),
            (V1, "path", build.workflow.clone()),
        ],
        SLSA_0_2 => vec![
            (V0_2, "uri", format!("git+{repository}@{}", build.git_ref)),
            (V0_2, "entryPoint", build.workflow.clone()),
            (V0_2, "digest/sha1", commit.to_string()),
        ],
        _ => Vec::new(),
    };
    for (at, key, want) in checks {
        let got = statement.text(&format!("{at}/{key}")).unwrap_or("nothing");
        if got != want {
            let fault = format!("the provenance's {key} is {got}, not {want}");
            return Err((Why::Signer, fault));
        }
    }
    source_commit(statement, &format!("git+{}@", url(build)), commit)
}

/// SLSA 1 names the source among the dependencies; then by the certificate's commit.
fn source_commit(statement: &Statement, own: &str, commit: &str) -> Result<(), (Why, String)> {
    for dependency in statement.list("/predicate/buildDefinition/resolvedDependencies") {
        let uri = dependency
            .pointer("/uri")
            .and_then(|it| it.as_str())
            .unwrap_or_default();
        let got = dependency
            .pointer("/digest/gitCommit")
            .and_then(|it| it.as_str());
        let (Some(got), true) = (got, uri.starts_with(own)) else {
            continue;
        };
        if got == commit {
            return Ok(());
        }
        let fault =
            format!("the provenance's source is {uri} at {got}, the certificate's {commit}");
        return Err((Why::Signer, fault));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    const COMMIT: &str = "283bf967fa3c591925dd25e6a6e8e781542117bf";

    fn judge(predicate_type: &str, predicate: &Value) -> Result<(), String> {
        let whole = json!({"predicateType": predicate_type, "predicate": predicate});
        let statement = Statement::read(whole.to_string().as_bytes()).unwrap();
        let build = Build::of_tag("o/n", ".github/workflows/release.yml", "v1");
        super::predicate(&statement, &build, COMMIT).map_err(|(_, fault)| fault)
    }

    /// Every text of a predicate that must agree, changed one after another.
    fn all_count(predicate_type: &str, predicate: &Value, pointers: &[&str]) {
        judge(predicate_type, predicate).unwrap();
        for pointer in pointers {
            for other in [json!("other"), Value::Null, json!({})] {
                let mut changed = predicate.clone();
                *changed.pointer_mut(pointer).unwrap() = other;
                let fault = judge(predicate_type, &changed).unwrap_err();
                assert!(fault.contains("provenance's"), "{pointer}: {fault}");
            }
        }
    }

    #[test]
    fn the_predicate_must_name_the_same_build_as_the_certificate() {
        let v1 = json!({"buildDefinition": {
            "externalParameters": {"workflow": {
                "repository": "https://github.com/o/n",
                "ref": "refs/tags/v1",
                "path": ".github/workflows/release.yml",
            }},
            "resolvedDependencies": [
                {"uri": "git+https://github.com/o/other@v1", "digest": {"gitCommit": "00"}},
                {"uri": "git+https://github.com/o/n@refs/tags/v1", "digest": {"gitCommit": COMMIT}},
            ],
        }});
        let workflow = "/buildDefinition/externalParameters/workflow";
        let pointers = ["repository", "ref", "path"].map(|key| format!("{workflow}/{key}"));
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        all_count(SLSA_PROVENANCE, &v1, &pointers);
        let mut other = v1;
        let commit = "/buildDefinition/resolvedDependencies/1/digest/gitCommit";
        *other.pointer_mut(commit).unwrap() = json!("95baf27389e83e6a5c48f42e190d48d7abcea19e");
        assert!(judge(SLSA_PROVENANCE, &other).is_err());

        let v0_2 = json!({"invocation": {"configSource": {
            "uri": "git+https://github.com/o/n@refs/tags/v1",
            "entryPoint": ".github/workflows/release.yml",
            "digest": {"sha1": COMMIT},
        }}});
        let source = "/invocation/configSource";
        let pointers = ["uri", "entryPoint", "digest/sha1"].map(|key| format!("{source}/{key}"));
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        all_count(SLSA_0_2, &v0_2, &pointers);
        // Other types name no build; the certificate does.
        judge("https://spdx.dev/Document/v2.3", &json!({})).unwrap();
    }
}
