//! PKCS#7 SignedData ([RFC 2315](https://www.rfc-editor.org/rfc/rfc2315)) with SHA-256 and RSA,
//! and nothing in it that is not needed: in particular no time of signing.

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use crate::certificate::Certificate;
use crate::der::{self, CONTEXT_0, INTEGER, OCTET_STRING, OID, SET, element, sequence};
use crate::signer::Signer;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// The name of SHA-256 with its empty parameters.
pub fn sha256_name() -> Vec<u8> {
    der::algorithm(SHA256)
}

/// A signature beside `message`, which is not in it, without certificate and attributes: the
/// bytes of `openssl smime -sign -nocerts -noattr -binary -outform DER`. `None` if another
/// machine has yet to sign.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn detached(signer: &Signer<'_>, what: &str, message: &[u8]) -> Result<Option<Vec<u8>>> {
    let signature = signer.sign(what, message)?;
    let certificate = signer.certificate()?;
    let content = sequence(&[&element(OID, &[DATA])]);
    Ok(signature
        .map(|signature| content_info(&signed_data(certificate, false, &content, &[], &signature))))
}

/// Whether the key of this certificate has signed just `message`, in the form of [`detached`].
pub fn is_detached_by(der: &[u8], message: &[u8], certificate: &Certificate) -> bool {
    let signature = || -> Option<&[u8]> {
        let mut rest = der;
        let mut info = der::expect(&mut rest, der::SEQUENCE)?;
        der::expect(&mut info, OID)?;
        let mut inside = der::expect(&mut info, CONTEXT_0)?;
        let mut signed = der::expect(&mut inside, der::SEQUENCE)?;
        for tag in [INTEGER, SET, der::SEQUENCE] {
            der::expect(&mut signed, tag)?;
        }
        let mut signers = der::expect(&mut signed, SET)?;
        let mut signer = der::expect(&mut signers, der::SEQUENCE)?;
        for tag in [INTEGER, der::SEQUENCE, der::SEQUENCE, der::SEQUENCE] {
            der::expect(&mut signer, tag)?;
        }
        der::expect(&mut signer, OCTET_STRING)
    };
    let Some(signature) = signature() else {
        return false;
    };
    // All around it is as it is written: it names this certificate, and nothing else is in it.
    let content = sequence(&[&element(OID, &[DATA])]);
    der == content_info(&signed_data(certificate, false, &content, &[], signature))
        && certificate.key.has_signed(message, signature)
}

/// The same with the certificate, and without the frame around it that says what it is: as
/// firmware wants it before the content of a variable.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn bare(signer: &Signer<'_>, what: &str, message: &[u8]) -> Result<Option<Vec<u8>>> {
    let signature = signer.sign(what, message)?;
    let certificate = signer.certificate()?;
    let content = sequence(&[&element(OID, &[DATA])]);
    Ok(signature.map(|signature| signed_data(certificate, true, &content, &[], &signature)))
}

/// A signature of `content`, of the kind `kind` and in it, which is one element; what is signed
/// are two attributes, its kind and its digest.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn attached(
    signer: &Signer<'_>,
    what: &str,
    kind: &[u8],
    content: &[u8],
) -> Result<Option<Vec<u8>>> {
    let mut rest = content;
    // Its content alone, as PKCS#7 has it.
    let inner = der::take(&mut rest).map_or(content, |(_, inner)| inner);
    let digest = Sha256::digest(inner);
    let attributes = [
        attribute(CONTENT_TYPE, &element(OID, &[kind])),
        attribute(MESSAGE_DIGEST, &element(OCTET_STRING, &[&digest])),
    ]
    .concat();
    let message = element(SET, &[&attributes]);
    let signature = signer.sign(what, &message)?;
    let certificate = signer.certificate()?;
    let content = sequence(&[&element(OID, &[kind]), &element(CONTEXT_0, &[content])]);
    Ok(signature.map(|signature| {
        content_info(&signed_data(
            certificate,
            true,
            &content,
            &attributes,
            &signature,
        ))
    }))
}

fn attribute(name: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&element(OID, &[name]), &element(SET, &[value])])
}

fn content_info(signed: &[u8]) -> Vec<u8> {
    sequence(&[
        &element(OID, &[SIGNED_DATA]),
        &element(CONTEXT_0, &[signed]),
    ])
}

fn signed_data(
    certificate: &Certificate,
    with_certificate: bool,
    content: &[u8],
    attributes: &[u8],
    signature: &[u8],
) -> Vec<u8> {
    let one = element(INTEGER, &[&[1]]);
    let serial = element(INTEGER, &[&certificate.serial]);
    let attributes = match attributes {
        [] => Vec::new(),
        some => element(CONTEXT_0, &[some]),
    };
    let signer = sequence(&[
        &one,
        &sequence(&[&certificate.issuer, &serial]),
        &sha256_name(),
        &attributes,
        &der::algorithm(RSA),
        &element(OCTET_STRING, &[signature]),
    ]);
    let certificates = match with_certificate {
        true => element(CONTEXT_0, &[&certificate.der]),
        false => Vec::new(),
    };
    sequence(&[
        &one,
        &element(SET, &[&sha256_name()]),
        content,
        &certificates,
        &element(SET, &[&signer]),
    ])
}

/// What a verifier asks of a signature that was made by [`attached`]: the content, the
/// attributes as they were signed, and the signature.
pub struct Parts<'a> {
    pub content: &'a [u8],
    pub certificate: &'a [u8],
    /// Of the content, as the attributes say.
    pub digest: &'a [u8],
    message: Vec<u8>,
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes it apart; `None` if it is of another form.
    pub fn of(der: &'a [u8]) -> Option<Parts<'a>> {
        let mut rest = der;
        let mut info = der::expect(&mut rest, der::SEQUENCE)?;
        if der::expect(&mut info, OID)? != SIGNED_DATA {
            return None;
        }
        let mut inside = der::expect(&mut info, CONTEXT_0)?;
        let mut signed = der::expect(&mut inside, der::SEQUENCE)?;
        der::expect(&mut signed, INTEGER)?;
        der::expect(&mut signed, SET)?;
        let mut content = der::expect(&mut signed, der::SEQUENCE)?;
        der::expect(&mut content, OID)?;
        let content = der::expect(&mut content, CONTEXT_0)?;
        let certificate = der::expect(&mut signed, CONTEXT_0)?;
        let mut signers = der::expect(&mut signed, SET)?;
        let mut signer = der::expect(&mut signers, der::SEQUENCE)?;
        for tag in [INTEGER, der::SEQUENCE, der::SEQUENCE] {
            der::expect(&mut signer, tag)?;
        }
        let attributes = der::expect(&mut signer, CONTEXT_0)?;
        der::expect(&mut signer, der::SEQUENCE)?;
        let signature = der::expect(&mut signer, OCTET_STRING)?;
        Some(Parts {
            content,
            certificate,
            digest: message_digest(attributes)?,
            message: element(SET, &[attributes]),
            signature,
        })
    }

    /// Whether the certificate's key has signed just this content.
    pub fn is_by(&self, certificate: &Certificate) -> bool {
        let mut rest = self.content;
        let inner = der::take(&mut rest).map_or(self.content, |(_, inner)| inner);
        self.digest == Sha256::digest(inner).as_slice()
            && certificate.key.has_signed(&self.message, self.signature)
    }
}

fn message_digest(mut attributes: &[u8]) -> Option<&[u8]> {
    loop {
        let mut attribute = der::expect(&mut attributes, der::SEQUENCE)?;
        let name = der::expect(&mut attribute, OID)?;
        let mut values = der::expect(&mut attribute, SET)?;
        if name == MESSAGE_DIGEST {
            return der::expect(&mut values, OCTET_STRING);
        }
    }
}
