//! Whether the links of a seed are consistent, and the resulting settings of each.
//!
//! # Rules
//! - Every link and every interface has one name, every physical interface one
//!   description, every member one master.
//! - Name servers of no particular link go to every link with an address.
//! - A member of a bond has no addresses of its own; a bridge's port with some is named.
//! - Of routes: see [`super::route`]; of what the kernel passes over: [`super::pointless`].
use std::collections::BTreeMap;

use super::link::{Kind, Link, Match};
use super::mac::Mac;
use super::value::{is_id, is_interface};
use super::{Draft, Network};
use crate::text::problem::{Located, Place, Problems};

/// Limit for addresses, routes, servers and the like of one link; no node has as many,
/// and they are compared with each other.
const MAX_ITEMS: usize = 512;

pub(super) fn resolve(mut draft: Draft, problems: &mut Problems) -> Option<Network> {
    if !bounded(&draft, problems) {
        return None;
    }
    names(&draft.links, problems);
    hardware_addresses(&draft.links, problems);
    members(&mut draft.links, problems);
    alone(&draft.links, problems);
    numbers(&draft.links, problems);
    super::route::resolve(&mut draft, problems);
    super::pointless::check(&draft.links, problems);
    servers(&mut draft, problems);
    Some(Network { links: draft.links })
}

fn bounded(draft: &Draft, problems: &mut Problems) -> bool {
    let whole = [draft.dns.len(), draft.search.len(), draft.routes.len()];
    let all = |link: &Link| {
        let members = match &link.kind {
            Kind::Bond { members, .. } | Kind::Vrf { members, .. } => members.len(),
            Kind::Bridge { members, ports, .. } => members.len().max(ports.len()),
            Kind::Physical | Kind::Vlan { .. } => 0,
        };
        let lists = [
            link.addresses.len(),
            link.routes.len(),
            link.rules.len(),
            link.dns.len(),
            link.search.len(),
            link.settings.len(),
            members,
        ];
        lists.into_iter().max().unwrap_or_default()
    };
    let too_long = draft.links.iter().find(|link| all(link) > MAX_ITEMS);
    let place = match (too_long, draft.links.first()) {
        (Some(link), _) => &link.place,
        (None, Some(link)) if whole.iter().any(|length| *length > MAX_ITEMS) => &link.place,
        _ => return true,
    };
    let reason = format!("has a list of more than {MAX_ITEMS} items");
    problems.error(place, reason, "give fewer");
    false
}

fn names(links: &[Link], problems: &mut Problems) {
    let mut ids: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for link in links {
        twice(&mut ids, &link.id, &link.place, "this link", problems);
        let name = match (&link.kind, &link.set_name) {
            (Kind::Physical, name) => name.as_deref(),
            _ => Some(link.id.as_str()),
        };
        // A physical interface without other conditions is matched by its id.
        let by_id = link.matched == Match::default();
        let known = name.or_else(|| by_id.then_some(link.id.as_str()));
        if let Some(name) = known
            && given
                .insert(name, &link.id)
                .is_some_and(|other| other != link.id)
        {
            let reason = format!("`{name}`: the interface name is used twice");
            let remedy = "keep one of them, or give it another name";
            problems.error(&link.place, reason, remedy);
        }
        let fits = known.map_or_else(|| is_id(&link.id), is_interface);
        if !fits || !is_id(&link.id) {
            let reason = format!(
                "`{}` cannot be the name of an interface",
                known.unwrap_or(&link.id)
            );
            let remedy = "give up to 15 letters, digits, `-`, `_` or dots";
            problems.error(&link.place, reason, remedy);
        }
        let pattern = link.matched.name.iter().chain(&link.matched.drivers);
        for text in pattern.filter(|text| !is_pattern(text)) {
            let reason = format!("`{text}` cannot match an interface");
            problems.error(
                &link.place,
                reason,
                "write one name or pattern, without spaces",
            );
        }
    }
}

/// A name or shell pattern; a space would make two of it in the file.
fn is_pattern(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('!')
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#' | ';'))
}

fn twice<'a>(
    seen: &mut BTreeMap<&'a str, &'a Place>,
    name: &'a str,
    place: &'a Place,
    what: &str,
    problems: &mut Problems,
) {
    if let Some(first) = seen.insert(name, place) {
        let line = first
            .line
            .map_or_else(String::new, |line| format!(" (line {line} as well)"));
        let reason = format!("`{name}`: {what} is used twice{line}");
        problems.error(place, reason, "keep one of them, or give it another name");
    }
}

fn hardware_addresses(links: &[Link], problems: &mut Problems) {
    let mut seen: BTreeMap<Mac, &Link> = BTreeMap::new();
    for link in links {
        let Some(mac) = link.matched.mac else {
            continue;
        };
        if mac.0[0] & 1 == 1 && link.is_physical() {
            let reason = format!("{mac} is a group address, not that of a network interface");
            problems.warn(&link.place, reason, "check the first byte");
        }
        if let Some(other) = seen.insert(mac, link) {
            let reason = format!("{mac} already belongs to `{}`", other.id);
            problems.error(&link.place, reason, "describe each interface once");
        }
    }
    let mut patterns: Vec<&Link> = Vec::new();
    for link in links.iter().filter(|link| link.matched.mac.is_none()) {
        if link.matched == Match::default() {
            continue;
        }
        if let Some(other) = patterns.iter().find(|other| other.matched == link.matched) {
            let reason = format!("matches the same interfaces as `{}`", other.id);
            problems.error(&link.place, reason, "describe each interface once");
        }
        patterns.push(link);
    }
}

/// What a member of a bond or bridge asks for, which is for the whole to have: a bond's
/// member cannot have it, a bridge's port hardly ever uses it.
fn alone(links: &[Link], problems: &mut Problems) {
    for link in links {
        let Some((kind @ ("Bond" | "Bridge"), master)) = &link.master else {
            continue;
        };
        let asks = [
            ("addresses", !link.addresses.is_empty()),
            ("DHCP", link.dhcp4 || link.dhcp6),
            ("router advertisements", link.accept_ra == Some(true)),
            ("routes", !(link.routes.is_empty() && link.rules.is_empty())),
            (
                "name servers",
                !(link.dns.is_empty() && link.search.is_empty()),
            ),
        ];
        let asks = asks.iter().filter(|(_, asks)| *asks).map(|(what, _)| *what);
        let asks = crate::text::suggest::list(asks);
        if asks.is_empty() {
            continue;
        }
        let id = &link.id;
        let remedy = format!("give them to `{master}`");
        if *kind == "Bond" {
            let reason =
                format!("`{id}` is a member of the bond `{master}` and cannot have {asks}");
            problems.error(&link.place, reason, remedy);
        } else {
            let reason = format!("`{id}` is a port of the bridge `{master}` and has {asks}");
            problems.warn(&link.place, reason, remedy);
        }
    }
}

/// Two VLANs of one number on one link, and two VRFs of one table, are refused by the kernel.
fn numbers(links: &[Link], problems: &mut Problems) {
    let mut seen: BTreeMap<(&str, u32), &str> = BTreeMap::new();
    for link in links {
        let (key, what) = match &link.kind {
            Kind::Vlan { id, parent } => ((parent.value.as_str(), u32::from(*id)), "`id`"),
            Kind::Vrf { table, .. } => (("", *table), "`table`"),
            _ => continue,
        };
        if let Some(other) = seen.insert(key, &link.id) {
            let reason = format!("the {what} {} is that of `{other}` as well", key.1);
            problems.error(&link.place, reason, "give each its own");
        }
    }
}

/// Sets the master of every member, and the VLANs of every parent.
fn members(links: &mut [Link], problems: &mut Problems) {
    let mut found: Vec<(Located<String>, &'static str, String)> = Vec::new();
    let mut vlans: Vec<(Located<String>, String)> = Vec::new();
    for link in links.iter() {
        let (list, key) = match &link.kind {
            Kind::Physical => continue,
            Kind::Bond { members, .. } => (members, "Bond"),
            Kind::Bridge { members, .. } => (members, "Bridge"),
            Kind::Vrf { members, .. } => (members, "VRF"),
            Kind::Vlan { parent, .. } => {
                vlans.push((parent.clone(), link.id.clone()));
                continue;
            }
        };
        found.extend(list.iter().map(|name| (name.clone(), key, link.id.clone())));
    }
    for (name, key, master) in found {
        let Some(member) = named(links, &name, &master, problems) else {
            continue;
        };
        match &member.master {
            Some((_, other)) => {
                let reason = format!("`{}` is already part of `{other}`", name.value);
                problems.error(&name.place, reason, "an interface can have only one master");
            }
            None => member.master = Some((key, master)),
        }
    }
    for (name, vlan) in vlans {
        if let Some(parent) = named(links, &name, &vlan, problems) {
            parent.vlans.push(vlan);
        }
    }
    ports(links, problems);
}

fn named<'a>(
    links: &'a mut [Link],
    name: &Located<String>,
    asker: &str,
    problems: &mut Problems,
) -> Option<&'a mut Link> {
    let found = links
        .iter()
        .position(|link| link.id == name.value && link.id != asker);
    if found.is_none() {
        let reason = format!(
            "`{asker}` needs the link `{}`, which is not described",
            name.value
        );
        let others = links.iter().map(|link| link.id.as_str());
        let others = others.filter(|id| *id != asker);
        let remedy = match crate::text::suggest::nearest(&name.value, others) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "describe it or name another one".to_owned(),
        };
        problems.error(&name.place, reason, remedy);
    }
    links.get_mut(found?)
}

/// Sets the member options that a bond or bridge gives.
fn ports(links: &mut [Link], problems: &mut Problems) {
    let mut found = Vec::new();
    for link in links.iter() {
        match &link.kind {
            Kind::Bond {
                primary: Some(primary),
                ..
            } => {
                found.push((primary.clone(), link.id.clone(), None));
            }
            Kind::Bridge { ports, .. } => {
                for (name, setting) in ports {
                    found.push((name.clone(), link.id.clone(), Some(setting.clone())));
                }
            }
            _ => {}
        }
    }
    for (name, master, setting) in found {
        let member = links.iter_mut().find(|link| {
            link.id == name.value && link.master.as_ref().is_some_and(|(_, of)| *of == master)
        });
        match (member, setting) {
            (Some(member), Some(setting)) => {
                if member.settings.iter().any(|known| known.key == setting.key) {
                    let reason = format!("sets the same of `{}` a second time", name.value);
                    problems.error(&name.place, reason, "keep one of them");
                }
                member.settings.push(setting);
            }
            (Some(member), None) => member.set("Network", "PrimarySlave", "yes"),
            (None, _) => {
                let reason = format!("`{}` is not a member of `{master}`", name.value);
                problems.error(&name.place, reason, "name one of its interfaces");
            }
        }
    }
}

/// Servers of no interface are everyone's, beside its own.
fn servers(draft: &mut Draft, problems: &mut Problems) {
    let mut asked = draft.dns.is_empty() && draft.search.is_empty();
    for link in &mut draft.links {
        let addressed =
            link.dhcp4 || link.dhcp6 || !link.addresses.is_empty() || link.accept_ra == Some(true);
        if addressed && link.matched.name.as_deref() != Some("lo") {
            link.dns.extend(&draft.dns);
            link.search.extend(draft.search.iter().cloned());
            asked = true;
        }
        unique(&mut link.dns);
        unique(&mut link.search);
    }
    if let Some(place) = draft.servers_of_all.as_ref().filter(|_| !asked) {
        let reason = "has no effect: no interface has an address";
        problems.warn(place, reason, "give one an address");
    }
}

fn unique<T: PartialEq>(list: &mut Vec<T>) {
    let mut kept: Vec<T> = Vec::new();
    for item in list.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *list = kept;
}
