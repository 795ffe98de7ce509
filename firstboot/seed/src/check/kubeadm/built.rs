//! A configuration for `kubeadm join`, made of the values that its command line takes.
use std::net::IpAddr;

use super::{API, Kubeadm, is_hash};
use crate::check::credentials::is_token;
use crate::check::{Inputs, endpoint};
use crate::text::problem::Problems;
use crate::text::secret::Secret;

/// A JoinConfiguration of the values that `kubeadm token create --print-join-command` prints.
pub(super) fn built(
    inputs: &Inputs<'_>,
    host_name: &str,
    node_ips: &[IpAddr],
    problems: &mut Problems,
) -> Option<Kubeadm> {
    let node = &inputs.user.node;
    for (key, remedy) in [
        ("api_server", "add `https://HOST:6443`"),
        ("bootstrap_token", "add one (kubeadm token create)"),
        ("ca_cert_hashes", "add `sha256:...` of the cluster's CA"),
    ] {
        if !inputs.gives(key) {
            let reason = "is missing, although the other values that kubeadm needs are given";
            problems.error(&inputs.missing(key), reason, remedy);
        }
    }
    for hash in &node.ca_cert_hashes {
        if !is_hash(&hash.value) {
            let remedy = "it consists of `sha256:` and 64 hexadecimal digits";
            problems.error(&hash.place, "is not the hash of a CA", remedy);
        }
    }
    let token = node.bootstrap_token.as_ref()?;
    if !is_token(token.value.expose().trim()) {
        let remedy = "it consists of 6 and 16 lowercase letters or digits with a dot in between";
        problems.error(&token.place, "is not a bootstrap token", remedy);
    }
    let server = node.api_server.as_ref()?;
    let authority = match endpoint::host_of(&server.value) {
        Ok(_) => authority(&server.value),
        Err((reason, remedy)) => {
            problems.error(&server.place, reason, remedy);
            return None;
        }
    };
    let socket = inputs.settings.runtime.kubeadm_socket;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let hashes: Vec<String> = node
        .ca_cert_hashes
        .iter()
        .map(|hash| quoted(&hash.value))
        .collect();
    let mut config = format!(
        "apiVersion: kubeadm.k8s.io/{}\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    apiServerEndpoint: {}\n    token: {}\n    caCertHashes: [{}]\nnodeRegistration:\n  name: {}\n  criSocket: {}\n",
        API,
        quoted(&authority),
        quoted(token.value.expose().trim()),
        hashes.join(", "),
        quoted(host_name),
        socket,
    );
    config.push_str(&control_plane(inputs, node_ips, problems));
    Some(Kubeadm {
        verb: "join",
        config: Secret::new(config),
        upload_certs: false,
        socket,
    })
}

/// The part that makes the node join the control plane, if it has the key to the
/// cluster's certificates; otherwise nothing.
fn control_plane(inputs: &Inputs<'_>, node_ips: &[IpAddr], problems: &mut Problems) -> String {
    let Some(key) = &inputs.user.node.certificate_key else {
        return String::new();
    };
    let text = key.value.expose().trim();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let remedy = "it consists of 64 hexadecimal digits (kubeadm init phase upload-certs \
            --upload-certs)";
        problems.error(&key.place, "is not a certificate key", remedy);
    }
    let mut part = format!("controlPlane:\n  certificateKey: \"{text}\"\n");
    if let Some(address) = node_ips.first() {
        part.push_str(&format!(
            "  localAPIEndpoint:\n    advertiseAddress: \"{address}\"\n"
        ));
    }
    part
}

/// `host:port` of a URL that has been checked; port 6443 if it names none.
fn authority(url: &str) -> String {
    let rest = url.trim_start_matches("https://");
    let authority = rest.split('/').next().unwrap_or_default();
    let port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'));
    if port {
        authority.to_owned()
    } else {
        format!("{authority}:6443")
    }
}
