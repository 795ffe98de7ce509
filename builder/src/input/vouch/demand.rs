//! What a recipe's `verify` demands of a proof.

use std::borrow::Cow;

use anyhow::{Context, Result};
use nodeimg_trust::demand::{Build, GITHUB_ISSUER, Keys, SLSA_PROVENANCE};
use nodeimg_trust::{Demand, How, Instance, Signer};
use nodeimg_values::regular;

use super::standing::{Change, unversioned};
use crate::input::recipe::request::ArtifactRequest;
use crate::input::recipe::value::Version;
use crate::input::recipe::verify::{
    OpenPgpPart, SigstoreInstance, SigstorePart, VerifyPart, filled,
};
use crate::input::recipe::{Artifact, ContainerImage};

/// One way of a recipe to vouch for an input, filled in.
#[derive(Clone, Debug)]
pub struct Way {
    pub how: How,
    pub demand: Demand,
    pub files: Files,
    /// A list of sums that is signed instead of the file.
    pub sums: Option<String>,
}

/// Where upstream has what a proof is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Files {
    /// A bundle.
    Bundle(String),
    /// A signature, its certificate, and the log that has an entry of both.
    Detached {
        signature: String,
        certificate: String,
        log: String,
    },
    /// In-toto attestations, one bundle a line.
    Attestations(String),
    /// An OpenPGP signature of the bytes.
    OpenPgp(String),
    /// GitHub's API has the release's attestation.
    Release { repository: String, tag: String },
    /// Texts that state the digest: the publisher's first.
    Texts(Vec<String>),
    /// The registry of an image.
    Registry,
}

/// The public log, which publishers write to unless they say otherwise.
const LOG: &str = "https://rekor.sigstore.dev";

/// The longest keyring, in bytes.
const MAX_KEYRING: u64 = 16 << 20;

/// Whether `verify` still names who signed before `change`.
pub fn names(verify: &VerifyPart, change: &Change) -> bool {
    let Some(signer) = &change.was.signer else {
        return true;
    };
    let of_sigstore = verify
        .sigstore
        .iter()
        .filter(|part| change.was.issuer.as_ref() == Some(&part.issuer));
    let mut identities = of_sigstore.flat_map(|part| part.identity.as_slice());
    let version = &change.version;
    let as_before = |identity: &String| {
        *signer == unversioned(&identity.replace("{version}", version), version)
    };
    let mut keys = verify
        .openpgp
        .iter()
        .flat_map(|part| part.keys.iter().filter(|key| !part.revoked.contains(key)));
    identities.any(as_before) || keys.any(|key| key.as_str().eq_ignore_ascii_case(signer))
}

/// Every Sigstore that there is.
pub fn instances() -> impl Iterator<Item = Instance> {
    SigstoreInstance::ALL.into_iter().map(instance)
}

pub fn instance(named: SigstoreInstance) -> Instance {
    match named {
        SigstoreInstance::PublicGood => Instance::PublicGood,
        SigstoreInstance::Github => Instance::GitHub,
        SigstoreInstance::Private => Instance::Private,
    }
}

/// The ways of an artifact, the best first.
///
/// # Errors
/// A keyring of the recipe cannot be read.
pub fn of_artifact(asked: &Artifact, request: &ArtifactRequest) -> Result<Vec<Way>> {
    let Some(verify) = &asked.verify else {
        return Ok(Vec::new());
    };
    let mut ways = Vec::new();
    if let Some(part) = &verify.sigstore {
        ways.extend(sigstore(part, asked, request));
    }
    if let Some(part) = &verify.openpgp {
        ways.push(
            openpgp(part, asked, request)
                .with_context(|| format!("artifact.{}.verify.openpgp.keyring", asked.name))?,
        );
    }
    if let Some(part) = &verify.release {
        let (repository, tag) = (part.repository.clone(), part.tag(&request.version));
        ways.push(Way {
            how: How::Release,
            demand: Demand::Release {
                repository: repository.clone(),
                tag: tag.clone(),
            },
            files: Files::Release { repository, tag },
            sums: None,
        });
    }
    ways.extend(sources(verify, asked, request));
    Ok(ways)
}

/// The ways of an image.
pub fn of_image(asked: &ContainerImage) -> Vec<Way> {
    let part = asked
        .verify
        .as_ref()
        .and_then(|verify| verify.sigstore.as_ref());
    let Some(part) = part else {
        return Vec::new();
    };
    // A tag may have what a version may not: an image's identities have no placeholder.
    let version = asked
        .image
        .tag()
        .and_then(|tag| tag.trim_start_matches('v').parse().ok());
    vec![Way {
        how: How::Sigstore,
        demand: Demand::Image {
            signers: signers(part, version.as_ref()),
            instance: instance(part.instance.unwrap_or_default()),
        },
        files: Files::Registry,
        sums: None,
    }]
}

fn signers(part: &SigstorePart, version: Option<&Version>) -> Vec<Signer> {
    let identities = part.identity.as_slice().iter();
    let signer = |identity: &String| Signer::Identity {
        identity: match version {
            Some(version) => filled(identity, version),
            None => identity.clone(),
        },
        issuer: part.issuer.clone(),
    };
    identities.map(signer).collect()
}

fn sigstore(part: &SigstorePart, asked: &Artifact, request: &ArtifactRequest) -> Vec<Way> {
    let arch = asked.arch_name(request.arch);
    let fill = |template: &crate::input::recipe::url::UrlTemplate| {
        template.fill(request.version.as_str(), arch, &request.url)
    };
    let blob = Demand::Blob {
        signers: signers(part, Some(&request.version)),
        instance: instance(part.instance.unwrap_or_default()),
    };
    let way = |demand: &Demand, files| Way {
        how: How::Sigstore,
        demand: demand.clone(),
        files,
        sums: part.sums.as_ref().map(fill),
    };
    let mut ways = Vec::new();
    if let Some(bundle) = &part.bundle {
        ways.push(way(&blob, Files::Bundle(fill(bundle))));
    }
    if let (Some(signature), Some(certificate)) = (&part.signature, &part.certificate) {
        let log = part.log.as_ref().map_or_else(|| LOG.to_owned(), fill);
        let files = Files::Detached {
            signature: fill(signature),
            certificate: fill(certificate),
            log,
        };
        ways.push(way(&blob, files));
    }
    if let Some(attestation) = &part.attestation {
        let url = fill(attestation);
        for identity in part.identity.as_slice() {
            let identity = filled(identity, &request.version);
            let demand = attested(part, identity);
            ways.push(Way {
                sums: None,
                ..way(&demand, Files::Attestations(url.clone()))
            });
        }
    }
    ways
}

/// A workflow of GitHub's must have built it; of any other identity, an attestation is a
/// statement about the digest.
fn attested(part: &SigstorePart, identity: String) -> Demand {
    let instance = instance(part.instance.unwrap_or_default());
    let split = || {
        let rest = identity.strip_prefix("https://github.com/")?;
        let (path, git_ref) = rest.split_once('@')?;
        let at = path.find("/.github/workflows/")?;
        Some((
            path[..at].to_owned(),
            path[at + 1..].to_owned(),
            git_ref.to_owned(),
        ))
    };
    match split().filter(|_| part.issuer == GITHUB_ISSUER) {
        Some((repository, workflow, git_ref)) => {
            let own = part.repository.as_ref().filter(|own| **own != repository);
            Demand::Build(Build {
                git_ref,
                workflow,
                // A reusable workflow signs for another repository.
                signer: own.map(|_| identity.clone()),
                repository: own.cloned().unwrap_or(repository),
                issuer: part.issuer.clone(),
                instance,
                ..Build::of_tag("", "", "")
            })
        }
        None => Demand::Attestation {
            signers: vec![Signer::Identity {
                identity,
                issuer: part.issuer.clone(),
            }],
            predicate_type: SLSA_PROVENANCE.to_owned(),
            instance,
        },
    }
}

fn openpgp(part: &OpenPgpPart, asked: &Artifact, request: &ArtifactRequest) -> Result<Way> {
    let keyring = match &part.keyring {
        Some(path) => {
            let bytes = regular::read(path.as_ref(), MAX_KEYRING)
                .with_context(|| format!("reading the keyring {path}"))?;
            Cow::Owned(bytes)
        }
        None => match nodeimg_trust::known::runc() {
            Demand::OpenPgp(keys) => keys.keyring,
            _ => Cow::Borrowed(&[][..]),
        },
    };
    let trusted = part.keys.iter().filter(|key| !part.revoked.contains(key));
    let arch = asked.arch_name(request.arch);
    let url = part
        .signature
        .fill(request.version.as_str(), arch, &request.url);
    Ok(Way {
        how: How::OpenPgp,
        demand: Demand::OpenPgp(Keys {
            primary: trusted.map(|key| key.as_str().to_owned()).collect(),
            keyring,
        }),
        files: Files::OpenPgp(url),
        sums: part
            .sums
            .as_ref()
            .map(|sums| sums.fill(request.version.as_str(), arch, &request.url)),
    })
}

fn sources(verify: &VerifyPart, asked: &Artifact, request: &ArtifactRequest) -> Option<Way> {
    let least = verify.sources?;
    let arch = asked.arch_name(request.arch);
    let others = verify.stated_by.iter();
    let others = others.map(|url| url.fill(request.version.as_str(), arch, &request.url));
    Some(Way {
        how: How::Sources,
        demand: Demand::Sources { least },
        files: Files::Texts(request.checksum.iter().cloned().chain(others).collect()),
        sums: None,
    })
}
