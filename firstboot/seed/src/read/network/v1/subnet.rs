//! The subnets of a device, and routes.
use super::super::link::{Link, Route};
use super::super::value::{address, addresses, domains, given, masked, net_of, number, unknown};
use crate::text::field::{Field, Member};
use crate::text::problem::Problems;
use crate::text::yaml::Kind as YamlKind;

pub(super) fn subnets(link: &mut Link, field: &Field<'_>, problems: &mut Problems) {
    if !matches!(field.node.kind, YamlKind::Sequence(_)) {
        field.expected("a list", problems);
    }
    for item in field.items() {
        subnet(link, &item, problems);
    }
}

const SUBNET: [&str; 9] = [
    "address",
    "control",
    "dns_nameservers",
    "dns_search",
    "gateway",
    "metric",
    "netmask",
    "routes",
    "type",
];

fn subnet(link: &mut Link, item: &Field<'_>, problems: &mut Problems) {
    let Some(members) = item.members(problems) else {
        return;
    };
    let members: Vec<Member<'_>> = members.into_iter().filter(|m| given(&m.field)).collect();
    let find = |name: &str| members.iter().find(|member| member.name == name);
    let kind = match find("type") {
        Some(kind) => kind.field.text(problems).map(|text| text.value),
        None => {
            problems.error(
                &item.place,
                "has no `type`",
                "write `type: dhcp` or `type: static`",
            );
            None
        }
    };
    let Some(kind) = kind else { return };
    let fixed = subnet_type(link, item, &kind, problems);
    match find("address") {
        Some(found) if fixed => {
            let mask = find("netmask").map(|member| &member.field);
            link.addresses.extend(net_of(&found.field, mask, problems));
        }
        None if fixed => problems.error(&item.place, "has no `address`", "give the address"),
        _ => {}
    }
    let metric = find("metric").and_then(|m| number(&m.field, 0..=u32::MAX, problems));
    for member in &members {
        let field = &member.field;
        match member.name {
            "type" | "address" | "netmask" | "metric" | "broadcast" | "pointopoint" | "scope"
            | "ipv4" | "ipv6" | "id" | "network_id" | "link" => {}
            "gateway" => {
                if let Some(gateway) = address(field, problems) {
                    let mut route = Route::default_by(field.place.clone(), gateway);
                    route.metric = metric;
                    link.routes.push(route);
                }
            }
            "dns_nameservers" => link.dns.extend(addresses(field, problems)),
            "dns_search" => link.search.extend(domains(field, problems)),
            "routes" => {
                for item in field.items() {
                    link.routes.extend(route(&item, problems));
                }
            }
            "control" => {
                let text = field.text(problems);
                link.optional |= text.is_some_and(|text| text.value != "auto");
            }
            name => unknown(field, name, &SUBNET, problems),
        }
    }
}

/// Whether the subnet has an address of its own.
fn subnet_type(link: &mut Link, item: &Field<'_>, kind: &str, problems: &mut Problems) -> bool {
    match kind {
        "static" | "static4" | "static6" => return true,
        "dhcp" | "dhcp4" => link.dhcp4 = true,
        "dhcp6" => link.dhcp6 = true,
        "ipv6_dhcpv6-stateful" => {
            link.dhcp6 = true;
            link.accept_ra = link.accept_ra.or(Some(true));
        }
        "ipv6_dhcpv6-stateless" => link.accept_ra = Some(true),
        "ipv6_slaac" => {
            link.accept_ra = Some(true);
            link.set("IPv6AcceptRA", "DHCPv6Client", "no");
        }
        "manual" | "loopback" => {}
        other => {
            let reason = format!("`{other}` is not a subnet type");
            problems.error(
                &item.place,
                reason,
                "write `dhcp`, `dhcp6`, `static` or `static6`",
            );
        }
    }
    false
}

const ROUTE: [&str; 6] = [
    "destination",
    "gateway",
    "metric",
    "netmask",
    "network",
    "type",
];

/// A route of a subnet: `network` and `netmask`, or `destination` with a length.
fn route(item: &Field<'_>, problems: &mut Problems) -> Option<Route> {
    let members = item.members(problems)?;
    global_route(item, &members, problems)
}

pub(super) fn global_route(
    item: &Field<'_>,
    members: &[Member<'_>],
    problems: &mut Problems,
) -> Option<Route> {
    let mut found = Route::new(item.place.clone());
    let (mut to, mut mask) = (None, None);
    for member in members.iter().filter(|member| given(&member.field)) {
        let field = &member.field;
        match member.name {
            "type" | "id" => {}
            "network" | "destination" | "to" => to = Some(field),
            "netmask" => mask = Some(field),
            "gateway" | "via" => found.via = address(field, problems),
            "metric" => found.metric = number(field, 0..=u32::MAX, problems),
            name => unknown(field, name, &ROUTE, problems),
        }
    }
    let Some(to) = to else {
        problems.error(
            &item.place,
            "has no destination",
            "give `destination: 10.0.0.0/8`",
        );
        return None;
    };
    found.to = masked(to, mask, problems)?;
    Some(found)
}
