//! The network's files before other people's programs: systemd-networkd knows
//! every key, and cloud-init's own renderer for networkd means the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};

use nodeimg_seed::read::network::{read, render};
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::Problems;
use nodeimg_test_support::judge;

fn files(text: &str) -> Vec<(String, String)> {
    let mut seed = Seed::new(Layout::NoCloud, SeedFile::new("meta", ""));
    seed.network = Some(SeedFile::new("net", text));
    let mut problems = Problems::new();
    let network = read(&seed, &mut problems);
    let network = network.unwrap_or_else(|| panic!("{:?}", problems.into_vec()));
    render(&network)
}

/// Everything that can be asked for, so that every key is written once.
const ALL: &str = "version: 2
ethernets:
  a:
    match: {macaddress: '52:54:00:00:00:01', driver: virtio_net}
    set-name: ext0
    wakeonlan: true
  b:
    match: {name: 'en*'}
    macaddress: '52:54:00:00:00:02'
    mtu: 1400
    optional: true
    activation-mode: 'off'
    dhcp4: true
    dhcp6: true
    accept-ra: true
    dhcp-identifier: duid
    dhcp4domain: route
    dhcp4-overrides: {use-dns: no, use-ntp: no, use-hostname: no, use-mtu: no, use-routes: no, send-hostname: no, hostname: h, route-metric: 5}
    dhcp6-overrides: {use-dns: no, use-ntp: no, use-hostname: no, use-mtu: no, use-routes: no, route-metric: 5, use-domains: yes}
    emit-lldp: true
    ignore-carrier: true
    critical: true
    ipv6-privacy: true
    ipv6-mtu: 1300
    link-local: [ipv4]
    addresses: [10.0.0.1/24]
    nameservers: {addresses: [1.1.1.1], search: [example.org]}
    routes: [{to: 10.1.0.0/16, via: 10.0.0.9, on-link: true, from: 10.0.0.1, metric: 1, table: 5, mtu: 1300, scope: link, type: unicast}]
    routing-policy: [{from: 10.0.0.1/32, to: 10.0.0.2/32, table: 5, priority: 6, mark: 7, type-of-service: 8}]
  c: {dhcp6: true, accept-ra: false}
  d: {}
bonds:
  bond0:
    interfaces: [a]
    parameters: {mode: 802.3ad, lacp-rate: fast, mii-monitor-interval: 1, min-links: 1, transmit-hash-policy: layer2, ad-select: count, all-members-active: true, arp-interval: 1, arp-ip-targets: [10.0.0.1], arp-validate: all, arp-all-targets: any, up-delay: 1, down-delay: 1, fail-over-mac-policy: none, gratuitous-arp: 1, packets-per-member: 1, primary-reselect-policy: better, resend-igmp: 1, learn-packet-interval: 1, primary: a}
bridges:
  br0:
    interfaces: [d]
    parameters: {ageing-time: 1, priority: 1, forward-delay: 1, hello-time: 1, max-age: 1, stp: true, path-cost: {d: 1}, port-priority: {d: 2}}
vlans:
  v: {id: 5, link: bond0}
vrfs:
  r: {table: 9, interfaces: [v]}
";

#[test]
fn networkd_knows_every_key() {
    // Its table of keys stands in it as text.
    let Ok(program) = std::fs::read("/usr/lib/systemd/systemd-networkd") else {
        return judge::missing("systemd-networkd");
    };
    let known: HashSet<&[u8]> = program.split(|byte| *byte == 0).collect();
    let mut count = 0;
    for (name, text) in files(ALL)
        .iter()
        .filter(|(name, _)| !name.ends_with(".link"))
    {
        for (section, key, _) in lines(text) {
            let word = format!("{section}.{key}");
            assert!(
                known.contains(word.as_bytes()),
                "{word} is unknown ({name})"
            );
            count += 1;
        }
    }
    assert!(count > 80, "{count}");
}

/// (section, key, value)
fn lines(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            found.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    found
}

/// What a `.network` file means, in the words that both renderers have.
fn meaning(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut route: BTreeMap<String, String> = BTreeMap::new();
    let flush = |route: &mut BTreeMap<String, String>, found: &mut Vec<String>| {
        if !route.is_empty() {
            let part = |key: &str| route.get(key).cloned().unwrap_or_default();
            let gateway = part("Gateway");
            let default = if gateway.contains(':') {
                "::/0"
            } else {
                "0.0.0.0/0"
            };
            let to = Some(part("Destination")).filter(|to| !to.is_empty());
            found.push(format!(
                "route {} {gateway} {}",
                to.as_deref().unwrap_or(default),
                part("Metric")
            ));
            route.clear();
        }
    };
    for block in text.split("\n[") {
        for (section, key, value) in lines(&format!("[{}", block.trim_start_matches('['))) {
            match (section.as_str(), key.as_str()) {
                ("Route", "GatewayOnLink") => {}
                ("Route", key) => {
                    route.insert(key.to_owned(), value);
                }
                ("Network", "DNS") => found.extend(value.split(' ').map(|dns| {
                    let address: std::net::IpAddr = dns.parse().unwrap();
                    format!("dns {address}")
                })),
                ("Network" | "Address", "Address") => found.push(format!("address {value}")),
                ("Network", "DHCP" | "Domains") => found.push(format!("{key} {value}")),
                ("Link", "MTUBytes") | ("Match", "MACAddress") => {
                    found.push(format!("{key} {value}"))
                }
                ("DHCPv4" | "DHCPv6", key) => {
                    let value = value.replace("True", "yes").replace("False", "no");
                    found.push(format!("{section}.{key} {value}"));
                }
                _ => {}
            }
        }
        flush(&mut route, &mut found);
    }
    found.sort();
    found
}

const CLOUD_INIT: &str = "
import json, sys, yaml
from cloudinit.net.network_state import parse_net_config_data
from cloudinit.net import networkd
config = yaml.safe_load(sys.stdin)
config = config.get('network', config)
state = parse_net_config_data(config, skip_broken=False)
json.dump(networkd.Renderer()._render_content(state), sys.stdout)
";

/// Only interfaces without any of the differences that `docs/reference/first-boot/network.md` lists:
/// that renderer knows neither bonds nor bridges nor VLANs.
const AGREED: &[&str] = &[
    "version: 1
config:
  - {type: physical, name: eth0, mac_address: '52:54:00:00:00:01', mtu: 1400, subnets: [{type: static, address: 192.168.1.10/24, gateway: 192.168.1.1, dns_nameservers: [9.9.9.9], dns_search: [a.example]}]}
",
    "version: 1
config:
  - type: physical
    name: eth0
    mac_address: '52:54:00:00:00:01'
    subnets: [{type: dhcp4}, {type: dhcp6}]
  - {type: nameserver, address: [8.8.8.8, '2001:4860:4860::8888'], search: [example.org]}
",
    "version: 1
config:
  - type: physical
    name: eth0
    subnets:
      - {type: static, address: 192.168.1.10, netmask: 255.255.255.0, gateway: 192.168.1.1, routes: [{network: 10.0.0.0, netmask: 255.0.0.0, gateway: 192.168.1.2, metric: 5}]}
      - {type: static6, address: '2001:db8::10/64', gateway: '2001:db8::1'}
  - {type: physical, name: eth1, mac_address: '52:54:00:00:00:02', subnets: [{type: dhcp6}]}
",
    "network:
  version: 2
  ethernets:
    eth0:
      match: {macaddress: '92:60:a0:5b:22:c2'}
      dhcp4: false
      addresses: ['10.10.10.12/24', '2001:db8::1/64']
      routes: [{to: 0.0.0.0/0, via: 10.10.10.1}, {to: '2001:db8:1::/48', via: '2001:db8::1'}]
      nameservers: {addresses: [8.8.8.8, 8.8.4.4], search: [lab, home]}
",
    "version: 2
ethernets:
  eth0: {dhcp4: true, dhcp4-overrides: {use-dns: false, route-metric: 50}, mtu: 1450}
  eth1: {dhcp6: true, nameservers: {addresses: ['FEDC::1']}}
  eth2: {dhcp4: true, dhcp6: true, routes: [{to: 0.0.0.0/0}]}
",
];

#[test]
fn means_what_cloud_init_means() {
    let Some(python) = judge::python_with("cloudinit.net.networkd") else {
        return;
    };
    for input in AGREED {
        let mut child = Command::new(python)
            .args(["-c", CLOUD_INIT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{input}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let theirs: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap();
        let ours: BTreeMap<String, String> = files(input)
            .into_iter()
            .filter_map(|(name, text)| {
                let link = name.strip_prefix("10-nodeimg-")?.strip_suffix(".network")?;
                Some((link.to_owned(), text))
            })
            .collect();
        assert_eq!(
            ours.keys().collect::<Vec<_>>(),
            theirs.keys().collect::<Vec<_>>()
        );
        for (link, text) in &ours {
            assert_eq!(
                meaning(text),
                meaning(&theirs[link]),
                "{link} of\n{input}\n{}",
                theirs[link]
            );
        }
    }
}
