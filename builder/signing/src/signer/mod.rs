//! A key that signs, and what is known of it: from a file, by a command, or by files that are
//! carried to another machine and back.
//!
//! # Invariants
//! A signature leaves here only if the public key, the certificate's if there is one, has
//! verified it.

mod command;
mod exchange;
mod file;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::certificate::{Algorithm, Certificate, PublicKey};
use crate::der;

pub use exchange::Exchange;

/// What a key is for; each takes keys of some kinds only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// EFI programs and variables.
    SecureBoot,
    /// Root hashes, which the kernel and systemd verify.
    RootHash,
    /// Checksums and statements.
    Checksums,
}

impl Purpose {
    fn check(self, algorithm: Algorithm) -> Result<()> {
        let why = match (self, algorithm) {
            (Purpose::Checksums, _) | (_, Algorithm::Rsa { .. }) => return Ok(()),
            (Purpose::SecureBoot, _) => "firmware verifies RSA alone: use an RSA key of 2048 bits",
            (Purpose::RootHash, _) => {
                "not every kernel verifies such signatures of root hashes: use an RSA key"
            }
        };
        bail!("it is a key for {algorithm}, but {why}")
    }

    fn needs_certificate(self) -> bool {
        self != Purpose::Checksums
    }
}

/// Where a key is; paths are as given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// A private key in PEM.
    pub key: Option<PathBuf>,
    /// A command that signs.
    pub sign_command: Option<String>,
    /// A certificate in PEM, or for checksums a public key.
    pub certificate: Option<PathBuf>,
}

enum Source<'a> {
    File(Box<file::Key>),
    Command(String),
    Exchange(&'a Exchange),
}

/// A key that can sign.
pub struct Signer<'a> {
    source: Source<'a>,
    pub public: PublicKey,
    certificate: Option<Certificate>,
    /// For errors: the key that the user named.
    name: String,
}

impl<'a> Signer<'a> {
    /// The key that was given as `name`; with `exchange`, another machine has the private one.
    ///
    /// # Errors
    /// A file cannot be read, is not a key or one that others can read, is locked by a
    /// passphrase, of the wrong kind for its purpose, or not the certificate's.
    pub fn open(
        name: &str,
        given: &Given,
        purpose: Purpose,
        exchange: Option<&'a Exchange>,
    ) -> Result<Signer<'a>> {
        Signer::find(name, given, purpose, exchange).with_context(|| format!("the key `{name}`"))
    }

    fn find(
        name: &str,
        given: &Given,
        purpose: Purpose,
        exchange: Option<&'a Exchange>,
    ) -> Result<Signer<'a>> {
        let (certificate, mut public) = match &given.certificate {
            Some(path) if purpose.needs_certificate() => {
                let certificate = Certificate::from_file(path)?;
                let key = certificate.key.clone();
                (Some(certificate), Some(key))
            }
            Some(path) => {
                let key = PublicKey::from_file(path)?;
                (Certificate::from_file(path).ok(), Some(key))
            }
            None if purpose.needs_certificate() => {
                bail!("it has no certificate: name its PEM file as `certificate`")
            }
            None => (None, None),
        };
        let source = match (&given.key, &given.sign_command, exchange) {
            (Some(_), Some(_), _) => {
                bail!("both `key` and `sign_command` are given: use one of them")
            }
            (_, _, Some(exchange)) => Source::Exchange(exchange),
            (Some(path), None, None) => {
                let (key, own) = file::read(path)?;
                check_pair(path, given.certificate.as_deref(), &own, public.as_ref())?;
                public = Some(own);
                Source::File(Box::new(key))
            }
            (None, Some(command), None) => Source::Command(command.clone()),
            (None, None, None) => bail!("there is neither `key` nor `sign_command`"),
        };
        let Some(public) = public else {
            bail!(
                "nothing is known of it: name its certificate or public key in PEM as \
                 `certificate`, by which its signatures are verified"
            );
        };
        purpose.check(public.algorithm)?;
        Ok(Signer {
            source,
            public,
            certificate,
            name: name.to_owned(),
        })
    }

    /// The certificate, which keys for checksums may lack.
    ///
    /// # Errors
    /// It is such a key.
    pub fn certificate(&self) -> Result<&Certificate> {
        let found = self.certificate.as_ref();
        found.with_context(|| format!("the key `{}` has no certificate", self.name))
    }

    /// Signs `message`, which `what` names for people. `None` if another machine has yet to.
    ///
    /// # Errors
    /// The command fails, or what it or the other machine gave does not verify.
    pub fn sign(&self, what: &str, message: &[u8]) -> Result<Option<Vec<u8>>> {
        let context = || format!("signing {what} with the key `{}`", self.name);
        let signature = match &self.source {
            Source::File(key) => Some(key.sign(message)),
            Source::Command(command) => Some(command::sign(command, &self.public, message)),
            Source::Exchange(exchange) => exchange.answer(what, &self.name, message).transpose(),
        };
        let Some(signature) = signature else {
            return Ok(None);
        };
        let signature = self.normal(signature.with_context(context)?);
        if self.public.has_signed(message, &signature) {
            return Ok(Some(signature));
        }
        let by = match &self.certificate {
            Some(certificate) => format!("the certificate `{}`", certificate.subject),
            None => "the public key".to_owned(),
        };
        Err(anyhow::anyhow!(
            "the signature of {} bytes is not one that {by} verifies ({}): it must be the raw \
             signature, not text, of the whole message, by the private key of {by}",
            signature.len(),
            self.public.algorithm.name(),
        ))
        .with_context(context)
    }

    /// PKCS#11 gives ECDSA's two numbers as they are; everything else wants them in DER.
    fn normal(&self, signature: Vec<u8>) -> Vec<u8> {
        if self.public.algorithm != Algorithm::P256 || signature.len() != 64 {
            return signature;
        }
        let (r, s) = signature.split_at(32);
        der::sequence(&[&der::integer(r), &der::integer(s)])
    }
}

fn check_pair(
    key: &Path,
    certificate: Option<&Path>,
    own: &PublicKey,
    other: Option<&PublicKey>,
) -> Result<()> {
    match (certificate, other) {
        (Some(certificate), Some(other)) if other != own => bail!(
            "{} is not the private key of {}: that has another public key",
            key.display(),
            certificate.display()
        ),
        _ => Ok(()),
    }
}
