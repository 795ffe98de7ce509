//! What kubeadm is to be given: a configuration of the seed, or one made from
//! an API server, a token and the hashes of the cluster's CA.
//!
//! Spec: <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>. What is
//! inside a configuration is kubeadm's to judge, which it does before it changes anything.
use super::credentials::is_token;
use super::{Inputs, endpoint};
use crate::problem::{Located, Problems};
use crate::secret::Secret;
use crate::yaml;

/// One run of kubeadm.
pub struct Kubeadm {
    /// `join` or `init`.
    pub verb: &'static str,
    /// The whole file for `--config`.
    pub config: Secret,
}

/// Keys that mean nothing to a node whose pods are the business of a DaemonSet.
const OTHERS: [&str; 4] = ["ca", "cluster_cidr", "kube_proxy", "pod_subnet"];

pub(super) fn check(
    inputs: &Inputs<'_>,
    host_name: Option<&str>,
    problems: &mut Problems,
) -> Option<Kubeadm> {
    for key in OTHERS {
        if inputs.gives(key) {
            let reason = "has no effect on a node that kubeadm sets up";
            problems.error(&inputs.missing(key), reason, "remove it");
        }
    }
    let node = &inputs.user.node;
    let given = &node.kubeadm;
    let parts = ["api_server", "bootstrap_token", "ca_cert_hashes"];
    match (&given.join, &given.init) {
        (Some(_), Some(init)) => {
            let reason = "asks for `init` and `join` at once";
            problems.error(&init.place, reason, "keep one of the two");
            None
        }
        (Some(config), None) => whole("join", "JoinConfiguration", config, problems),
        (None, Some(config)) => whole("init", "InitConfiguration", config, problems),
        (None, None) if inputs.gives("kubeadm") => {
            let reason = "holds neither `join` nor `init`";
            problems.error(&inputs.missing("kubeadm"), reason, "add one of them");
            None
        }
        (None, None) if parts.iter().any(|key| inputs.gives(key)) => {
            built(inputs, host_name?, problems)
        }
        // User-data may well run kubeadm itself, as Cluster API's does.
        (None, None) if !inputs.user.runcmd.is_empty() || !inputs.user.scripts.is_empty() => None,
        (None, None) => {
            let reason = "is missing: nothing tells this node which cluster to join";
            let remedy = "add `{join: ...}` or `{init: ...}`, or `api_server`, `bootstrap_token` and `ca_cert_hashes`";
            problems.error(&inputs.missing("kubeadm"), reason, remedy);
            None
        }
    }
}

/// A configuration of the seed: YAML, one document of which is of the wanted kind.
fn whole(
    verb: &'static str,
    kind: &str,
    config: &Located<Secret>,
    problems: &mut Problems,
) -> Option<Kubeadm> {
    let mut found = false;
    let mut line = 0;
    for document in config.value.expose().split("\n---") {
        match yaml::parse(document.trim_start_matches("---")) {
            Ok(root) => {
                let text = |key: &str| Some(root.as_ref()?.get(key)?.scalar()?.text().to_owned());
                let ours =
                    text("apiVersion").is_some_and(|name| name.starts_with("kubeadm.k8s.io/"));
                found |= ours && text("kind").as_deref() == Some(kind);
            }
            Err(error) => {
                let place = super::lines_on(&config.place, line + error.line);
                let reason = format!("is no valid YAML: {}", error.reason);
                problems.error(&place, reason, "correct the YAML");
                return None;
            }
        }
        line += document.matches('\n').count() + 1;
    }
    if !found {
        let reason = format!("holds no `kind: {kind}` of `apiVersion: kubeadm.k8s.io/...`");
        problems.error(&config.place, reason, "give a whole kubeadm configuration");
        return None;
    }
    Some(Kubeadm {
        verb,
        config: config.value.clone(),
    })
}

/// A JoinConfiguration of the values that `kubeadm token create --print-join-command` prints.
fn built(inputs: &Inputs<'_>, host_name: &str, problems: &mut Problems) -> Option<Kubeadm> {
    let node = &inputs.user.node;
    for (key, remedy) in [
        ("api_server", "add `https://HOST:6443`"),
        ("bootstrap_token", "add one (kubeadm token create)"),
        ("ca_cert_hashes", "add `sha256:...` of the cluster's CA"),
    ] {
        if !inputs.gives(key) {
            let reason = "is missing, and the others that kubeadm needs are given";
            problems.error(&inputs.missing(key), reason, remedy);
        }
    }
    for hash in &node.ca_cert_hashes {
        if !is_hash(&hash.value) {
            let remedy = "it is `sha256:` and 64 hexadecimal digits";
            problems.error(&hash.place, "is no hash of a CA", remedy);
        }
    }
    let token = node.bootstrap_token.as_ref()?;
    if !is_token(token.value.expose().trim()) {
        let remedy = "it is 6 and 16 small letters or digits with a dot between";
        problems.error(&token.place, "is no bootstrap token", remedy);
    }
    let server = node.api_server.as_ref()?;
    let authority = match endpoint::host_of(&server.value) {
        Ok(_) => authority(&server.value),
        Err((reason, remedy)) => {
            problems.error(&server.place, reason, remedy);
            return None;
        }
    };
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let hashes: Vec<String> = node
        .ca_cert_hashes
        .iter()
        .map(|hash| quoted(&hash.value))
        .collect();
    let config = format!(
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    apiServerEndpoint: {}\n    token: {}\n    caCertHashes: [{}]\nnodeRegistration:\n  name: {}\n  criSocket: unix:///run/containerd/containerd.sock\n",
        quoted(&authority),
        quoted(token.value.expose().trim()),
        hashes.join(", "),
        quoted(host_name),
    );
    Some(Kubeadm {
        verb: "join",
        config: Secret::new(config),
    })
}

/// `host:port` of a URL that has been checked; 6443 where it names none.
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

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
