//! The network that a seed asks for, and the files of systemd-networkd for it.
//!
//! Three forms come in, one model stands for them, one form goes out:
//!
//! ```text
//! network-config v1   (v1)        \
//! network-config v2   (v2)         >  Network  (resolve)  ->  *.link *.netdev *.network  (render)
//! network_data.json   (openstack) /
//! ```
//! - v1: <https://cloudinit.readthedocs.io/en/latest/reference/network-config-format-v1.html>
//! - v2: <https://cloudinit.readthedocs.io/en/latest/reference/network-config-format-v2.html>
//!   and <https://netplan.readthedocs.io/en/stable/netplan-yaml/>
//! - OpenStack: <https://opendev.org/openstack/nova/src/branch/master/doc/api_schemas/network_data.json>
//! - networkd: <https://www.freedesktop.org/software/systemd/man/latest/systemd.network.html>
//!
//! # Invariants
//! - A key or a device that is not supported is an error with its name: half of a
//!   requested network looks like a broken cable.
//! - Files come in one order and with one content for one seed.
//!
//! Left out: wifis, tunnels, modems, dummy devices and InfiniBand.
mod device;
mod link;
mod openstack;
mod render;
mod resolve;
mod v1;
mod v2;
mod value;

pub use link::{Kind, Link, Match, Route, Rule, Setting};
pub use render::{DIRECTORY, render};
pub use value::Mac;

use crate::read::seed::{Layout, Seed, SeedFile};
use crate::text::problem::{Place, Problems};
use crate::text::yaml::Node;

/// More than any machine has; each becomes up to three files.
const MAX_LINKS: usize = 256;

/// A complete, checked network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub links: Vec<Link>,
}

/// The network of a seed; `None` if it asks for none, or has errors.
pub fn read(seed: &Seed, problems: &mut Problems) -> Option<Network> {
    let file = seed.network.as_ref().filter(|file| !file.says_nothing())?;
    let mut found = Problems::new();
    let network = file
        .yaml(&mut found)
        .flatten()
        .and_then(|root| match seed.layout {
            Layout::NoCloud => no_cloud(file, &root, &mut found),
            Layout::ConfigDrive => openstack::read(file, &root, &mut found),
        })
        .and_then(|draft| resolve::resolve(draft, &mut found));
    let good = !found.has_errors();
    problems.append(found);
    network.filter(|network| good && !network.links.is_empty())
}

/// The content of one format, before its consistency is checked.
#[derive(Default)]
struct Draft {
    links: Vec<Link>,
    /// For every link that has no servers of its own.
    dns: Vec<std::net::IpAddr>,
    search: Vec<String>,
    /// Of no link: each goes to the link that its gateway is on.
    routes: Vec<Route>,
}

fn no_cloud(file: &SeedFile, root: &Node, problems: &mut Problems) -> Option<Draft> {
    let place = Place::file(&file.name).line(root.line);
    let root = root.get("network").unwrap_or(root);
    if root.entries().is_none() {
        let reason = format!("is {}, not a network configuration", root.what());
        problems.error(&place, reason, "write `version: 2` and `ethernets:`");
        return None;
    }
    let is = |key: &str, text: &str| {
        let scalar = root.get(key).and_then(Node::scalar);
        scalar.is_some_and(|scalar| scalar.text.expose() == text)
    };
    // cloud-init's way to keep the image's own network.
    if is("config", "disabled") {
        return Some(Draft::default());
    }
    if is("version", "1") {
        return v1::read(file, root, problems);
    }
    if is("version", "2") {
        return v2::read(file, root, problems);
    }
    problems.error(
        &place.key("version"),
        "is neither 1 nor 2",
        "write `version: 1` or `version: 2`, whichever format the file has",
    );
    None
}

#[cfg(test)]
mod tests;
