//! Renders a network to the files of systemd-networkd and, for names, of systemd-udevd.
//!
//! ```text
//! 10-nodeimg-<id>.link      an interface that gets a name or wakes up the machine
//! 10-nodeimg-<id>.netdev    a bond, bridge, VLAN or VRF
//! 10-nodeimg-<id>.network   every link
//! 80-nodeimg-dhcp.network   empty: disables the image's own rule
//! ```
//! An interface that the seed does not describe is left alone, as with cloud-init.
use std::fmt::Write as _;

use super::Network;
use super::link::{Kind, Link, Route, Rule, Setting};
use super::value::yes_no;

/// Where the files belong on a node.
pub const DIRECTORY: &str = "/etc/systemd/network";

const PREFIX: &str = "10-nodeimg-";

/// The image's own rule, which asks for an address on every wired interface.
const FALLBACK: &str = "80-nodeimg-dhcp.network";

/// Names of files, without directory, and their text; sorted.
pub fn render(network: &Network) -> Vec<(String, String)> {
    let mut files = vec![(FALLBACK.to_owned(), String::new())];
    for link in &network.links {
        let name = |ending: &str| format!("{PREFIX}{}.{ending}", link.id);
        files.extend(link_file(link).map(|text| (name("link"), text)));
        files.extend(device_file(link).map(|text| (name("netdev"), text)));
        files.push((name("network"), network_file(link)));
    }
    files.sort();
    files
}

/// Sections in the order of their making, each with its lines.
#[derive(Default)]
struct File {
    text: String,
}

impl File {
    fn section(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _infallible = writeln!(self.text, "[{name}]");
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let _infallible = writeln!(self.text, "{key}={value}");
    }

    fn maybe(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    /// A section of settings only, if there are any.
    fn settings(&mut self, section: &str, settings: &[Setting]) {
        let own: Vec<&Setting> = settings.iter().filter(|s| s.section == section).collect();
        if !own.is_empty() {
            self.section(section);
        }
        for setting in own {
            self.line(setting.key, &setting.value);
        }
    }
}

/// The conditions that match an interface. Virtual interfaces repeat the address of the
/// physical one below them, so they are excluded by their kind.
fn match_card(file: &mut File, link: &Link, for_name: bool) {
    file.section("Match");
    let matched = &link.matched;
    if let Some(mac) = matched.mac {
        // A member of a bond has the bond's address as soon as it joins it.
        let member = matches!(link.master, Some(("Bond", _)));
        let key = if member {
            "PermanentMACAddress"
        } else {
            "MACAddress"
        };
        file.line(key, mac);
        file.line("Kind", "!*");
    }
    if !matched.drivers.is_empty() {
        file.line("Driver", matched.drivers.join(" "));
    }
    let (key, name) = if for_name {
        ("OriginalName", matched.name.as_ref())
    } else {
        // Interfaces are renamed before networkd looks, so the new name is used here.
        let given = link.set_name.as_ref().filter(|_| matched.mac.is_none());
        let old = matched.name.as_ref().filter(|_| link.set_name.is_none());
        ("Name", given.or(old))
    };
    let alone = matched.mac.is_none() && matched.drivers.is_empty();
    file.maybe(key, name.or(alone.then_some(&link.id)));
}

fn link_file(link: &Link) -> Option<String> {
    let renamed = link.set_name.as_ref();
    if !link.is_physical() || (renamed.is_none() && !link.wake_on_lan) {
        return None;
    }
    let mut file = File::default();
    match_card(&mut file, link, true);
    file.section("Link");
    match renamed {
        Some(name) => file.line("Name", name),
        // Our own file replaces systemd's whole default.
        None => file.line("NamePolicy", "keep kernel database onboard slot path"),
    }
    if link.wake_on_lan {
        file.line("WakeOnLan", "magic");
    }
    Some(file.text)
}

fn device_file(link: &Link) -> Option<String> {
    let (kind, settings): (&str, &[Setting]) = match &link.kind {
        Kind::Physical => return None,
        Kind::Bond { settings, .. } => ("bond", settings),
        Kind::Bridge { settings, .. } => ("bridge", settings),
        Kind::Vlan { .. } => ("vlan", &[]),
        Kind::Vrf { .. } => ("vrf", &[]),
    };
    let mut file = File::default();
    file.section("NetDev");
    file.line("Name", &link.id);
    file.line("Kind", kind);
    file.maybe("MTUBytes", link.mtu);
    file.maybe("MACAddress", link.mac);
    match &link.kind {
        Kind::Vlan { id, .. } => {
            file.section("VLAN");
            file.line("Id", id);
        }
        Kind::Vrf { table, .. } => {
            file.section("VRF");
            file.line("Table", table);
        }
        _ => {
            file.settings("Bond", settings);
            file.settings("Bridge", settings);
        }
    }
    Some(file.text)
}

fn network_file(link: &Link) -> String {
    let mut file = File::default();
    if link.is_physical() {
        match_card(&mut file, link, false);
    } else {
        file.section("Match");
        file.line("Name", &link.id);
    }
    let more: Vec<&Setting> = link
        .settings
        .iter()
        .filter(|s| s.section == "Link")
        .collect();
    let address = link.mac.filter(|_| link.is_physical());
    if link.mtu.is_some() || address.is_some() || link.optional || !more.is_empty() {
        file.section("Link");
        file.maybe("MTUBytes", link.mtu);
        file.maybe("MACAddress", address);
        if link.optional {
            file.line("RequiredForOnline", "no");
        }
        for setting in more {
            file.line(setting.key, &setting.value);
        }
    }
    network_section(&mut file, link);
    for route in &link.routes {
        route_section(&mut file, link, route);
    }
    for rule in &link.rules {
        rule_section(&mut file, link, rule);
    }
    for section in ["DHCPv4", "DHCPv6", "IPv6AcceptRA", "Bridge"] {
        dynamic_section(&mut file, link, section);
    }
    file.text
}

fn network_section(file: &mut File, link: &Link) {
    file.section("Network");
    let member = link.master.as_ref().filter(|(key, _)| *key != "VRF");
    let asks = link.dhcp4 || link.dhcp6 || link.accept_ra == Some(true);
    if member.is_none() || asks {
        let dhcp = match (link.dhcp4, link.dhcp6) {
            (true, true) => "yes",
            (true, false) => "ipv4",
            (false, true) => "ipv6",
            (false, false) => "no",
        };
        file.line("DHCP", dhcp);
        // DHCPv6 starts with a router advertisement.
        let accept = link.accept_ra.or(link.dhcp6.then_some(true));
        file.maybe("IPv6AcceptRA", accept.map(yes_no));
    }
    if let Some((key, master)) = &link.master {
        file.line(key, master);
    }
    for vlan in &link.vlans {
        file.line("VLAN", vlan);
    }
    for address in &link.addresses {
        file.line("Address", address);
    }
    for server in &link.dns {
        file.line("DNS", server);
    }
    if !link.search.is_empty() {
        file.line("Domains", link.search.join(" "));
    }
    let own = |setting: &&Setting| setting.section == "Network";
    for setting in link.settings.iter().filter(own) {
        file.line(setting.key, &setting.value);
    }
}

fn route_section(file: &mut File, link: &Link, route: &Route) {
    file.section("Route");
    file.maybe("Destination", route.to);
    file.maybe("Gateway", route.via);
    if route.on_link == Some(true) {
        file.line("GatewayOnLink", "yes");
    }
    file.maybe("PreferredSource", route.from);
    file.maybe("Metric", route.metric);
    file.maybe("Table", table(link, route.table));
    file.maybe("MTUBytes", route.mtu);
    file.maybe("Scope", route.scope.as_ref());
    file.maybe("Type", route.kind.as_ref());
}

/// The table of a VRF's routes and rules is its own unless they name another.
fn table(link: &Link, named: Option<u32>) -> Option<u32> {
    match &link.kind {
        Kind::Vrf { table, .. } => named.or(Some(*table)),
        _ => named,
    }
}

fn rule_section(file: &mut File, link: &Link, rule: &Rule) {
    file.section("RoutingPolicyRule");
    file.maybe("From", rule.from);
    file.maybe("To", rule.to);
    file.maybe("Table", table(link, rule.table));
    file.maybe("Priority", rule.priority);
    file.maybe("FirewallMark", rule.mark);
    file.maybe("TypeOfService", rule.type_of_service);
}

fn dynamic_section(file: &mut File, link: &Link, section: &str) {
    let own: Vec<&Setting> = link
        .settings
        .iter()
        .filter(|s| s.section == section)
        .collect();
    // Without router advertisements nothing else starts it.
    let alone = section == "DHCPv6" && link.dhcp6 && link.accept_ra == Some(false);
    if own.is_empty() && !alone {
        return;
    }
    file.section(section);
    if alone {
        file.line("WithoutRA", "solicit");
    }
    for setting in own {
        file.line(setting.key, &setting.value);
    }
}
