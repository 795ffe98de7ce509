//! `KubeProxyConfiguration` v1alpha1 and kube-proxy's flags.
//!
//! <https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/>

use anyhow::Result;
use serde::Serialize;

use super::{Generated, environment, yaml};
use crate::input::recipe::Recipe;
use crate::input::recipe::file::ProxyMode;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KubeProxyConfiguration {
    api_version: &'static str,
    kind: &'static str,
    client_connection: ClientConnection,
    #[serde(rename = "clusterCIDR", skip_serializing_if = "Option::is_none")]
    cluster_cidr: Option<String>,
    mode: ProxyMode,
    node_port_addresses: [&'static str; 1],
}

#[derive(Serialize)]
struct ClientConnection {
    kubeconfig: &'static str,
}

/// The configuration file and the environment file with kube-proxy's flags.
pub fn generate(recipe: &Recipe) -> Result<Vec<Generated>> {
    let config = KubeProxyConfiguration {
        api_version: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        client_connection: ClientConnection {
            kubeconfig: "/var/lib/kube-proxy/kubeconfig",
        },
        cluster_cidr: recipe
            .cluster
            .cluster_cidr
            .as_ref()
            .map(ToString::to_string),
        mode: recipe.kube_proxy.mode.unwrap_or_default(),
        // Those that the node is known by, rather than every one of the machine.
        node_port_addresses: ["primary"],
    };
    let text = yaml(
        &config,
        &recipe.kube_proxy.config,
        "kube-proxy's configuration",
    )?;
    let flags = environment(
        "From the recipe; read by kube-proxy.service.",
        "KUBE_PROXY_ARGS",
        &recipe.kube_proxy.extra_args,
    );
    Ok(vec![
        Generated {
            path: "/usr/lib/nodeimg/kube-proxy-config.yaml",
            text,
            link: Some("/var/lib/kube-proxy/kube-proxy-config.yaml"),
            key: "kube_proxy",
        },
        Generated {
            path: "/usr/lib/nodeimg/kube-proxy.env",
            text: flags,
            link: None,
            key: "kube_proxy",
        },
    ])
}
