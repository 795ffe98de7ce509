//! OpenStack's `network_data.json`: links, the networks on them, services.
//!
//! ```json
//! {"links": [{"id": "tap0", "type": "phy", "ethernet_mac_address": "fa:16:3e:69:b0:58", "mtu": 1450}],
//!  "networks": [{"id": "network0", "link": "tap0", "type": "ipv4", "ip_address": "10.0.1.5",
//!                "netmask": "255.255.255.0", "routes": [...]}],
//!  "services": [{"type": "dns", "address": "10.0.0.2"}]}
//! ```
//! The ids of links are the hypervisor's: an interface keeps the name that the kernel
//! has given it and is found by its address.
use std::net::IpAddr;

use super::device::{self, MODES};
use super::link::{Kind, Link, Route};
use super::value::{address, given, mac, masked, mtu, net_of, number, one_of};
use super::{Draft, MAX_LINKS};
use crate::read::seed::SeedFile;
use crate::text::field::{Field, Member};
use crate::text::problem::Problems;
use crate::text::yaml::{Kind as YamlKind, Node};

pub(super) fn read(file: &SeedFile, root: &Node, problems: &mut Problems) -> Option<Draft> {
    let mut draft = Draft::default();
    let part = |name: &str| {
        let entry = root
            .entries()?
            .iter()
            .find(|entry| entry.key.expose() == name)?;
        let field = Field::top(&file.name, name, entry.line, &entry.value);
        given(&field).then_some(field)
    };
    if root.entries().is_none() {
        let place = crate::text::problem::Place::file(&file.name).line(root.line);
        let reason = format!("is {}, not an object", root.what());
        problems.error(&place, reason, "generate the config drive again");
        return None;
    }
    for item in items(part("links").as_ref(), problems) {
        if draft.links.len() >= MAX_LINKS {
            problems.error(&item.place, "exceeds the limit on links", "");
            break;
        }
        draft.links.extend(link(&item, problems));
    }
    for item in items(part("networks").as_ref(), problems) {
        network(&item, &mut draft, problems);
    }
    for item in items(part("services").as_ref(), problems) {
        draft.dns.extend(dns_service(&item, problems));
    }
    Some(draft)
}

fn items<'a>(field: Option<&Field<'a>>, problems: &mut Problems) -> Vec<Field<'a>> {
    let Some(field) = field else {
        return Vec::new();
    };
    if !matches!(field.node.kind, YamlKind::Sequence(_)) {
        field.expected("a list", problems);
    }
    field.items()
}

fn find<'m, 'a>(members: &'m [Member<'a>], name: &str) -> Option<&'m Field<'a>> {
    let member = members.iter().find(|member| member.name == name)?;
    Some(&member.field)
}

fn link(item: &Field<'_>, problems: &mut Problems) -> Option<Link> {
    let members: Vec<Member<'_>> = item.members(problems)?;
    let members: Vec<Member<'_>> = members.into_iter().filter(|m| given(&m.field)).collect();
    let Some(id) = find(&members, "id") else {
        problems.error(
            &item.place,
            "has no `id`",
            "generate the config drive again",
        );
        return None;
    };
    let id = id.text(problems)?;
    let kind = match find(&members, "type") {
        Some(kind) => kind.text(problems)?.value,
        None => "phy".to_owned(),
    };
    let made = match kind.as_str() {
        "bond" => bond(&members, problems),
        "vlan" => vlan(item, &members, problems)?,
        // All others describe how the hypervisor has connected it.
        _ => Kind::Physical,
    };
    let mut link = Link::new(&id.value, item.place.clone(), made);
    let written = match link.kind {
        Kind::Vlan { .. } => find(&members, "vlan_mac_address"),
        _ => find(&members, "ethernet_mac_address"),
    };
    let address = written.and_then(|field| mac(field, problems));
    if !link.is_physical() {
        link.mac = address;
    } else if written.is_some() {
        link.matched.mac = address;
    } else {
        let reason = "has no `ethernet_mac_address` to find the network interface by";
        problems.error(&item.place, reason, "generate the config drive again");
    }
    link.mtu = find(&members, "mtu").and_then(|field| mtu(field, problems));
    Some(link)
}

fn bond(members: &[Member<'_>], problems: &mut Problems) -> Kind {
    let names = find(members, "bond_links").map_or_else(Vec::new, |f| device::names(f, problems));
    let mut settings = Vec::new();
    for member in members.iter().filter(|member| member.name != "bond_links") {
        let Some(name) = member.name.strip_prefix("bond_") else {
            continue;
        };
        if name == "mode" && one_of(&member.field, MODES, problems).is_none() {
            continue;
        }
        device::bond_v1(
            &member.field,
            &name.replace('_', "-"),
            &mut settings,
            problems,
        );
    }
    Kind::Bond {
        members: names,
        settings,
        primary: None,
    }
}

fn vlan(item: &Field<'_>, members: &[Member<'_>], problems: &mut Problems) -> Option<Kind> {
    let (Some(id), Some(parent)) = (find(members, "vlan_id"), find(members, "vlan_link")) else {
        let reason = "lacks `vlan_id` or `vlan_link`";
        problems.error(&item.place, reason, "a VLAN needs both");
        return None;
    };
    let id = number(id, 0..=4094, problems).and_then(|id| u16::try_from(id).ok());
    let parent = parent.text(problems);
    Some(Kind::Vlan {
        id: id?,
        parent: parent?,
    })
}

fn network(item: &Field<'_>, draft: &mut Draft, problems: &mut Problems) {
    let Some(members) = item.members(problems) else {
        return;
    };
    let members: Vec<Member<'_>> = members.into_iter().filter(|m| given(&m.field)).collect();
    let (Some(on), Some(kind)) = (find(&members, "link"), find(&members, "type")) else {
        problems.error(
            &item.place,
            "lacks `link` or `type`",
            "a network needs both",
        );
        return;
    };
    let (Some(on), Some(kind)) = (on.text(problems), kind.text(problems)) else {
        return;
    };
    let Some(link) = draft.links.iter_mut().find(|link| link.id == on.value) else {
        let reason = format!("there is no link `{}` in `links`", on.value);
        problems.error(&on.place, reason, "generate the config drive again");
        return;
    };
    match kind.value.as_str() {
        "ipv4" | "ipv6" => {
            let Some(own) = find(&members, "ip_address") else {
                problems.error(
                    &item.place,
                    "has no `ip_address`",
                    "a network with a fixed address needs one",
                );
                return;
            };
            link.addresses
                .extend(net_of(own, find(&members, "netmask"), problems));
        }
        "ipv4_dhcp" => link.dhcp4 = true,
        "ipv6_dhcp" | "ipv6_dhcpv6-stateful" => {
            link.dhcp6 = true;
            link.accept_ra = Some(true);
        }
        "ipv6_dhcpv6-stateless" => link.accept_ra = Some(true),
        "ipv6_slaac" => {
            link.accept_ra = Some(true);
            link.set("IPv6AcceptRA", "DHCPv6Client", "no");
        }
        other => {
            let reason = format!("`{other}` is not a network type");
            problems.error(
                &kind.place,
                reason,
                "write `ipv4`, `ipv4_dhcp`, `ipv6` or one of its kinds",
            );
        }
    }
    extras(link, &members, problems);
}

/// Gateway, routes and servers of a network.
fn extras(link: &mut Link, members: &[Member<'_>], problems: &mut Problems) {
    if let Some(field) = find(members, "gateway")
        && let Some(gateway) = address(field, problems)
    {
        link.routes
            .push(Route::default_by(field.place.clone(), gateway));
    }
    for item in items(find(members, "routes"), problems) {
        link.routes.extend(route(&item, problems));
    }
    for item in items(find(members, "services"), problems) {
        link.dns.extend(dns_service(&item, problems));
    }
    for name in ["dns_nameservers", "dns_addresses"] {
        if let Some(field) = find(members, name) {
            link.dns.extend(super::value::addresses(field, problems));
        }
    }
}

fn route(item: &Field<'_>, problems: &mut Problems) -> Option<Route> {
    let members = item.members(problems)?;
    let Some(to) = find(&members, "network") else {
        problems.error(&item.place, "has no `network`", "give the destination");
        return None;
    };
    let mut route = Route::new(item.place.clone());
    let mask = find(&members, "netmask").filter(|field| given(field));
    route.to = masked(to, mask, problems)?;
    if let Some(gateway) = find(&members, "gateway").filter(|field| given(field)) {
        route.via = address(gateway, problems);
    }
    if let Some(metric) = find(&members, "metric").filter(|field| given(field)) {
        route.metric = number(metric, 0..=u32::MAX, problems);
    }
    Some(route)
}

/// The address of a DNS service; any other kind is ignored.
fn dns_service(item: &Field<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let members = item.members(problems)?;
    let kind = find(&members, "type")?.text(problems)?;
    if kind.value != "dns" {
        problems.warn(&kind.place, "is a service that has no effect here", "");
        return None;
    }
    match find(&members, "address") {
        Some(field) => address(field, problems),
        None => {
            problems.error(&item.place, "has no `address`", "give the server's address");
            None
        }
    }
}
