//! The plan: every file that first boot will write, as values.
//!
//! # Invariants
//! - No path twice, all absolute; sorted by path, so that one node gives one plan.
//! - Text with a private key or a kubeconfig is 0600; all owned by root.
use sha2::{Digest, Sha256};

use crate::TEMPLATE_DIR;
use crate::check::{Access, CheckedNode};
use crate::kubeconfig::{self, Material, Parts};
use crate::problem::{Place, Problems};
use crate::secret::Secret;
use crate::template::{Template, Values};

pub const HOSTNAME: &str = "/etc/hostname";
pub const HOSTS: &str = "/etc/hosts";
pub const KUBELET_CA: &str = "/var/lib/kubelet/ca.crt";
pub const KUBELET_CERT: &str = "/var/lib/kubelet/kubelet.crt";
pub const KUBELET_KEY: &str = "/var/lib/kubelet/kubelet.key";
pub const KUBELET_KUBECONFIG: &str = "/var/lib/kubelet/kubeconfig";
pub const KUBE_PROXY_KUBECONFIG: &str = "/var/lib/kube-proxy/kubeconfig";

/// Rendered templates below these directories are for root alone; all others are 0644.
const PRIVATE_DIRS: &[&str] = &[
    "/etc/kubernetes/",
    "/var/lib/kube-proxy/",
    "/var/lib/kubelet/",
];

/// A file to write. No `Debug`: the content may be a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct PlannedFile {
    pub path: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub content: Secret,
}

impl PlannedFile {
    fn new(path: &str, mode: u32, content: Secret) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            uid: 0,
            gid: 0,
            content,
        }
    }

    fn public(path: &str, content: &str) -> Self {
        Self::new(path, 0o644, Secret::new(content.to_owned()))
    }
}

/// A template of the image: the path that it renders to, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    pub path: String,
    pub text: String,
}

pub struct Plan {
    pub files: Vec<PlannedFile>,
}

impl Plan {
    /// SHA-256 over paths, modes, owners and contents.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            let head = format!("{}\0{:o} {} {} ", file.path, file.mode, file.uid, file.gid);
            hash.update(head.as_bytes());
            hash.update((file.content.expose().len() as u64).to_be_bytes());
            hash.update(file.content.expose().as_bytes());
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub fn paths(&self) -> Vec<String> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }
}

/// Plans a checked node; `None` when a template of the image cannot be rendered.
pub fn plan(
    node: &CheckedNode,
    templates: &[TemplateFile],
    problems: &mut Problems,
) -> Option<Plan> {
    let mut files = vec![
        PlannedFile::public(HOSTNAME, &format!("{}\n", node.host_name)),
        PlannedFile::public(HOSTS, &hosts(node)),
    ];
    files.extend(credentials(node));
    let values = values(node);
    let mut good = true;
    for template in templates {
        let rendered = Template::parse(&template.text).and_then(|parsed| {
            parsed.check_supplied()?;
            parsed.render(&values)
        });
        let place = Place::file(format!("{TEMPLATE_DIR}{}", template.path));
        let taken = files.iter().any(|file| file.path == template.path);
        match rendered {
            Ok(text) if !taken => {
                let private = PRIVATE_DIRS
                    .iter()
                    .any(|dir| template.path.starts_with(dir));
                let mode = if private { 0o600 } else { 0o644 };
                files.push(PlannedFile::new(&template.path, mode, Secret::new(text)));
            }
            Ok(_) => {
                problems.error(
                    &place,
                    "renders to a file that first boot writes itself",
                    "rebuild the image without it",
                );
                good = false;
            }
            Err(error) => {
                problems.error(
                    &place.line(error.line),
                    error.to_string(),
                    "rebuild the image",
                );
                good = false;
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    good.then_some(Plan { files })
}

/// The value of every placeholder for this node.
pub fn values(node: &CheckedNode) -> Values {
    let mut values = Values::new();
    let server = node.identity.as_ref().map(|identity| &identity.server);
    values.set("api_server", server.map_or("", String::as_str));
    values.set("cluster_cidr", joined(&node.cluster_cidrs));
    values.set("cni_ranges", cni_ranges(node));
    values.set("cni_routes", cni_routes(node));
    values.set("fqdn", &node.fqdn);
    values.set("host_name", &node.host_name);
    values.set("node_ip", joined(&node.node_ips));
    values.set("node_labels", node.labels.join(","));
    values.set("node_taints", node.taints.join(","));
    values.set("pod_subnet", joined(&node.pod_subnets));
    values
}

fn joined<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// A range set per family: host-local takes one address from each.
fn cni_ranges(node: &CheckedNode) -> String {
    let sets = node
        .pod_subnets
        .iter()
        .map(|net| serde_json::json!([{ "subnet": net.to_string() }]));
    serde_json::Value::Array(sets.collect()).to_string()
}

fn cni_routes(node: &CheckedNode) -> String {
    let default = |net: &ipnet::IpNet| match net {
        ipnet::IpNet::V4(_) => "0.0.0.0/0",
        ipnet::IpNet::V6(_) => "::/0",
    };
    let routes = node
        .pod_subnets
        .iter()
        .map(|net| serde_json::json!({ "dst": default(net) }));
    serde_json::Value::Array(routes.collect()).to_string()
}

fn hosts(node: &CheckedNode) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    // A seed may list every node of the cluster, this one too: its word counts.
    let listed = |name: &str| node.hosts.iter().any(|entry| entry.name == name);
    let mut own: Vec<&str> = Vec::new();
    for name in [node.fqdn.as_str(), node.host_name.as_str()] {
        if !listed(name) && !own.contains(&name) {
            own.push(name);
        }
    }
    if !own.is_empty() {
        let mut addresses: Vec<String> = node.node_ips.iter().map(ToString::to_string).collect();
        if addresses.is_empty() {
            addresses.push("127.0.1.1".to_owned());
        }
        for address in addresses {
            text.push_str(&format!("{address} {}\n", own.join(" ")));
        }
    }
    for entry in &node.hosts {
        text.push_str(&format!("{} {}\n", entry.address, entry.name));
    }
    text
}

fn credentials(node: &CheckedNode) -> Vec<PlannedFile> {
    let Some(identity) = &node.identity else {
        return Vec::new();
    };
    let user = format!("system:node:{}", node.host_name);
    let kubelet = match &identity.kubelet {
        Access::Ready(text) => text.clone(),
        Access::Pair { server, .. } => kubeconfig::write(&Parts {
            user: &user,
            server,
            ca: Material::File(KUBELET_CA),
            cert: Material::File(KUBELET_CERT),
            key: Material::File(KUBELET_KEY),
        }),
    };
    let kube_proxy = match &identity.kube_proxy {
        Access::Ready(text) => text.clone(),
        Access::Pair { server, cert, key } => kubeconfig::write(&Parts {
            user: "system:kube-proxy",
            server,
            ca: Material::Pem(&identity.ca),
            cert: Material::Pem(cert),
            key: Material::Pem(key.expose()),
        }),
    };
    vec![
        PlannedFile::public(KUBELET_CA, &identity.ca),
        PlannedFile::public(KUBELET_CERT, &identity.serving_cert),
        PlannedFile::new(KUBELET_KEY, 0o600, identity.serving_key.clone()),
        PlannedFile::new(KUBELET_KUBECONFIG, 0o600, kubelet),
        PlannedFile::new(KUBE_PROXY_KUBECONFIG, 0o600, kube_proxy),
    ]
}
