//! Addresses, routes, routing rules and name servers that the seed itself gives.
use ipnet::IpNet;

use super::super::link::{Link, Route, Rule};
use super::super::value::{
    address, addresses, boolean, destination, domains, given, list, mtu, net, number, one_of,
    unknown,
};
use crate::text::field::{Field, Member};
use crate::text::problem::Problems;

pub(super) fn fixed(link: &mut Link, member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    match member.name {
        "addresses" => {
            list(field, problems);
            for item in field.items() {
                link.addresses.extend(one_address(&item, problems));
            }
        }
        "gateway4" | "gateway6" => {
            let Some(gateway) = address(field, problems) else {
                return;
            };
            if gateway.is_ipv4() == (member.name == "gateway4") {
                link.routes
                    .push(Route::default_by(field.place.clone(), gateway));
            } else {
                let reason = format!("`{gateway}` is of the wrong address family");
                problems.error(
                    &field.place,
                    reason,
                    "use `gateway4` for IPv4, `gateway6` for IPv6",
                );
            }
        }
        "nameservers" => {
            for part in field.members(problems).unwrap_or_default() {
                match part.name {
                    "addresses" => link.dns.extend(addresses(&part.field, problems)),
                    "search" => link.search.extend(domains(&part.field, problems)),
                    name => unknown(&part.field, name, &["addresses", "search"], problems),
                }
            }
        }
        "routes" => {
            list(field, problems);
            for item in field.items() {
                link.routes.extend(route(&item, problems));
            }
        }
        _ => {
            list(field, problems);
            for item in field.items() {
                link.rules.extend(rule(&item, problems));
            }
        }
    }
}

/// An address, possibly with options, none of which are supported.
fn one_address(item: &Field<'_>, problems: &mut Problems) -> Option<IpNet> {
    if item.node.entries().is_none() {
        return net(item, problems);
    }
    let options = item.members(problems)?;
    let only = options.first().filter(|_| options.len() == 1);
    let found = only.and_then(|only| only.name.parse().ok());
    if found.is_none() {
        let reason = "is not one address with a prefix length";
        problems.error(&item.place, reason, "write it as 192.168.4.21/24");
    }
    if let Some(only) = only.filter(|only| given(&only.field)) {
        for option in only.field.members(problems).unwrap_or_default() {
            unknown(&option.field, option.name, &[], problems);
        }
    }
    found
}

const ROUTE: [&str; 9] = [
    "from", "metric", "mtu", "on-link", "scope", "table", "to", "type", "via",
];

fn route(item: &Field<'_>, problems: &mut Problems) -> Option<Route> {
    let mut route = Route::new(item.place.clone());
    let mut to = None;
    for part in item.members(problems)? {
        let field = &part.field;
        if !given(field) {
            continue;
        }
        match part.name {
            "to" => to = destination(field, problems),
            "via" => route.via = address(field, problems),
            "from" => route.from = address(field, problems),
            "metric" => route.metric = number(field, 0..=u32::MAX, problems),
            "table" => route.table = number(field, 1..=u32::MAX, problems),
            "mtu" => route.mtu = mtu(field, problems),
            "on-link" => route.on_link = boolean(field, problems),
            "scope" => {
                let scopes = ["global", "link", "host"];
                route.scope = one_of(field, &scopes, problems).map(str::to_owned);
            }
            "type" => {
                let kinds = [
                    "unicast",
                    "blackhole",
                    "prohibit",
                    "throw",
                    "unreachable",
                    "local",
                ];
                route.kind = one_of(field, &kinds, problems).map(str::to_owned);
            }
            name => unknown(field, name, &ROUTE, problems),
        }
    }
    match to {
        Some(None) if route.via.is_none() => {
            let reason = "is a default route without a gateway";
            let remedy = "give `via`, or write `to: 0.0.0.0/0` for one without";
            problems.error(&item.place, reason, remedy);
            None
        }
        Some(to) => Some(Route { to, ..route }),
        None => {
            let has = item.node.get("to").is_some();
            if !has {
                problems.error(&item.place, "has no `to`", "give the destination");
            }
            None
        }
    }
}

fn rule(item: &Field<'_>, problems: &mut Problems) -> Option<Rule> {
    const KEYS: [&str; 6] = ["from", "mark", "priority", "table", "to", "type-of-service"];
    let mut rule = Rule::default();
    for part in item.members(problems)? {
        let field = &part.field;
        match part.name {
            "from" => rule.from = destination(field, problems).flatten(),
            "to" => rule.to = destination(field, problems).flatten(),
            "table" => rule.table = number(field, 1..=u32::MAX, problems),
            "priority" => rule.priority = number(field, 0..=u32::MAX, problems),
            "mark" => rule.mark = number(field, 1..=u32::MAX, problems),
            "type-of-service" => rule.type_of_service = number(field, 0..=255, problems),
            name => unknown(field, name, &KEYS, problems),
        }
    }
    Some(rule)
}
