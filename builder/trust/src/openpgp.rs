//! OpenPGP signatures of upstreams ([RFC 9580](https://www.rfc-editor.org/rfc/rfc9580)).
//!
//! A signature is judged by the time that it states. A key that has expired since could have
//! made it at any time, so it counts only with another party's word for the digest.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::Digest;
use sequoia_openpgp::cert::{Cert, CertParser};
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::parse::stream::{
    DetachedVerifierBuilder, GoodChecksum, MessageLayer, MessageStructure, VerificationError,
    VerificationHelper, VerifierBuilder,
};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::Serialize as _;
use sequoia_openpgp::types::RevocationStatus;
use sequoia_openpgp::{Fingerprint, KeyHandle, armor};

use crate::demand::{Artifact, Keys};
use crate::proof::{Answer, MAX_PROOF, Proof};
use crate::refusal::Why;
use crate::sources;

const CLEARTEXT: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
/// No text is read further: its signature comes after it, so a longer one is not signed.
const MAX_TEXT: u64 = 4 << 20;

/// A signature that holds.
pub(crate) struct Signed {
    /// The primary key's fingerprint.
    pub signer: String,
    pub signed_at: Option<i64>,
    /// The other parties whose word it needed.
    pub with: Vec<String>,
}

/// What is wrong, and who signed.
pub(crate) type Fault = (Why, String, Option<String>);

/// The certificates of the demanded keys, each once with all that is known of it.
fn certificates(keys: &Keys) -> Result<Vec<Cert>> {
    let mut union: Vec<Cert> = Vec::new();
    for cert in CertParser::from_bytes(&keys.keyring).context("the keyring cannot be read")? {
        // One certificate that cannot be read does not take the others along.
        let Ok(cert) = cert else { continue };
        let fingerprint = cert.fingerprint().to_hex();
        if !keys.primary.iter().any(|key| same_key(key, &fingerprint)) {
            continue;
        }
        match union
            .iter()
            .position(|it| it.fingerprint() == cert.fingerprint())
        {
            Some(at) => union[at] = union[at].clone().merge_public(cert)?,
            None => union.push(cert),
        }
    }
    if union.is_empty() {
        bail!("the keyring has none of the demanded keys");
    }
    Ok(union)
}

/// Fingerprints are written with spaces and in either case; key ids do not count.
fn same_key(written: &str, fingerprint: &str) -> bool {
    let written: String = written.chars().filter(|it| !it.is_whitespace()).collect();
    written
        .trim_start_matches("0x")
        .eq_ignore_ascii_case(fingerprint)
}

/// Judges a signature: over the artifact itself, over a list of sums, or clear-signed.
pub(crate) fn verify(
    artifact: &Artifact<'_>,
    keys: &Keys,
    (signature, signed, answers): (&str, Option<&str>, &[Answer]),
    at: i64,
) -> Result<Signed, Fault> {
    let certs = certificates(keys).map_err(|error| (Why::Root, format!("{error:#}"), None))?;
    let now = time(at);
    let policy = StandardPolicy::at(now);
    let judge = Judge {
        certs: &certs,
        now,
        good: None,
        problem: None,
    };
    let good = match signed {
        _ if signature.contains(CLEARTEXT) => {
            let (text, good) = clear(signature, &policy, judge)?;
            names(artifact, &text, &good)?;
            good
        }
        Some(text) => {
            let good = detached(signature, text.as_bytes(), &policy, judge)?;
            names(artifact, text, &good)?;
            good
        }
        None => over_content(artifact, signature, &policy, judge)?,
    };
    let with = match good.still_valid {
        true => Vec::new(),
        false => backed(artifact, answers, &good)?,
    };
    Ok(Signed {
        signer: good.primary,
        signed_at: good.made,
        with,
    })
}

fn time(at: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0).min(1 << 36))
}

/// A signed list of sums must give the artifact's digest to its file.
fn names(artifact: &Artifact<'_>, text: &str, good: &Good) -> Result<(), Fault> {
    let listed = sources::listed(artifact, text);
    listed.map_err(|fault| (Why::Artifact, fault, Some(good.primary.clone())))
}

/// A key that has expired needs somebody else's word for the digest.
fn backed(artifact: &Artifact<'_>, answers: &[Answer], good: &Good) -> Result<Vec<String>, Fault> {
    let by = Some(good.primary.clone());
    let agreed = sources::agreeing(artifact, answers);
    let parties = agreed.map_err(|(why, fault)| (why, fault, by.clone()))?;
    let own = artifact.url.and_then(sources::party);
    let others: Vec<String> = parties
        .into_iter()
        .filter(|it| Some(it) != own.as_ref())
        .collect();
    match others.is_empty() {
        false => Ok(others),
        true => Err((
            Why::Expired,
            "the key has expired or is revoked since, so the signature could be of any time, \
             and no other party names the digest"
                .to_string(),
            by,
        )),
    }
}

/// A good signature.
struct Good {
    primary: String,
    made: Option<i64>,
    still_valid: bool,
}

struct Judge<'c> {
    certs: &'c [Cert],
    now: SystemTime,
    good: Option<Good>,
    problem: Option<Fault>,
}

impl Judge<'_> {
    fn outcome(self, error: Option<anyhow::Error>) -> Result<Good, Fault> {
        match (error, self.good, self.problem) {
            (None, Some(good), _) => Ok(good),
            (_, _, Some(problem)) => Err(problem),
            (Some(error), _, _) => {
                let fault = format!("the OpenPGP signature cannot be read: {error:#}");
                Err((Why::Damaged, fault, None))
            }
            (None, None, None) => Err((Why::Damaged, "it is not signed".to_string(), None)),
        }
    }
}

impl VerificationHelper for &mut Judge<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> Result<Vec<Cert>> {
        Ok(self.certs.to_vec())
    }

    /// One good signature is enough: a list may have those of several maintainers.
    fn check(&mut self, structure: MessageStructure<'_>) -> Result<()> {
        let mut layers = structure.into_iter();
        let (Some(MessageLayer::SignatureGroup { results }), None) = (layers.next(), layers.next())
        else {
            bail!("it is not signed");
        };
        for result in results {
            match result {
                Ok(good) => {
                    let good = self.good(&good);
                    // A key that is valid still is better than another.
                    if self.good.as_ref().is_none_or(|it| !it.still_valid) {
                        self.good = Some(good);
                    }
                }
                Err(error) => self.problem = self.problem.take().or(Some(problem(&error))),
            }
        }
        match self.good {
            Some(_) => Ok(()),
            None => bail!("none of its signatures is good"),
        }
    }
}

impl Judge<'_> {
    fn good(&self, good: &GoodChecksum<'_>) -> Good {
        let made = good.sig.signature_creation_time();
        let made = made.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
        Good {
            primary: good.ka.cert().fingerprint().to_hex(),
            made: made.and_then(|it| i64::try_from(it.as_secs()).ok()),
            still_valid: still_valid(good.ka.cert(), &good.ka.key().fingerprint(), self.now),
        }
    }
}

fn problem(error: &VerificationError<'_>) -> Fault {
    let key = |ka: &Cert| Some(ka.fingerprint().to_hex());
    match error {
        VerificationError::MissingKey { sig } => {
            let by = sig.get_issuers().first().map(|it| format!("key {it:X}"));
            (
                Why::Signer,
                "a key that is not among the demanded ones signed it".to_string(),
                by,
            )
        }
        VerificationError::BadSignature { ka, .. } => (
            Why::Invalid,
            "the signature is not of these bytes".to_string(),
            key(ka.cert()),
        ),
        VerificationError::UnboundKey { cert, error, .. } => (
            Why::Expired,
            format!("the key was not valid when it signed: {error:#}"),
            key(cert),
        ),
        VerificationError::BadKey { ka, error, .. } => (
            Why::Expired,
            format!("the key was not valid when it signed: {error:#}"),
            key(ka.cert()),
        ),
        other => (Why::Damaged, format!("{other}"), None),
    }
}

fn still_valid(cert: &Cert, key: &Fingerprint, now: SystemTime) -> bool {
    let policy = StandardPolicy::at(now);
    let Ok(cert) = cert.with_policy(&policy, now) else {
        return false;
    };
    // A primary key that was retired takes its subkeys along; the library asks each alone.
    let revoked = matches!(cert.revocation_status(), RevocationStatus::Revoked(_));
    let mut keys = cert.keys().alive().revoked(false).for_signing();
    !revoked && cert.alive().is_ok() && keys.any(|there| there.key().fingerprint() == *key)
}

fn clear(
    message: &str,
    policy: &StandardPolicy<'_>,
    mut judge: Judge<'_>,
) -> Result<(String, Good), Fault> {
    let now = judge.now;
    let mut text = String::new();
    let read = VerifierBuilder::from_bytes(message.as_bytes())
        .and_then(|builder| builder.with_policy(policy, now, &mut judge))
        // What was compressed may be far longer than the proof; a list of sums is not.
        .and_then(|verifier| Ok(verifier.take(MAX_TEXT).read_to_string(&mut text)?));
    Ok((text, judge.outcome(read.err())?))
}

fn detached(
    signature: &str,
    bytes: &[u8],
    policy: &StandardPolicy<'_>,
    mut judge: Judge<'_>,
) -> Result<Good, Fault> {
    let now = judge.now;
    let read = DetachedVerifierBuilder::from_bytes(signature.as_bytes())
        .and_then(|builder| builder.with_policy(policy, now, &mut judge))
        .and_then(|mut verifier| verifier.verify_bytes(bytes));
    judge.outcome(read.err())
}

/// The signature covers the file, which is read once: for it and for its digest.
fn over_content(
    artifact: &Artifact<'_>,
    signature: &str,
    policy: &StandardPolicy<'_>,
    mut judge: Judge<'_>,
) -> Result<Good, Fault> {
    let cannot = |fault: String| (Why::Content, fault, None);
    let Some(path) = artifact.content else {
        return Err(cannot(
            "the signature covers the file, which is not there".to_string(),
        ));
    };
    let file = File::open(path);
    let file = file.map_err(|error| cannot(format!("opening {}: {error}", path.display())))?;
    let now = judge.now;
    let mut tee = Tee {
        inner: file,
        hash: nodeimg_values::digest::Hasher::new(&[]),
    };
    let read = DetachedVerifierBuilder::from_bytes(signature.as_bytes())
        .and_then(|builder| builder.with_policy(policy, now, &mut judge))
        .and_then(|mut verifier| verifier.verify_reader(&mut tee));
    let good = judge.outcome(read.err())?;
    let got: Digest = tee.hash.finish().sha256;
    match got == *artifact.sha256 {
        true => Ok(good),
        false => {
            let fault = format!("the signed file has {got}, not {}", artifact.sha256);
            Err((Why::Artifact, fault, Some(good.primary)))
        }
    }
}

struct Tee {
    inner: File,
    hash: nodeimg_values::digest::Hasher,
}

impl Read for Tee {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

/// A proof of a signature; a binary one is armored.
pub(crate) fn proof(signature: &[u8], signed: Option<&[u8]>) -> Result<Proof> {
    if signature.len() + signed.map_or(0, <[u8]>::len) > MAX_PROOF {
        bail!("the signature and its list have more than {MAX_PROOF} bytes");
    }
    let signed = signed.map(std::str::from_utf8).transpose();
    let signed = signed.context("the signed list is not text")?;
    let signature = match std::str::from_utf8(signature) {
        Ok(text) if text.contains("-----BEGIN PGP SIG") => text.to_string(),
        _ => armored(signature)?,
    };
    Ok(Proof::OpenPgp {
        signature,
        signed: signed.map(str::to_string),
        answers: Vec::new(),
    })
}

/// Parses and writes again: bytes of something else are refused at `lock`.
fn armored(signature: &[u8]) -> Result<String> {
    let pile = sequoia_openpgp::PacketPile::from_bytes(signature);
    let pile = pile.context("it is not an OpenPGP signature")?;
    let all = |it: &sequoia_openpgp::Packet| matches!(it, sequoia_openpgp::Packet::Signature(_));
    if pile.children().next().is_none() || !pile.children().all(all) {
        bail!("it is not an OpenPGP signature");
    }
    let mut writer = armor::Writer::new(Vec::new(), armor::Kind::Signature)?;
    for packet in pile.children() {
        packet.serialize(&mut writer)?;
    }
    let bytes = writer.finalize().context("armoring a signature")?;
    String::from_utf8(bytes).context("armoring a signature")
}
