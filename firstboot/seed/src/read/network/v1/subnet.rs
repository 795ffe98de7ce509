//! The subnets of a device, and routes.
use super::super::link::{Link, Route};
use super::super::value::{
    address, addresses, boolean, domains, given, idle, list, masked, mtu, net_of, number, once,
    one_of, unknown,
};
use crate::text::field::{Field, Member};
use crate::text::problem::Problems;

pub(super) fn subnets(link: &mut Link, field: &Field<'_>, problems: &mut Problems) {
    list(field, problems);
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
            let remedy = "write `type: dhcp` or `type: static`";
            problems.error(&item.place, "has no `type`", remedy);
            None
        }
    };
    let Some(kind) = kind else { return };
    let fixed = subnet_type(link, item, &kind, problems)
        || (kind == "loopback" && find("address").is_some());
    match find("address") {
        Some(found) if fixed => {
            let mask = find("netmask").map(|member| &member.field);
            let net = net_of(&found.field, mask, problems);
            let family =
                net.filter(|net| family_fits(&kind, net.addr().is_ipv4(), found, problems));
            link.addresses.extend(family);
        }
        None if fixed => problems.error(&item.place, "has no `address`", "give the address"),
        _ => {}
    }
    let v6 = kind.contains('6')
        || find("address")
            .and_then(|m| m.field.node.scalar())
            .is_some_and(|a| a.text().contains(':'));
    for member in &members {
        let field = &member.field;
        match member.name {
            "type" => {}
            "address" | "netmask" if fixed => {}
            "address" | "netmask" => {
                let reason = format!("is given beside `type: {kind}`, which has no fixed address");
                problems.error(&field.place, reason, "write `type: static`, or remove it");
            }
            "metric" => metric(link, &kind, field, find("gateway").is_some(), problems),
            "gateway" => {
                let metric = find("metric").map(|member| &member.field);
                gateway(link, field, metric, problems);
            }
            "pointopoint" | "dns_nameservers" | "dns_search" | "routes" => {
                beyond(link, member, problems);
            }
            "control" => control(link, field, problems),
            "mtu" => mtu_of_family(link, v6, field, problems),
            // cloud-init's own conversions say the family once more.
            "ipv4" | "ipv6"
                if boolean(field, problems) == Some(true) && v6 == (member.name == "ipv6") => {}
            name => no_effect(field, name, problems),
        }
    }
}

fn gateway(
    link: &mut Link,
    field: &Field<'_>,
    metric: Option<&Field<'_>>,
    problems: &mut Problems,
) {
    let Some(gateway) = address(field, problems) else {
        return;
    };
    let mut route = Route::default_by(field.place.clone(), gateway);
    // What is wrong with the metric is said at its own key.
    let mut said = Problems::new();
    route.metric = metric.and_then(|field| number(field, 0..=u32::MAX, &mut said));
    link.routes.push(route);
}

/// What else the subnet leads to.
fn beyond(link: &mut Link, member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    match member.name {
        "dns_nameservers" => link.dns.extend(addresses(field, problems)),
        "dns_search" => link.search.extend(domains(field, problems)),
        "routes" => {
            list(field, problems);
            for item in field.items() {
                link.routes.extend(route(&item, problems));
            }
        }
        // The other end of a line, which is on the link.
        _ => link
            .routes
            .extend(address(field, problems).map(|peer| Route {
                to: Some(peer.into()),
                scope: Some("link".to_owned()),
                ..Route::new(field.place.clone())
            })),
    }
}

/// Keys that ifupdown and cloud-init's own conversions know, and any other.
fn no_effect(field: &Field<'_>, name: &str, problems: &mut Problems) {
    match name {
        "broadcast" => idle(
            field,
            "it follows from the address and its length",
            problems,
        ),
        "scope" => idle(field, "it follows from the address", problems),
        "ipv4" | "ipv6" => idle(field, "the family follows from the type", problems),
        "id" | "network_id" | "link" => idle(field, "nothing refers to a subnet", problems),
        name => unknown(field, name, &SUBNET, problems),
    }
}

/// `static4` and `static6` say the family.
fn family_fits(kind: &str, v4: bool, found: &Member<'_>, problems: &mut Problems) -> bool {
    let fits = match kind {
        "static4" => v4,
        "static6" => !v4,
        _ => true,
    };
    if !fits {
        let reason = format!("is not an address of `{kind}`");
        problems.error(&found.field.place, reason, "write `type: static`");
    }
    fits
}

/// The metric of a subnet is that of its gateway, which may come by DHCP.
fn metric(link: &mut Link, kind: &str, field: &Field<'_>, gateway: bool, problems: &mut Problems) {
    let Some(metric) = number(field, 0..=u32::MAX, problems) else {
        return;
    };
    match kind {
        "dhcp" | "dhcp4" => link.set("DHCPv4", "RouteMetric", metric.to_string()),
        "dhcp6" | "ipv6_dhcpv6-stateful" | "ipv6_dhcpv6-stateless" | "ipv6_slaac" => {
            link.set("IPv6AcceptRA", "RouteMetric", metric.to_string());
        }
        _ if gateway => {}
        _ => idle(field, "this subnet has no `gateway`", problems),
    }
}

/// As with cloud-init: IPv6's own MTU, or the interface's, before that of the device.
fn mtu_of_family(link: &mut Link, v6: bool, field: &Field<'_>, problems: &mut Problems) {
    if v6 {
        if let Some(mtu) = number(field, 1280..=65535, problems) {
            link.set("Network", "IPv6MTUBytes", mtu.to_string());
        }
        return;
    }
    let Some(mtu) = mtu(field, problems) else {
        return;
    };
    let other = link.mtu.replace(mtu).filter(|other| *other != mtu);
    if let Some(other) = other {
        let reason = format!("takes precedence over another `mtu` of this device, {other}");
        problems.warn(&field.place, reason, "keep one of them");
    }
}

/// When ifupdown brings the interface up.
fn control(link: &mut Link, field: &Field<'_>, problems: &mut Problems) {
    match one_of(field, &["auto", "hotplug", "manual"], problems) {
        Some("hotplug") => link.optional = true,
        Some("manual") => {
            link.optional = true;
            link.set("Link", "ActivationPolicy", "manual");
        }
        _ => {}
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
    let (mut to, mut mask, mut via) = (None, None, None);
    for member in members.iter().filter(|member| given(&member.field)) {
        let field = &member.field;
        match member.name {
            "type" | "id" => {}
            "network" | "destination" | "to" => once(&mut to, field, problems),
            "netmask" => mask = Some(field),
            "gateway" | "via" => once(&mut via, field, problems),
            "metric" => found.metric = number(field, 0..=u32::MAX, problems),
            name => unknown(field, name, &ROUTE, problems),
        }
    }
    found.via = via.and_then(|field| address(field, problems));
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
