//! The network that a seed asks for, and the files of systemd-networkd for it.
//!
//! Several forms come in, one model stands for them, one form goes out:
//!
//! ```text
//! network-config v1        (v1)        \
//! network-config v2        (v2)         \
//! network_data.json        (openstack)   >  Network  (resolve)  ->  *.link *.netdev *.network  (render)
//! /etc/network/interfaces  (eni, v1)    /
//! ```
//! `meta` finds the one that counts, which may be in the meta-data.
//!
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
mod eni;
mod link;
mod mac;
mod meta;
mod openstack;
mod pointless;
mod render;
mod resolve;
mod route;
mod v1;
mod v2;
mod value;

pub use link::{Kind, Link, Match, Route, Rule, Setting};
pub use mac::Mac;
pub use meta::is_of_network;
pub use render::{DIRECTORY, render};

use crate::read::seed::Seed;
use crate::text::field::{Field, shown};
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
    let mut found = Problems::new();
    let network =
        meta::draft(seed, &mut found).and_then(|draft| resolve::resolve(draft, &mut found));
    let good = !found.has_errors();
    problems.append(found);
    network.filter(|network| good && !network.links.is_empty())
}

/// The content of one format, before its consistency is checked.
#[derive(Default)]
struct Draft {
    links: Vec<Link>,
    /// For every link with an address.
    dns: Vec<std::net::IpAddr>,
    search: Vec<String>,
    /// The first place that gives servers to every link.
    servers_of_all: Option<Place>,
    /// Of no link: each goes to the link that its gateway is on.
    routes: Vec<Route>,
}

/// Version 1 or 2, with or without an enclosing `network:`.
fn no_cloud(file: &str, outer: &Node, problems: &mut Problems) -> Option<Draft> {
    let root = outer.get("network").unwrap_or(outer);
    let place = Place::file(file).line(root.line);
    let Some(entries) = root.entries() else {
        let reason = format!("is {}, not a network configuration", root.what());
        problems.error(&place, reason, "write `version: 2` and `ethernets:`");
        return None;
    };
    let beside = outer.entries().unwrap_or_default().iter();
    for entry in beside.filter(|entry| !std::ptr::eq(&entry.value, root)) {
        if outer.get("network").is_some() {
            let field = Field::top(file, shown(entry.key.expose()), entry.line, &entry.value);
            let reason = "is beside `network`, where nothing is read";
            problems.error(&field.place, reason, "move it into `network`, or remove it");
        }
    }
    let is = |key: &str, text: &str| {
        let scalar = root.get(key).and_then(Node::scalar);
        scalar.is_some_and(|scalar| scalar.text() == text)
    };
    // cloud-init's way to keep the image's own network.
    if is("config", "disabled") {
        for entry in entries {
            let field = Field::top(file, shown(entry.key.expose()), entry.line, &entry.value);
            if !matches!(entry.key.expose(), "config" | "version") {
                value::idle(&field, "`config: disabled` stands beside it", problems);
            }
        }
        return Some(Draft::default());
    }
    if is("version", "1") {
        return v1::read(file, root, problems);
    }
    if is("version", "2") {
        return v2::read(file, root, problems);
    }
    if root
        .get("config")
        .is_some_and(|config| config.scalar().is_some())
    {
        let reason = "is neither a list of devices nor `disabled`";
        problems.error(&place.key("config"), reason, "correct it");
        return None;
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
