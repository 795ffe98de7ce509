//! `KubeletConfiguration` v1beta1 and the kubelet's flags.
//!
//! <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>

use std::net::IpAddr;

use anyhow::Result;
use serde::Serialize;

use super::{Generated, environment, yaml};
use crate::recipe::Recipe;
use crate::recipe::file::{MetadataService, Profile};
use crate::recipe::value::Version;

const SOCKET: &str = "unix:///var/run/containerd/containerd.sock";
/// The default lies below /usr, which is read-only.
const VOLUME_PLUGIN_DIR: &str = "/var/lib/kubelet/volume-plugins";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KubeletConfiguration<'a> {
    api_version: &'static str,
    kind: &'static str,
    address: &'static str,
    authentication: Authentication,
    authorization: Authorization,
    cgroup_driver: &'static str,
    #[serde(rename = "clusterDNS", skip_serializing_if = "<[IpAddr]>::is_empty")]
    cluster_dns: &'a [IpAddr],
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_domain: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    since_1_27: Option<Since127>,
    enable_server: bool,
    fail_swap_on: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_pods: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_swap: Option<MemorySwap>,
    port: u16,
    resolv_conf: &'static str,
    runtime_request_timeout: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_certificates: Option<bool>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    serving: Option<Serving>,
}

/// The certificate that the kubelet shows to its callers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Serving {
    tls_cert_file: &'static str,
    tls_private_key_file: &'static str,
}

#[derive(Serialize)]
struct Authentication {
    anonymous: Enabled,
    webhook: Enabled,
    x509: X509,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct X509 {
    #[serde(rename = "clientCAFile")]
    client_ca_file: &'static str,
}

#[derive(Serialize)]
struct Authorization {
    mode: &'static str,
}

/// Fields of the configuration file that older kubelets have as flags only.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Since127 {
    container_runtime_endpoint: &'static str,
    register_node: bool,
    volume_plugin_dir: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemorySwap {
    swap_behavior: &'static str,
}

/// The configuration file and the environment file with the kubelet's flags,
/// for the version that the recipe installs.
pub fn generate(recipe: &Recipe, version: &Version) -> Result<Vec<Generated>> {
    let minor = version.major_minor();
    let bootstrap = recipe.profile == Profile::Bootstrap;
    let config = KubeletConfiguration {
        api_version: "kubelet.config.k8s.io/v1beta1",
        kind: "KubeletConfiguration",
        address: "0.0.0.0",
        authentication: Authentication {
            anonymous: Enabled { enabled: false },
            webhook: Enabled { enabled: true },
            x509: X509 {
                client_ca_file: "/var/lib/kubelet/ca.crt",
            },
        },
        authorization: Authorization { mode: "Webhook" },
        cgroup_driver: "systemd",
        cluster_dns: &recipe.cluster.cluster_dns,
        cluster_domain: recipe
            .cluster
            .cluster_domain
            .as_ref()
            .map(|domain| domain.as_str()),
        since_1_27: (minor >= (1, 27)).then_some(Since127 {
            container_runtime_endpoint: SOCKET,
            register_node: true,
            volume_plugin_dir: VOLUME_PLUGIN_DIR,
        }),
        enable_server: true,
        fail_swap_on: false,
        max_pods: recipe.kubelet.max_pods,
        // The value NoSwap is known from 1.30 on; before that no swap is the default.
        memory_swap: (minor >= (1, 30)).then_some(MemorySwap {
            swap_behavior: "NoSwap",
        }),
        port: 10250,
        resolv_conf: "/etc/resolv.conf",
        runtime_request_timeout: "15m",
        // A kubelet that has asked for its certificate also has it renewed.
        rotate_certificates: bootstrap.then_some(true),
        serving: (!bootstrap).then_some(Serving {
            tls_cert_file: "/var/lib/kubelet/kubelet.crt",
            tls_private_key_file: "/var/lib/kubelet/kubelet.key",
        }),
    };
    let text = yaml(
        &config,
        &recipe.kubelet.config,
        "the kubelet's configuration",
    )?;
    Ok(vec![
        Generated {
            path: "/usr/lib/nodeimg/kubelet-config.yaml",
            text,
            link: Some("/var/lib/kubelet/kubelet-config.yaml"),
            key: "kubelet",
        },
        Generated {
            path: "/usr/lib/nodeimg/kubelet.env",
            text: flags(recipe, minor),
            link: None,
            key: "kubelet",
        },
    ])
}

fn flags(recipe: &Recipe, minor: (u64, u64)) -> String {
    let mut args = Vec::new();
    if minor < (1, 27) {
        // `remote` is the only runtime from 1.24 on, and the flag went in 1.27.
        args.push("--container-runtime=remote".to_owned());
        args.push(format!("--container-runtime-endpoint={SOCKET}"));
        args.push(format!("--volume-plugin-dir={VOLUME_PLUGIN_DIR}"));
        // Its image collection does not yet look at what containerd has pinned.
        if let Some(sandbox) = &recipe.containerd.sandbox_image {
            args.push(format!("--pod-infra-container-image={sandbox}"));
        }
    }
    if !recipe.kubelet.labels.is_empty() {
        let pairs: Vec<_> = recipe
            .kubelet
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        // First boot gives the flag once more, for the node's own; the kubelet adds them up.
        args.push(format!("--node-labels={}", pairs.join(",")));
    }
    args.extend(recipe.kubelet.extra_args.iter().cloned());
    let comment = "From the recipe; read by kubelet.service.";
    let mut text = environment(comment, "KUBELET_ARGS", &args);
    // Its own AWS client, there until 1.27, asks 169.254.169.254 before it does anything
    // else: seconds of nothing on every network where nobody answers.
    let is_on_ec2 = recipe.first_boot.metadata.contains(&MetadataService::Ec2);
    if minor < (1, 27) && !is_on_ec2 {
        text.push_str("AWS_EC2_METADATA_DISABLED=true\n");
    }
    text
}
