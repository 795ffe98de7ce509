//! Private keys in PEM files: PKCS#8, PKCS#1 (RSA) and SEC1 (P-256).
//!
//! Specs: [RFC 5208](https://www.rfc-editor.org/rfc/rfc5208),
//! [RFC 8017](https://www.rfc-editor.org/rfc/rfc8017),
//! [RFC 5915](https://www.rfc-editor.org/rfc/rfc5915).

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_seed::text::pem;
use nodeimg_seed::text::secret::Secret;
use nodeimg_values::regular;
use p256::ecdsa::signature::Signer as _;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

use crate::certificate::PublicKey;
use crate::der;

const LIMIT: u64 = 64 << 10;
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const UNSUPPORTED: &str =
    "is a key of an unsupported kind: use RSA of 2048 to 4096 bits, P-256 or Ed25519";

/// A private key in memory, in types that do not show it.
pub enum Key {
    Rsa(RsaKeyPair),
    P256(p256::ecdsa::SigningKey),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match self {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                // Of PKCS#1 v1.5 only the time that it takes is random, not the result.
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .ok()
                .context("the RSA key cannot sign: is it damaged?")?;
                Ok(signature)
            }
            Key::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Key::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    fn public(&self) -> Result<PublicKey> {
        let (algorithm, bytes) = match self {
            Key::Rsa(pair) => (der::algorithm(OID_RSA), pair.public().as_ref().to_vec()),
            Key::P256(key) => (
                der::sequence(&[
                    &der::element(der::OID, &[OID_EC]),
                    &der::element(der::OID, &[OID_P256]),
                ]),
                key.verifying_key()
                    .to_encoded_point(false)
                    .as_bytes()
                    .to_vec(),
            ),
            Key::Ed25519(pair) => (
                der::sequence(&[&der::element(der::OID, &[OID_ED25519])]),
                pair.public_key().as_ref().to_vec(),
            ),
        };
        PublicKey::from_der(&der::sequence(&[
            &algorithm,
            &der::element(3, &[&[0], &bytes]),
        ]))
    }
}

/// The key of a file, and its public half.
pub fn read(path: &Path) -> Result<(Key, PublicKey)> {
    let shown = path.display();
    let text = text_of(path)?;
    check_kind(path, text.expose())?;
    if let Err(error) = pem::check_private_key(text.expose()) {
        bail!("{shown}, line {}: {}", error.line, error.reason);
    }
    let is_sec1 = text.expose().contains("-----BEGIN EC PRIVATE KEY-----");
    let is_pkcs1 = text.expose().contains("-----BEGIN RSA PRIVATE KEY-----");
    let der = pem::private_key(text.expose()).unwrap_or_default();
    let key = match (is_pkcs1, is_sec1) {
        (true, _) => rsa(&der),
        (_, true) => elliptic(&der, None),
        _ => pkcs8(&der),
    };
    let key = key.with_context(|| format!("{shown}"))?;
    let public = key.public().with_context(|| format!("{shown}"))?;
    Ok((key, public))
}

fn text_of(path: &Path) -> Result<Secret> {
    let shown = path.display();
    let context = || format!("reading the private key {shown}");
    let file = regular::open(path).with_context(context)?;
    let mode = file.metadata().with_context(context)?.permissions().mode();
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT as usize + 1));
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    if bytes.len() as u64 > LIMIT {
        bail!("{shown} has more than {LIMIT} bytes, so it is not a private key");
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map(Secret::new);
    // A wrong kind of file is the better reason, even if everybody can read it.
    if let Ok(text) = &text {
        check_public(path, text.expose())?;
    }
    if mode & 0o077 != 0 {
        bail!(
            "other users can use the private key {shown} (mode {:04o}): close it to them (chmod \
             0600 {shown}), and consider whether it is still secret",
            mode & 0o7777
        );
    }
    text.map_err(|_| {
        anyhow!(
            "{shown} is not PEM (`-----BEGIN PRIVATE KEY-----`): convert it with openssl (DER: \
             `openssl pkey -inform DER`, PKCS#12: `openssl pkcs12 -nodes`)"
        )
    })
}

fn has(text: &str, label: &str) -> bool {
    text.contains(&format!("-----BEGIN {label}-----"))
}

/// What is for everybody to read.
fn check_public(path: &Path, text: &str) -> Result<()> {
    let shown = path.display();
    if text.contains("PRIVATE KEY-----") {
        return Ok(());
    }
    if has(text, "CERTIFICATE") {
        bail!("{shown} is a certificate, not a private key: name it as `certificate`");
    }
    if has(text, "PUBLIC KEY") || has(text, "RSA PUBLIC KEY") {
        bail!("{shown} is a public key: name the private one");
    }
    Ok(())
}

/// What PEM readers would say less helpfully.
fn check_kind(path: &Path, text: &str) -> Result<()> {
    let shown = path.display();
    if has(text, "ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        bail!(
            "{shown} is protected by a passphrase, which nodeimg does not ask for: use \
             `sign_command` with a program that does (openssl dgst -sha256 -sign {shown}), or \
             write the key without one where only you can read it"
        );
    }
    if has(text, "OPENSSH PRIVATE KEY") {
        bail!("{shown} is a key of OpenSSH: make one with `openssl genpkey`");
    }
    Ok(())
}

/// What PKCS#8 says of a key.
struct Wrapped<'a> {
    name: &'a [u8],
    curve: Option<&'a [u8]>,
    key: &'a [u8],
}

impl<'a> Wrapped<'a> {
    fn read(mut der: &'a [u8]) -> Option<Wrapped<'a>> {
        let mut inside = der::expect(&mut der, der::SEQUENCE)?;
        der::expect(&mut inside, der::INTEGER)?;
        let mut algorithm = der::expect(&mut inside, der::SEQUENCE)?;
        Some(Wrapped {
            name: der::expect(&mut algorithm, der::OID)?,
            curve: der::expect(&mut algorithm, der::OID),
            key: der::expect(&mut inside, der::OCTET_STRING)?,
        })
    }
}

fn pkcs8(der: &[u8]) -> Result<Key> {
    let wrapped = Wrapped::read(der).context("is damaged")?;
    match wrapped.name {
        OID_RSA => rsa(wrapped.key),
        OID_EC => elliptic(wrapped.key, wrapped.curve),
        OID_ED25519 => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => Ok(Key::Ed25519(pair)),
            Err(_) => bail!("is an Ed25519 key that is damaged"),
        },
        _ => bail!(UNSUPPORTED),
    }
}

fn rsa(der: &[u8]) -> Result<Key> {
    let bits = || -> Option<usize> {
        let mut rest = der;
        let mut inside = der::expect(&mut rest, der::SEQUENCE)?;
        der::expect(&mut inside, der::INTEGER)?;
        let modulus = der::expect(&mut inside, der::INTEGER)?;
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        Some(8 * (modulus.len() - zeros))
    };
    match bits() {
        Some(2048..=4096) => {}
        Some(bits) => bail!("is an RSA key of {bits} bits: use one of 2048 to 4096 bits"),
        None => bail!("is damaged"),
    }
    match RsaKeyPair::from_der(der) {
        Ok(pair) => Ok(Key::Rsa(pair)),
        Err(error) => bail!("is an RSA key that cannot be used ({error})"),
    }
}

/// SEC1; PKCS#8 has said the curve before.
fn elliptic(der: &[u8], curve: Option<&[u8]>) -> Result<Key> {
    let parts = || -> Option<(&[u8], Option<&[u8]>)> {
        let mut rest = der;
        let mut inside = der::expect(&mut rest, der::SEQUENCE)?;
        der::expect(&mut inside, der::INTEGER)?;
        let number = der::expect(&mut inside, der::OCTET_STRING)?;
        let mut parameters = der::expect(&mut inside, der::CONTEXT_0);
        let own = parameters
            .as_mut()
            .and_then(|inside| der::expect(inside, der::OID));
        Some((number, own))
    };
    let (number, own) = parts().context("is damaged")?;
    if curve.or(own) != Some(OID_P256) {
        bail!("is a key on another curve than P-256: use RSA, P-256 or Ed25519");
    }
    match p256::ecdsa::SigningKey::from_slice(number) {
        Ok(key) => Ok(Key::P256(key)),
        Err(_) => bail!("is a P-256 key that is damaged"),
    }
}
