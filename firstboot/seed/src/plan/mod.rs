//! The plan: every file that first boot will write, as values.
//!
//! # Invariants
//! - No path occurs twice, all are absolute; sorted by path, so that one node gives one plan.
//! - Text with a private key or a kubeconfig is 0600; all owned by root.
mod accounts;
mod credentials;
mod extras;
mod file;
mod kubeadm;
pub mod programs;
pub mod registries;
pub mod shape;
mod time;
mod update;

pub use file::{Content, Plan, PlannedFile, Role};
pub use shape::Shape;

use crate::check::CheckedNode;
use crate::contract::paths::{HOSTNAME, HOSTS, TEMPLATE_DIR, is_below};
use crate::contract::rendered;
use crate::contract::settings::{Handler, handler_label};
use crate::read::network::{self, Network};
use crate::text::problem::{Place, Problems};
use crate::text::secret::{Secret, SecretBytes};
use crate::text::template::{Template, Values};

/// Rendered templates below these directories are for root alone; all others are 0644.
const PRIVATE_DIRS: &[&str] = &[
    "/etc/kubernetes/",
    "/var/lib/kube-proxy/",
    "/var/lib/kubelet/",
];

/// The file at a path that is the image's, or an earlier boot's, but not first boot's.
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
    fn is_directory(&self, path: &str) -> bool;
    /// Paths that the image is known to have, for a list of files that is checked elsewhere.
    fn known(&self) -> &[(String, Shape)] {
        &[]
    }
}

/// Without an image, as when a seed is checked elsewhere: there are no files to change,
/// and everything that a seed relies on is assumed to exist.
#[derive(Default)]
pub struct UnknownImage {
    /// The paths that are known all the same.
    pub known: Vec<(String, Shape)>,
    /// Paths that are known not to be there, nor anything below them.
    pub absent: Vec<String>,
}

impl Image for UnknownImage {
    fn file(&self, _path: &str) -> Result<Option<Before>, String> {
        Ok(None)
    }

    fn exists(&self, path: &str) -> bool {
        let is_absent = |absent: &String| path == absent || is_below(path, absent);
        !self.absent.iter().any(is_absent)
    }

    fn is_directory(&self, _path: &str) -> bool {
        false
    }

    fn known(&self) -> &[(String, Shape)] {
        &self.known
    }
}

/// A template of the image: the path that it renders to, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    pub path: String,
    pub text: String,
}

/// The inputs of a plan.
pub struct Ground<'a> {
    pub templates: &'a [TemplateFile],
    /// What the seed asks for.
    pub network: Option<&'a Network>,
    pub image: &'a dyn Image,
    /// What the image can run pods with.
    pub handlers: &'a [Handler],
    /// Directories that a seed may write below.
    pub writable: &'a [String],
}

/// Plans a checked node; `None` when something does not fit the image.
pub fn plan(node: &CheckedNode, ground: &Ground<'_>, problems: &mut Problems) -> Option<Plan> {
    let mut values = values(node);
    let labels = handler_labels(ground, problems);
    set_labels(&mut values, node, &labels);
    let mut files = own_files(node, ground.templates, &values, problems);
    let network = ground.network.map(network::render).unwrap_or_default();
    files.extend(
        network.into_iter().map(|(name, text)| {
            PlannedFile::public(&format!("{}/{name}", network::DIRECTORY), &text)
        }),
    );
    files.extend(update::files(&node.update, ground.image, problems));
    programs::check(&node.extras, ground.network, ground.image, problems);
    let more = extras::plan(&node.extras, ground.image, ground.writable, problems);
    // The seed's own hosts file takes precedence; the other files define the node.
    if more.iter().any(|file| file.path == HOSTS) {
        files.retain(|own| own.path != HOSTS);
    }
    files.extend(more);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    shape::check(&files, ground.image.known(), problems);
    let paths = ground.templates.iter().map(|file| file.path.clone());
    (!problems.has_errors()).then(|| Plan {
        files,
        templates: digest(ground.templates),
        rendered: paths.collect(),
        values,
    })
}

/// Host name, hosts, credentials and rendered templates.
fn own_files(
    node: &CheckedNode,
    templates: &[TemplateFile],
    values: &Values,
    problems: &mut Problems,
) -> Vec<PlannedFile> {
    let mut files = vec![
        PlannedFile::public(HOSTNAME, &format!("{}\n", node.host_name)),
        PlannedFile::public(HOSTS, &hosts(node)),
    ];
    files.extend(credentials::files(node));
    files.extend(
        node.kubeadm
            .as_ref()
            .map(kubeadm::files)
            .into_iter()
            .flatten(),
    );
    files.extend(
        node.registries
            .as_ref()
            .map(registries::files)
            .into_iter()
            .flatten(),
    );
    for template in templates {
        let taken = files.iter().any(|file| file.path == template.path);
        match render(template, values) {
            Ok(file) if !taken => files.push(file),
            Ok(_) => {
                let place = Place::file(format!("{TEMPLATE_DIR}{}", template.path));
                problems.error(
                    &place,
                    "renders to a file that first boot itself writes",
                    "rebuild the image without it",
                );
            }
            Err((place, reason)) => problems.error(&place, reason, "rebuild the image"),
        }
    }
    files
}

/// [`rendered::digest`] of these.
pub fn digest(templates: &[TemplateFile]) -> String {
    let pairs = templates.iter();
    rendered::digest(pairs.map(|file| (file.path.as_str(), file.text.as_str())))
}

/// The file that a template gives with these values; an error is a place in the template and
/// a reason.
pub fn render(template: &TemplateFile, values: &Values) -> Result<PlannedFile, (Place, String)> {
    let TemplateFile { path, text } = template;
    let rendered = Template::parse(text).and_then(|parsed| {
        parsed.check_supplied()?;
        parsed.render(values)
    });
    let text = rendered.map_err(|error| {
        let place = Place::file(format!("{TEMPLATE_DIR}{path}"));
        (place.line(error.line), error.to_string())
    })?;
    let private = PRIVATE_DIRS.iter().any(|dir| path.starts_with(dir));
    let mode = if private { 0o600 } else { 0o644 };
    Ok(PlannedFile::new(path, mode, Secret::new(text).into()))
}

/// Of each handler that this machine can run; the others are warned of, and pods that
/// want one stay away.
fn handler_labels(ground: &Ground<'_>, problems: &mut Problems) -> Vec<String> {
    let mut labels = Vec::new();
    for Handler { name, device } in ground.handlers {
        match device.as_deref().filter(|path| !ground.image.exists(path)) {
            None => labels.push(format!("{}=true", handler_label(name))),
            Some(path) => {
                let reason = format!(
                    "does not exist: this machine cannot run pods of the runtime class `{name}`"
                );
                let remedy = "if it should, turn virtualisation on in its firmware or hypervisor";
                problems.warn(&Place::file(path), reason, remedy);
            }
        }
    }
    labels
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
    set_labels(&mut values, node, &[]);
    values.set("node_taints", node.taints.join(","));
    values.set("provider_id", &node.provider_id);
    values.set("pod_subnet", joined(&node.pod_subnets));
    values
}

/// The node's labels and those that first boot adds.
fn set_labels(values: &mut Values, node: &CheckedNode, more: &[String]) {
    let labels = [&node.labels[..], more].concat().join(",");
    values.set("kubelet_args", kubelet_args(node, &labels));
    values.set("node_labels", labels);
}

/// A flag without a value would take away what kubeadm's configuration gives.
fn kubelet_args(node: &CheckedNode, labels: &str) -> String {
    let node_ip = joined(&node.node_ips);
    let flags = [
        ("--node-ip", node_ip.as_str()),
        ("--node-labels", labels),
        ("--provider-id", &node.provider_id),
    ];
    let given = flags.iter().filter(|(_, value)| !value.is_empty());
    let given: Vec<String> = given
        .map(|(flag, value)| format!("{flag}={value}"))
        .collect();
    given.join(" ")
}

fn joined<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// The kubelet has no other way that is not deprecated. Nothing if there are none, so
/// that settings of the cluster for all nodes stay.
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
    // A seed may list every node of the cluster, including this one: its entry takes precedence.
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
