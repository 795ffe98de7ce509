//! What two nodes of one cluster may not share, found before one of them boots.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{HOST_NAME, Row};

/// Keys whose values belong to one node alone.
const ALONE: [&str; 7] = [
    HOST_NAME,
    "mac",
    "serial",
    "uuid",
    "provider-id",
    "instance-id",
    "bmc-address",
];

/// One sentence for each clash, with both places, in the order of the rows.
pub fn find(rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    for key in ALONE {
        let same = |text: &str| normal(key, text);
        twice(rows, key, same, &mut found);
    }
    twice(rows, "node-ip", address, &mut found);
    subnets(rows, &mut found);
    found
}

/// Two spellings of one value are one value.
fn normal(key: &str, text: &str) -> Option<String> {
    match key {
        "mac" => Some(mac(text).unwrap_or_else(|| text.to_lowercase())),
        _ => Some(text.to_lowercase()),
    }
}

/// A MAC address in lower case with colons; `None` if it is not one.
pub fn mac(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.'))
        .collect();
    let whole = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = || {
        let digits = digits.to_lowercase();
        let pairs: Vec<_> = (0..6)
            .map(|i| digits[2 * i..2 * i + 2].to_owned())
            .collect();
        pairs.join(":")
    };
    whole.then(pairs)
}

/// An address; a network is not one that a node has.
fn address(text: &str) -> Option<String> {
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_string())
}

fn twice(rows: &[Row], key: &str, same: impl Fn(&str) -> Option<String>, found: &mut Vec<String>) {
    let mut first: BTreeMap<String, &Row> = BTreeMap::new();
    for row in rows {
        for text in row.all(key) {
            let Some(value) = same(text) else { continue };
            match first.get(&value) {
                Some(other) => found.push(format!(
                    "{}: {} `{text}` is also that of {} ({})",
                    row.place_of(key),
                    key.replace('-', "_"),
                    other.host_name(),
                    other.place,
                )),
                None => drop(first.insert(value, row)),
            }
        }
    }
}

/// Networks of pods that overlap, and nodes whose address lies in one.
fn subnets(rows: &[Row], found: &mut Vec<String>) {
    let mut nets: Vec<(IpNet, &Row)> = Vec::new();
    for row in rows {
        let own = row
            .all("pod-subnet")
            .iter()
            .filter_map(|text| text.parse::<IpNet>().ok());
        nets.extend(own.map(|net| (net.trunc(), row)));
    }
    // A network sorts before those inside it.
    nets.sort_by_key(|(net, _)| *net);
    let mut around: Option<(IpNet, &Row)> = None;
    for (net, row) in &nets {
        match around {
            Some((outer, other)) if outer.contains(net) => {
                let (late, early) = in_order(rows, row, other);
                found.push(format!(
                    "{}: the pod_subnet of {} overlaps that of {} ({})",
                    late.place_of("pod-subnet"),
                    late.host_name(),
                    early.host_name(),
                    early.place,
                ));
            }
            _ => around = Some((*net, row)),
        }
    }
    for row in rows {
        for text in row.all("node-ip") {
            let Ok(address) = text.parse::<IpAddr>() else {
                continue;
            };
            let at = nets.partition_point(|(net, _)| net.network() <= address);
            let around = nets[..at]
                .iter()
                .rev()
                .find(|(net, _)| net.contains(&address));
            if let Some((net, other)) = around {
                found.push(format!(
                    "{}: node_ip {address} lies in {net}, the pod_subnet of {} ({})",
                    row.place_of("node-ip"),
                    other.host_name(),
                    other.place,
                ));
            }
        }
    }
}

/// The later row first.
fn in_order<'a>(rows: &[Row], one: &'a Row, other: &'a Row) -> (&'a Row, &'a Row) {
    let position = |row: &Row| rows.iter().position(|here| std::ptr::eq(here, row));
    match position(one) < position(other) {
        true => (other, one),
        false => (one, other),
    }
}
