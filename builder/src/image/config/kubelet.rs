//! `KubeletConfiguration` v1beta1 and the kubelet's flags.
//!
//! <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>

use std::net::IpAddr;

use anyhow::Result;
use nodeimg_seed::contract::profile::Join;
use serde::Serialize;

use super::{Generated, credential_providers, environment, yaml};
use crate::input::recipe::component::{SHUTDOWN, SHUTDOWN_CRITICAL};
use crate::input::recipe::{Base, Recipe};

/// The configuration file of the kubelet, if the recipe describes it.
pub const CONFIGURATION: &str = "/usr/lib/nodeimg/kubelet-config.yaml";
/// The default lies below /usr, which is read-only.
const VOLUME_PLUGIN_DIR: &str = "/var/lib/kubelet/volume-plugins";
/// What systemd-resolved has been given, without its stub on loopback: a DNS server in
/// a pod that was told to ask that one would ask itself.
pub const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
pub const RESOLVED_UNIT: &str = "systemd-resolved.service";

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
    container_runtime_endpoint: &'static str,
    enable_server: bool,
    fail_swap_on: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_pods: Option<u32>,
    memory_swap: MemorySwap,
    port: u16,
    register_node: bool,
    resolv_conf: &'static str,
    runtime_request_timeout: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_certificates: Option<bool>,
    #[serde(flatten)]
    serving: Serving,
    shutdown_grace_period: &'static str,
    shutdown_grace_period_critical_pods: &'static str,
    volume_plugin_dir: &'static str,
}

/// The certificate that the kubelet shows to its callers.
#[derive(Serialize)]
#[serde(untagged)]
enum Serving {
    /// It asks the cluster for one, which a person or a controller approves.
    Asked {
        #[serde(rename = "serverTLSBootstrap")]
        server_tls_bootstrap: bool,
    },
    #[serde(rename_all = "camelCase")]
    Given {
        tls_cert_file: &'static str,
        tls_private_key_file: &'static str,
    },
}

impl Serving {
    fn of(bootstrap: bool) -> Serving {
        match bootstrap {
            true => Serving::Asked {
                server_tls_bootstrap: true,
            },
            false => Serving::Given {
                tls_cert_file: "/var/lib/kubelet/kubelet.crt",
                tls_private_key_file: "/var/lib/kubelet/kubelet.key",
            },
        }
    }
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemorySwap {
    swap_behavior: &'static str,
}

/// The configuration file and the environment file with the kubelet's flags. `has_resolved`
/// says whether systemd-resolved came with the packages, whoever asked for it.
pub fn generate(recipe: &Recipe, has_resolved: bool) -> Result<Vec<Generated>> {
    let text = yaml(
        &configuration(recipe, has_resolved),
        &recipe.kubelet.config,
        "the kubelet's configuration",
    )?;
    Ok(vec![
        Generated {
            path: CONFIGURATION,
            text,
            link: Some("/var/lib/kubelet/kubelet-config.yaml"),
            key: "kubelet",
        },
        environment_file(recipe),
    ])
}

/// The kubelet's flags.
pub fn environment_file(recipe: &Recipe) -> Generated {
    Generated {
        path: "/usr/lib/nodeimg/kubelet.env",
        text: flags(recipe),
        link: None,
        key: "kubelet",
    }
}

fn configuration(recipe: &Recipe, has_resolved: bool) -> KubeletConfiguration<'_> {
    let bootstrap = recipe.profile.joins != Join::Certificate;
    let domain = recipe.cluster.cluster_domain.as_ref();
    KubeletConfiguration {
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
        cluster_domain: domain.map(|domain| domain.as_str()),
        container_runtime_endpoint: recipe.runtime.shared.socket,
        enable_server: true,
        fail_swap_on: false,
        max_pods: recipe.kubelet.max_pods,
        memory_swap: MemorySwap {
            swap_behavior: "NoSwap",
        },
        port: 10250,
        register_node: true,
        resolv_conf: resolv_conf(recipe, has_resolved),
        runtime_request_timeout: "15m",
        // A kubelet that has asked for its certificate also has it renewed.
        rotate_certificates: bootstrap.then_some(true),
        serving: Serving::of(bootstrap),
        // A node that goes down ends its pods first, the critical ones last. Upstream's
        // default is not to; logind grants the time (logind.conf.d).
        shutdown_grace_period: SHUTDOWN,
        shutdown_grace_period_critical_pods: SHUTDOWN_CRITICAL,
        volume_plugin_dir: VOLUME_PLUGIN_DIR,
    }
}

/// What a pod with the node's name servers is given.
fn resolv_conf(recipe: &Recipe, has_resolved: bool) -> &'static str {
    let is_named = |base: &Base| base.has("systemd-resolved");
    let is_masked = recipe
        .mask
        .iter()
        .any(|unit| unit.as_str() == RESOLVED_UNIT);
    match !is_masked && (has_resolved || recipe.base.as_ref().is_some_and(is_named)) {
        true => RESOLVED,
        false => "/etc/resolv.conf",
    }
}

fn flags(recipe: &Recipe) -> String {
    let mut args = Vec::new();
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
    args.extend(credential_providers::flags(recipe));
    args.extend(recipe.kubelet.extra_args.iter().cloned());
    let comment = "From the recipe; read by kubelet.service.";
    environment(comment, "KUBELET_ARGS", &args)
}

#[cfg(test)]
mod tests;
