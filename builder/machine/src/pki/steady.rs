//! Signatures and keys that are the same every time: ECDSA as
//! [RFC 6979](https://www.rfc-editor.org/rfc/rfc6979) has it, keys by
//! [HKDF](https://www.rfc-editor.org/rfc/rfc5869). RSA's and Ed25519's are so by themselves.

use anyhow::{Context, Result, anyhow};
use p256::ecdsa::signature::Signer;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use ring::hkdf;
use zeroize::Zeroizing;

/// Says what the keys are for; another scheme gets another one.
const SALT: &[u8] = b"nodeimg: keys of an inventory's nodes, 1";

/// A private key that signs.
pub(super) struct Steady(pub KeyPair);

impl Steady {
    /// A P-256 key for these names and this moment.
    pub fn derived(&self, [name, node]: [&str; 2], moment: u64) -> Result<KeyPair> {
        let secret = Zeroizing::new(self.0.serialize_der());
        let source = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&secret);
        // One try in 2^32 gives a number that is too large for the curve.
        for attempt in 0..=u8::MAX {
            let moment = moment.to_be_bytes();
            let about = [
                name.as_bytes(),
                &[0],
                node.as_bytes(),
                &[0],
                &moment,
                &[attempt],
            ];
            let mut number = Zeroizing::new([0_u8; 32]);
            let made = source.expand(&about, hkdf::HKDF_SHA256);
            made.and_then(|made| made.fill(number.as_mut()))
                .map_err(|_| anyhow!("HKDF gave no key"))?;
            let Ok(key) = p256::SecretKey::from_slice(number.as_ref()) else {
                continue;
            };
            let der = key.to_pkcs8_der().map_err(|error| anyhow!("{error}"))?;
            return KeyPair::try_from(der.as_bytes()).context("reading a derived key");
        }
        Err(anyhow!("no number fits the curve"))
    }

    fn ecdsa<S>(
        &self,
        message: &[u8],
        der: impl Fn(S::Made) -> Vec<u8>,
    ) -> Result<Vec<u8>, rcgen::Error>
    where
        S: Ecdsa,
    {
        let key = S::from_pkcs8_der(self.0.serialized_der());
        let key = key.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let made = key
            .try_sign(message)
            .map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(der(made))
    }
}

/// A key of a curve, with its kind of signature.
trait Ecdsa: DecodePrivateKey + Signer<Self::Made> {
    type Made;
}

impl Ecdsa for p256::ecdsa::SigningKey {
    type Made = p256::ecdsa::Signature;
}

impl Ecdsa for p384::ecdsa::SigningKey {
    type Made = p384::ecdsa::Signature;
}

impl PublicKeyData for Steady {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for Steady {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let algorithm = self.0.algorithm();
        if *algorithm == rcgen::PKCS_ECDSA_P256_SHA256 {
            self.ecdsa::<p256::ecdsa::SigningKey>(message, |made| made.to_der().as_bytes().to_vec())
        } else if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 {
            self.ecdsa::<p384::ecdsa::SigningKey>(message, |made| made.to_der().as_bytes().to_vec())
        } else {
            self.0.sign(message)
        }
    }
}
