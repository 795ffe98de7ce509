//! The configuration for kubeadm: one of the seed, or one made from an API server, a
//! token and the hashes of the cluster's CA.
//!
//! Spec: <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>. What is
//! inside a configuration is kubeadm's to judge, which it does before it changes anything;
//! only whether the image's kubeadm reads this version of it is checked here.
use std::net::IpAddr;

use super::credentials::is_token;
use super::{Inputs, endpoint};
use crate::text::problem::{Located, Problems};
use crate::text::secret::Secret;
use crate::text::yaml;

/// One run of kubeadm.
pub struct Kubeadm {
    /// `join` or `init`.
    pub verb: &'static str,
    /// The whole file for `--config`.
    pub config: Secret,
    /// `init` keeps the cluster's certificates in the cluster, encrypted by the key of
    /// its configuration: another control plane joins with that key.
    pub upload_certs: bool,
    /// The container runtime's.
    pub socket: &'static str,
}

/// The version of `kubeadm.k8s.io` that is written here: every kubeadm that an image may
/// have reads it.
pub const API: &str = "v1beta4";

/// Older ones, and the last minor release of Kubernetes 1 that reads each.
const OLD_APIS: [(&str, u32); 2] = [("v1beta2", 26), ("v1beta3", 36)];

/// Keys that mean nothing to a node whose pod network is set up by a DaemonSet.
const OTHERS: [&str; 4] = ["ca", "cluster_cidr", "kube_proxy", "pod_subnet"];

pub(super) fn check(
    inputs: &Inputs<'_>,
    host_name: Option<&str>,
    node_ips: &[IpAddr],
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
    let parts = [
        "api_server",
        "bootstrap_token",
        "ca_cert_hashes",
        "certificate_key",
    ];
    match (&given.join, &given.init) {
        (Some(_), Some(init)) => {
            let reason = "asks for both `init` and `join`";
            problems.error(&init.place, reason, "keep one of the two");
            None
        }
        (Some(config), None) => whole(inputs, &JOIN, config, problems),
        (None, Some(config)) => whole(inputs, &INIT, config, problems),
        (None, None) if inputs.gives("kubeadm") => {
            let reason = "holds neither `join` nor `init`";
            problems.error(&inputs.missing("kubeadm"), reason, "add one of them");
            None
        }
        (None, None) if parts.iter().any(|key| inputs.gives(key)) => {
            built(inputs, host_name?, node_ips, problems)
        }
        // User-data may well run kubeadm itself, as Cluster API's does.
        (None, None) if !inputs.user.runcmd.is_empty() || !inputs.user.scripts.is_empty() => None,
        (None, None) => {
            let reason = "is missing: this node does not know which cluster to join";
            let remedy = "add `{join: ...}` or `{init: ...}`, or `api_server`, `bootstrap_token` and `ca_cert_hashes`";
            problems.error(&inputs.missing("kubeadm"), reason, remedy);
            None
        }
    }
}

/// The action of kubeadm, and the documents one of which it needs.
struct Task {
    verb: &'static str,
    kinds: &'static [&'static str],
}

const JOIN: Task = Task {
    verb: "join",
    kinds: &["JoinConfiguration"],
};

/// The other one has defaults.
const INIT: Task = Task {
    verb: "init",
    kinds: &["InitConfiguration", "ClusterConfiguration"],
};

/// A configuration of the seed: YAML, with one document of a required kind.
fn whole(
    inputs: &Inputs<'_>,
    task: &Task,
    config: &Located<Secret>,
    problems: &mut Problems,
) -> Option<Kubeadm> {
    let mut found = false;
    let mut upload_certs = false;
    let mut line = 0;
    for document in config.value.expose().split("\n---") {
        match yaml::parse(document.trim_start_matches("---")) {
            Ok(root) => {
                let text = |key: &str| Some(root.as_ref()?.get(key)?.scalar()?.text().to_owned());
                let name = text("apiVersion").unwrap_or_default();
                if let Some(version) = name.strip_prefix("kubeadm.k8s.io/") {
                    let kind = text("kind").unwrap_or_default();
                    found |= task.kinds.contains(&kind.as_str());
                    let key = text("certificateKey").unwrap_or_default();
                    upload_certs |= kind == "InitConfiguration" && !key.is_empty();
                    let wrong = not_read(version, inputs.settings.kubeadm.as_deref())
                        .map(|reason| (reason, format!("write it for `kubeadm.k8s.io/{API}`")))
                        .or_else(|| {
                            let cluster = text("kubernetesVersion")?;
                            too_old(&cluster, inputs.settings.kubelet.as_deref()?)
                        });
                    if let Some((reason, remedy)) = wrong {
                        let within = root.as_ref().map_or(1, |root| root.line);
                        let place = super::lines_on(&config.place, line + within);
                        problems.error(&place, reason, remedy);
                    }
                }
            }
            Err(error) => {
                let place = super::lines_on(&config.place, line + error.line);
                let reason = format!("is not valid YAML: {}", error.reason);
                problems.error(&place, reason, "correct the YAML");
                return None;
            }
        }
        line += document.matches('\n').count() + 1;
    }
    if !found {
        let kinds = task.kinds.join("` or `");
        let reason = format!("holds no `kind: {kinds}` of `apiVersion: kubeadm.k8s.io/...`");
        problems.error(&config.place, reason, "give a whole kubeadm configuration");
        return None;
    }
    Some(Kubeadm {
        verb: task.verb,
        config: config.value.clone(),
        upload_certs,
        socket: inputs.settings.runtime.kubeadm_socket,
    })
}

/// The minor release of a Kubernetes 1; `None` for what is not known.
pub fn minor(version: Option<&str>) -> Option<u32> {
    let rest = version?.strip_prefix("1.")?;
    rest.split(['.', '-', '+']).next()?.parse().ok()
}

/// Why this kubeadm cannot read a configuration, as far as that is certain.
fn not_read(api: &str, kubeadm: Option<&str>) -> Option<String> {
    let minor = minor(kubeadm)?;
    let (_, last) = OLD_APIS.iter().find(|(known, _)| *known == api)?;
    (minor > *last).then(|| {
        format!(
            "uses `{api}`, which kubeadm reads only up to 1.{last}; this image has {}",
            kubeadm.unwrap_or_default()
        )
    })
}

/// What is wrong with the version of a cluster, and its remedy: a kubelet does not work
/// with an API server that is older. A label (`stable-1`) says nothing.
fn too_old(cluster: &str, kubelet: &str) -> Option<(String, String)> {
    let (of, at) = (
        minor(Some(cluster.trim_start_matches('v')))?,
        minor(Some(kubelet))?,
    );
    (at > of).then(|| {
        (
            format!(
                "asks for Kubernetes {cluster}, which is older than this image's kubelet, {kubelet}"
            ),
            format!("write `kubernetesVersion: v{kubelet}`, or use an image of Kubernetes 1.{of}"),
        )
    })
}

/// A JoinConfiguration of the values that `kubeadm token create --print-join-command` prints.
fn built(
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

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::{not_read, too_old};

    #[test]
    fn the_version_of_the_image_decides() {
        let gone = |api, kubeadm| not_read(api, Some(kubeadm)).unwrap_or_default();
        assert!(gone("v1beta3", "1.37.0").contains("up to 1.36; this image has 1.37.0"));
        assert!(gone("v1beta2", "1.34.1").contains("up to 1.26"));
        for (api, kubeadm) in [
            ("v1beta3", Some("1.36.4")),
            ("v1beta4", Some("1.37.1")),
            ("v1beta9", Some("1.37.1")),
            ("v1beta3", None),
            ("v1beta3", Some("2.0.0")),
        ] {
            assert_eq!(not_read(api, kubeadm), None, "{api} {kubeadm:?}");
        }
    }

    #[test]
    fn a_kubelet_is_not_newer_than_its_cluster() {
        let (reason, remedy) = too_old("v1.36.4", "1.37.1").unwrap_or_default();
        assert!(
            reason.contains("older than this image's kubelet, 1.37.1"),
            "{reason}"
        );
        assert!(
            remedy.contains("v1.37.1") && remedy.contains("an image of Kubernetes 1.36"),
            "{remedy}"
        );
        for cluster in ["v1.37.0", "1.37.9", "v1.38.0", "stable-1", "v2.0.0"] {
            assert_eq!(too_old(cluster, "1.37.1"), None, "{cluster}");
        }
    }
}
