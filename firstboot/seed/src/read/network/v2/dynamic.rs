//! What a device gets from DHCP and router advertisements, and which parts of it it uses.
use super::super::link::Link;
use super::super::value::{boolean, given, idle, number, one_of, unknown, yes_no};
use crate::text::field::{Field, Member};
use crate::text::problem::Problems;

pub(super) fn dynamic(link: &mut Link, member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    match member.name {
        "dhcp4" => link.dhcp4 = boolean(field, problems).unwrap_or_default(),
        "dhcp6" => link.dhcp6 = boolean(field, problems).unwrap_or_default(),
        "accept-ra" => link.accept_ra = boolean(field, problems),
        "dhcp4-overrides" => overrides(link, "DHCPv4", field, problems),
        "dhcp6-overrides" => overrides(link, "DHCPv6", field, problems),
        "dhcp-identifier" => {
            if let Some(kind) = one_of(field, &["mac", "duid"], problems) {
                link.set("DHCPv4", "ClientIdentifier", kind);
            }
        }
        name => {
            let section = if name == "dhcp4domain" {
                "DHCPv4"
            } else {
                "DHCPv6"
            };
            domain_use(link, section, field, problems);
        }
    }
}

/// `use-domains` is a boolean or `route`.
fn domain_use(link: &mut Link, section: &'static str, field: &Field<'_>, problems: &mut Problems) {
    let scalar = field.node.scalar();
    if scalar.is_some_and(|scalar| scalar.text.expose() == "route") {
        link.set(section, "UseDomains", "route");
    } else if let Some(value) = boolean(field, problems) {
        link.set(section, "UseDomains", yes_no(value));
    }
}

/// Names what asks for a part of an answer that nothing asks for.
pub(super) fn without_effect(link: &Link, members: &[Member<'_>], problems: &mut Problems) {
    let v6 = link.dhcp6 || link.accept_ra == Some(true);
    for member in members.iter().filter(|member| given(&member.field)) {
        let why = match member.name {
            "dhcp4-overrides" | "dhcp4domain" | "dhcp-identifier" if !link.dhcp4 => {
                "this device does not use `dhcp4`"
            }
            "dhcp6-overrides" | "dhcp6domain" if !v6 => "this device does not use `dhcp6`",
            _ => continue,
        };
        let parts = member.field.node.entries().is_some();
        let parts = parts.then(|| member.field.members(problems)).flatten();
        idle(&member.field, why, problems);
        for part in parts.unwrap_or_default() {
            idle(&part.field, why, problems);
        }
    }
}

const OVERRIDES: [(&str, &str); 8] = [
    ("hostname", "Hostname"),
    ("send-hostname", "SendHostname"),
    ("use-dns", "UseDNS"),
    ("use-hostname", "UseHostname"),
    ("use-mtu", "UseMTU"),
    ("use-ntp", "UseNTP"),
    ("use-routes", "UseRoutes"),
    ("route-metric", "RouteMetric"),
];

fn overrides(link: &mut Link, section: &'static str, field: &Field<'_>, problems: &mut Problems) {
    for part in field.members(problems).unwrap_or_default() {
        let found = OVERRIDES.iter().find(|(name, _)| *name == part.name);
        match (part.name, found) {
            ("hostname" | "send-hostname", _) if section == "DHCPv6" => {
                idle(
                    &part.field,
                    "systemd-networkd sends no name by DHCPv6",
                    problems,
                );
            }
            ("use-domains", _) => domain_use(link, section, &part.field, problems),
            ("hostname", Some((_, key))) => host_name(link, section, key, &part.field, problems),
            ("route-metric", Some((_, key))) => metric(link, section, key, &part.field, problems),
            (_, Some((_, key))) => switch(link, section, key, &part.field, problems),
            (name, None) => {
                let known: Vec<&str> = OVERRIDES.iter().map(|(name, _)| *name).collect();
                unknown(&part.field, name, &known, problems);
            }
        }
    }
}

fn host_name(
    link: &mut Link,
    section: &'static str,
    key: &'static str,
    field: &Field<'_>,
    problems: &mut Problems,
) {
    let Some(name) = field.text(problems) else {
        return;
    };
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if name.value.chars().all(is_good) {
        link.set(section, key, name.value);
        return;
    }
    problems.error(
        &name.place,
        "is not a host name",
        "write letters, digits and `-`",
    );
}

fn metric(
    link: &mut Link,
    section: &'static str,
    key: &'static str,
    field: &Field<'_>,
    problems: &mut Problems,
) {
    if let Some(metric) = number(field, 0..=u32::MAX, problems) {
        // DHCPv6 has no routes; they come by router advertisements.
        let section = match section {
            "DHCPv6" => "IPv6AcceptRA",
            other => other,
        };
        link.set(section, key, metric.to_string());
    }
}

fn switch(
    link: &mut Link,
    section: &'static str,
    key: &'static str,
    field: &Field<'_>,
    problems: &mut Problems,
) {
    if let Some(value) = boolean(field, problems) {
        let (section, key) = match (section, key) {
            ("DHCPv6", "UseRoutes") => ("IPv6AcceptRA", "UseGateway"),
            ("DHCPv6", "UseMTU") => ("IPv6AcceptRA", "UseMTU"),
            own => own,
        };
        link.set(section, key, yes_no(value));
    }
}
