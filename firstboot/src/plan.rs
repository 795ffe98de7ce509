//! The plan: every file that first boot will write, as values.
//!
//! # Invariants
//! - No path twice, all absolute; sorted by path, so that one node gives one plan.
//! - Text with a private key or a kubeconfig is 0600; all owned by root.
mod accounts;
mod extras;
mod kubeadm;

use sha2::{Digest, Sha256};

use crate::TEMPLATE_DIR;
use crate::check::{Access, CheckedNode};
use crate::kubeconfig::{self, Login, Material, Parts};
use crate::network::{self, Network};
use crate::problem::{Place, Problems};
use crate::secret::{Secret, SecretBytes};
use crate::template::{Template, Values};

pub use extras::{
    BOOTCMD, CA_BUNDLE, LOCALTIME, SCRIPTS, SSH_CONFIG, SSH_KEYS, SUDO_RULES, TIME_SERVERS,
    TIMEZONE, is_volatile,
};

pub const HOSTNAME: &str = "/etc/hostname";
pub const HOSTS: &str = "/etc/hosts";
pub const KUBELET_CA: &str = "/var/lib/kubelet/ca.crt";
pub const KUBELET_CERT: &str = "/var/lib/kubelet/kubelet.crt";
pub const KUBELET_KEY: &str = "/var/lib/kubelet/kubelet.key";
pub const KUBELET_BOOTSTRAP: &str = "/var/lib/kubelet/bootstrap-kubeconfig";
/// Where a kubelet keeps the certificate that it has asked for.
pub const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// For `kubeadm --config`, until it has succeeded.
pub const KUBEADM_CONFIG: &str = "/var/lib/nodeimg/kubeadm.yaml";
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
    pub content: Content,
    pub role: Role,
}

/// Whose file it is, which says what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// First boot's own: the instance is not whole without it, and it goes with the instance.
    Own,
    /// First boot's own as well, and it goes when it has served.
    Passing,
    /// One of the image's with something added: what was there comes back.
    Edited,
    /// Asked for by the seed. It may go again, since commands remove files and
    /// some lie in memory only; what was there comes back.
    Asked,
}

impl PlannedFile {
    /// Whether it may stand in the place of what is not first boot's.
    pub fn may_replace(&self) -> bool {
        matches!(self.role, Role::Edited | Role::Asked)
    }

    /// Whether the instance counts as set up only while the file is there.
    pub fn is_required(&self) -> bool {
        !matches!(self.role, Role::Asked | Role::Passing) && !is_volatile(&self.path)
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(SecretBytes),
    /// A symbolic link to this.
    Link(String),
    /// Made if it is not there; never removed.
    Directory,
    /// Removed when an instance begins: what programs made for the one before.
    Absent,
}

/// What the image, or an earlier boot that was not first boot, has at a path.
#[derive(Clone)]
pub struct Before {
    pub bytes: SecretBytes,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// The file system that a plan is for, without what an earlier run put there.
pub trait Image {
    /// A regular file; the error is the reason why it cannot be read.
    fn file(&self, path: &str) -> Result<Option<Before>, String>;
    fn exists(&self, path: &str) -> bool;
}

/// No image at hand, as when a seed is checked elsewhere: nothing is there to
/// be changed, and whatever a seed counts on is taken to be there.
pub struct UnknownImage;

impl Image for UnknownImage {
    fn file(&self, _path: &str) -> Result<Option<Before>, String> {
        Ok(None)
    }

    fn exists(&self, _path: &str) -> bool {
        true
    }
}

impl PlannedFile {
    fn new(path: &str, mode: u32, content: SecretBytes) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            uid: 0,
            gid: 0,
            content: Content::Bytes(content),
            role: Role::Own,
        }
    }

    fn public(path: &str, content: &str) -> Self {
        Self::new(path, 0o644, Secret::new(content.to_owned()).into())
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
            let (kind, bytes): (u8, &[u8]) = match &file.content {
                Content::Bytes(bytes) => (b'f', bytes.expose()),
                Content::Link(target) => (b'l', target.as_bytes()),
                Content::Directory => (b'd', &[]),
                Content::Absent => (b'a', &[]),
            };
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Paths of files and links, in order.
    pub fn paths(&self) -> Vec<String> {
        self.written().map(|file| file.path.clone()).collect()
    }

    /// The text of a planned file, for tests and for showing a plan.
    pub fn text(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == path)?;
        match &file.content {
            Content::Bytes(bytes) => std::str::from_utf8(bytes.expose()).ok(),
            Content::Link(target) => Some(target),
            Content::Directory | Content::Absent => None,
        }
    }

    /// Files and links; directories stay when an instance goes.
    pub fn written(&self) -> impl Iterator<Item = &PlannedFile> {
        let written =
            |file: &&PlannedFile| matches!(file.content, Content::Bytes(_) | Content::Link(_));
        self.files.iter().filter(written)
    }
}

/// What a node is planned on.
pub struct Ground<'a> {
    pub templates: &'a [TemplateFile],
    /// What the seed asks for.
    pub network: Option<&'a Network>,
    pub image: &'a dyn Image,
    /// Directories that a seed may write below.
    pub writable: &'a [String],
}

/// Plans a checked node; `None` when something does not fit the image.
pub fn plan(node: &CheckedNode, ground: &Ground<'_>, problems: &mut Problems) -> Option<Plan> {
    let mut files = own_files(node, ground.templates, problems);
    let network = ground.network.map(network::render).unwrap_or_default();
    files.extend(
        network.into_iter().map(|(name, text)| {
            PlannedFile::public(&format!("{}/{name}", network::DIRECTORY), &text)
        }),
    );
    let more = extras::plan(&node.extras, ground.image, ground.writable, problems);
    for file in more {
        // The seed's own word on the hosts file counts; the other files are what makes the node.
        if file.path == HOSTS {
            files.retain(|own| own.path != HOSTS);
        } else if files.iter().any(|own| own.path == file.path) {
            let place = Place::file(&file.path);
            let reason = "is a file that first boot writes itself, and a seed asks for it as well";
            problems.error(&place, reason, "use the keys of `nodeimg:` for it");
        }
        files.push(file);
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    (!problems.has_errors()).then_some(Plan { files })
}

/// Host name, hosts, credentials and rendered templates.
fn own_files(
    node: &CheckedNode,
    templates: &[TemplateFile],
    problems: &mut Problems,
) -> Vec<PlannedFile> {
    let mut files = vec![
        PlannedFile::public(HOSTNAME, &format!("{}\n", node.host_name)),
        PlannedFile::public(HOSTS, &hosts(node)),
    ];
    files.extend(credentials(node));
    files.extend(
        node.kubeadm
            .as_ref()
            .map(kubeadm::files)
            .into_iter()
            .flatten(),
    );
    let values = values(node);
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
                files.push(PlannedFile::new(
                    &template.path,
                    mode,
                    Secret::new(text).into(),
                ));
            }
            Ok(_) => {
                problems.error(
                    &place,
                    "renders to a file that first boot writes itself",
                    "rebuild the image without it",
                );
            }
            Err(error) => {
                problems.error(
                    &place.line(error.line),
                    error.to_string(),
                    "rebuild the image",
                );
            }
        }
    }
    files
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
    values.set("kubelet_taints", kubelet_taints(&node.taints));
    values.set("node_ip", joined(&node.node_ips));
    values.set("node_labels", node.labels.join(","));
    values.set("node_taints", node.taints.join(","));
    values.set("provider_id", &node.provider_id);
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

/// The kubelet has no other way that is not deprecated. Nothing where there are none,
/// so that what the cluster says to all nodes stays.
fn kubelet_taints(taints: &[String]) -> String {
    let taint = |text: &String| {
        let (body, effect) = text.rsplit_once(':').unwrap_or((text, ""));
        let (key, value) = body.split_once('=').unwrap_or((body, ""));
        serde_json::json!({ "key": key, "value": value, "effect": effect })
    };
    if taints.is_empty() {
        return String::new();
    }
    let list = serde_json::Value::Array(taints.iter().map(taint).collect());
    format!("registerWithTaints: {list}")
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
    let mut files = vec![PlannedFile::public(KUBELET_CA, &identity.ca)];
    match &identity.kubelet {
        Access::Ready(text) => files.push(private(KUBELET_KUBECONFIG, text.clone())),
        Access::Pair { server, .. } => {
            let parts = Parts {
                user: &user,
                server,
                ca: Material::File(KUBELET_CA),
                login: Login::Certificate {
                    cert: Material::File(KUBELET_CERT),
                    key: Material::File(KUBELET_KEY),
                },
            };
            files.push(private(KUBELET_KUBECONFIG, kubeconfig::write(&parts)));
        }
        Access::Token { server, token } => files.extend(bootstrap(server, token)),
    }
    if let Some((cert, key)) = &identity.serving {
        files.push(PlannedFile::public(KUBELET_CERT, cert));
        files.push(private(KUBELET_KEY, key.clone()));
    }
    let kube_proxy = identity.kube_proxy.as_ref().map(|access| match access {
        Access::Ready(text) => text.clone(),
        Access::Pair { server, cert, key } => kubeconfig::write(&Parts {
            user: "system:kube-proxy",
            server,
            ca: Material::Pem(&identity.ca),
            login: Login::Certificate {
                cert: Material::Pem(cert),
                key: Material::Pem(key.expose()),
            },
        }),
        Access::Token { server, token } => kubeconfig::write(&Parts {
            user: "system:kube-proxy",
            server,
            ca: Material::Pem(&identity.ca),
            login: Login::Token(token.expose()),
        }),
    });
    files.extend(kube_proxy.map(|text| private(KUBE_PROXY_KUBECONFIG, text)));
    files
}

/// To be run once, and removed when all have succeeded.
fn script(name: &str, text: SecretBytes) -> PlannedFile {
    let mut file = PlannedFile::new(&format!("{SCRIPTS}/{name}"), 0o700, text);
    file.role = Role::Passing;
    file
}

fn private(path: &str, text: Secret) -> PlannedFile {
    PlannedFile::new(path, 0o600, text.into())
}

/// The kubeconfig with which the kubelet asks for its certificate. It goes when
/// the kubelet has that, so it is not required; and what a kubelet has made for
/// an earlier instance must not be taken for this one's.
fn bootstrap(server: &str, token: &Secret) -> Vec<PlannedFile> {
    let text = kubeconfig::write(&Parts {
        user: "kubelet-bootstrap",
        server,
        ca: Material::File(KUBELET_CA),
        login: Login::Token(token.expose()),
    });
    let mut asking = private(KUBELET_BOOTSTRAP, text);
    asking.role = Role::Passing;
    let absent = |path: &str| {
        let mut file = PlannedFile::public(path, "");
        file.content = Content::Absent;
        file
    };
    vec![asking, absent(KUBELET_KUBECONFIG), absent(KUBELET_CLIENT)]
}
