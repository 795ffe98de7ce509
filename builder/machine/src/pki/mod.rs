//! Certificates: a cluster's CA, what it signs for nodes, and what a fake API
//! server needs ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280), by the crate
//! rcgen).
//!
//! New keys are on P-256, which every part of Kubernetes takes and emulated
//! processors are quick with. A CA's own may also be RSA, P-384 or Ed25519, in
//! any form that openssl, cfssl and kubeadm write.
//!
//! # Invariants
//! - A private key is a [`Secret`] as soon as it is text.
//! - Nothing is signed for longer than the CA itself is valid.
//!
//! Left out: CRLs and OCSP, which Kubernetes does not look at.

mod key;
mod steady;
pub mod token;

use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nodeimg_seed::text::pem;
use nodeimg_seed::text::secret::Secret;
use nodeimg_seed::text::x509::Certificate;
use nodeimg_seed::write::Pair;
use nodeimg_values::digest::Digest;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use time::OffsetDateTime;

use steady::Steady;

/// Before now, for machines whose clocks are behind.
const SKEW: u64 = 3600;
const DAY: u64 = 24 * 3600;

/// Seconds since 1970, both inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    from: u64,
    to: u64,
}

impl Validity {
    /// From a little before `now` on.
    pub fn days(now: u64, days: u32) -> Validity {
        Validity {
            from: now.saturating_sub(SKEW),
            to: now.saturating_add(u64::from(days) * DAY),
        }
    }
}

/// Whose a certificate is to be.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub common_name: String,
    pub organisation: Option<String>,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// For those who are called, beside those who call.
    pub serves: bool,
}

impl Subject {
    /// A kubelet's, which calls and is called
    /// ([node authorization](https://kubernetes.io/docs/reference/access-authn-authz/node/)).
    pub fn kubelet(host_name: &str, names: Vec<String>, addresses: Vec<IpAddr>) -> Subject {
        Subject {
            common_name: format!("system:node:{host_name}"),
            organisation: Some("system:nodes".to_owned()),
            dns_names: names,
            addresses,
            serves: true,
        }
    }

    /// kube-proxy's, by the name that the cluster's own rules are bound to.
    pub fn kube_proxy() -> Subject {
        Subject {
            common_name: "system:kube-proxy".to_owned(),
            organisation: Some("system:node-proxier".to_owned()),
            ..Subject::default()
        }
    }
}

/// One that signs.
pub struct Authority {
    cert: String,
    issuer: Issuer<'static, Steady>,
    until: u64,
}

impl Authority {
    /// A new one, and its own certificate and key to be kept.
    pub fn generate(name: &str, validity: Validity) -> Result<(Authority, Pair)> {
        let mut params = params(validity)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let key = new_key()?;
        let cert = params.self_signed(&key).context("signing a CA")?.pem();
        let pair = Pair {
            cert: cert.clone(),
            key: Secret::new(key.serialize_pem()),
        };
        let authority = Authority {
            cert,
            issuer: Issuer::new(params, Steady(key)),
            until: validity.to,
        };
        Ok((authority, pair))
    }

    /// The first certificate of `cert` (PEM) and its key; names are for errors.
    pub fn read(
        (cert_name, cert): (&str, &str),
        (key_name, key): (&str, &Secret),
    ) -> Result<Authority> {
        if let Err(error) = pem::check_certificates(cert) {
            bail!("{cert_name}, line {}: {}", error.line, error.reason);
        }
        let der = pem::certificates(cert).into_iter().next();
        let der = der.map(|(_, der)| der).unwrap_or_default();
        let read = Certificate::read(&der)
            .with_context(|| format!("{cert_name} is not an X.509 certificate"))?;
        ensure!(
            read.is_ca,
            "{cert_name} is not a CA: it may not sign for a node"
        );
        let key = key::read(key_name, key)?;
        let public = nodeimg_seed::text::x509::public_part(key.serialized_der());
        ensure!(
            public.is_none_or(|public| public == read.key),
            "{key_name} is not the key of {cert_name}"
        );
        let issuer = Issuer::from_ca_cert_der(&der.as_slice().into(), Steady(key))
            .map_err(|error| anyhow!("{cert_name} cannot sign: {error}"))?;
        Ok(Authority {
            cert: pem::normalised(cert),
            issuer,
            until: u64::try_from(read.not_after).unwrap_or_default(),
        })
    }

    /// Its certificate, and others that were with it.
    pub fn cert(&self) -> &str {
        &self.cert
    }

    /// What kubeadm pins a CA by: `sha256:HEX` of its public key
    /// ([RFC 7469, 2.4](https://www.rfc-editor.org/rfc/rfc7469#section-2.4)).
    pub fn pin(&self) -> String {
        Digest::sha256(&self.issuer.key().subject_public_key_info()).to_string()
    }

    fn within(&self, validity: Validity) -> Validity {
        Validity {
            to: validity.to.min(self.until),
            ..validity
        }
    }

    /// A new key and its certificate.
    pub fn issue(&self, subject: &Subject, validity: Validity) -> Result<Pair> {
        self.certify(&new_key()?, subject, validity)
    }

    /// A key that follows from the CA's own, the subject, the node that has it and
    /// `validity`, and its certificate: the same bytes every time. Whoever has the CA's key can
    /// make any node's anyway.
    pub fn derive(&self, subject: &Subject, node: &str, validity: Validity) -> Result<Pair> {
        let name = &subject.common_name;
        let key = self.issuer.key().derived([name, node], validity.from);
        let key = key.with_context(|| format!("making the key of {name}"))?;
        self.certify(&key, subject, validity)
    }

    fn certify(&self, key: &KeyPair, subject: &Subject, validity: Validity) -> Result<Pair> {
        let context = || format!("signing for {}", subject.common_name);
        let params = leaf(subject, self.within(validity)).with_context(context)?;
        let cert = params.signed_by(key, &self.issuer).with_context(context)?;
        Ok(Pair {
            cert: cert.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    }

    /// The certificate (PEM) that a request (PEM) asks for, to call with: its
    /// key and its subject count, and nothing else that it says.
    pub fn sign_client(&self, request: &str, validity: Validity) -> Result<String> {
        let mut asked = CertificateSigningRequestParams::from_pem(request)
            .context("reading a certificate signing request")?;
        let mut params = params(self.within(validity))?;
        params.distinguished_name = asked.params.distinguished_name;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        asked.params = params;
        let cert = asked.signed_by(&self.issuer).context("signing a request")?;
        Ok(cert.pem())
    }
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).context("making a key")
}

fn params(validity: Validity) -> Result<CertificateParams> {
    let moment = |seconds: u64| {
        let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds)?);
        moment.map_err(|_| anyhow!("a certificate cannot be valid for that long"))
    };
    let mut params = CertificateParams::default();
    params.not_before = moment(validity.from)?;
    params.not_after = moment(validity.to)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

fn leaf(subject: &Subject, validity: Validity) -> Result<CertificateParams> {
    let mut params = params(validity)?;
    let name = &mut params.distinguished_name;
    if let Some(organisation) = &subject.organisation {
        name.push(DnType::OrganizationName, organisation.as_str());
    }
    name.push(DnType::CommonName, subject.common_name.as_str());
    for name in &subject.dns_names {
        let san = name.as_str().try_into();
        let san = san.with_context(|| format!("`{name}` is not allowed in a certificate"))?;
        params.subject_alt_names.push(SanType::DnsName(san));
    }
    let addresses = subject.addresses.iter().copied().map(SanType::IpAddress);
    params.subject_alt_names.extend(addresses);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if subject.serves {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    Ok(params)
}

#[cfg(test)]
mod tests;
