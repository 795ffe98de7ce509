//! Routes: which link each is on, and whether the kernel will take it.
//!
//! # Rules
//! - A route of no particular link goes to the link that its gateway is on.
//! - A gateway outside of all fixed networks of a link, in a family that the link has no
//!   dynamic addresses of, is reached on the link itself: the kernel would refuse the route
//!   otherwise, and hosting companies give such addresses (a /32 and a gateway elsewhere).
//! - A gateway is another machine, and of the family of its destination.
//! - Two routes of one destination, table and metric are named: which one counts is chance.
//! - So is a route from an address that the node does not have.
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Draft;
use super::link::{Kind, Link, Route};
use super::pointless::is_of_all;
use crate::text::problem::Problems;

/// The kernel's metric for an IPv6 route without one.
const METRIC_V6: u32 = 1024;

/// The kernel's main table.
const MAIN: u32 = 254;

pub(super) fn resolve(draft: &mut Draft, problems: &mut Problems) {
    routes(draft, problems);
    for link in &mut draft.links {
        unique(link);
        on_link(link, problems);
    }
    own_addresses(&draft.links, problems);
    competing(&draft.links, problems);
    sources(&draft.links, problems);
}

fn contains(link: &Link, gateway: IpAddr) -> bool {
    link.addresses.iter().any(|net| net.contains(&gateway))
}

/// Assigns each route without a link to one.
fn routes(draft: &mut Draft, problems: &mut Problems) {
    for route in std::mem::take(&mut draft.routes) {
        let Some(via) = route.via else {
            problems.error(
                &route.place,
                "has no gateway",
                "add one, or move the route into a subnet",
            );
            continue;
        };
        let v4 = via.is_ipv4();
        let place = draft
            .links
            .iter()
            .position(|link| contains(link, via))
            .or_else(|| {
                draft.links.iter().position(|link| {
                    link.addresses.iter().any(|net| net.addr().is_ipv4() == v4)
                        || if v4 { link.dhcp4 } else { link.dhcp6 }
                })
            });
        let Some(link) = place.and_then(|at| draft.links.get_mut(at)) else {
            let reason =
                format!("no interface has an address from which to reach the gateway {via}");
            problems.error(
                &route.place,
                reason,
                "give an interface an address in its network",
            );
            continue;
        };
        if !contains(link, via) && !dynamic(link, v4) {
            let reason = format!(
                "the gateway {via} is not in the network of any interface; it is assumed to be on \
                 the link `{}`",
                link.id
            );
            problems.warn(
                &route.place,
                reason,
                "move the route into the subnet that it belongs to",
            );
        }
        link.routes.push(route);
    }
}

/// Whether addresses of a family may come from the network.
fn dynamic(link: &Link, v4: bool) -> bool {
    if v4 {
        link.dhcp4
    } else {
        link.dhcp6 || link.accept_ra == Some(true)
    }
}

fn on_link(link: &mut Link, problems: &mut Problems) {
    let vrf = matches!(link.kind, Kind::Vrf { .. });
    let networks = link.addresses.clone();
    let dynamic = [dynamic(link, false), dynamic(link, true)];
    for route in &mut link.routes {
        let Some(via) = route.via else { continue };
        let v4 = via.is_ipv4();
        if route.to.is_some_and(|to| to.addr().is_ipv4() != v4)
            || route.from.is_some_and(|from| from.is_ipv4() != v4)
        {
            let reason = format!("the gateway {via} is of another address family");
            problems.error(
                &route.place,
                reason,
                "give a gateway of the destination's family",
            );
        }
        let local = match via {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let [v6_dynamic, v4_dynamic] = dynamic;
        if vrf || local || (if v4 { v4_dynamic } else { v6_dynamic }) {
            continue;
        }
        let family = networks.iter().any(|net| net.addr().is_ipv4() == v4);
        let reached = networks.iter().any(|net| net.contains(&via));
        if !family && route.on_link != Some(true) {
            let family = if v4 { "IPv4" } else { "IPv6" };
            let reason = format!("`{}` has no {family} address to reach {via} from", link.id);
            problems.warn(&route.place, reason, "give it one");
        }
        if reached {
            continue;
        }
        if route.on_link == Some(false) {
            let reason = format!(
                "`on-link` is false, but {via} is in no network of `{}`: it is read as true",
                link.id
            );
            problems.warn(&route.place, reason, "give an address in its network");
        }
        route.on_link = Some(true);
    }
}

/// A route beside its twin is refused by the kernel.
fn unique(link: &mut Link) {
    let mut kept: Vec<Route> = Vec::new();
    for route in link.routes.drain(..) {
        let same = |other: &Route| {
            Route {
                place: route.place.clone(),
                ..other.clone()
            } == route
        };
        if !kept.iter().any(same) {
            kept.push(route);
        }
    }
    link.routes = kept;
}

/// A node cannot be its own gateway: the kernel refuses such a route. Each VRF has
/// addresses of its own. Templates with such IPv6 routes are in use, and are only named.
fn own_addresses(links: &[Link], problems: &mut Problems) {
    let mut own: BTreeMap<(u32, IpAddr), &str> = BTreeMap::new();
    for link in links {
        let table = domain(links, link);
        own.extend(
            link.addresses
                .iter()
                .map(|net| ((table, net.addr()), link.id.as_str())),
        );
    }
    for link in links {
        let table = domain(links, link);
        for route in &link.routes {
            let Some(via) = route.via else { continue };
            let mut networks = link.addresses.iter();
            if let Some(net) = networks.find(|net| is_of_all(net, via)) {
                let reason = format!(
                    "the gateway {via} is not the address of a machine in {}",
                    net.trunc()
                );
                problems.error(&route.place, reason, "give the address of the router");
                continue;
            }
            let Some(on) = own.get(&(table, via)) else {
                continue;
            };
            let reason = format!("the gateway {via} is this node's own address, on `{on}`");
            let remedy = "give the address of the router";
            // An IPv6 node may have routers by advertisement; an IPv4 node has no other.
            if via.is_ipv4() {
                problems.error(&route.place, reason, remedy);
            } else {
                problems.warn(&route.place, reason, remedy);
            }
        }
    }
}

/// The table of a link's routes: that of its VRF, or the main one.
pub(super) fn domain(links: &[Link], link: &Link) -> u32 {
    let vrf = match &link.master {
        Some(("VRF", name)) => links.iter().find(|other| other.id == *name),
        _ => Some(link),
    };
    match vrf.map(|vrf| &vrf.kind) {
        Some(Kind::Vrf { table, .. }) => *table,
        _ => MAIN,
    }
}

/// Routes of which only one can count.
fn competing(links: &[Link], problems: &mut Problems) {
    let mut seen: BTreeMap<(IpNet, u32, u32), (&Link, &Route)> = BTreeMap::new();
    for link in links {
        let domain = domain(links, link);
        for route in &link.routes {
            let Some(to) = destination(route) else {
                continue;
            };
            let metric = match route.metric.unwrap_or_default() {
                0 if to.addr().is_ipv6() => METRIC_V6,
                metric => metric,
            };
            let key = (to, route.table.unwrap_or(domain), metric);
            let Some((other, first)) = seen.insert(key, (link, route)) else {
                continue;
            };
            let line = first
                .place
                .line
                .map_or_else(String::new, |n| format!(", line {n}"));
            let what = match to.prefix_len() {
                0 => "a default route".to_owned(),
                _ => format!("a route to {to}"),
            };
            let reason = format!(
                "`{}` has {what} of the same metric as `{}`{line}: which one is used is chance",
                link.id, other.id
            );
            problems.warn(&route.place, reason, "give each a `metric` of its own");
        }
    }
}

/// Where a route leads to, without bits of machines.
fn destination(route: &Route) -> Option<IpNet> {
    let default = |via: IpAddr| match via {
        IpAddr::V4(_) => IpNet::V4(Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::default()),
    };
    let to = route.to.map(|to| to.trunc());
    to.or_else(|| route.via.map(default))
}

/// The kernel refuses a route from an address that the node does not have.
fn sources(links: &[Link], problems: &mut Problems) {
    let has = |from: IpAddr| {
        let v4 = from.is_ipv4();
        links.iter().any(|link| {
            let mut own = link.addresses.iter();
            dynamic(link, v4) || own.any(|net| net.addr() == from)
        })
    };
    for route in links.iter().flat_map(|link| &link.routes) {
        if let Some(from) = route.from.filter(|from| !has(*from)) {
            let reason = format!("has no effect: {from} is not an address of this node");
            problems.warn(
                &route.place,
                reason,
                "give it to an interface, or correct it",
            );
        }
    }
}
