//! Whether certificates match their keys, the cluster's CA, this node, and the current time.
//!
//! The clock is taken to be at least the image's build time: a board without a battery
//! starts somewhere in the past. So an expired certificate is certainly expired, while
//! one that is not valid yet may only be the clock's fault.
use std::net::IpAddr;

use super::{Inputs, lines_on};
use crate::text::pem;
use crate::text::problem::{Place, Problems};
use crate::text::x509::{self, Certificate, Issued};

/// A certificate with its key, as one component has them.
pub(super) struct Pair<'a> {
    pub(super) cert: &'a str,
    pub(super) cert_place: Place,
    pub(super) key: &'a str,
    pub(super) key_place: Place,
    /// Embedded in a kubeconfig: lines are not those of the seed.
    pub(super) embedded: bool,
}

impl Pair<'_> {
    fn place(&self, line: usize) -> Place {
        if self.embedded {
            self.cert_place.clone()
        } else {
            lines_on(&self.cert_place, line)
        }
    }
}

/// Whose certificate it is.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// Of the node with these names.
    Kubelet(Names<'a>),
    KubeProxy,
}

/// The names and addresses of a node, as far as they are known here.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) addresses: &'a [IpAddr],
}

/// Certificates of one text. Each may have to be compared with each.
const MOST: usize = 64;

/// Certificates from that of the node to one that an authority has signed.
const LONGEST: usize = 10;

/// Days before its expiry at which a certificate is reported.
const SOON: i64 = 7 * 86_400;

/// Certificates of a text that has passed [`pem::check_certificates`]; one that cannot be read is
/// reported.
fn read(
    text: &str,
    place: &dyn Fn(usize) -> Place,
    problems: &mut Problems,
) -> Vec<(usize, Certificate)> {
    let mut found = Vec::new();
    if pem::check_certificates(text).is_err() {
        return found;
    }
    let all = pem::certificates(text);
    if all.len() > MOST {
        let reason = format!("holds {} certificates, more than {MOST}", all.len());
        problems.error(&place(1), reason, "leave out those that are not needed");
        return found;
    }
    for (line, der) in all {
        match Certificate::read(&der) {
            Some(certificate) => found.push((line, certificate)),
            None => {
                let reason = "starts a CERTIFICATE that cannot be read";
                problems.error(&place(line), reason, "paste the whole PEM file");
            }
        }
    }
    found
}

/// The authorities that the seed gives, each of which must be a CA and currently valid.
pub(super) fn authorities(
    inputs: &Inputs<'_>,
    text: &str,
    place: &Place,
    problems: &mut Problems,
) -> Vec<Certificate> {
    let at = |line: usize| lines_on(place, line);
    let mut authorities = Vec::new();
    for (line, certificate) in read(text, &at, problems) {
        if !certificate.is_ca {
            let reason = "is not a CA certificate: it may not sign others";
            problems.error(&at(line), reason, "give the cluster's CA certificate");
        }
        times(inputs, &certificate, &at(line), problems);
        authorities.push(certificate);
    }
    authorities
}

/// Checks a pair against the authorities; without any, the chain is not looked at.
pub(super) fn check(
    inputs: &Inputs<'_>,
    pair: &Pair<'_>,
    owner: Owner<'_>,
    authorities: &[Certificate],
    problems: &mut Problems,
) {
    let at = |line: usize| pair.place(line);
    let certificates = read(pair.cert, &at, problems);
    let Some((line, leaf)) = certificates.first() else {
        return;
    };
    let place = at(*line);
    belongs(pair, leaf, problems);
    for (line, certificate) in &certificates {
        times(inputs, certificate, &at(*line), problems);
    }
    if !authorities.is_empty() {
        chain(&certificates, authorities, &place, problems);
    }
    match owner {
        Owner::Kubelet(node) => of_node(leaf, node, &place, problems),
        Owner::KubeProxy => {
            let user = "system:kube-proxy";
            if leaf.common_name != user {
                let reason = format!("has the common name `{}`, not `{user}`", leaf.common_name);
                let remedy = "kube-proxy then needs a role binding for that name";
                problems.warn(&place, reason, remedy);
            }
        }
    }
}

fn belongs(pair: &Pair<'_>, leaf: &Certificate, problems: &mut Problems) {
    if pem::check_private_key(pair.key).is_err() {
        return;
    }
    let der = pem::private_key(pair.key).unwrap_or_default();
    match x509::public_part(&der) {
        None => {
            let reason = "starts a PRIVATE KEY that cannot be read";
            problems.error(&pair.key_place, reason, "paste the whole PEM file");
        }
        Some(key) if key != leaf.key => {
            let reason = "does not belong to the certificate beside it";
            problems.error(
                &pair.key_place,
                reason,
                "give the key that the certificate was made for",
            );
        }
        Some(_) => {}
    }
}

fn times(inputs: &Inputs<'_>, certificate: &Certificate, place: &Place, problems: &mut Problems) {
    let now = i64::try_from(inputs.now.max(inputs.settings.epoch)).unwrap_or(i64::MAX);
    let (begin, end) = (certificate.not_before, certificate.not_after);
    if end < now {
        let reason = format!(
            "expired on {}, and it is now {} or later",
            x509::date(end),
            x509::date(now)
        );
        problems.error(place, reason, "issue a new one");
    } else if end - now < SOON {
        problems.warn(
            place,
            format!("expires on {}", x509::date(end)),
            "issue a new one soon",
        );
    }
    if begin > now {
        let reason = format!(
            "is not valid before {}, and this machine's clock says {}",
            x509::date(begin),
            x509::date(now)
        );
        problems.warn(place, reason, "set the clock if it is wrong");
    }
}

/// From the first certificate over those beside it to an authority.
fn chain(
    certificates: &[(usize, Certificate)],
    authorities: &[Certificate],
    place: &Place,
    problems: &mut Problems,
) {
    let mut current = &certificates[0].1;
    for _ in 0..certificates.len().min(LONGEST) {
        let mut other_key = false;
        for authority in authorities {
            match current.issued_by(authority) {
                Issued::Yes | Issued::Perhaps => return,
                Issued::OtherKey => other_key = true,
                Issued::No => {}
            }
        }
        if other_key {
            let reason = "was signed by a CA of the same name as `ca`, but with another key";
            let remedy = "give the CA that signed it, or have it signed again";
            problems.error(place, reason, remedy);
            return;
        }
        let beside = certificates.iter().map(|(_, beside)| beside);
        let next = beside
            .skip(1)
            .find(|beside| matches!(current.issued_by(beside), Issued::Yes | Issued::Perhaps));
        match next {
            Some(next) => current = next,
            None => break,
        }
    }
    let reason = "was not signed by the CA of this seed";
    problems.error(
        place,
        reason,
        "give the CA that signed it, or have it signed again",
    );
}

/// The names that the API server's node authorizer checks, and those that callers of the kubelet
/// check.
///
/// The latter is worth a warning only: nothing is broken if those callers ask by
/// another name or do not verify, and the certificates of Kubernetes the Hard Way have
/// `127.0.0.1` in the place of the node's address.
fn of_node(leaf: &Certificate, node: Names<'_>, place: &Place, problems: &mut Problems) {
    if let Some(host) = node.host {
        let user = format!("system:node:{host}");
        if leaf.common_name != user {
            let reason = format!(
                "has the common name `{}`, but the API server knows this node as `{user}`",
                leaf.common_name
            );
            let remedy = "give the certificate of this node, or correct the host name";
            problems.error(place, reason, remedy);
        } else if !leaf
            .dns_names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
        {
            let reason = format!("does not name `{host}` among its alternative names");
            let remedy = "callers that check the kubelet's certificate will refuse it";
            problems.warn(place, reason, remedy);
        }
    }
    if !leaf.organisations.iter().any(|name| name == "system:nodes") {
        let reason =
            "lacks the organisation `system:nodes`, without which a kubelet has no permissions";
        problems.error(place, reason, "issue it with `O=system:nodes`");
    }
    for address in node.addresses {
        if !leaf.addresses.contains(address) {
            let reason = format!("does not name {address} among its alternative names");
            let remedy = "callers that check the kubelet's certificate will refuse it";
            problems.warn(place, reason, remedy);
        }
    }
}
