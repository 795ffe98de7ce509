//! The configuration for kubeadm: one of the seed, or one made from an API server, a
//! token and the hashes of the cluster's CA.
//!
//! Spec: <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>. A node
//! checks of a configuration what no kubeadm of the image takes ([`document`]); the rest is
//! kubeadm's to judge, which it does before it changes anything. `nodeimg seed check` knows
//! the types of all of it.
mod built;
pub mod document;

use std::net::IpAddr;

use super::Inputs;
pub use super::credentials::is_token;
use crate::read::node_config::Configuration;
use crate::text::field::Field;
use crate::text::problem::Problems;
use crate::text::secret::Secret;
use crate::text::yaml::Document;
use built::built;

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
const OLD_APIS: [(&str, u32); 6] = [
    ("v1alpha1", 11),
    ("v1alpha2", 12),
    ("v1alpha3", 14),
    ("v1beta1", 21),
    ("v1beta2", 26),
    ("v1beta3", 36),
];

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
    config: &Configuration,
    problems: &mut Problems,
) -> Option<Kubeadm> {
    let documents = config.documents.as_ref()?;
    let mut found = false;
    let mut upload_certs = false;
    for document in documents {
        let Some(root) = &document.root else {
            let place = config.place.clone().line(document.line);
            let reason = "is an empty document, which kubeadm refuses";
            problems.error(&place, reason, "remove the `---` around it");
            continue;
        };
        let Some(version) = version_of(document) else {
            continue;
        };
        let kind = document.text("kind");
        found |= task.kinds.contains(&kind);
        upload_certs |= kind == "InitConfiguration" && !document.text("certificateKey").is_empty();
        let place = config.place.clone().line(root.line);
        let root = Field { node: root, place };
        document::check(&root, version, inputs.settings, problems);
    }
    if !found {
        let kinds = task.kinds.join("` or `");
        let reason = format!("holds no `kind: {kinds}` of `apiVersion: kubeadm.k8s.io/...`");
        problems.error(&config.place, reason, "give a whole kubeadm configuration");
        return None;
    }
    Some(Kubeadm {
        verb: task.verb,
        config: config.text.clone(),
        upload_certs,
        socket: inputs.settings.runtime.kubeadm_socket,
    })
}

/// Of `kubeadm.k8s.io`, as `v1beta4`; `None` for a document of another program.
pub fn version_of(document: &Document) -> Option<&str> {
    document.text("apiVersion").strip_prefix("kubeadm.k8s.io/")
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

/// `sha256:` and 64 hexadecimal digits.
pub fn is_hash(text: &str) -> bool {
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
