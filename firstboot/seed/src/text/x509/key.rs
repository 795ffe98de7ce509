//! Public keys, the public part of private ones, and signatures.
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::der::{BIT_STRING, Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
/// Of keys and of signatures ([RFC 8410](https://www.rfc-editor.org/rfc/rfc8410)).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Signatures with RSA have these names, and SHA-256, SHA-384 or SHA-512.
const RSA_WITH: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
const ECDSA_WITH: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
}

/// Bytes that two encodings of one key share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The point, uncompressed.
    Elliptic {
        curve: Curve,
        point: Vec<u8>,
    },
    /// Of Ed25519.
    Edwards([u8; 32]),
    /// A kind that is not checked, such as P-521.
    Other,
}

impl PublicKey {
    /// A SubjectPublicKeyInfo.
    pub(super) fn read(info: Element<'_>) -> Option<Self> {
        let mut parts = info.inside();
        let mut algorithm = parts.expect(SEQUENCE)?.inside();
        let bits = parts.expect(BIT_STRING)?.bits()?;
        let name = algorithm.expect(OID)?.content;
        if name == RSA {
            return rsa_numbers(Reader(bits).expect(SEQUENCE)?.inside());
        }
        if name == ELLIPTIC {
            let curve = curve_of(algorithm.optional(OID).map(|name| name.content));
            return Some(curve.map_or(Self::Other, |curve| Self::Elliptic {
                curve,
                point: bits.to_vec(),
            }));
        }
        if name == ED25519 {
            return Some(Self::Edwards(bits.try_into().ok()?));
        }
        Some(Self::Other)
    }

    /// Whether this key has made the signature; `None` for kinds that are not checked.
    pub(super) fn has_signed(
        &self,
        algorithm: &[u8],
        signed: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        match self {
            Self::Rsa { modulus, exponent } => {
                let kind = algorithm.strip_prefix(RSA_WITH)?;
                let (scheme, digest) = match kind {
                    [11] => rsa_scheme(1, &Sha256::digest(signed)),
                    [12] => rsa_scheme(2, &Sha384::digest(signed)),
                    [13] => rsa_scheme(3, &Sha512::digest(signed)),
                    _ => return None,
                };
                let number = BigUint::from_bytes_be;
                // Sizes beyond the crate's bound are not checked.
                let key = RsaPublicKey::new(number(modulus), number(exponent)).ok()?;
                Some(key.verify(scheme, &digest, signature).is_ok())
            }
            Self::Elliptic { curve, point } => {
                let digest = match algorithm.strip_prefix(ECDSA_WITH)? {
                    [2] => Sha256::digest(signed).to_vec(),
                    [3] => Sha384::digest(signed).to_vec(),
                    [4] => Sha512::digest(signed).to_vec(),
                    _ => return None,
                };
                Some(match curve {
                    Curve::P256 => {
                        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                        let signature = p256::ecdsa::DerSignature::from_bytes(signature).ok();
                        signature.is_some_and(|given| key.verify_prehash(&digest, &given).is_ok())
                    }
                    Curve::P384 => {
                        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                        let signature = p384::ecdsa::DerSignature::from_bytes(signature).ok();
                        signature.is_some_and(|given| key.verify_prehash(&digest, &given).is_ok())
                    }
                })
            }
            Self::Edwards(bytes) if algorithm == ED25519 => {
                let key = ed25519_compact::PublicKey::new(*bytes);
                let signature = ed25519_compact::Signature::from_slice(signature).ok();
                Some(signature.is_some_and(|given| key.verify(signed, &given).is_ok()))
            }
            Self::Edwards(_) | Self::Other => None,
        }
    }
}

/// PKCS#1 v1.5 with the DigestInfo of a hash of the SHA-2 family.
fn rsa_scheme(hash: u8, digest: &[u8]) -> (Pkcs1v15Sign, Vec<u8>) {
    let length = u8::try_from(digest.len()).unwrap_or_default();
    let oid = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash];
    let mut prefix = vec![SEQUENCE, 17 + length, SEQUENCE, 13, OID, 9];
    prefix.extend(oid);
    prefix.extend([5, 0, OCTET_STRING, length]);
    let scheme = Pkcs1v15Sign {
        hash_len: Some(digest.len()),
        prefix: prefix.into(),
    };
    (scheme, digest.to_vec())
}

fn rsa_numbers(mut numbers: Reader<'_>) -> Option<PublicKey> {
    Some(PublicKey::Rsa {
        modulus: numbers.expect(INTEGER)?.number().to_vec(),
        exponent: numbers.expect(INTEGER)?.number().to_vec(),
    })
}

fn curve_of(name: Option<&[u8]>) -> Option<Curve> {
    match name? {
        name if name == P256 => Some(Curve::P256),
        name if name == P384 => Some(Curve::P384),
        _ => None,
    }
}

/// The public key of a private one in DER (PKCS#8, PKCS#1 or SEC1); `None` if it is not
/// a private key.
pub fn public_part(der: &[u8]) -> Option<PublicKey> {
    let mut parts = Reader(der).expect(SEQUENCE)?.inside();
    parts.expect(INTEGER)?;
    if let Some(algorithm) = parts.optional(SEQUENCE) {
        let mut algorithm = algorithm.inside();
        let name = algorithm.expect(OID)?.content;
        let key = parts.expect(OCTET_STRING)?.content;
        if name == RSA {
            return public_part(key).filter(|key| matches!(key, PublicKey::Rsa { .. }));
        }
        if name == ELLIPTIC {
            let curve = algorithm.optional(OID).map(|name| name.content);
            let mut inner = Reader(key).expect(SEQUENCE)?.inside();
            inner.expect(INTEGER)?;
            return sec1(inner, curve_of(curve));
        }
        if name == ED25519 {
            return edwards(key);
        }
        return Some(PublicKey::Other);
    }
    if parts.0.first() == Some(&OCTET_STRING) {
        return sec1(parts, None);
    }
    rsa_numbers(parts)
}

/// The public key of a CurvePrivateKey (RFC 8410).
fn edwards(key: &[u8]) -> Option<PublicKey> {
    let secret = Reader(key).expect(OCTET_STRING)?.content;
    let seed = ed25519_compact::Seed::from_slice(secret).ok()?;
    // A key of zeros alone has no public half.
    let pair = ed25519_compact::KeyPair::try_from_seed(seed).ok()?;
    Some(PublicKey::Edwards(*pair.pk))
}

/// The rest of an ECPrivateKey after its version.
fn sec1(mut parts: Reader<'_>, curve: Option<Curve>) -> Option<PublicKey> {
    let secret = parts.expect(OCTET_STRING)?.content;
    let named = parts
        .optional(0xa0)
        .and_then(|name| name.inside().expect(OID));
    let Some(curve) = curve.or_else(|| curve_of(named.map(|name| name.content))) else {
        return Some(PublicKey::Other);
    };
    use p256::elliptic_curve::sec1::ToEncodedPoint as _;
    let point = match curve {
        Curve::P256 => {
            let key = p256::SecretKey::from_slice(secret).ok()?;
            key.public_key().to_encoded_point(false).as_bytes().to_vec()
        }
        Curve::P384 => {
            let key = p384::SecretKey::from_slice(secret).ok()?;
            key.public_key().to_encoded_point(false).as_bytes().to_vec()
        }
    };
    Some(PublicKey::Elliptic { curve, point })
}
