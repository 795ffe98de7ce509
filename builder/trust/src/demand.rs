//! Who must vouch for an artifact.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

/// The thing that a proof must be about.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    /// For messages: the lock's name and version.
    pub name: &'a str,
    /// Of its bytes; for a container image, of the manifest or index that the lock pins.
    pub sha256: &'a Digest,
    /// Where it was fetched from: tells an independent source from upstream itself.
    pub url: Option<&'a str>,
    /// The file with its bytes, for the OpenPGP signatures that cover them directly.
    pub content: Option<&'a Path>,
}

/// What is demanded of an artifact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Demand {
    /// A Sigstore signature over the artifact's bytes, or over a list of sums that names it,
    /// by any of these signers.
    Blob {
        signers: Vec<Signer>,
        instance: Instance,
    },
    /// A cosign signature of a container image, classic or as a bundle, by any of them.
    Image {
        signers: Vec<Signer>,
        instance: Instance,
    },
    /// An in-toto attestation by any of these signers, with this predicate type.
    Attestation {
        signers: Vec<Signer>,
        predicate_type: String,
        instance: Instance,
    },
    /// A build by GitHub Actions as its provenance attests it.
    Build(Build),
    /// GitHub's own attestation of an immutable release.
    Release {
        /// `OWNER/NAME`.
        repository: String,
        tag: String,
    },
    /// An OpenPGP signature.
    OpenPgp(Keys),
    /// At least so many independent sources of the digest.
    Sources { least: u8 },
}

impl Demand {
    /// The signers that it accepts, if they are Sigstore's.
    pub fn signers(&self) -> &[Signer] {
        match self {
            Demand::Blob { signers, .. }
            | Demand::Image { signers, .. }
            | Demand::Attestation { signers, .. } => signers,
            _ => &[],
        }
    }
}

/// Who should sign, for messages.
impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |signers: &[Signer]| {
            let names: Vec<String> = signers.iter().map(Signer::to_string).collect();
            names.join(" or ")
        };
        match self {
            Demand::Blob { signers, instance } => {
                write!(f, "signed by {} at {}", by(signers), instance.name())
            }
            Demand::Image { signers, instance } => {
                write!(
                    f,
                    "an image signed by {} at {}",
                    by(signers),
                    instance.name()
                )
            }
            Demand::Attestation {
                signers,
                predicate_type,
                instance,
            } => write!(
                f,
                "{predicate_type} attested by {} at {}",
                by(signers),
                instance.name()
            ),
            Demand::Build(build) => write!(
                f,
                "built by {} (issuer {}), from {} at {}, attested at {}",
                build.identity(),
                build.issuer,
                build.repository,
                build.git_ref,
                build.instance.name()
            ),
            Demand::Release { repository, tag } => {
                write!(
                    f,
                    "GitHub's attestation of the release {tag} of {repository}"
                )
            }
            Demand::OpenPgp(keys) => write!(f, "OpenPGP key {}", keys.primary.join(" or ")),
            Demand::Sources { least } => write!(f, "{least} independent sources"),
        }
    }
}

/// Whose Sigstore.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// sigstore.dev.
    #[default]
    PublicGood,
    /// GitHub's own: private repositories and releases.
    #[serde(rename = "github")]
    GitHub,
    /// The one whose root was given (`Roots::with_private`).
    Private,
}

impl Instance {
    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Instance::PublicGood => "sigstore.dev",
            Instance::GitHub => "GitHub's own Sigstore",
            Instance::Private => "the Sigstore of the given trusted root",
        }
    }
}

/// Who signs, exactly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signer {
    /// An identity in a certificate of Sigstore's: an email address or a URI.
    Identity {
        identity: String,
        /// The OIDC issuer's URL.
        issuer: String,
    },
    /// An identity in a certificate that names no issuer: GitHub's for releases. Only for
    /// instances that issue certificates to nobody else under this name.
    Attester { identity: String },
    /// A public key of upstream's own, PEM (`cosign.pub`).
    Key { pem: String },
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::Identity { identity, issuer } => write!(f, "{identity} (issuer {issuer})"),
            Signer::Attester { identity } => f.write_str(identity),
            Signer::Key { pem } => {
                let key = pem.lines().filter(|line| !line.starts_with("-----"));
                write!(f, "the key {}", key.collect::<String>())
            }
        }
    }
}

/// A build by GitHub Actions. The certificate and the predicate must both say all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// `OWNER/NAME` of the source.
    pub repository: String,
    /// `refs/tags/vX`.
    pub git_ref: String,
    /// The workflow in it, `.github/workflows/release.yml`.
    pub workflow: String,
    /// The certificate's whole identity if another workflow signs, a reusable one:
    /// `https://github.com/O/N/.github/workflows/W.yml@REF`.
    pub signer: Option<String>,
    /// Events that may have started it: `push`, `release`, `workflow_dispatch`.
    pub triggers: Vec<String>,
    /// Whether it may have run on machines of the repository's owner.
    pub self_hosted: bool,
    /// `https://slsa.dev/provenance/v1`.
    pub predicate_type: String,
    /// [`Instance::PublicGood`] for public repositories, [`Instance::GitHub`] for private.
    pub instance: Instance,
    /// `https://token.actions.githubusercontent.com`; enterprises have another.
    pub issuer: String,
}

/// The issuer of the identities of GitHub's workflows.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Provenance of SLSA 1.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";

impl Build {
    /// A public repository's workflow on a tag that was pushed, on GitHub's machines.
    pub fn of_tag(repository: &str, workflow: &str, tag: &str) -> Build {
        Build {
            repository: repository.to_string(),
            git_ref: format!("refs/tags/{tag}"),
            workflow: workflow.to_string(),
            signer: None,
            triggers: vec!["push".to_string()],
            self_hosted: false,
            predicate_type: SLSA_PROVENANCE.to_string(),
            instance: Instance::PublicGood,
            issuer: GITHUB_ISSUER.to_string(),
        }
    }

    /// The identity that the certificate must have.
    pub fn identity(&self) -> String {
        match &self.signer {
            Some(signer) => signer.clone(),
            None => format!(
                "https://github.com/{}/{}@{}",
                self.repository, self.workflow, self.git_ref
            ),
        }
    }
}

/// OpenPGP keys that may sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Fingerprints of primary keys, 40 or 64 hex digits: others in the keyring do not count.
    pub primary: Vec<String>,
    /// Certificates, armored or not; several of the same key are merged.
    pub keyring: Cow<'static, [u8]>,
}
