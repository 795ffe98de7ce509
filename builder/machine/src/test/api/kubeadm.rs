//! What a cluster of kubeadm publishes for the nodes that join it.
//!
//! ```text
//!  kube-public/cluster-info     kubeconfig: where, and the CA; jws-kubeconfig-ID: its signature by the token
//!  kube-system/kubeadm-config   ClusterConfiguration
//!  kube-system/kubelet-config   kubelet: KubeletConfiguration; its name ends in -1.MINOR up to 1.23
//!  kube-system/kube-proxy       config.conf: KubeProxyConfiguration
//! ```
//!
//! Specs: [kubeadm's design](https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/),
//! [bootstrap tokens](https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#configmap-signing),
//! [detached JWS](https://www.rfc-editor.org/rfc/rfc7515#appendix-F). Values are JSON, which the YAML of
//! real clusters includes; unset fields have kubeadm's defaults.
//!
//! Left out: what only `kubeadm join --control-plane` reads (ClusterStatus,
//! certificates).

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nodeimg_seed::check::kubeadm::API;
use nodeimg_seed::contract::settings::ImageSettings;
use ring::hmac;
use serde_json::{Map, Value, json};

/// Every node may read it, before it knows whom it asks.
pub(super) const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
/// Of the others.
pub(super) const SYSTEM: &str = "/api/v1/namespaces/kube-system/configmaps/";

/// Of a cluster that kubeadm made.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Of Kubernetes and of kubeadm alike, `1.36.0`.
    pub version: String,
    pub pod_subnet: Option<String>,
    pub service_subnet: Option<String>,
    pub domain: Option<String>,
}

impl Cluster {
    /// One that an image's kubeadm reads; `None` if its version is not known.
    pub fn of(settings: &ImageSettings) -> Option<Cluster> {
        Some(Cluster {
            version: settings.kubeadm.clone()?,
            pod_subnet: settings.cluster_cidr.clone(),
            service_subnet: settings.service_cidr.clone(),
            domain: settings.cluster_domain.clone(),
        })
    }

    /// The ConfigMaps' paths with their data. `ca` is PEM, `server` a URL, `token`
    /// both parts of one.
    pub(super) fn config_maps(
        &self,
        ca: &str,
        server: &str,
        token: &str,
    ) -> Result<Vec<(String, Value)>> {
        let (id, secret) = token.split_once('.').context("the token has no dot")?;
        let kubeconfig = kubeconfig(ca, server);
        let mut info = Map::new();
        let signature = signature(&kubeconfig, id, secret);
        info.insert(format!("jws-kubeconfig-{id}"), signature.into());
        info.insert("kubeconfig".to_owned(), kubeconfig.into());
        let text = |value: Value| Value::from(value.to_string());
        let system = |name: &str| format!("{SYSTEM}{name}");
        Ok(vec![
            (CLUSTER_INFO.to_owned(), info.into()),
            (
                system("kubeadm-config"),
                json!({ "ClusterConfiguration": text(self.configuration()) }),
            ),
            (
                system("kubelet-config"),
                json!({ "kubelet": text(kubelet()) }),
            ),
            (
                system("kube-proxy"),
                json!({ "config.conf": text(self.kube_proxy()) }),
            ),
        ])
    }

    fn configuration(&self) -> Value {
        let mut networking = Map::new();
        for (key, value) in [
            ("dnsDomain", &self.domain),
            ("podSubnet", &self.pod_subnet),
            ("serviceSubnet", &self.service_subnet),
        ] {
            if let Some(value) = value {
                networking.insert(key.to_owned(), value.as_str().into());
            }
        }
        json!({
            "apiVersion": format!("kubeadm.k8s.io/{API}"),
            "kind": "ClusterConfiguration",
            "clusterName": "nodeimg-test",
            "kubernetesVersion": format!("v{}", self.version),
            "networking": networking,
        })
    }

    fn kube_proxy(&self) -> Value {
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clusterCIDR": self.pod_subnet.as_deref().unwrap_or_default(),
        })
    }
}

/// The rest is kubeadm's defaults.
fn kubelet() -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
    })
}

/// As cluster-info has it: no user, no context.
fn kubeconfig(ca: &str, server: &str) -> String {
    let cluster = json!({ "certificate-authority-data": STANDARD.encode(ca), "server": server });
    json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "",
        "clusters": [{ "name": "", "cluster": cluster }],
        "contexts": [], "users": [],
    })
    .to_string()
}

/// HS256 by the token's secret. Verifiers make it again and compare the text.
fn signature(content: &str, id: &str, secret: &str) -> String {
    let header = json!({ "alg": "HS256", "kid": id }).to_string();
    let header = URL_SAFE_NO_PAD.encode(header);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(content));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;
    use std::process::Command;

    use super::*;
    use nodeimg_test_support::judge;

    #[test]
    fn each_kubeadm_finds_what_it_reads() {
        for version in ["1.36.4", "1.37.1"] {
            let cluster = Cluster {
                version: version.to_owned(),
                pod_subnet: Some("10.200.0.0/16".to_owned()),
                ..Cluster::default()
            };
            let maps = cluster.config_maps("PEM", "https://10.0.2.2:1", "abcdef.0123");
            let maps = maps.unwrap();
            let data = |path: &str, key: &str| -> Value {
                let (_, data) = maps.iter().find(|(own, _)| own == path).unwrap();
                serde_json::from_str(data[key].as_str().unwrap()).unwrap()
            };
            let read = data(&format!("{SYSTEM}kubeadm-config"), "ClusterConfiguration");
            assert_eq!(read["apiVersion"], "kubeadm.k8s.io/v1beta4");
            assert_eq!(read["kubernetesVersion"], format!("v{version}"));
            let networking = json!({ "podSubnet": "10.200.0.0/16" });
            assert_eq!(read["networking"], networking);
            let read = data(&format!("{SYSTEM}kubelet-config"), "kubelet");
            assert_eq!(read["kind"], "KubeletConfiguration");
            let read = data(&format!("{SYSTEM}kube-proxy"), "config.conf");
            assert_eq!(read["clusterCIDR"], "10.200.0.0/16");
            let info = data(CLUSTER_INFO, "kubeconfig");
            let cluster = &info["clusters"][0]["cluster"];
            assert_eq!(cluster["server"], "https://10.0.2.2:1");
            assert_eq!(cluster["certificate-authority-data"], "UEVN");
        }
        assert!(Cluster::default().config_maps("", "", "abcdef").is_err());
    }

    #[test]
    fn the_signature_is_what_openssl_makes() {
        let made = signature("a: b\n", "abcdef", "0123456789abcdef");
        let (header, tag) = made.split_once("..").unwrap();
        let read = URL_SAFE_NO_PAD.decode(header).unwrap();
        assert_eq!(read, br#"{"alg":"HS256","kid":"abcdef"}"#);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{header}.{}", URL_SAFE_NO_PAD.encode("a: b\n")).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-hmac", "0123456789abcdef", "-binary"]);
        if let Some(told) = judge::run(openssl.arg(file.path())) {
            assert_eq!(URL_SAFE_NO_PAD.encode(told.stdout), tag);
        }
    }
}
