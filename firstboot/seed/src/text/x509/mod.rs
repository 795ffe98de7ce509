//! The content of a certificate, and whether it matches a key and an authority.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc5280>; keys as in RFC 5208 (PKCS#8),
//! RFC 8017 (PKCS#1), RFC 5915 (SEC1) and RFC 8410 (Ed25519).
//!
//! Signatures are checked for RSA (PKCS#1 v1.5), ECDSA on P-256 and P-384, and Ed25519,
//! which is what Kubernetes' own tools and openssl's users make. Of others (P-521,
//! Ed448, RSA-PSS), names alone are compared. This finds mistakes in a seed; deciding
//! whom to trust is up to the TLS of the programs that use the certificates.
mod der;
mod key;
mod time;

use std::net::IpAddr;

use der::{BIT_STRING, Element, OID, Reader, SEQUENCE, SET};
pub use key::{PublicKey, public_part};
pub use time::date;

#[derive(Clone)]
pub struct Certificate {
    pub common_name: String,
    pub organisations: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub is_ca: bool,
    pub key: PublicKey,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    signed: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

/// The relation of a certificate to one that may have signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    Yes,
    /// The names match, and the signature is of a kind that is not checked here.
    Perhaps,
    /// The names match, but the signature was made with another key.
    OtherKey,
    No,
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANISATION: &[u8] = &[0x55, 4, 10];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

impl Certificate {
    /// Reads DER; `None` if it is not a certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Reader(der).expect(SEQUENCE)?.inside();
        let signed = outer.expect(SEQUENCE)?;
        let algorithm = outer.expect(SEQUENCE)?.inside().expect(OID)?.content;
        let signature = outer.expect(BIT_STRING)?.bits()?;
        let mut fields = signed.inside();
        let version = fields.optional(0xa0);
        fields.expect(der::INTEGER)?;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = fields.expect(SEQUENCE)?.inside();
        let (not_before, not_after) = (validity.next()?, validity.next()?);
        let subject = fields.expect(SEQUENCE)?;
        let key = PublicKey::read(fields.expect(SEQUENCE)?)?;
        let mut found = Self {
            common_name: names(subject, COMMON_NAME)
                .into_iter()
                .next_back()
                .unwrap_or_default(),
            organisations: names(subject, ORGANISATION),
            not_before: time::read(not_before)?,
            not_after: time::read(not_after)?,
            dns_names: Vec::new(),
            addresses: Vec::new(),
            // Version 1, which has no extensions to say so.
            is_ca: version.is_none(),
            key,
            subject: subject.whole.to_vec(),
            issuer: issuer.whole.to_vec(),
            signed: signed.whole.to_vec(),
            algorithm: algorithm.to_vec(),
            signature: signature.to_vec(),
        };
        while let Some(field) = fields.next() {
            if field.tag == 0xa3 {
                found.extensions(field)?;
            }
        }
        Some(found)
    }

    fn extensions(&mut self, field: Element<'_>) -> Option<()> {
        let mut list = field.inside().expect(SEQUENCE)?.inside();
        while let Some(extension) = list.next() {
            let mut parts = extension.inside();
            let name = parts.expect(OID)?.content;
            parts.optional(0x01);
            let mut value = parts.expect(der::OCTET_STRING)?.inside();
            if name == SUBJECT_ALT_NAME {
                let mut alternatives = value.expect(SEQUENCE)?.inside();
                while let Some(alternative) = alternatives.next() {
                    self.alternative(alternative);
                }
            } else if name == BASIC_CONSTRAINTS {
                let flag = value.expect(SEQUENCE)?.inside().optional(0x01);
                self.is_ca = flag.is_some_and(|flag| flag.content != [0]);
            }
        }
        Some(())
    }

    fn alternative(&mut self, name: Element<'_>) {
        match (name.tag, name.content.len()) {
            (0x82, _) => self.dns_names.push(text(name.content)),
            (0x87, 4) => {
                let bytes: [u8; 4] = name.content.try_into().unwrap_or_default();
                self.addresses.push(IpAddr::from(bytes));
            }
            (0x87, 16) => {
                let bytes: [u8; 16] = name.content.try_into().unwrap_or_default();
                self.addresses.push(IpAddr::from(bytes));
            }
            _ => {}
        }
    }

    /// Whether `authority` has signed this certificate.
    pub fn issued_by(&self, authority: &Self) -> Issued {
        if self.issuer != authority.subject {
            return Issued::No;
        }
        match authority
            .key
            .has_signed(&self.algorithm, &self.signed, &self.signature)
        {
            Some(true) => Issued::Yes,
            Some(false) => Issued::OtherKey,
            None => Issued::Perhaps,
        }
    }
}

/// Every value of an attribute of a name, in order.
fn names(name: Element<'_>, wanted: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut sets = name.inside();
    while let Some(set) = sets.next().filter(|set| set.tag == SET) {
        let mut pairs = set.inside();
        while let Some(pair) = pairs.next() {
            let mut parts = pair.inside();
            let (Some(kind), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            if kind.content == wanted {
                found.push(text(value.content));
            }
        }
    }
    found
}

/// Text for comparing and for messages: control characters are dropped.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).take(253).collect()
}

#[cfg(test)]
mod tests;
