//! Private keys of others. Ring reads PKCS#8 alone; what openssl calls
//! "traditional" is put into it.
//!
//! ```text
//! PKCS#8   SEQUENCE { INTEGER 0, SEQUENCE { algorithm }, OCTET STRING { SEC1 or PKCS#1 } }
//! ```
//!
//! Specs: [RFC 5208](https://www.rfc-editor.org/rfc/rfc5208) (PKCS#8),
//! [RFC 5915](https://www.rfc-editor.org/rfc/rfc5915) (SEC1, elliptic curves),
//! [RFC 8017](https://www.rfc-editor.org/rfc/rfc8017) (PKCS#1, RSA).

use anyhow::{Result, bail};
use nodeimg_seed::text::pem;
use nodeimg_seed::text::secret::Secret;
use rcgen::KeyPair;
use zeroize::Zeroizing;

const INTEGER_0: [u8; 3] = [0x02, 0x01, 0x00];
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// id-ecPublicKey with a curve, and rsaEncryption with NULL.
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1,
    7,
];
const P384: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 0x05, 0x2b, 0x81, 4, 0, 0x22,
];
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0x00,
];

/// The one key of a PEM file; `name` is for errors, which never show any of it.
pub(super) fn read(name: &str, text: &Secret) -> Result<KeyPair> {
    if let Err(error) = pem::check_private_key(text.expose()) {
        bail!("{name}, line {}: {}", error.line, error.reason);
    }
    let der = pem::private_key(text.expose()).unwrap_or_default();
    let as_it_is = KeyPair::try_from(der.as_slice()).ok();
    let wrapped = || {
        let mut kinds = [P256, P384, RSA].into_iter();
        kinds.find_map(|kind| KeyPair::try_from(wrap(kind, &der).as_slice()).ok())
    };
    match as_it_is.or_else(wrapped) {
        Some(key) => Ok(key),
        None => bail!(
            "{name} is a key of an unsupported kind: use RSA with at least 2048 bits, P-256, \
             P-384 or Ed25519"
        ),
    }
}

fn wrap(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut inside = Zeroizing::new(INTEGER_0.to_vec());
    inside.extend_from_slice(&element(SEQUENCE, algorithm));
    inside.extend_from_slice(&element(OCTET_STRING, key));
    element(SEQUENCE, &inside)
}

/// In DER ([X.690](https://www.itu.int/rec/T-REC-X.690), 8.1).
fn element(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(content.len() + 6));
    out.push(tag);
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    match length[zeros..] {
        [] => out.push(0),
        [short @ ..=0x7f] => out.push(short),
        ref long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}
