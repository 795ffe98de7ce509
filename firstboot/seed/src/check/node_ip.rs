//! The node's own address: given directly, or selected by network.
//!
//! # Rules
//! An address is taken as it is, if this machine has it. Networks are alternatives: the
//! address that lies in one of them; `!` networks are excluded. Addresses that match on
//! two interfaces are an error and not a guess, since interface order is not
//! configuration; of several on one interface the first is the primary one. One address
//! per family.
use std::net::IpAddr;

use ipnet::IpNet;

use super::subnets::{is_v4, link_local, network, strict};
use super::{Addresses, Inputs, InterfaceAddress};
use crate::read::cloud_config::UserData;
use crate::text::problem::{Located, Place, Problems};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Address(IpAddr),
    Inside(IpNet),
    Outside(IpNet),
}

impl Rule {
    fn v4(self) -> bool {
        match self {
            Self::Address(address) => address.is_ipv4(),
            Self::Inside(net) | Self::Outside(net) => is_v4(&net),
        }
    }
}

/// Why no address was selected. Only a missing address may still appear.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    Absent(String),
    Other(String, String),
}

pub(super) fn check(inputs: &Inputs<'_>, pods: &[IpNet], problems: &mut Problems) -> Vec<IpAddr> {
    let texts = &inputs.user.node.node_ip;
    let Some(first) = texts.first() else {
        if pods.len() > 1 {
            let reason = "is missing, and by default a kubelet uses only one address family";
            let remedy = "give one address or network of each family";
            problems.warn(&inputs.missing("node_ip"), reason, remedy);
        }
        return Vec::new();
    };
    let Some(rules) = rules(texts, problems) else {
        return Vec::new();
    };
    let chosen = match choose(&rules, pods, inputs.addresses) {
        Ok(chosen) => chosen,
        Err(Failure::Absent(mut reason)) => {
            if let Some(waited) = &inputs.waited {
                reason.push_str(&format!(" ({waited})"));
            }
            let remedy = match inputs.addresses {
                Addresses::Known(list) => format!("this machine has {}", listed(list)),
                Addresses::Unknown | Addresses::Later => {
                    "give --assume-address for a check offline".to_owned()
                }
            };
            problems.error(&first.place, reason, remedy);
            return Vec::new();
        }
        Err(Failure::Other(reason, remedy)) => {
            problems.error(&first.place, reason, remedy);
            return Vec::new();
        }
    };
    check_against_pods(&chosen, pods, &first.place, problems);
    chosen
}

/// Whether the seed asks for an address that the machine does not have (yet).
pub fn still_missing(user: &UserData, addresses: &Addresses) -> bool {
    let mut unheard = Problems::new();
    let Some(rules) = rules(&user.node.node_ip, &mut unheard) else {
        return false;
    };
    let pods = super::subnets::networks(&user.node.pod_subnet, &mut unheard);
    let pods: Vec<IpNet> = pods.iter().map(|net| net.value).collect();
    !rules.is_empty() && matches!(choose(&rules, &pods, addresses), Err(Failure::Absent(_)))
}

fn rules(texts: &[Located<String>], problems: &mut Problems) -> Option<Vec<Rule>> {
    let mut rules = Vec::new();
    let mut good = true;
    for text in texts {
        for part in text.value.split(',').map(str::trim) {
            match rule(part) {
                Ok(rule) => rules.push(rule),
                Err((reason, remedy)) => {
                    problems.error(&text.place, reason, remedy);
                    good = false;
                }
            }
        }
    }
    good.then_some(rules)
}

fn rule(text: &str) -> Result<Rule, (String, String)> {
    if let Some(rest) = text.strip_prefix('!') {
        return network(rest.trim()).map(Rule::Outside);
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        if let Some(net) = strict(text)
            && net.addr() != net.network()
        {
            let reason = format!("`{text}` is neither an address nor a network");
            let remedy = format!(
                "write `{}` for this address, `{}` for the one in this network",
                net.addr(),
                net.trunc()
            );
            return Err((reason, remedy));
        }
        return network(text).map(Rule::Inside).map_err(|(reason, _)| {
            let reason = reason.replace("is not a network", "is neither an address nor a network");
            (
                reason,
                "write an address, a network such as `192.168.10.0/24`, or `!` and a network"
                    .to_owned(),
            )
        });
    };
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || link_local(address)
        || mapped
    {
        let reason = format!("{address} cannot be the address of a node");
        return Err((
            reason,
            "give an address that the other nodes can reach".to_owned(),
        ));
    }
    Ok(Rule::Address(address))
}

fn choose(rules: &[Rule], pods: &[IpNet], addresses: &Addresses) -> Result<Vec<IpAddr>, Failure> {
    // In the order of the list, since the first is the node's primary family.
    let mut families: Vec<bool> = Vec::new();
    for rule in rules
        .iter()
        .filter(|rule| !matches!(rule, Rule::Outside(_)))
    {
        if !families.contains(&rule.v4()) {
            families.push(rule.v4());
        }
    }
    if families.is_empty() {
        families = pods.iter().map(is_v4).collect();
    }
    families
        .into_iter()
        .map(|v4| choose_one(rules, v4, addresses))
        .collect()
}

fn choose_one(rules: &[Rule], v4: bool, addresses: &Addresses) -> Result<IpAddr, Failure> {
    let (mut given, mut inside, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| rule.v4() == v4) {
        match rule {
            Rule::Address(address) => given.push(*address),
            Rule::Inside(net) => inside.push(*net),
            Rule::Outside(net) => outside.push(*net),
        }
    }
    let kind = if v4 { "IPv4" } else { "IPv6" };
    let Some(address) = given.first() else {
        return choose_by_network(kind, v4, &inside, &outside, addresses);
    };
    if given.len() > 1 || !inside.is_empty() || !outside.is_empty() {
        let reason = format!("combines an {kind} address with other rules");
        return Err(Failure::Other(
            reason,
            "give one address, or networks only".to_owned(),
        ));
    }
    match addresses {
        Addresses::Known(list) if !list.iter().any(|known| known.net.addr() == *address) => Err(
            Failure::Absent(format!("{address} is on no interface of this machine")),
        ),
        _ => Ok(*address),
    }
}

fn choose_by_network(
    kind: &str,
    v4: bool,
    inside: &[IpNet],
    outside: &[IpNet],
    addresses: &Addresses,
) -> Result<IpAddr, Failure> {
    let candidates = match addresses {
        Addresses::Known(candidates) => candidates,
        Addresses::Later => return Ok(stand_in(v4, inside)),
        Addresses::Unknown => {
            let reason = "selects among this machine's addresses, which are not known here";
            return Err(Failure::Absent(reason.to_owned()));
        }
    };
    let fits = |candidate: &&InterfaceAddress| {
        let address = candidate.net.addr();
        address.is_ipv4() == v4
            && (inside.is_empty() || inside.iter().any(|net| net.contains(&address)))
            && !outside.iter().any(|net| net.contains(&address))
    };
    let matching: Vec<InterfaceAddress> = candidates.iter().filter(fits).cloned().collect();
    let Some(first) = matching.first() else {
        let reason = format!("no {kind} address of this machine is in the networks asked for");
        return Err(Failure::Absent(reason));
    };
    if matching
        .iter()
        .any(|other| other.interface != first.interface)
    {
        let reason = format!(
            "matches addresses of more than one interface: {}",
            listed(&matching)
        );
        return Err(Failure::Other(
            reason,
            "give a narrower network or the address".to_owned(),
        ));
    }
    Ok(first.net.addr())
}

/// An address as the machine may get it, for the checks of everything else.
fn stand_in(v4: bool, inside: &[IpNet]) -> IpAddr {
    let documentation = match v4 {
        true => IpAddr::from([192, 0, 2, 1]),
        false => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    };
    let first = inside.first().and_then(|net| net.hosts().next());
    first.unwrap_or(documentation)
}

fn check_against_pods(chosen: &[IpAddr], pods: &[IpNet], place: &Place, problems: &mut Problems) {
    for address in chosen {
        if let Some(pod) = pods.iter().find(|pod| pod.contains(address)) {
            let reason = format!("{address} is inside the pod subnet {pod}");
            problems.error(
                place,
                reason,
                "give the node an address outside its pod network",
            );
        }
        if !pods.is_empty() && !pods.iter().any(|pod| is_v4(pod) == address.is_ipv4()) {
            let reason =
                format!("{address} is of an address family that `pod_subnet` does not have");
            problems.error(place, reason, "give both the same address families");
        }
    }
    if pods.len() > chosen.len() && !chosen.is_empty() {
        let reason = "has one address family, and `pod_subnet` has two";
        problems.warn(place, reason, "give one address or network of each family");
    }
}

/// "192.168.10.101/24 (ens18), ..."
fn listed(addresses: &[InterfaceAddress]) -> String {
    if addresses.is_empty() {
        return "no address at all".to_owned();
    }
    let each: Vec<String> = addresses
        .iter()
        .map(|address| format!("{} ({})", address.net, address.interface))
        .collect();
    each.join(", ")
}
