//! Step 1: whom the user trusts, and by which trusted roots.

use std::fmt;
use std::path::PathBuf;

use nodeimg_formats::verity::RootHash;
use nodeimg_signing::certificate::{Certificate, PublicKey};
use nodeimg_trust::{Instance, Roots};
use nodeimg_values::digest::Digest;
use serde_json::{Value, json};

use super::known::Subject;
use super::step::{Fault, Judged, Verdict};
use super::vouched::Vouched;
use crate::input::chosen::Chosen;
use crate::input::lock::Lock;

/// What the user gave for this verification.
pub struct Policy {
    /// Who may sign the sums and the statement; any of them is enough.
    pub anchors: Vec<Anchor>,
    /// Who may sign the EFI programs of a disk (`--secure-boot CERT`); none: their signatures
    /// are not judged, only compared with what is vouched for otherwise.
    pub secure_boot: Vec<Certificate>,
    /// `--root-hash`.
    pub root_hash: Option<Vouched<RootHash>>,
    /// `--lock`, or the one of `--recipe`.
    pub pinned: Option<Pinned>,
    pub roots: Roots,
    /// No anchor is needed, and none is proved.
    pub integrity_only: bool,
}

/// What an image must be made of.
pub struct Pinned {
    /// As messages name the lock.
    pub label: String,
    pub lock: Lock,
    /// The recipe with its proofs, if one was named or lies beside the lock.
    pub chosen: Option<Chosen>,
    /// By which its proofs are judged: those of the recipe count, too.
    pub roots: Roots,
}

/// Who may sign.
pub enum Anchor {
    /// `--key`: the file's name for people, and the key.
    Key(PathBuf, PublicKey),
    /// `--identity` and `--issuer`, both exact.
    Identity {
        identity: String,
        issuer: String,
        instance: Instance,
    },
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anchor::Key(path, key) => {
                write!(f, "the key {} ({})", path.display(), key.fingerprint())
            }
            Anchor::Identity {
                identity,
                issuer,
                instance,
            } => write!(f, "{identity} (issuer {issuer}) at {}", instance.name()),
        }
    }
}

impl Policy {
    /// Those who may vouch, for people.
    pub fn trusted(&self) -> Vec<String> {
        let mut all: Vec<String> = self.anchors.iter().map(Anchor::to_string).collect();
        all.extend(self.secure_boot.iter().map(|one| {
            let print = one.fingerprint();
            format!("the Secure Boot certificate {} ({print})", one.subject)
        }));
        if let Some(hash) = &self.root_hash {
            all.push(format!("the root hash {}", **hash));
        }
        if let Some(pinned) = &self.pinned {
            all.push(format!("the lock {}", pinned.label));
        }
        all
    }

    /// The policy as a program reads it; the same policy gives the same text.
    pub fn json(&self) -> Value {
        let anchors = self.anchors.iter().map(|anchor| match anchor {
            Anchor::Key(_, key) => json!({ "key": key.fingerprint() }),
            Anchor::Identity {
                identity,
                issuer,
                instance,
            } => json!({ "identity": identity, "issuer": issuer, "root": self.roots.digest(*instance) }),
        });
        let anchors: Vec<Value> = anchors.collect();
        let certificates = self.secure_boot.iter().map(Certificate::fingerprint);
        let lock = self.pinned.as_ref();
        json!({
            "anchors": anchors,
            "secure_boot": certificates.collect::<Vec<Digest>>(),
            "root_hash": self.root_hash.as_ref().map(|hash| hash.to_string()),
            "lock": lock.map(|pinned| Digest::sha256(pinned.lock.text().as_bytes())),
            "integrity_only": self.integrity_only,
        })
    }

    /// Whether only a lock was given.
    pub fn is_lock_alone(&self) -> bool {
        self.anchors.is_empty() && self.pinned.is_some()
    }
}

/// Says whom the user trusts.
///
/// # Errors
/// There is nobody who could vouch for this.
pub fn check(subject: &Subject, policy: &Policy) -> Judged {
    if policy.integrity_only {
        let proves = "nothing: with --integrity-only nobody is trusted, so whoever could change \
                      the files could change their sums as well";
        return Ok(Verdict::passed(proves));
    }
    let of_disk = !policy.secure_boot.is_empty() || policy.root_hash.is_some();
    let enough = match subject {
        Subject::Outputs { .. } => !policy.anchors.is_empty() || policy.pinned.is_some(),
        Subject::Disk { .. } => of_disk,
    };
    if !enough {
        return Err(refused(subject, policy, of_disk));
    }
    let proves = format!("trusted is {}", policy.trusted().join("; "));
    let mut verdict = Verdict::passed(proves);
    for note in roots(policy) {
        verdict = verdict.with(note);
    }
    if policy.is_lock_alone() && matches!(subject, Subject::Outputs { .. }) {
        verdict = verdict.with(
            "a lock says what goes into an image and not what came out: nobody vouches for the \
             files themselves unless --rebuild makes them again",
        );
    }
    Ok(verdict)
}

fn refused(subject: &Subject, policy: &Policy, of_disk: bool) -> Fault {
    let (what, help) = match subject {
        Subject::Disk { .. } if !policy.anchors.is_empty() || policy.pinned.is_some() => (
            "a key, an identity or a lock vouches for the files of a build by their SHA256SUMS, \
             which is not beside this disk",
            "put SHA256SUMS and its signature beside the disk, or name who signed its boot \
             programs with --secure-boot CERT, or its root hash with --root-hash HEX",
        ),
        Subject::Outputs { .. } if of_disk => (
            "a certificate of Secure Boot or a root hash vouches for a disk, not for the files of \
             a build",
            "name who signed SHA256SUMS with --key or --identity and --issuer, or give the disk \
             itself instead of its directory",
        ),
        Subject::Outputs { .. } => (
            "there is no anchor: nothing says whom to trust, and an image cannot vouch for itself",
            "name who signs with --key FILE (a public key or certificate), or --identity and \
             --issuer (Sigstore); name what went in with --lock FILE; --integrity-only compares \
             the files with their own sums, and trusts whoever wrote those",
        ),
        Subject::Disk { .. } => (
            "there is no anchor for a disk without the SHA256SUMS of its build",
            "name who signed its boot programs with --secure-boot CERT, or its root hash with \
             --root-hash HEX; or give the directory or URL of the build",
        ),
    };
    Fault::new(what).help(help)
}

/// By which trusted roots identities are judged, and how old those are.
fn roots(policy: &Policy) -> Vec<String> {
    let mut used: Vec<Instance> = Vec::new();
    for anchor in &policy.anchors {
        if let Anchor::Identity { instance, .. } = anchor
            && !used.contains(instance)
        {
            used.push(*instance);
        }
    }
    let said = used.into_iter().map(|instance| {
        let digest = policy.roots.digest(instance);
        let digest = digest.map_or_else(|| "none".to_owned(), Digest::to_string);
        let since = policy.roots.newest(instance).unwrap_or("an unknown time");
        format!(
            "the trusted root of {} is {digest}; its newest authority or log is of {since}, and \
             what newer ones sign is refused (`nodeimg trust update`)",
            instance.name()
        )
    });
    said.collect()
}
