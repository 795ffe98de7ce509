//! network-config version 1: a list of devices, each with its subnets.
//!
//! ```yaml
//! version: 1
//! config:
//!   - {type: physical, name: eth0, mac_address: "52:54:00:12:34:56",
//!      subnets: [{type: static, address: 192.168.10.101/24, gateway: 192.168.10.1}]}
//!   - {type: nameserver, address: [192.168.10.1]}
//! ```
//! As with cloud-init, a physical device with an address gets the name that it
//! has here, and nameservers of no interface are everyone's.
use std::net::IpAddr;

mod subnet;

use subnet::{global_route, subnets};

use super::device;
use super::link::{Kind, Link};
use super::mac::mac;
use super::value::{
    addresses, boolean, domains, filled, given, idle, mtu, number, once, renderer, unknown,
};
use super::{Draft, MAX_LINKS};
use crate::text::field::{Field, Member};
use crate::text::problem::{Located, Problems};
use crate::text::yaml::{Kind as YamlKind, Node};

pub(super) fn read(file: &str, root: &Node, problems: &mut Problems) -> Option<Draft> {
    let mut draft = Draft::default();
    let mut has_config = false;
    // References to interfaces wait until all are known.
    let mut servers: Servers = Vec::new();
    for entry in root.entries().unwrap_or_default() {
        let name = entry.key.expose();
        let field = Field::top(
            file,
            crate::text::field::shown(name),
            entry.line,
            &entry.value,
        );
        match (name, &entry.value.kind) {
            ("config", YamlKind::Sequence(_)) => {
                has_config = true;
                for item in field.items() {
                    device(&item, &mut draft, &mut servers, problems);
                }
            }
            ("config", _) => {
                has_config = true;
                field.expected("a list of devices", problems);
            }
            ("version", _) => {}
            ("renderer", _) if given(&field) => renderer(&field, problems),
            ("renderer", _) => {}
            ("ethernets" | "bonds" | "bridges" | "vlans" | "vrfs", _) => {
                let reason = "belongs to `version: 2`, and the file says `version: 1`";
                problems.error(&field.place, reason, "write `version: 2`");
            }
            (name, _) => unknown(&field, name, &["config"], problems),
        }
    }
    if !has_config {
        let place = crate::text::problem::Place::file(file)
            .line(root.line)
            .key("config");
        problems.error(&place, "is missing", "list the devices below `config:`");
    }
    assign(&mut draft, servers, problems);
    Some(draft)
}

/// Gives servers to the interfaces that they are for.
fn assign(draft: &mut Draft, servers: Servers, problems: &mut Problems) {
    for (interface, dns, search) in servers {
        match draft
            .links
            .iter_mut()
            .find(|link| link.id == interface.value)
        {
            Some(link) => {
                link.dns.extend(dns);
                link.search.extend(search);
            }
            None => {
                let reason = format!("there is no interface named `{}`", interface.value);
                problems.error(
                    &interface.place,
                    reason,
                    "name one that is listed in `config`",
                );
            }
        }
    }
}

/// Name servers and domains of interfaces that are named.
pub(super) type Servers = Vec<(Located<String>, Vec<IpAddr>, Vec<String>)>;

pub(super) fn device(
    item: &Field<'_>,
    draft: &mut Draft,
    servers: &mut Servers,
    problems: &mut Problems,
) {
    let Some(members) = item.members(problems) else {
        return;
    };
    let find = |name: &str| members.iter().find(|member| member.name == name);
    let Some(kind) = find("type") else {
        problems.error(&item.place, "has no `type`", "write `type: physical`");
        return;
    };
    let Some(kind) = kind.field.text(problems) else {
        return;
    };
    match kind.value.as_str() {
        "physical" | "bond" | "bridge" | "vlan" | "loopback" => {
            if draft.links.len() >= MAX_LINKS {
                problems.error(&item.place, "exceeds the limit on devices", "");
                return;
            }
            let Some(name) = find("name") else {
                problems.error(&item.place, "has no `name`", "give the device a name");
                return;
            };
            let Some(name) = name.field.text(problems) else {
                return;
            };
            interface(item, &kind.value, &name.value, &members, draft, problems);
        }
        "nameserver" => nameserver(item, &members, draft, servers, problems),
        "route" => draft.routes.extend(global_route(item, &members, problems)),
        other => {
            let reason = format!("`{other}` is not a supported device type");
            problems.error(&kind.place, reason, "remove the device");
        }
    }
}

const KEYS: [&str; 16] = [
    "accept-ra",
    "accept_ra",
    "bond_interfaces",
    "bridge_interfaces",
    "keep_configuration",
    "mac_address",
    "mtu",
    "name",
    "optional",
    "params",
    "subnets",
    "type",
    "vlan_id",
    "vlan_link",
    "wakeonlan",
    "id",
];

fn interface(
    item: &Field<'_>,
    kind: &str,
    name: &str,
    members: &[Member<'_>],
    draft: &mut Draft,
    problems: &mut Problems,
) {
    let Some(made) = made(kind, item, members, problems) else {
        return;
    };
    let mut link = Link::new(name, item.place.clone(), made);
    if kind == "loopback" {
        link.matched.name = Some("lo".to_owned());
        link.set("Network", "LinkLocalAddressing", "no");
    }
    let mut accept = None;
    for member in members.iter().filter(|member| given(&member.field)) {
        match member.name {
            "accept-ra" | "accept_ra" => once(&mut accept, &member.field, problems),
            _ => option(&mut link, kind, member, problems),
        }
    }
    if let Some(field) = accept {
        link.accept_ra = boolean(field, problems);
    }
    if kind == "loopback" && asks_for_servers_only(&link) {
        draft.dns.extend(link.dns);
        draft.search.extend(link.search);
        return;
    }
    draft.links.push(link);
}

fn option(link: &mut Link, kind: &str, member: &Member<'_>, problems: &mut Problems) {
    let field = &member.field;
    match (member.name, kind) {
        ("type" | "name", _) => {}
        // MAAS gives every device one, which is its name.
        ("id", _) => {
            if field.text(problems).is_some_and(|id| id.value != link.id) {
                idle(field, "a device is known by its `name`", problems);
            }
        }
        ("bond_interfaces", "bond") | ("bridge_interfaces", "bridge") => {}
        ("params", "bond" | "bridge") => {}
        ("vlan_id" | "vlan_link", "vlan") => {}
        ("mac_address", "physical") => {
            link.matched.mac = mac(field, problems);
            link.set_name = Some(link.id.clone());
        }
        ("mac_address", _) => link.mac = mac(field, problems),
        ("mtu", _) => {
            let mtu = mtu(field, problems);
            let other = link
                .mtu
                .filter(|other| mtu.is_some_and(|mtu| mtu != *other));
            if other.is_some() {
                idle(field, "a subnet's `mtu` takes precedence", problems);
            } else {
                link.mtu = mtu;
            }
        }
        ("optional", _) => link.optional = boolean(field, problems).unwrap_or_default(),
        ("wakeonlan", "physical") => {
            link.wake_on_lan = boolean(field, problems).unwrap_or_default();
        }
        ("keep_configuration", _) => {
            if boolean(field, problems) == Some(true) {
                link.set("Network", "KeepConfiguration", "yes");
            }
        }
        ("subnets", _) => subnets(link, field, problems),
        (name, _) => unknown(field, name, &KEYS, problems),
    }
}

/// The kernel's own `lo` is as it should be without a file.
fn asks_for_servers_only(link: &Link) -> bool {
    link.addresses.is_empty()
        && link.routes.is_empty()
        && link.settings.len() == 1
        && link.mtu.is_none()
        && link.mac.is_none()
        && link.accept_ra.is_none()
        && !(link.dhcp4 || link.dhcp6 || link.optional)
}

fn made(
    kind: &str,
    item: &Field<'_>,
    members: &[Member<'_>],
    problems: &mut Problems,
) -> Option<Kind> {
    let find = |name: &str| members.iter().find(|member| member.name == name);
    let mut names =
        |name: &str| find(name).map_or_else(Vec::new, |found| filled(&found.field, problems));
    match kind {
        "bond" => {
            let members = names("bond_interfaces");
            let (mut settings, mut primary) = (Vec::new(), None);
            for (name, field) in params(find("params"), "bond", problems) {
                match name.as_str() {
                    "primary" => primary = field.text(problems),
                    "slaves" => elsewhere(&field, "bond_interfaces", problems),
                    name => device::bond_v1(&field, name, &mut settings, problems),
                }
            }
            Some(Kind::Bond {
                members,
                settings,
                primary,
            })
        }
        "bridge" => {
            let members = names("bridge_interfaces");
            let (mut settings, mut ports) = (Vec::new(), Vec::new());
            for (name, field) in params(find("params"), "bridge", problems) {
                if name == "ports" {
                    elsewhere(&field, "bridge_interfaces", problems);
                    continue;
                }
                device::bridge_v1(&field, &name, &mut settings, &mut ports, problems);
            }
            Some(Kind::Bridge {
                members,
                settings,
                ports,
            })
        }
        "vlan" => {
            let (Some(id), Some(parent)) = (find("vlan_id"), find("vlan_link")) else {
                let reason = "lacks `vlan_id` or `vlan_link`";
                problems.error(&item.place, reason, "a VLAN needs both");
                return None;
            };
            let id = number(&id.field, 0..=4094, problems).and_then(|id| u16::try_from(id).ok());
            let parent = parent.field.text(problems);
            Some(Kind::Vlan {
                id: id?,
                parent: parent?,
            })
        }
        _ => Some(Kind::Physical),
    }
}

/// Members among the parameters, where ifupdown has them; it writes `none` for none.
fn elsewhere(field: &Field<'_>, key: &str, problems: &mut Problems) {
    let scalar = field.node.scalar();
    if given(field) && scalar.is_none_or(|scalar| scalar.text() != "none") {
        let reason = "is not read among the parameters";
        problems.error(&field.place, reason, format!("list them as `{key}`"));
    }
}

/// `bond-mode`, `bond_mode` and `mode` are one key here.
fn params<'a>(
    found: Option<&Member<'a>>,
    prefix: &str,
    problems: &mut Problems,
) -> Vec<(String, Field<'a>)> {
    let Some(found) = found.filter(|found| given(&found.field)) else {
        return Vec::new();
    };
    let members = found.field.members(problems).unwrap_or_default();
    let named = members.into_iter().map(|member| {
        let dashed = member.name.replace('_', "-");
        let short = dashed.strip_prefix(&format!("{prefix}-"));
        (short.unwrap_or(&dashed).to_owned(), member.field)
    });
    named.collect()
}

fn nameserver(
    item: &Field<'_>,
    members: &[Member<'_>],
    draft: &mut Draft,
    servers: &mut Servers,
    problems: &mut Problems,
) {
    let (mut dns, mut search, mut interface) = (Vec::new(), Vec::new(), None);
    for member in members.iter().filter(|member| given(&member.field)) {
        match member.name {
            "type" => {}
            "address" => dns = addresses(&member.field, problems),
            "search" => search = domains(&member.field, problems),
            "interface" => interface = member.field.text(problems),
            name => unknown(
                &member.field,
                name,
                &["address", "search", "interface"],
                problems,
            ),
        }
    }
    match interface {
        Some(interface) => servers.push((interface, dns, search)),
        None => {
            draft.dns.extend(dns);
            draft.search.extend(search);
            draft
                .servers_of_all
                .get_or_insert_with(|| item.place.clone());
        }
    }
}
