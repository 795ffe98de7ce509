//! What documents are judged against: the image, and for those of a seed its other values
//! and its network.

use std::net::IpAddr;

use ipnet::IpNet;
use nodeimg_seed::check::Inputs;
use nodeimg_seed::check::kubeadm::minor;
use nodeimg_seed::contract::paths::{is_below, is_volatile};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::plan::Shape;
use nodeimg_seed::read::network::Network;
use nodeimg_seed::text::field::shown;
use serde_json::Value;

use super::Judge;
use crate::image::libraries;
use crate::input::published::{self, Release};
use crate::input::recipe::{Recipe, component};
use crate::tree::{ImagePath, Tree};

/// A network that this node is in.
pub struct OwnNetwork {
    pub net: IpNet,
    /// For messages: where it is from.
    pub from: String,
}

pub struct Ground<'a> {
    pub settings: &'a ImageSettings,
    /// What the image's Kubernetes publishes, if its version is known.
    pub release: Option<&'static Release>,
    /// The networks that the seed gives to the node.
    pub networks: Vec<OwnNetwork>,
    /// The recipe's own `kubelet.config`, which documents of the image lie over.
    pub beneath: Value,
    /// Keys of `nodeimg:` that the seed has.
    pub given: &'a [&'static str],
    /// Paths that the seed writes.
    written: Vec<&'a str>,
    /// Whether commands of the seed may make further files.
    has_commands: bool,
    known: &'a [(String, Shape)],
    /// The tree, if it is an image's own documents that are judged.
    tree: Option<&'a Tree>,
    is_sealed: bool,
}

impl<'a> Ground<'a> {
    pub fn of(judge: &Judge<'a>, inputs: &Inputs<'a>, network: Option<&Network>) -> Self {
        let user = inputs.user;
        let release = minor(inputs.settings.kubeadm.as_deref());
        let mut networks = Vec::new();
        for link in network.iter().flat_map(|network| &network.links) {
            for net in &link.addresses {
                networks.push(OwnNetwork {
                    net: *net,
                    from: format!("{} in the seed's network", link.id),
                });
            }
        }
        for text in &user.node.node_ip {
            for part in text.value.split(',') {
                let address = part.trim().parse::<IpAddr>().ok().map(IpNet::from);
                if let Some(net) = address.or_else(|| part.trim().parse().ok()) {
                    let from = "`nodeimg.node_ip`".to_owned();
                    networks.push(OwnNetwork { net, from });
                }
            }
        }
        Self {
            settings: inputs.settings,
            release: release.and_then(|minor| published::of(minor.into())),
            networks,
            beneath: Value::Null,
            given: &user.node.given,
            written: user
                .files
                .iter()
                .map(|file| file.path.value.as_str())
                .collect(),
            has_commands: !(user.bootcmd.is_empty()
                && user.runcmd.is_empty()
                && user.scripts.is_empty()),
            known: judge.known,
            tree: None,
            is_sealed: judge.is_sealed,
        }
    }

    /// For documents of an image itself.
    pub fn of_image(
        recipe: &Recipe,
        settings: &'a ImageSettings,
        release: Option<&'static Release>,
        tree: &'a Tree,
    ) -> Self {
        Self {
            settings,
            release,
            networks: Vec::new(),
            beneath: component::json(&toml::Value::Table(recipe.kubelet.config.clone())),
            given: &[],
            written: Vec::new(),
            has_commands: true,
            known: &[],
            tree: Some(tree),
            is_sealed: recipe.base.is_some(),
        }
    }

    /// Whether nothing can be written there: the image is read-only, and the state is
    /// elsewhere.
    pub fn is_read_only(&self, path: &str) -> bool {
        let writable = |directory: &String| path == directory || is_below(path, directory);
        let path_is_plain = path.starts_with('/') && !path.contains("/../");
        self.is_sealed
            && path_is_plain
            && !is_volatile(path)
            && !["/run", "/tmp"].contains(&path)
            && !self.settings.writable.iter().any(writable)
    }

    /// What is known to be at a path.
    pub fn has(&self, path: &str) -> Presence {
        let path = path.trim_end_matches('/');
        if let Some(tree) = self.tree {
            return self.in_tree(path, tree);
        }
        let leads = |found: &str| found == path || is_below(found, path);
        let written = self.written.iter().any(|found| leads(found));
        if written || self.known.iter().any(|(found, _)| leads(found)) {
            Presence::There
        } else if self.has_commands || is_of_packages(path) {
            Presence::Unknown
        } else {
            Presence::Absent
        }
    }
}

impl Ground<'_> {
    /// A seed may bring what an image does not have, but not into its read-only part.
    fn in_tree(&self, path: &str, tree: &Tree) -> Presence {
        let found = path.parse::<ImagePath>().ok();
        let is_there = found.is_none_or(|found| {
            libraries::follow(tree, path).is_some() || tree.get(&found).is_some()
        });
        match is_there || !self.is_read_only(path) || is_of_kernel(path) {
            true => Presence::There,
            false => Presence::Absent,
        }
    }
}

/// A path as messages may show it.
pub fn shown_path(path: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match path.starts_with('/') && path.len() < 200 && path.chars().all(is_plain) {
        true => path,
        false => shown(path),
    }
}

fn is_of_kernel(path: &str) -> bool {
    let mut tops = ["/dev", "/proc", "/sys"].into_iter();
    tops.any(|top| path == top || is_below(path, top))
}

/// Directories whose content the packages of the base system decide.
fn is_of_packages(path: &str) -> bool {
    [
        "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ssl", "/etc/pki", "/proc", "/sys", "/dev",
    ]
    .iter()
    .any(|directory| path == *directory || is_below(path, directory))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    There,
    Absent,
    Unknown,
}
