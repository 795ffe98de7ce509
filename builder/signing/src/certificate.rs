//! Who a key belongs to: certificates and plain public keys, and the check of what they
//! have signed.
//!
//! Specs: [RFC 5280](https://www.rfc-editor.org/rfc/rfc5280),
//! [RFC 7468](https://www.rfc-editor.org/rfc/rfc7468) (PEM).

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_seed::text::pem;
use nodeimg_values::date::Date;
use nodeimg_values::digest::Digest;
use nodeimg_values::regular;
use ring::signature::{self, UnparsedPublicKey};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey as Parsed;

/// A certificate has a few kilobytes, in bytes.
const LIMIT: u64 = 1 << 20;
const P256: &str = "1.2.840.10045.3.1.7";
const EC: &str = "1.2.840.10045.2.1";
const ED25519: &str = "1.3.101.112";
const RSA: &str = "1.2.840.113549.1.1.1";

/// How a key signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// PKCS#1 v1.5 with SHA-256.
    Rsa {
        bits: usize,
    },
    /// ECDSA on P-256 with SHA-256; signatures are in DER.
    P256,
    Ed25519,
}

impl Algorithm {
    /// The name that commands are told.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rsa { .. } => "rsa-pkcs1-sha256",
            Algorithm::P256 => "ecdsa-p256-sha256",
            Algorithm::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Algorithm::Rsa { bits } => write!(f, "RSA of {bits} bits"),
            Algorithm::P256 => f.write_str("ECDSA on P-256"),
            Algorithm::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub algorithm: Algorithm,
    /// As ring takes it: PKCS#1, a point, 32 bytes.
    bytes: Vec<u8>,
    /// SubjectPublicKeyInfo.
    info: Vec<u8>,
}

impl PublicKey {
    fn of(info: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey> {
        let bytes = info.subject_public_key.data.to_vec();
        let oid = info.algorithm.algorithm.to_id_string();
        let curve = info.algorithm.parameters.as_ref();
        let curve = curve
            .and_then(|any| any.as_oid().ok())
            .map(|oid| oid.to_id_string());
        let algorithm = match oid.as_str() {
            RSA => {
                let Ok(Parsed::RSA(rsa)) = info.parsed() else {
                    bail!("its RSA key cannot be read");
                };
                let bits = rsa.key_size();
                if !(2048..=4096).contains(&bits) {
                    bail!("it is an RSA key of {bits} bits: use one of 2048 to 4096 bits");
                }
                Algorithm::Rsa { bits }
            }
            EC if curve.as_deref() == Some(P256) => Algorithm::P256,
            EC => bail!("it is a key on another curve than P-256: use RSA, P-256 or Ed25519"),
            ED25519 => Algorithm::Ed25519,
            _ => bail!("it is a key of an unsupported kind ({oid}): use RSA, P-256 or Ed25519"),
        };
        let info = info.raw.to_vec();
        Ok(PublicKey {
            algorithm,
            bytes,
            info,
        })
    }

    /// From a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// It is damaged, or of a kind that is not supported here.
    pub fn from_der(der: &[u8]) -> Result<PublicKey> {
        match SubjectPublicKeyInfo::from_der(der) {
            Ok((_, info)) => PublicKey::of(&info),
            Err(_) => bail!("it is damaged"),
        }
    }

    /// From PEM: a `PUBLIC KEY`, or the key of a `CERTIFICATE`.
    ///
    /// # Errors
    /// The file cannot be read, is neither, or the key is of a kind that is not supported.
    pub fn from_file(path: &Path) -> Result<PublicKey> {
        PublicKey::from_pem(&read(path)?, path)
    }

    /// From the PEM text of a file; the name is for messages.
    ///
    /// # Errors
    /// It is neither, or the key is of a kind that is not supported.
    pub fn from_pem(text: &str, path: &Path) -> Result<PublicKey> {
        if text.contains("-----BEGIN PUBLIC KEY-----") {
            let block = ::pem::parse(text).ok();
            let der = block.with_context(|| format!("{} is damaged", path.display()))?;
            return PublicKey::from_der(der.contents())
                .with_context(|| format!("the public key {}", path.display()));
        }
        if let Some(help) = other_kind(text) {
            bail!("{} {help}", path.display());
        }
        Ok(Certificate::parse(text, path)?.key)
    }

    /// Stands for the key: SHA-256 of its SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(&self.info)
    }

    /// PEM, a `PUBLIC KEY`.
    pub fn pem(&self) -> String {
        ::pem::encode(&::pem::Pem::new("PUBLIC KEY", self.info.clone()))
    }

    /// Whether this key has signed `message`; ECDSA's signature in DER.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let by: &dyn signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::Rsa { .. } => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            Algorithm::Ed25519 => &signature::ED25519,
        };
        UnparsedPublicKey::new(by, &self.bytes)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint())
    }
}

/// An X.509 certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub der: Vec<u8>,
    /// For people.
    pub subject: String,
    pub key: PublicKey,
    /// With tag and length.
    pub issuer: Vec<u8>,
    /// The number's content, without tag and length.
    pub serial: Vec<u8>,
    pub is_self_issued: bool,
    /// From when and until when it says that it is valid, in seconds since 1970.
    since: i64,
    until: i64,
}

impl Certificate {
    /// From a PEM file with exactly one.
    ///
    /// # Errors
    /// The file cannot be read, or is something else; a chain of several.
    pub fn from_file(path: &Path) -> Result<Certificate> {
        Certificate::parse(&read(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Certificate> {
        let shown = path.display();
        if let Err(error) = pem::check_certificates(text) {
            bail!("{shown}, line {}: {}", error.line, error.reason);
        }
        let found = pem::certificates(text);
        let [(_, der)] = found.as_slice() else {
            bail!(
                "{shown} holds {} certificates: leave only the one of the key that signs",
                found.len()
            );
        };
        Certificate::from_der(der).with_context(|| format!("the certificate {shown}"))
    }

    /// From DER.
    ///
    /// # Errors
    /// It is damaged, or its key is of a kind that is not supported here.
    pub fn from_der(der: &[u8]) -> Result<Certificate> {
        let Ok((rest, certificate)) = X509Certificate::from_der(der) else {
            bail!("it is not a certificate, or damaged");
        };
        if !rest.is_empty() {
            bail!("something follows the certificate");
        }
        Ok(Certificate {
            der: der.to_vec(),
            subject: certificate.subject().to_string(),
            key: PublicKey::of(certificate.public_key())?,
            issuer: certificate.issuer().as_raw().to_vec(),
            serial: certificate.raw_serial().to_vec(),
            is_self_issued: certificate.issuer().as_raw() == certificate.subject().as_raw(),
            since: certificate.validity().not_before.timestamp(),
            until: certificate.validity().not_after.timestamp(),
        })
    }

    /// SHA-256 of all of it.
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(&self.der)
    }

    /// What it says of a time that it is not valid at. Firmware does not ask; people and other
    /// verifiers do.
    pub fn invalid_at(&self, time: Date) -> Option<String> {
        let date = |seconds: i64| Date(u64::try_from(seconds).unwrap_or(0));
        if time > date(self.until) {
            return Some(format!("was valid until {}", date(self.until).rfc3339()));
        }
        let since = date(self.since);
        (time < since).then(|| format!("is not valid before {}", since.rfc3339()))
    }
}

/// What people take for a public key, and how to make one of it.
fn other_kind(text: &str) -> Option<&'static str> {
    let begins = |label: &str| text.contains(&format!("-----BEGIN {label}"));
    Some(match () {
        () if begins("CERTIFICATE-----") => return None,
        () if begins("PGP ") => {
            "is an OpenPGP key: give the public key (PEM) or certificate that `nodeimg sign` signs by"
        }
        () if begins("RSA PUBLIC KEY-----") => {
            "is a key in PKCS#1: convert it (openssl rsa -RSAPublicKey_in -in FILE -pubout)"
        }
        () if text.contains("PRIVATE KEY-----") => {
            "holds a private key: keep it where it signs, and give its public key (openssl pkey -in \
             FILE -pubout)"
        }
        () if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") => {
            "is a key of SSH: convert it (ssh-keygen -e -m PKCS8 -f FILE)"
        }
        () if text.starts_with("untrusted comment:") => "is a key of minisign: give one in PEM",
        () => return None,
    })
}

fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = regular::read(path, LIMIT).with_context(|| format!("reading {shown}"))?;
    if bytes.starts_with(&[0x30, 0x82]) {
        bail!(
            "{shown} is DER, not PEM: convert it (openssl x509 -inform DER -in {shown} -out FILE.pem)"
        );
    }
    String::from_utf8(bytes).with_context(|| format!("{shown} is not PEM (`-----BEGIN ...-----`)"))
}
