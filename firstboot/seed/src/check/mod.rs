//! Whether the values of a seed make sense: each alone, together, and with the image
//! and the machine. Nothing is planned until all checks have passed.
//!
//! One module per concern; each adds all the problems that it finds. To add a check: a function in
//! the module of its concern, and a row in `docs/reference/first-boot/nodeimg.md`.
mod certificates;
mod credentials;
pub mod endpoint;
mod extras;
pub mod kubeadm;
pub mod names;
mod node_ip;
pub mod registries;
mod runtime;
pub mod scheduling;
pub mod subnets;

use std::net::IpAddr;

use ipnet::IpNet;

pub use credentials::{Access, Identity};
pub use endpoint::HostEntry;
pub use extras::{Extras, Trust};
pub use kubeadm::Kubeadm;
pub use node_ip::still_missing;
pub use scheduling::kubelet_may_set;

use crate::contract::profile::Join;
use crate::contract::settings::ImageSettings;
use crate::read::cloud_config::UserData;
use crate::read::meta_data::MetaData;
use crate::read::node_config::Pair;
use crate::text::problem::{Place, Problems, Waited};

/// An address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    pub interface: String,
    pub net: IpNet,
}

/// What is known about this machine's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// Offline: only the form of addresses can be checked.
    Unknown,
    /// The seed's network is still to be put in force: whether the address that the seed
    /// asks for is there is told by a later check.
    Later,
    Known(Vec<InterfaceAddress>),
}

pub struct Inputs<'a> {
    pub settings: &'a ImageSettings,
    pub meta: &'a MetaData,
    pub user: &'a UserData,
    /// Name of the user-data file, for problems of keys that are missing.
    pub user_file: &'a str,
    pub addresses: &'a Addresses,
    /// For an address that has not appeared.
    pub waited: Option<Waited>,
    /// This machine's clock, in seconds since 1970.
    pub now: u64,
}

impl Inputs<'_> {
    /// The place of a key of `nodeimg:` that is not there.
    fn missing(&self, key: &str) -> Place {
        Place::file(self.user_file).key(format!("nodeimg.{key}"))
    }

    fn gives(&self, key: &str) -> bool {
        self.user.node.given.contains(&key)
    }
}

/// The place of a line of a value of several lines.
fn lines_on(place: &Place, line: usize) -> Place {
    let first = place.line.unwrap_or(1);
    place.clone().line(first + line - 1)
}

/// A node whose values have passed every check.
pub struct CheckedNode {
    pub instance_id: String,
    pub host_name: String,
    pub fqdn: String,
    pub node_ips: Vec<IpAddr>,
    pub pod_subnets: Vec<IpNet>,
    pub cluster_cidrs: Vec<IpNet>,
    /// `None` for a profile without Kubernetes, and if kubeadm takes care of it.
    pub identity: Option<Identity>,
    pub hosts: Vec<HostEntry>,
    pub labels: Vec<String>,
    pub taints: Vec<String>,
    /// Empty if the seed has none.
    pub provider_id: String,
    pub kubeadm: Option<Kubeadm>,
    /// `None` if the seed does not mention them.
    pub registries: Option<registries::Checked>,
    /// What the updater reads, and checks itself.
    pub update: Vec<Pair>,
    pub extras: Extras,
}

/// Keys that mean something only on a Kubernetes node.
const KUBERNETES_KEYS: [&str; 8] = [
    "api_server",
    "ca",
    "kube_proxy",
    "kubelet",
    "labels",
    "pod_subnet",
    "provider_id",
    "taints",
];

/// A value that nothing on this image would use is a mistake in the seed.
fn refuse_kubernetes(inputs: &Inputs<'_>, problems: &mut Problems) {
    for key in KUBERNETES_KEYS {
        if inputs.gives(key) {
            let reason = "is for a Kubernetes node, and this image has no Kubernetes";
            let remedy = "remove the key, or boot an image of profile `hard-way`";
            problems.error(&inputs.missing(key), reason, remedy);
        }
    }
}

/// Runs every check; `None` when one of them found an error.
pub fn check(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<CheckedNode> {
    let names = names::check(inputs, problems);
    let joins = inputs.settings.profile.joins;
    if joins == Join::Never {
        refuse_kubernetes(inputs, problems);
    }
    let nets = if joins.is_by_seed() {
        subnets::check(inputs, problems)
    } else {
        subnets::Nets::default()
    };
    let node_ips = node_ip::check(inputs, &nets.pod_subnets, problems);
    let hosts = endpoint::check_hosts(inputs, problems);
    let host_name = names.as_ref().map(|names| names.host_name.as_str());
    let identity = if joins.is_by_seed() {
        let api_server = endpoint::check_api_server(inputs, &nets.pod_subnets, problems);
        let node = certificates::Names {
            host: host_name,
            addresses: &node_ips,
        };
        credentials::check(inputs, api_server.as_deref(), node, problems)
    } else {
        None
    };
    let kubeadm = match joins {
        Join::Kubeadm => kubeadm::check(inputs, host_name, &node_ips, problems),
        Join::Certificate | Join::Token | Join::Never => None,
    };
    let labels = scheduling::check_labels(&inputs.user.node.labels, problems);
    let taints = scheduling::check_taints(&inputs.user.node.taints, problems);
    let provider_id = scheduling::check_provider(inputs.user.node.provider_id.as_ref(), problems);
    let registries = registries::check_seed(inputs, problems);
    let extras = extras::check(inputs, problems);
    runtime::check(inputs, problems);
    if problems.has_errors() {
        return None;
    }
    let names = names?;
    if joins.is_by_seed() && identity.is_none() {
        return None;
    }
    Some(CheckedNode {
        instance_id: inputs.meta.instance_id.clone(),
        host_name: names.host_name,
        fqdn: names.fqdn,
        node_ips,
        pod_subnets: nets.pod_subnets,
        cluster_cidrs: nets.cluster_cidrs,
        identity,
        hosts,
        labels,
        taints,
        provider_id,
        kubeadm,
        registries,
        update: inputs.user.node.update.clone(),
        extras,
    })
}
