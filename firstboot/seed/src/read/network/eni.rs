//! Debian's `/etc/network/interfaces`, as the config drive's `network_config` and NoCloud's
//! `network-interfaces` have it.
//!
//! ```text
//! auto eth0
//! iface eth0 inet static
//!     hwaddress ether fa:16:3e:69:b0:58
//!     address 10.0.1.5
//!     netmask 255.255.255.0
//!     gateway 10.0.1.1
//!     dns-nameservers 10.0.0.2
//!     post-up ip route add 10.9.0.0/16 via 10.0.1.9
//! ```
//! Format: <https://manpages.debian.org/bookworm/ifupdown/interfaces.5.en.html>. Each
//! interface becomes a device of version 1 and is read as one.
//!
//! # Invariants
//! A line that is not understood is an error that quotes its first word.
//!
//! Left out: bonds, bridges, VLANs, `source`, `mapping`, commands other than
//! `ip route add`.
use std::collections::{BTreeMap, BTreeSet};

use super::value::idle;
use super::{Draft, v1};
use crate::read::seed::SeedFile;
use crate::text::field::{Field, shown};
use crate::text::problem::{Place, Problems};
use crate::text::secret::Secret;
use crate::text::yaml::{Entry, Kind, Node, Scalar};

/// An interface, with all its `iface` stanzas.
struct Device {
    line: usize,
    entries: Vec<Entry>,
    subnets: Vec<Node>,
}

#[derive(Default)]
struct Reader {
    file: String,
    devices: BTreeMap<String, Device>,
    auto: BTreeMap<String, usize>,
    hotplug: BTreeMap<String, usize>,
}

/// A stanza that is being read.
struct Stanza {
    name: String,
    line: usize,
    subnet: Vec<Entry>,
    routes: Vec<Node>,
    /// The routes as they are written.
    added: BTreeSet<String>,
}

impl Stanza {
    /// Whether a route begins like this one.
    fn has_added(&self, route: &str) -> bool {
        let near = self.added.range(route.to_owned()..).next();
        !route.is_empty() && near.is_some_and(|added| added.starts_with(route))
    }
}

pub(super) fn read(file: &SeedFile, problems: &mut Problems) -> Option<Draft> {
    let Ok(text) = std::str::from_utf8(&file.bytes) else {
        problems.error(
            &Place::file(&file.name),
            "is not UTF-8 text",
            "save it as UTF-8",
        );
        return None;
    };
    let mut reader = Reader {
        file: file.name.clone(),
        ..Reader::default()
    };
    let mut stanza = None;
    for (line, text) in lines(text) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some((first, rest)) = words.split_first() else {
            continue;
        };
        match *first {
            "auto" | "allow-auto" => {
                reader.end(stanza.take());
                reader
                    .auto
                    .extend(rest.iter().map(|name| ((*name).to_owned(), line)));
            }
            "allow-hotplug" => {
                reader.end(stanza.take());
                reader
                    .hotplug
                    .extend(rest.iter().map(|name| ((*name).to_owned(), line)));
            }
            "iface" => {
                reader.end(stanza.take());
                stanza = Some(reader.begin(line, rest, problems)?);
            }
            option => match &mut stanza {
                Some(stanza) => reader.option(stanza, line, option, rest, problems),
                None => reader.unknown(line, option, problems),
            },
        }
    }
    reader.end(stanza);
    Some(reader.draft(problems))
}

/// Lines with their numbers, without comments; a backslash at the end joins two.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !open && line.starts_with('#') {
            continue;
        }
        let body = line.strip_suffix('\\');
        match all.last_mut().filter(|_| open) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(body.unwrap_or(line));
            }
            None => all.push((index + 1, body.unwrap_or(line).to_owned())),
        }
        open = body.is_some();
    }
    all
}

impl Reader {
    fn place(&self, line: usize, key: &str) -> Place {
        Place::file(&self.file).line(line).key(shown(key))
    }

    fn unknown(&self, line: usize, word: &str, problems: &mut Problems) {
        let reason = "is not supported in a file of the form of /etc/network/interfaces";
        let remedy = "remove it, or write a network-config, version 1 or 2";
        problems.error(&self.place(line, word), reason, remedy);
    }

    fn begin(&mut self, line: usize, words: &[&str], problems: &mut Problems) -> Option<Stanza> {
        let place = self.place(line, "iface");
        let &[name, family, method] = words else {
            let reason = "is not an interface, a family and a method";
            problems.error(&place, reason, "write it as `iface eth0 inet static`");
            return None;
        };
        let kind = match (family, method) {
            ("inet", "static") => "static4",
            ("inet6", "static") => "static6",
            ("inet", "dhcp") => "dhcp4",
            ("inet6", "dhcp") => "dhcp6",
            ("inet6", "auto") => "ipv6_slaac",
            ("inet" | "inet6", "manual") => "manual",
            ("inet" | "inet6", "loopback") => "loopback",
            _ => {
                let reason = format!("`{family} {method}` is not supported");
                let remedy = "write `inet` or `inet6` with `static`, `dhcp` or `manual`";
                problems.error(&place, reason, remedy);
                return None;
            }
        };
        let device = self
            .devices
            .entry(name.to_owned())
            .or_insert_with(|| Device {
                line,
                entries: Vec::new(),
                subnets: Vec::new(),
            });
        if device.entries.is_empty() {
            let of_device = if method == "loopback" {
                "loopback"
            } else {
                "physical"
            };
            device
                .entries
                .push(entry(line, "type", scalar(line, of_device)));
            device.entries.push(entry(line, "name", scalar(line, name)));
        }
        Some(Stanza {
            name: name.to_owned(),
            line,
            subnet: vec![entry(line, "type", scalar(line, kind))],
            routes: Vec::new(),
            added: BTreeSet::new(),
        })
    }

    fn option(
        &mut self,
        stanza: &mut Stanza,
        line: usize,
        option: &str,
        words: &[&str],
        problems: &mut Problems,
    ) {
        let value = words.join(" ");
        let of_subnet = match option {
            "address" | "netmask" | "gateway" | "metric" | "broadcast" | "scope"
            | "pointopoint" => Some(option),
            "dns-nameservers" | "dns-nameserver" | "dns_nameservers" => Some("dns_nameservers"),
            "dns-search" | "dns-domain" | "dns_search" => Some("dns_search"),
            _ => None,
        };
        if let Some(key) = of_subnet {
            if stanza.subnet.iter().any(|known| known.key.expose() == key) {
                let reason = "is given twice for one interface and family";
                return problems.error(&self.place(line, option), reason, "keep one of them");
            }
            stanza.subnet.push(entry(line, key, scalar(line, &value)));
            return;
        }
        let (key, value) = match option {
            "mtu" => ("mtu", value.as_str()),
            "hwaddress" => (
                "mac_address",
                value.trim_start_matches("ether").trim_start(),
            ),
            "accept_ra" => ("accept-ra", if value == "2" { "1" } else { value.as_str() }),
            "up" | "post-up" | "pre-up" | "down" | "post-down" | "pre-down" => {
                return self.command(stanza, line, option, words, problems);
            }
            _ => return self.unknown(line, option, problems),
        };
        let Some(device) = self.devices.get_mut(&stanza.name) else {
            return;
        };
        let known = device
            .entries
            .iter()
            .find(|known| known.key.expose() == key);
        let known = known.and_then(|known| known.value.scalar());
        match known {
            None => device.entries.push(entry(line, key, scalar(line, value))),
            Some(known) if known.text() == value => {}
            Some(_) => {
                let reason = "is given twice for one interface, with two values";
                problems.error(&self.place(line, option), reason, "keep one of them");
            }
        }
    }

    /// `ip route add DESTINATION via GATEWAY`, which nova writes, and its reverse.
    fn command(
        &self,
        stanza: &mut Stanza,
        line: usize,
        option: &str,
        words: &[&str],
        problems: &mut Problems,
    ) {
        let words = words.strip_suffix(&["||", "true"]).unwrap_or(words);
        let rest = match words {
            ["ip", "-4" | "-6", "route", rest @ ..] | ["ip", "route", rest @ ..] => rest,
            _ => return self.unknown(line, option, problems),
        };
        let up = option.ends_with("up");
        match rest {
            ["del" | "delete", rest @ ..] if !up && stanza.has_added(&rest.join(" ")) => {}
            ["add" | "replace", to, rest @ ..] if up => {
                let mut route = vec![entry(line, "destination", scalar(line, to))];
                for pair in rest.chunks(2) {
                    let key = match pair {
                        ["via", _] => "gateway",
                        ["metric", _] => "metric",
                        ["dev", device] if *device == stanza.name || *device == "$IFACE" => {
                            continue;
                        }
                        _ => return self.unknown(line, option, problems),
                    };
                    let value = pair.last().copied().unwrap_or_default();
                    route.push(entry(line, key, scalar(line, value)));
                }
                stanza.added.insert([&[*to], rest].concat().join(" "));
                stanza.routes.push(mapping(line, route));
            }
            _ => self.unknown(line, option, problems),
        }
    }

    fn end(&mut self, stanza: Option<Stanza>) {
        let Some(mut stanza) = stanza else { return };
        if !stanza.routes.is_empty() {
            let routes = Node {
                line: stanza.line,
                kind: Kind::Sequence(stanza.routes),
            };
            stanza.subnet.push(entry(stanza.line, "routes", routes));
        }
        if let Some(device) = self.devices.get_mut(&stanza.name) {
            device.subnets.push(mapping(stanza.line, stanza.subnet));
        }
    }

    fn draft(mut self, problems: &mut Problems) -> Draft {
        let mut draft = Draft::default();
        let mut servers = Vec::new();
        let named = self.auto.iter().chain(&self.hotplug);
        for (name, line) in named.filter(|(name, _)| !self.devices.contains_key(*name)) {
            let node = scalar(*line, name);
            let place = Place::file(&self.file).line(*line).key(shown(name));
            let why = "no `iface` describes this interface";
            idle(&Field { node: &node, place }, why, problems);
        }
        let mut devices: Vec<(String, Device)> =
            std::mem::take(&mut self.devices).into_iter().collect();
        devices.sort_by_key(|(_, device)| device.line);
        for (name, mut device) in devices {
            let control = match (
                self.auto.contains_key(&name),
                self.hotplug.contains_key(&name),
            ) {
                (true, _) => "auto",
                (false, true) => "hotplug",
                (false, false) => "manual",
            };
            for subnet in &mut device.subnets {
                if let Kind::Mapping(entries) = &mut subnet.kind {
                    entries.push(entry(device.line, "control", scalar(device.line, control)));
                }
            }
            let subnets = Node {
                line: device.line,
                kind: Kind::Sequence(device.subnets),
            };
            device.entries.push(entry(device.line, "subnets", subnets));
            let node = mapping(device.line, device.entries);
            let place = Place::file(&self.file)
                .line(device.line)
                .key(format!("iface {name}"));
            v1::device(
                &Field { node: &node, place },
                &mut draft,
                &mut servers,
                problems,
            );
        }
        draft
    }
}

fn entry(line: usize, key: &str, value: Node) -> Entry {
    Entry {
        key: Secret::new(key.to_owned()),
        line,
        value,
    }
}

fn scalar(line: usize, text: &str) -> Node {
    Node {
        line,
        kind: Kind::Scalar(Scalar {
            text: Secret::new(text.to_owned()),
            plain: false,
            literal: false,
            tag: None,
        }),
    }
}

fn mapping(line: usize, entries: Vec<Entry>) -> Node {
    Node {
        line,
        kind: Kind::Mapping(entries),
    }
}
