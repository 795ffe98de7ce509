//! The seed of a new node, from values to the text of its files: what
//! `nodeimg seed new` writes, and what `nodeimg test` gives its nodes.
//!
//! ```text
//!  Node         the values                      -> Files
//!  Files        meta-data, user-data, network-config
//!  node_config  the `nodeimg:` block of user-data; `read::node_config` reads it
//! ```
//!
//! # Invariants
//! - The instance id changes with the content, unless it is given.
//! - Nothing here checks the values: [`crate::examine`] does.
mod node_config;

use sha2::{Digest, Sha256};

use crate::read::seed::{Layout, Seed, SeedFile};
use crate::text::secret::{Secret, SecretBytes};
use crate::text::yaml::write::{Text, quoted};

/// The values of one node; empty ones are left out.
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
    /// The whole value, as YAML in one line.
    pub registries: Option<Secret>,
    pub update: Update,
    pub ssh_keys: Vec<String>,
    pub network: Option<String>,
}

/// The table `nodeimg.update`; what is not there is as the image has it.
#[derive(Default)]
pub struct Update {
    pub source: Option<String>,
    pub schedule: Option<String>,
    /// A public key in PEM.
    pub key: Option<String>,
    /// `reboot.window` and so on.
    pub window: Option<String>,
    pub duration: Option<String>,
    pub zone: Option<String>,
}

/// A certificate in PEM, and its key.
pub struct Pair {
    pub cert: String,
    pub key: Secret,
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
        let mut id = "nodeimg-".to_owned();
        for byte in Sha256::digest(all.expose()).iter().take(8) {
            id.push_str(&format!("{byte:02x}"));
        }
        id
    }

    fn user_data(&self) -> Secret {
        let mut text = Text::new("#cloud-config\n");
        text.value("hostname", &self.host_name);
        text.list("ssh_authorized_keys", &self.ssh_keys);
        text.mapping("nodeimg", |block| node_config::write(self, block));
        Secret::new(text.into_string())
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

#[cfg(test)]
mod tests;
