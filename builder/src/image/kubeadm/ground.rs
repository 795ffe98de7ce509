//! What documents of a seed are judged against: the image, the seed's other values and its
//! network.

use std::net::IpAddr;

use ipnet::IpNet;
use nodeimg_seed::check::Inputs;
use nodeimg_seed::check::kubeadm::minor;
use nodeimg_seed::contract::paths::{is_below, is_volatile};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::plan::Shape;
use nodeimg_seed::read::network::Network;

use super::Judge;
use crate::input::published::{self, Release};

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
    /// Keys of `nodeimg:` that the seed has.
    pub given: &'a [&'static str],
    /// Paths that the seed writes.
    written: Vec<&'a str>,
    /// Whether commands of the seed may make further files.
    has_commands: bool,
    known: &'a [(String, Shape)],
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
            is_sealed: judge.is_sealed,
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
