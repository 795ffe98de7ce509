//! A seed of one node, from values to the text of `user-data`: what
//! `nodeimg seed new` writes, and what `nodeimg test` gives its nodes.
//!
//! ```text
//!  Node      the values                      -> Files
//!  Files     meta-data, user-data, network-config; write.rs: as a directory or a medium
//! ```
//!
//! Every scalar is a JSON string, which YAML reads as it stands
//! ([YAML 1.2, 1.3](https://yaml.org/spec/1.2.2/#13-terminology)): no value is
//! ever taken for a number or a boolean. Text of several lines is a literal
//! block.
//!
//! # Invariants
//! - The instance id changes with the content, unless it is given.
//! - Nothing here judges the values: `examine` of first boot does.

pub mod write;

use std::fmt::Write as _;

use nodeimg_firstboot::secret::{Secret, SecretBytes};
use nodeimg_firstboot::seed::{Layout, Seed, SeedFile};
use nodeimg_values::digest::Digest;
use serde_json::Value;

use crate::pki::Pair;

/// What one node is given; what is empty is left out.
#[derive(Default)]
pub struct Node {
    pub host_name: String,
    pub node_ip: Vec<String>,
    pub pod_subnet: Vec<String>,
    pub api_server: Option<String>,
    pub ca: Option<String>,
    pub kubelet: Option<Pair>,
    pub kube_proxy: Option<Pair>,
    pub bootstrap_token: Option<Secret>,
    pub ca_cert_hashes: Vec<String>,
    /// Configurations of kubeadm, as YAML.
    pub kubeadm_join: Option<Secret>,
    pub kubeadm_init: Option<Secret>,
    pub provider_id: Option<String>,
    /// Names with their addresses, in order.
    pub hosts: Vec<(String, String)>,
    pub labels: Vec<(String, String)>,
    pub taints: Vec<String>,
    pub ssh_keys: Vec<String>,
    pub network: Option<String>,
}

/// A seed in the layout of NoCloud.
pub struct Files {
    pub instance_id: String,
    pub meta_data: String,
    pub user_data: Secret,
    pub network: Option<String>,
}

impl Node {
    /// With this instance id, or one that follows from the content.
    pub fn files(&self, instance_id: Option<&str>) -> Files {
        let user_data = self.user_data();
        let instance_id = instance_id.map_or_else(|| self.own_id(&user_data), str::to_owned);
        let meta_data = format!("instance-id: {}\n", quoted(&instance_id));
        Files {
            instance_id,
            meta_data,
            user_data,
            network: self.network.clone(),
        }
    }

    fn own_id(&self, user_data: &Secret) -> String {
        let network = self.network.as_deref().unwrap_or_default();
        let all = SecretBytes::new(user_data.expose().as_bytes().to_vec());
        let all = all.followed_by(&[0]).followed_by(network.as_bytes());
        let digest = Digest::sha256(all.expose()).to_string();
        let hex = digest.rsplit(':').next().unwrap_or_default();
        format!("nodeimg-{}", &hex[..hex.len().min(16)])
    }

    fn user_data(&self) -> Secret {
        let mut text = Text("#cloud-config\n".to_owned());
        text.value("", "hostname", &self.host_name);
        text.list("", "ssh_authorized_keys", &self.ssh_keys);
        text.0.push_str("nodeimg:\n");
        let at = "  ";
        text.list(at, "node_ip", &self.node_ip);
        text.list(at, "pod_subnet", &self.pod_subnet);
        text.optional(at, "api_server", self.api_server.as_deref());
        text.optional(at, "ca", self.ca.as_deref());
        for (key, pair) in [("kubelet", &self.kubelet), ("kube_proxy", &self.kube_proxy)] {
            if let Some(pair) = pair {
                text.key(at, key);
                text.value("    ", "cert", &pair.cert);
                text.value("    ", "key", pair.key.expose());
            }
        }
        let token = self.bootstrap_token.as_ref().map(Secret::expose);
        text.optional(at, "bootstrap_token", token);
        text.list(at, "ca_cert_hashes", &self.ca_cert_hashes);
        if self.kubeadm_join.is_some() || self.kubeadm_init.is_some() {
            text.key(at, "kubeadm");
            text.optional(
                "    ",
                "join",
                self.kubeadm_join.as_ref().map(Secret::expose),
            );
            text.optional(
                "    ",
                "init",
                self.kubeadm_init.as_ref().map(Secret::expose),
            );
        }
        text.optional(at, "provider_id", self.provider_id.as_deref());
        text.pairs(at, "hosts", &self.hosts);
        text.pairs(at, "labels", &self.labels);
        text.list(at, "taints", &self.taints);
        if text.0.ends_with("nodeimg:\n") {
            let rest = text.0.len() - "nodeimg:\n".len();
            text.0.truncate(rest);
        }
        Secret::new(text.0)
    }
}

impl Files {
    /// Each by its name in a seed directory.
    pub fn all(&self) -> Vec<(&'static str, &str)> {
        let names = Layout::NoCloud.names();
        let mut all = vec![
            (names.meta_data, self.meta_data.as_str()),
            (names.user_data, self.user_data.expose()),
        ];
        all.extend(self.network.as_deref().map(|text| (names.network, text)));
        all
    }

    /// As first boot reads it.
    pub fn seed(&self) -> Seed {
        let names = Layout::NoCloud.names();
        let file = |name: &str, text: &str| SeedFile::new(name, text.as_bytes());
        Seed {
            user_data: Some(file(names.user_data, self.user_data.expose())),
            network: self
                .network
                .as_deref()
                .map(|text| file(names.network, text)),
            ..Seed::new(Layout::NoCloud, file(names.meta_data, &self.meta_data))
        }
    }
}

struct Text(String);

impl Text {
    fn key(&mut self, at: &str, key: &str) {
        let _ = writeln!(self.0, "{at}{key}:");
    }

    fn value(&mut self, at: &str, key: &str, value: &str) {
        if !is_block(value) {
            let _ = writeln!(self.0, "{at}{key}: {}", quoted(value));
            return;
        }
        let _ = writeln!(self.0, "{at}{key}: |");
        for line in value.lines() {
            match line {
                "" => self.0.push('\n'),
                line => {
                    let _ = writeln!(self.0, "{at}  {line}");
                }
            }
        }
    }

    fn optional(&mut self, at: &str, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.value(at, key, value);
        }
    }

    fn list(&mut self, at: &str, key: &str, items: &[String]) {
        if !items.is_empty() {
            self.key(at, key);
            for item in items {
                let _ = writeln!(self.0, "{at}  - {}", quoted(item));
            }
        }
    }

    fn pairs(&mut self, at: &str, key: &str, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            self.key(at, key);
            for (name, value) in pairs {
                let _ = writeln!(self.0, "{at}  {}: {}", quoted(name), quoted(value));
            }
        }
    }
}

/// Whether a literal block holds the text as it stands: whole lines, the first
/// not empty and without a blank before it, nothing that YAML looks into.
fn is_block(text: &str) -> bool {
    let odd = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && !text.contains(odd)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
