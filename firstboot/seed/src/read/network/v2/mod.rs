//! network-config version 2, which is netplan's language.
//!
//! ```yaml
//! version: 2
//! ethernets:
//!   uplink:
//!     match: {macaddress: "52:54:00:12:34:56"}
//!     addresses: [192.168.10.101/24]
//!     routes: [{to: default, via: 192.168.10.1}]
//! ```
mod dynamic;
mod fixed;

use dynamic::{dynamic, without_effect};
use fixed::fixed;

use super::device::{self, member_names};
use super::link::{Kind, Link, Match};
use super::mac::mac;
use super::value::{
    boolean, filled, given, interface, list, mtu, number, one_of, renderer, unknown, yes_no,
};
use super::{Draft, MAX_LINKS};
use crate::text::field::{Field, Member};
use crate::text::problem::{Place, Problems};
use crate::text::yaml::Node;

/// Device types that exist but are not supported.
const NOT_READ: [&str; 6] = [
    "dummy-devices",
    "modems",
    "nm-devices",
    "tunnels",
    "virtual-ethernets",
    "wifis",
];

pub(super) fn read(file: &str, root: &Node, problems: &mut Problems) -> Option<Draft> {
    let mut draft = Draft::default();
    for entry in root.entries().unwrap_or_default() {
        let name = entry.key.expose();
        let key = crate::text::field::shown(name);
        let field = Field::top(file, key, entry.line, &entry.value);
        match name {
            "version" => {}
            _ if !given(&field) => {}
            "renderer" => renderer(&field, problems),
            "ethernets" => devices(&field, &mut draft, problems, |_, _, _| Some(Kind::Physical)),
            "bonds" => devices(&field, &mut draft, problems, |_, members, problems| {
                device::bond_v2(members, problems)
            }),
            "bridges" => devices(&field, &mut draft, problems, |_, members, problems| {
                device::bridge_v2(members, problems)
            }),
            "vlans" => devices(&field, &mut draft, problems, vlan),
            "vrfs" => devices(&field, &mut draft, problems, vrf),
            name if NOT_READ.contains(&name) => {
                let reason = "is not a supported device type";
                problems.error(&field.place, reason, "remove it");
            }
            "config" => {
                let reason = "belongs to `version: 1`, and the file says `version: 2`";
                problems.error(&field.place, reason, "write `version: 1`");
            }
            name => {
                let known = ["ethernets", "bonds", "bridges", "vlans", "vrfs"];
                unknown(&field, name, &known, problems);
            }
        }
    }
    Some(draft)
}

type Make = fn(&Place, &[Member<'_>], &mut Problems) -> Option<Kind>;

/// The devices of a kind.
fn devices(field: &Field<'_>, draft: &mut Draft, problems: &mut Problems, make: Make) {
    for device in field.members(problems).unwrap_or_default() {
        if draft.links.len() >= MAX_LINKS {
            problems.error(&device.field.place, "exceeds the limit on devices", "");
            return;
        }
        let members = if given(&device.field) {
            device.field.members(problems).unwrap_or_default()
        } else {
            Vec::new()
        };
        let place = device.field.place.clone();
        if let Some(kind) = make(&place, &members, problems) {
            let mut link = Link::new(device.name, place, kind);
            keys(&mut link, &members, problems);
            draft.links.push(link);
        }
    }
}

const KEYS: [&str; 33] = [
    "accept-ra",
    "activation-mode",
    "addresses",
    "critical",
    "dhcp-identifier",
    "dhcp4",
    "dhcp4-overrides",
    "dhcp4domain",
    "dhcp6",
    "dhcp6-overrides",
    "dhcp6domain",
    "emit-lldp",
    "gateway4",
    "gateway6",
    "id",
    "ignore-carrier",
    "interfaces",
    "ipv6-mtu",
    "ipv6-privacy",
    "link",
    "link-local",
    "macaddress",
    "match",
    "mtu",
    "nameservers",
    "optional",
    "parameters",
    "renderer",
    "routes",
    "routing-policy",
    "set-name",
    "table",
    "wakeonlan",
];

/// Settings that any device can have.
fn keys(link: &mut Link, members: &[Member<'_>], problems: &mut Problems) {
    for member in members {
        let field = &member.field;
        let own = matches!(
            (member.name, &link.kind),
            (
                "interfaces" | "parameters",
                Kind::Bond { .. } | Kind::Bridge { .. }
            ) | ("interfaces" | "table", Kind::Vrf { .. })
                | ("id" | "link", Kind::Vlan { .. })
        );
        if own || !given(field) {
            continue;
        }
        let known = match member.name {
            "match" | "set-name" | "wakeonlan" if link.is_physical() => {
                physical(link, member, problems);
                true
            }
            "dhcp4" | "dhcp6" | "dhcp4-overrides" | "dhcp6-overrides" | "dhcp4domain"
            | "dhcp6domain" | "dhcp-identifier" | "accept-ra" => {
                dynamic(link, member, problems);
                true
            }
            "addresses" | "gateway4" | "gateway6" | "nameservers" | "routes" | "routing-policy" => {
                fixed(link, member, problems);
                true
            }
            _ => interface_key(link, member, problems),
        };
        if !known {
            unknown(field, member.name, &KEYS, problems);
        }
    }
    without_effect(link, members, problems);
}

fn physical(link: &mut Link, member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    match member.name {
        "set-name" => link.set_name = interface(field, problems),
        "wakeonlan" => link.wake_on_lan = boolean(field, problems).unwrap_or_default(),
        _ => {
            for part in field.members(problems).unwrap_or_default() {
                match part.name {
                    "macaddress" => link.matched.mac = mac(&part.field, problems),
                    "name" => link.matched.name = part.field.text(problems).map(|t| t.value),
                    // netplan takes a list of patterns as well.
                    "driver" => {
                        let drivers = filled(&part.field, problems);
                        link.matched.drivers = drivers.into_iter().map(|t| t.value).collect();
                    }
                    name => unknown(
                        &part.field,
                        name,
                        &["macaddress", "name", "driver"],
                        problems,
                    ),
                }
            }
            if link.matched == Match::default() && !problems.has_errors() {
                let reason = "has no condition to match";
                problems.error(
                    &field.place,
                    reason,
                    "give `macaddress`, `name` or `driver`",
                );
            }
        }
    }
}

/// Keys of the interface itself; `false` for any other key.
fn interface_key(link: &mut Link, member: &Member<'_>, problems: &mut Problems) -> bool {
    let field = &member.field;
    let mut flag = |section, key| {
        if let Some(value) = boolean(field, problems) {
            link.set(section, key, yes_no(value));
        }
    };
    match member.name {
        "emit-lldp" => flag("Network", "EmitLLDP"),
        "ignore-carrier" => flag("Network", "ConfigureWithoutCarrier"),
        "critical" => flag("Network", "KeepConfiguration"),
        "ipv6-privacy" => {
            if let Some(value) = boolean(field, problems) {
                let value = if value { "yes" } else { "no" };
                link.set("Network", "IPv6PrivacyExtensions", value);
            }
        }
        "macaddress" => link.mac = mac(field, problems),
        "mtu" => link.mtu = mtu(field, problems),
        "optional" => link.optional = boolean(field, problems).unwrap_or_default(),
        "ipv6-mtu" => {
            if let Some(mtu) = number(field, 1280..=65535, problems) {
                link.set("Network", "IPv6MTUBytes", mtu.to_string());
            }
        }
        "activation-mode" => {
            if let Some(mode) = one_of(field, &["manual", "off"], problems) {
                let policy = if mode == "off" {
                    "always-down"
                } else {
                    "manual"
                };
                link.set("Link", "ActivationPolicy", policy);
                link.optional = true;
            }
        }
        "link-local" => link_local(link, field, problems),
        "renderer" => renderer(field, problems),
        _ => return false,
    }
    true
}

fn link_local(link: &mut Link, field: &Field<'_>, problems: &mut Problems) {
    list(field, problems);
    let families: Vec<&str> = field
        .items()
        .iter()
        .filter_map(|item| one_of(item, &["ipv4", "ipv6"], problems))
        .collect();
    let value = match (families.contains(&"ipv4"), families.contains(&"ipv6")) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    link.set("Network", "LinkLocalAddressing", value);
}

fn vlan(place: &Place, members: &[Member<'_>], problems: &mut Problems) -> Option<Kind> {
    let find = |name| members.iter().find(|member| member.name == name);
    let (Some(id), Some(parent)) = (find("id"), find("link")) else {
        problems.error(place, "lacks `id` or `link`", "a VLAN needs both");
        return None;
    };
    let id = number(&id.field, 0..=4094, problems).and_then(|id| u16::try_from(id).ok());
    let parent = parent.field.text(problems);
    Some(Kind::Vlan {
        id: id?,
        parent: parent?,
    })
}

fn vrf(place: &Place, members: &[Member<'_>], problems: &mut Problems) -> Option<Kind> {
    let Some(table) = members.iter().find(|member| member.name == "table") else {
        let remedy = "give the number of its routing table";
        problems.error(place, "has no `table`", remedy);
        return None;
    };
    Some(Kind::Vrf {
        members: member_names(members, problems),
        table: number(&table.field, 1..=u32::MAX, problems)?,
    })
}
