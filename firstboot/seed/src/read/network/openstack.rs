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

use super::device;
use super::link::{Kind, Link, Route};
use super::mac::mac;
use super::value::{
    address, domains, filled, given, idle, interface, list, masked, mtu, net_of, number,
};
use super::{Draft, MAX_LINKS};
use crate::read::seed::SeedFile;
use crate::text::field::{Field, Member, shown};
use crate::text::problem::{Place, Problems};
use crate::text::yaml::Node;

/// The file is made by a program, not by the person who reads the message.
const REMEDY: &str = "correct it in the cloud that makes this file";

/// Ways in which a hypervisor connects an interface, which are all one to the machine:
/// nova's and cloud-init's names.
const PHYSICAL: [&str; 22] = [
    "802.1qbg",
    "802.1qbh",
    "agilio_ovs",
    "bgpovs",
    "bridge",
    "cascading",
    "dvs",
    "ethernet",
    "hostdev",
    "hostdev_physical",
    "hw_veb",
    "hyperv",
    "macvtap",
    "ovs",
    "phy",
    "tap",
    "tun",
    "veth",
    "vhostuser",
    "vif",
    "vmxnet3",
    "vrouter",
];

pub(super) fn read(file: &SeedFile, root: &Node, problems: &mut Problems) -> Option<Draft> {
    let mut draft = Draft::default();
    let Some(entries) = root.entries() else {
        let place = Place::file(&file.name).line(root.line);
        let reason = format!("is {}, not an object", root.what());
        problems.error(&place, reason, REMEDY);
        return None;
    };
    let (mut links, mut networks, mut services) = (None, None, None);
    for entry in entries {
        let name = entry.key.expose();
        let field = Field::top(&file.name, shown(name), entry.line, &entry.value);
        match name {
            "links" => links = Some(field),
            "networks" => networks = Some(field),
            "services" => services = Some(field),
            _ => not_known(&field, problems),
        }
    }
    for item in items(links.as_ref(), problems) {
        if draft.links.len() >= MAX_LINKS {
            problems.error(&item.place, "exceeds the limit on links", "");
            break;
        }
        draft.links.extend(link(&item, problems));
    }
    let mut seen = std::collections::BTreeSet::new();
    for item in items(networks.as_ref(), problems) {
        let id = item.node.get("id").and_then(Node::scalar);
        if id.is_some_and(|id| !id.is_null() && !seen.insert(id.text().to_owned())) {
            let reason = "has the `id` of another network of this file";
            problems.warn(&item.place, reason, REMEDY);
        }
        network(&item, &mut draft, problems);
    }
    for item in items(services.as_ref(), problems) {
        let server = dns_service(&item, problems);
        if server.is_some() {
            draft
                .servers_of_all
                .get_or_insert_with(|| item.place.clone());
        }
        draft.dns.extend(server);
    }
    Some(draft)
}

/// Clouds add keys of their own, and a node must not be lost for one of them.
fn not_known(field: &Field<'_>, problems: &mut Problems) {
    if given(field) {
        idle(
            field,
            "this key of network_data.json is not known",
            problems,
        );
    }
}

fn items<'a>(field: Option<&Field<'a>>, problems: &mut Problems) -> Vec<Field<'a>> {
    let Some(field) = field.filter(|field| given(field)) else {
        return Vec::new();
    };
    list(field, problems);
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
        problems.error(&item.place, "has no `id`", REMEDY);
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
        "infiniband" | "ib_hostdev" => {
            let reason = format!("`{kind}` is not a supported type of link");
            problems.error(
                &item.place,
                reason,
                "give the machine an Ethernet interface",
            );
            return None;
        }
        _ => Kind::Physical,
    };
    let mut link = Link::new(&id.value, item.place.clone(), made);
    let vlan = matches!(link.kind, Kind::Vlan { .. });
    let of_vlan = find(&members, "vlan_mac_address").filter(|_| vlan);
    let written = of_vlan.or(find(&members, "ethernet_mac_address"));
    let address = written.and_then(|field| mac(field, problems));
    if !link.is_physical() {
        link.mac = address;
    } else if written.is_some() {
        link.matched.mac = address;
    } else {
        let reason = "has no `ethernet_mac_address` to find the network interface by";
        problems.error(&item.place, reason, REMEDY);
    }
    for member in &members {
        link_key(&mut link, &kind, member, of_vlan.is_some(), problems);
    }
    Some(link)
}

fn link_key(
    link: &mut Link,
    kind: &str,
    member: &Member<'_>,
    of_vlan: bool,
    problems: &mut Problems,
) {
    let field = &member.field;
    match (member.name, kind) {
        // Identifiers of the cloud.
        ("id" | "vif_id", _) => {}
        ("type", "bond" | "vlan") => {}
        ("type", kind) => {
            if !PHYSICAL.contains(&kind) {
                let reason = format!("`{kind}` is not a known type; it is read as `phy`");
                problems.warn(&field.place, reason, "");
            }
        }
        ("mtu", _) => link.mtu = mtu(field, problems),
        ("ethernet_mac_address", _) if of_vlan => {
            if mac(field, problems) != link.mac {
                idle(field, "a VLAN has its `vlan_mac_address`", problems);
            }
        }
        ("ethernet_mac_address", _) => {}
        ("vlan_id" | "vlan_link" | "vlan_mac_address", "vlan") => {}
        (name, "bond") if name.starts_with("bond_") => {}
        // Not nova's own; cloud-init renames the interface.
        ("name", _) if link.is_physical() => link.set_name = interface(field, problems),
        ("name", _) => {
            if field
                .text(problems)
                .is_some_and(|name| name.value != link.id)
            {
                idle(field, "the device is named by its `id`", problems);
            }
        }
        _ => not_known(field, problems),
    }
}

fn bond(members: &[Member<'_>], problems: &mut Problems) -> Kind {
    let mut names = Vec::new();
    let (mut settings, mut primary) = (Vec::new(), None);
    for member in members {
        let field = &member.field;
        match member.name.strip_prefix("bond_") {
            None => {}
            Some("links") => names = filled(field, problems),
            Some("primary") => primary = field.text(problems),
            Some(name) => {
                device::bond_v1(field, &name.replace('_', "-"), &mut settings, problems);
            }
        }
    }
    Kind::Bond {
        members: names,
        settings,
        primary,
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
        problems.error(&on.place, reason, REMEDY);
        return;
    };
    let fixed = matches!(kind.value.as_str(), "ipv4" | "ipv6" | "static" | "static6");
    match kind.value.as_str() {
        _ if fixed => {
            let Some(own) = find(&members, "ip_address") else {
                let remedy = "a network with a fixed address needs one";
                problems.error(&item.place, "has no `ip_address`", remedy);
                return;
            };
            let net = net_of(own, find(&members, "netmask"), problems);
            let v4 = net.map(|net| net.addr().is_ipv4());
            if v4.is_some_and(|v4| v4 == kind.value.ends_with('6')) {
                let reason = format!("is not an address of a network of type `{}`", kind.value);
                problems.error(&own.place, reason, REMEDY);
            }
            link.addresses.extend(net);
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
            let remedy = "write `ipv4`, `ipv4_dhcp`, `ipv6` or one of its kinds";
            problems.error(&kind.place, reason, remedy);
        }
    }
    for member in &members {
        extra(link, member, fixed, &members, problems);
    }
}

/// Gateway, routes and servers of a network.
fn extra(
    link: &mut Link,
    member: &Member<'_>,
    fixed: bool,
    members: &[Member<'_>],
    problems: &mut Problems,
) {
    let field = &member.field;
    match member.name {
        // Identifiers of the cloud.
        "id" | "network_id" | "link" | "type" => {}
        "ip_address" | "netmask" if fixed => {}
        "ip_address" | "netmask" => {
            idle(field, "the network itself gives the address", problems);
        }
        "gateway" => {
            if let Some(gateway) = address(field, problems) {
                let mut route = Route::default_by(field.place.clone(), gateway);
                let metric = find(members, "metric");
                route.metric = metric.and_then(|field| number(field, 0..=u32::MAX, problems));
                link.routes.push(route);
            }
        }
        "metric" if find(members, "gateway").is_some() => {}
        "routes" => {
            for item in items(Some(field), problems) {
                link.routes.extend(route(&item, problems));
            }
        }
        "services" => {
            for item in items(Some(field), problems) {
                link.dns.extend(dns_service(&item, problems));
            }
        }
        "dns_nameservers" | "dns_addresses" => {
            link.dns.extend(super::value::addresses(field, problems));
        }
        "dns_search" => link.search.extend(domains(field, problems)),
        _ => not_known(field, problems),
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
    for member in members.iter().filter(|member| given(&member.field)) {
        let field = &member.field;
        match member.name {
            "network" | "netmask" => {}
            "gateway" => route.via = address(field, problems),
            "metric" => route.metric = number(field, 0..=u32::MAX, problems),
            _ => not_known(field, problems),
        }
    }
    Some(route)
}

/// The address of a DNS service; any other kind has no effect, and is named.
fn dns_service(item: &Field<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let members = item.members(problems)?;
    let Some(kind) = find(&members, "type") else {
        problems.error(&item.place, "has no `type`", REMEDY);
        return None;
    };
    let kind = kind.text(problems)?;
    if kind.value != "dns" {
        for member in &members {
            let reason = format!(
                "has no effect: a service of type `{}` is not used",
                kind.value
            );
            problems.warn(&member.field.place, reason, "");
        }
        return None;
    }
    for member in &members {
        if !matches!(member.name, "type" | "address") {
            not_known(&member.field, problems);
        }
    }
    match find(&members, "address") {
        Some(field) => address(field, problems),
        None => {
            problems.error(&item.place, "has no `address`", REMEDY);
            None
        }
    }
}
