//! A Sigstore of the tests' own: a certificate authority, a transparency log with its
//! signed entry timestamps and checkpoints, and the trusted root that names both.
//!
//! What it makes has the shape of the public one's: Fulcio's certificates
//! ([extensions](https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md)), Rekor's
//! answers of version 1, cosign's classic image signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SigningKey, date_time_ymd,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

/// When everything is signed, in seconds since 1970.
pub const SIGNED_AT: i64 = 1_789_990_000;
/// Of the identities here.
pub const ISSUER: &str = "https://issuer.test";
/// How many entries the log says that it has: the one asked for and another.
const TREE_SIZE: u64 = 2;

/// The authority and the log.
pub struct Sigstore {
    authority: Issuer<'static, KeyPair>,
    authority_der: Vec<u8>,
    log: KeyPair,
    /// Of certificates.
    ct_log: KeyPair,
}

/// A signature, its certificate, and the log's answer about them.
pub struct Signed {
    /// Base64, as in `FILE.sig`.
    pub signature: String,
    /// Base64 of PEM, as in `FILE.cert`.
    pub certificate: String,
    /// What `/api/v1/log/entries/retrieve` answers.
    pub answer: String,
    entry: Value,
    certificate_der: Vec<u8>,
}

impl Sigstore {
    #[expect(clippy::new_without_default, reason = "it makes keys")]
    pub fn new() -> Sigstore {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "sigstore.test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        let authority_der = params.self_signed(&key).unwrap().der().to_vec();
        Sigstore {
            authority: Issuer::new(params, key),
            authority_der,
            log: KeyPair::generate().unwrap(),
            ct_log: KeyPair::generate().unwrap(),
        }
    }

    /// `trusted_root.json`
    /// ([its form](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto)).
    pub fn trusted_root(&self) -> String {
        let since = json!({ "start": "2020-01-01T00:00:00Z" });
        let log = |url: &str, key: &KeyPair| {
            json!({
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": BASE64.encode(key.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": since,
                },
                "logId": { "keyId": BASE64.encode(log_id(key)) },
            })
        };
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log("https://log.test", &self.log)],
            "certificateAuthorities": [{
                "subject": { "organization": "test", "commonName": "sigstore.test" },
                "uri": "https://ca.test",
                "certChain": { "certificates": [{ "rawBytes": BASE64.encode(&self.authority_der) }] },
                "validFor": since,
            }],
            "ctlogs": [log("https://ct.test", &self.ct_log)],
            "timestampAuthorities": [],
        });
        root.to_string()
    }

    /// A signature over `bytes` by `identity`, a mail address or a URL.
    pub fn sign(&self, identity: &str, bytes: &[u8]) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate(identity, &key);
        self.signed_by(&key, certificate, bytes)
    }

    fn signed_by(&self, key: &KeyPair, certificate: Vec<u8>, bytes: &[u8]) -> Signed {
        let signature = BASE64.encode(SigningKey::sign(key, bytes).unwrap());
        let pem = pem(&certificate);
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(&Sha256::digest(bytes)) } },
                "signature": {
                    "content": signature,
                    "publicKey": { "content": BASE64.encode(&pem) },
                },
            },
        });
        let entry = self.entry(&body);
        Signed {
            signature,
            certificate: BASE64.encode(&pem),
            answer: json!([{ "24296fb24b8ad77a0000": entry }]).to_string(),
            entry,
            certificate_der: certificate,
        }
    }

    /// The bundle that `cosign sign-blob --bundle` writes of `bytes`
    /// ([v0.3](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto)).
    pub fn bundle(&self, identity: &str, bytes: &[u8]) -> String {
        self.bundle_of(&self.sign(identity, bytes), bytes)
    }

    fn bundle_of(&self, signed: &Signed, bytes: &[u8]) -> String {
        let mut bundle = material(&signed.certificate_der, &signed.entry, "hashedrekord");
        bundle["messageSignature"] = json!({
            "messageDigest": {
                "algorithm": "SHA2_256", "digest": BASE64.encode(Sha256::digest(bytes)),
            },
            "signature": signed.signature,
        });
        bundle.to_string()
    }

    /// The bundle that `cosign attest-blob` and GitHub's `attest` write of a statement.
    pub fn attest(&self, identity: &str, statement: &[u8]) -> String {
        let kind = "application/vnd.in-toto+json";
        let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), statement.len()).into_bytes();
        message.extend(statement);
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate(identity, &key);
        let signature = BASE64.encode(SigningKey::sign(&key, &message).unwrap());
        let payload = BASE64.encode(statement);
        let envelope = json!({
            "payload": payload, "payloadType": kind, "signatures": [{ "sig": signature }],
        });
        let hash =
            |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&Sha256::digest(bytes)) });
        let entry = self.entry(&json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": hash(envelope.to_string().as_bytes()),
                "payloadHash": hash(statement),
                "signatures": [{
                    "signature": signature, "verifier": BASE64.encode(pem(&certificate)),
                }],
            },
        }));
        let mut bundle = material(&certificate, &entry, "dsse");
        bundle["dsseEnvelope"] = envelope;
        bundle.to_string()
    }

    /// The same, entered into the log an hour after the certificate has expired.
    pub fn late_bundle(&self, identity: &str, bytes: &[u8]) -> String {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate_of(identity, &key, SIGNED_AT - 3600);
        self.bundle_of(&self.signed_by(&key, certificate, bytes), bytes)
    }

    /// Good for ten minutes, as Fulcio's.
    fn certificate(&self, identity: &str, key: &KeyPair) -> Vec<u8> {
        self.certificate_of(identity, key, SIGNED_AT)
    }

    fn certificate_of(&self, identity: &str, key: &KeyPair, at: i64) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = identity.try_into().unwrap();
        params.subject_alt_names = vec![match identity.contains("://") {
            true => SanType::URI(name),
            false => SanType::Rfc822Name(name),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
        params.not_before = at - Duration::minutes(1);
        params.not_after = at + Duration::minutes(9);
        // The issuer, as a UTF8String.
        let mut issuer = vec![0x0c, u8::try_from(ISSUER.len()).unwrap()];
        issuer.extend_from_slice(ISSUER.as_bytes());
        let fulcio = |last, content| {
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, last], content)
        };
        // Older verifiers read the text without its type.
        params.custom_extensions = vec![fulcio(1, ISSUER.into()), fulcio(8, issuer)];
        params.serial_number = Some(7_u64.into());
        let bare = params.signed_by(key, &self.authority).unwrap();
        let stamps = CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2],
            self.timestamps(bare.der()),
        );
        params.custom_extensions.push(stamps);
        let stamped = params.signed_by(key, &self.authority).unwrap();
        stamped.der().to_vec()
    }

    /// The log's word for a certificate without it
    /// ([RFC 6962](https://www.rfc-editor.org/rfc/rfc6962) section 3.2).
    fn timestamps(&self, bare: &[u8]) -> Vec<u8> {
        let at = u64::try_from(SIGNED_AT).unwrap() * 1000;
        let body = tbs(bare);
        let mut said = vec![0, 0];
        said.extend(at.to_be_bytes());
        said.extend([0, 1]);
        said.extend(Sha256::digest(
            self.authority.key().subject_public_key_info(),
        ));
        said.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        said.extend(body);
        said.extend([0, 0]);
        let signature = SigningKey::sign(&self.ct_log, &said).unwrap();
        let mut stamp = vec![0];
        stamp.extend(log_id(&self.ct_log));
        stamp.extend(at.to_be_bytes());
        // No extensions; SHA-256 and ECDSA.
        stamp.extend([0, 0, 4, 3]);
        stamp.extend(with_length(&signature));
        let list = with_length(&with_length(&stamp));
        assert!(list.len() < 128, "a length of one byte");
        let mut octets = vec![0x04, u8::try_from(list.len()).unwrap()];
        octets.extend(list);
        octets
    }

    /// The log's entry with this body.
    fn entry(&self, body: &Value) -> Value {
        let body = BASE64.encode(body.to_string());
        let log = hex(&log_id(&self.log));
        // Canonical JSON: sorted keys and no blanks, as `serde_json` writes maps.
        let promised = json!({
            "body": body, "integratedTime": SIGNED_AT, "logID": log, "logIndex": 1_007,
        });
        let promise = SigningKey::sign(&self.log, promised.to_string().as_bytes()).unwrap();
        let leaf = hashed(&[&[0], &BASE64.decode(&body).unwrap()]);
        let other = hashed(&[&[0], b"another entry"]);
        let root = hashed(&[&[1], &other, &leaf]);
        json!({
            "body": body,
            "integratedTime": SIGNED_AT,
            "logID": log,
            "logIndex": 1_007,
            "verification": {
                "inclusionProof": {
                    "checkpoint": self.checkpoint(&root),
                    "hashes": [hex(&other)],
                    "logIndex": 1,
                    "rootHash": hex(&root),
                    "treeSize": TREE_SIZE,
                },
                "signedEntryTimestamp": BASE64.encode(promise),
            },
        })
    }

    /// A [signed note](https://github.com/C2SP/C2SP/blob/main/signed-note.md), with the hint
    /// that Rekor has.
    fn checkpoint(&self, root: &[u8]) -> String {
        let note = format!("log.test - 7\n{TREE_SIZE}\n{}\n", BASE64.encode(root));
        let mut signature = log_id(&self.log)[..4].to_vec();
        signature.extend(SigningKey::sign(&self.log, note.as_bytes()).unwrap());
        format!("{note}\n\u{2014} log.test {}\n", BASE64.encode(signature))
    }

    /// A signature of the image with this digest (`sha256:…`), in cosign's classic layout:
    /// the payload, and the annotations of its layer.
    pub fn sign_image(&self, identity: &str, digest: &str) -> (Vec<u8>, Value) {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": "elsewhere.test/image" },
                "image": { "docker-manifest-digest": digest },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let signed = self.sign(identity, &payload);
        let entry = &signed.entry;
        let bundle = json!({
            "SignedEntryTimestamp": entry["verification"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["body"],
                "integratedTime": entry["integratedTime"],
                "logIndex": entry["logIndex"],
                "logID": entry["logID"],
            },
        });
        let annotations = json!({
            "dev.cosignproject.cosign/signature": signed.signature,
            "dev.sigstore.cosign/certificate": pem(&signed.certificate_der),
            "dev.sigstore.cosign/chain": pem(&self.authority_der),
            "dev.sigstore.cosign/bundle": bundle.to_string(),
        });
        (payload, annotations)
    }
}

/// A bundle without what was signed: the certificate and the log's entry.
fn material(certificate: &[u8], entry: &Value, kind: &str) -> Value {
    let unhex = |text: &Value| {
        let text = text.as_str().unwrap();
        let bytes = (0..text.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap());
        BASE64.encode(bytes.collect::<Vec<u8>>())
    };
    let proof = &entry["verification"]["inclusionProof"];
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": { "rawBytes": BASE64.encode(certificate) },
            "tlogEntries": [{
                "logIndex": entry["logIndex"].to_string(),
                "logId": { "keyId": unhex(&entry["logID"]) },
                "kindVersion": { "kind": kind, "version": "0.0.1" },
                "integratedTime": entry["integratedTime"].to_string(),
                "inclusionPromise": {
                    "signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"],
                },
                "inclusionProof": {
                    "logIndex": proof["logIndex"].to_string(),
                    "rootHash": unhex(&proof["rootHash"]),
                    "treeSize": proof["treeSize"].to_string(),
                    "hashes": [unhex(&proof["hashes"][0])],
                    "checkpoint": { "envelope": proof["checkpoint"] },
                },
                "canonicalizedBody": entry["body"],
            }],
        },
    })
}

/// The digest of its public key.
fn log_id(key: &KeyPair) -> Vec<u8> {
    Sha256::digest(key.subject_public_key_info()).to_vec()
}

/// The part of a certificate that is signed.
fn tbs(certificate: &[u8]) -> &[u8] {
    let header = |der: &[u8]| match der[1] {
        short if short < 0x80 => (2, usize::from(short)),
        long => {
            let end = 2 + usize::from(long & 0x7f);
            let length = der[2..end]
                .iter()
                .fold(0, |all, byte| all << 8 | usize::from(*byte));
            (end, length)
        }
    };
    let inner = &certificate[header(certificate).0..];
    let (start, length) = header(inner);
    &inner[..start + length]
}

/// After its length in two bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

fn hashed(parts: &[&[u8]]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

fn pem(der: &[u8]) -> String {
    pem_of("CERTIFICATE", der)
}

pub(crate) fn pem_of(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
