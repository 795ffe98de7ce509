//! What the kernel would refuse or pass over, although each value is a good one: loops, settings
//! that a bond's mode does not use, MTUs that do not go together, addresses that are nobody's.
//!
//! Spec: <https://docs.kernel.org/networking/bonding.html>
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::device;
use super::link::{Kind, Link, Setting};
use super::route::domain;
use crate::text::problem::Problems;

/// IPv6 needs as much (RFC 8200, section 5).
const LEAST_MTU_V6: u32 = 1280;

pub(super) fn check(links: &[Link], problems: &mut Problems) {
    loops(links, problems);
    mtus(links, problems);
    addresses(links, problems);
    for link in links {
        if let Kind::Bond {
            settings, primary, ..
        } = &link.kind
        {
            let primary = primary.is_some().then_some("primary");
            parameters(link, settings, primary, problems);
        }
    }
}

/// Whether an address stands for an IPv4 network itself or for all of its machines.
pub(super) fn is_of_all(net: &IpNet, address: IpAddr) -> bool {
    let IpNet::V4(v4) = net else { return false };
    v4.prefix_len() < 31 && (address == v4.network() || address == v4.broadcast())
}

/// A device that is on top of itself.
fn loops(links: &[Link], problems: &mut Problems) {
    let lower = |link: &Link| -> Vec<&Link> {
        let names: Vec<&str> = match &link.kind {
            Kind::Physical => Vec::new(),
            Kind::Vlan { parent, .. } => vec![&parent.value],
            Kind::Bond { members, .. }
            | Kind::Bridge { members, .. }
            | Kind::Vrf { members, .. } => members.iter().map(|name| name.value.as_str()).collect(),
        };
        links
            .iter()
            .filter(|other| names.contains(&other.id.as_str()))
            .collect()
    };
    for link in links.iter().filter(|link| !link.is_physical()) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = lower(link);
        while let Some(below) = open.pop() {
            if below.id == link.id {
                let reason = format!("`{}` is built on itself", link.id);
                let remedy = "take it out of what it is built on";
                problems.error(&link.place, reason, remedy);
                return;
            }
            if seen.insert(&below.id) {
                open.extend(lower(below));
            }
        }
    }
}

fn mtus(links: &[Link], problems: &mut Problems) {
    for link in links {
        let Some(mtu) = link.mtu else { continue };
        let named = |name: &str| links.iter().find(|other| other.id == name);
        if let Some(("Bond", master)) = &link.master
            && named(master).is_some_and(|bond| bond.mtu != Some(mtu))
        {
            let reason =
                format!("its `mtu` has no effect: the bond `{master}` sets that of its members");
            problems.warn(&link.place, reason, format!("give it to `{master}`"));
        }
        if let Kind::Vlan { parent, .. } = &link.kind
            && let Some(below) = named(&parent.value).and_then(|parent| parent.mtu)
            && below < mtu
        {
            let reason = format!(
                "its `mtu` of {mtu} has no effect: that of `{}` is {below}",
                parent.value
            );
            problems.warn(&link.place, reason, "a VLAN's is at most that of its link");
        }
        let v6 = link.dhcp6 || link.addresses.iter().any(|net| net.addr().is_ipv6());
        if v6 && mtu < LEAST_MTU_V6 {
            let reason = format!(
                "its IPv6 has no effect: that needs an `mtu` of {LEAST_MTU_V6}, and this is {mtu}"
            );
            problems.warn(
                &link.place,
                reason,
                "give a larger one, or IPv4 addresses only",
            );
        }
    }
}

fn addresses(links: &[Link], problems: &mut Problems) {
    let mut seen: BTreeMap<(u32, IpAddr), &Link> = BTreeMap::new();
    for link in links {
        for net in &link.addresses {
            let address = net.addr();
            if is_of_all(net, address) {
                let reason = format!(
                    "{net} is not the address of a machine: it stands for the network or for all in it"
                );
                problems.warn(&link.place, reason, "give the address of this node");
            }
            let other = seen.insert((domain(links, link), address), link);
            let is_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
            if let Some(other) = other.filter(|other| other.id != link.id && !is_local) {
                let reason = format!("{address} is an address of `{}` as well", other.id);
                problems.warn(&link.place, reason, "give each its own");
            }
        }
    }
}

const BALANCED: &[&str] = &["active-backup", "balance-tlb", "balance-alb"];
const WATCHED_BY_ARP: &[&str] = &["balance-rr", "active-backup", "balance-xor", "broadcast"];

/// networkd's key, the value that the kernel has anyway, and the modes that use it.
const MODES_OF: &[(&str, &str, &[&str])] = &[
    ("LACPTransmitRate", "slow", &["802.3ad"]),
    ("AdSelect", "stable", &["802.3ad"]),
    ("MinLinks", "0", &["802.3ad"]),
    (
        "TransmitHashPolicy",
        "layer2",
        &["balance-xor", "802.3ad", "balance-tlb"],
    ),
    ("PacketsPerSlave", "1", &["balance-rr"]),
    ("FailOverMACPolicy", "none", &["active-backup"]),
    ("PrimaryReselectPolicy", "always", BALANCED),
    ("ARPIntervalSec", "0ms", WATCHED_BY_ARP),
    ("ARPIPTargets", "", WATCHED_BY_ARP),
    ("ARPValidate", "none", WATCHED_BY_ARP),
    ("ARPAllTargets", "any", WATCHED_BY_ARP),
];

/// Parameters that the mode of a bond does not use.
fn parameters(
    link: &Link,
    settings: &[Setting],
    primary: Option<&'static str>,
    problems: &mut Problems,
) {
    let mode = settings.iter().find(|setting| setting.key == "Mode");
    let mode = mode.map_or("balance-rr", |mode| &mode.value);
    let idle = settings.iter().filter_map(|setting| {
        let (_, usual, modes) = MODES_OF.iter().find(|(key, ..)| *key == setting.key)?;
        let idle = setting.value != *usual && !modes.contains(&mode);
        idle.then(|| device::name_of(setting.key))
    });
    let primary = primary.filter(|_| !BALANCED.contains(&mode));
    for name in idle.chain(primary) {
        let reason = format!("its parameter `{name}` has no effect in the mode `{mode}`");
        problems.warn(&link.place, reason, "remove it, or choose another mode");
    }
}
