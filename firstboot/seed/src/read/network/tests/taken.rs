//! What each form of configuration becomes.
use super::rendered;
use crate::read::seed::Layout::{self, ConfigDrive, NoCloud};

struct Case {
    layout: Layout,
    input: &'static str,
    files: &'static str,
}

const CASES: &[Case] = &[
    // v2: an interface by its address, static in both families, a gateway elsewhere.
    Case {
        layout: NoCloud,
        input: "network:
  version: 2
  renderer: networkd
  ethernets:
    up:
      match: {macaddress: 00:20:60:11:22:33}
      addresses: [192.168.1.2/24, '2001:db8::2/64']
      gateway4: 192.168.1.1
      routes:
        - {to: 10.0.0.0/8, via: 192.168.9.1, metric: 100, table: 7}
        - {to: '::/0', via: 'fe80::1'}
        - {to: default, via: 192.168.1.1}
        - {to: 10.9.0.0/16, type: blackhole}
      nameservers: {addresses: [1.1.1.1, 'FEDC::1', 1.1.1.1], search: [a.example, b]}
      mtu: 1450
      optional: true
",
        files: "== up.network
[Match]
MACAddress=00:20:60:11:22:33
Kind=!*

[Link]
MTUBytes=1450
RequiredForOnline=no

[Network]
DHCP=no
Address=192.168.1.2/24
Address=2001:db8::2/64
DNS=1.1.1.1
DNS=fedc::1
Domains=a.example b

[Route]
Gateway=192.168.1.1

[Route]
Destination=10.0.0.0/8
Gateway=192.168.9.1
GatewayOnLink=yes
Metric=100
Table=7

[Route]
Destination=::/0
Gateway=fe80::1

[Route]
Destination=10.9.0.0/16
Type=blackhole
",
    },
    // v2: the dynamic ones, with what can be said about them.
    Case {
        layout: NoCloud,
        input: "version: 2
ethernets:
  a:
    match: {name: 'en*', driver: virtio_net}
    dhcp4: true
    dhcp4-overrides: {use-dns: false, route-metric: 50, use-domains: route}
    dhcp-identifier: mac
    link-local: []
  b: {dhcp6: true, accept-ra: false, dhcp6-overrides: {use-routes: false}}
  c: {accept-ra: true, wakeonlan: true, activation-mode: manual}
",
        files: "== a.network
[Match]
Driver=virtio_net
Name=en*

[Network]
DHCP=ipv4
LinkLocalAddressing=no

[DHCPv4]
UseDNS=no
RouteMetric=50
UseDomains=route
ClientIdentifier=mac
== b.network
[Match]
Name=b

[Network]
DHCP=ipv6
IPv6AcceptRA=no

[DHCPv6]
WithoutRA=solicit

[IPv6AcceptRA]
UseGateway=no
== c.link
[Match]
OriginalName=c

[Link]
NamePolicy=keep kernel database onboard slot path
WakeOnLan=magic
== c.network
[Match]
Name=c

[Link]
RequiredForOnline=no
ActivationPolicy=manual

[Network]
DHCP=no
IPv6AcceptRA=yes
",
    },
    // v2: a bond with a VLAN on it, in a VRF.
    Case {
        layout: NoCloud,
        input: "version: 2
ethernets:
  one: {match: {macaddress: '52:54:00:00:00:01'}, set-name: ext0}
  two: {match: {macaddress: '52:54:00:00:00:02'}}
bonds:
  bond0:
    interfaces: [one, two]
    macaddress: 52-54-00-00-00-09
    parameters: {mode: active-backup, primary: one, mii-monitor-interval: 100, arp-ip-targets: [10.0.0.1]}
vlans:
  bond0.7: {id: 7, link: bond0, addresses: [10.7.0.2/24], dhcp4: no}
vrfs:
  blue: {table: 100, interfaces: [bond0.7], routes: [{to: 0.0.0.0/0, via: 10.7.0.1}], routing-policy: [{from: 10.7.0.0/24, priority: 9}]}
",
        files: "== blue.netdev
[NetDev]
Name=blue
Kind=vrf

[VRF]
Table=100
== blue.network
[Match]
Name=blue

[Network]
DHCP=no

[Route]
Destination=0.0.0.0/0
Gateway=10.7.0.1
Table=100

[RoutingPolicyRule]
From=10.7.0.0/24
Table=100
Priority=9
== bond0.7.netdev
[NetDev]
Name=bond0.7
Kind=vlan

[VLAN]
Id=7
== bond0.7.network
[Match]
Name=bond0.7

[Network]
DHCP=no
VRF=blue
Address=10.7.0.2/24
== bond0.netdev
[NetDev]
Name=bond0
Kind=bond
MACAddress=52:54:00:00:00:09

[Bond]
Mode=active-backup
MIIMonitorSec=100ms
ARPIPTargets=10.0.0.1
== bond0.network
[Match]
Name=bond0

[Network]
DHCP=no
VLAN=bond0.7
== one.link
[Match]
PermanentMACAddress=52:54:00:00:00:01
Kind=!*

[Link]
Name=ext0
== one.network
[Match]
PermanentMACAddress=52:54:00:00:00:01
Kind=!*

[Network]
Bond=bond0
PrimarySlave=yes
== two.network
[Match]
PermanentMACAddress=52:54:00:00:00:02
Kind=!*

[Network]
Bond=bond0
",
    },
    // v1: as Proxmox writes it, with a bridge and what belongs to nobody.
    Case {
        layout: NoCloud,
        input: "version: 1
config:
  - type: physical
    name: eth0
    mac_address: '52:54:00:00:00:01'
    subnets:
      - {type: static, address: 192.168.1.10, netmask: 255.255.255.0, gateway: 192.168.1.1}
      - {type: static6, address: '2001:db8::10', netmask: 'ffff:ffff:ffff:ffff::'}
  - type: physical
    name: eth1
    subnets: [{type: dhcp}, {type: dhcp6}]
  - type: physical
    name: eth2
  - type: bridge
    name: br0
    bridge_interfaces: [eth2]
    params: {bridge_stp: 'off', bridge_fd: 1, bridge_pathcost: [eth2 75], bridge_waitport: 0}
    subnets: [{type: ipv6_slaac}]
  - {type: loopback, name: lo, subnets: [{type: loopback, dns_nameservers: [9.9.9.9]}]}
  - {type: nameserver, address: [8.8.8.8], search: example.org}
  - {type: nameserver, address: 1.1.1.1, interface: eth1}
  - {type: route, destination: 10.0.0.0/8, gateway: 192.168.1.254, metric: 3}
",
        files: "== br0.netdev
[NetDev]
Name=br0
Kind=bridge

[Bridge]
STP=no
ForwardDelaySec=1s
== br0.network
[Match]
Name=br0

[Network]
DHCP=no
IPv6AcceptRA=yes
DNS=9.9.9.9
DNS=8.8.8.8
Domains=example.org

[IPv6AcceptRA]
DHCPv6Client=no
== eth0.link
[Match]
MACAddress=52:54:00:00:00:01
Kind=!*

[Link]
Name=eth0
== eth0.network
[Match]
MACAddress=52:54:00:00:00:01
Kind=!*

[Network]
DHCP=no
Address=192.168.1.10/24
Address=2001:db8::10/64
DNS=9.9.9.9
DNS=8.8.8.8
Domains=example.org

[Route]
Gateway=192.168.1.1

[Route]
Destination=10.0.0.0/8
Gateway=192.168.1.254
Metric=3
== eth1.network
[Match]
Name=eth1

[Network]
DHCP=yes
IPv6AcceptRA=yes
DNS=1.1.1.1
DNS=9.9.9.9
DNS=8.8.8.8
Domains=example.org
== eth2.network
[Match]
Name=eth2

[Network]
Bridge=br0

[Bridge]
Cost=75
",
    },
    // OpenStack: JSON with tabs, nulls, a bond by numbers.
    Case {
        layout: ConfigDrive,
        input: "{
\t\"links\": [
\t\t{\"id\": \"tap0\", \"type\": \"ovs\", \"ethernet_mac_address\": \"FA:16:3E:00:00:01\", \"mtu\": null, \"vif_id\": \"x\"},
\t\t{\"id\": \"tap1\", \"type\": \"phy\", \"ethernet_mac_address\": \"fa:16:3e:00:00:02\", \"mtu\": 1500},
\t\t{\"id\": \"bond0\", \"type\": \"bond\", \"bond_mode\": \"802.3ad\", \"bond_miimon\": 100,
\t\t \"bond_xmit_hash_policy\": \"layer3+4\", \"bond_links\": [\"tap0\"], \"ethernet_mac_address\": \"fa:16:3e:00:00:01\"},
\t\t{\"id\": \"v602\", \"type\": \"vlan\", \"vlan_link\": \"tap1\", \"vlan_id\": 602, \"vlan_mac_address\": \"fa:16:3e:00:00:03\"}],
\t\"networks\": [
\t\t{\"id\": \"n0\", \"link\": \"bond0\", \"type\": \"ipv4\", \"ip_address\": \"10.0.1.5\", \"netmask\": \"255.255.255.248\",
\t\t \"gateway\": \"10.0.1.1\", \"routes\": [{\"network\": \"0.0.0.0\", \"netmask\": \"0.0.0.0\", \"gateway\": \"10.0.1.2\", \"metric\": 5}],
\t\t \"services\": [{\"type\": \"dns\", \"address\": \"10.0.1.3\"}]},
\t\t{\"id\": \"n1\", \"link\": \"v602\", \"type\": \"ipv6_dhcpv6-stateful\"},
\t\t{\"id\": \"n2\", \"link\": \"v602\", \"type\": \"ipv4_dhcp\"}],
\t\"services\": [{\"type\": \"dns\", \"address\": \"1.1.1.1\"}]
}",
        files: "== bond0.netdev
[NetDev]
Name=bond0
Kind=bond
MACAddress=fa:16:3e:00:00:01

[Bond]
Mode=802.3ad
MIIMonitorSec=100ms
TransmitHashPolicy=layer3+4
== bond0.network
[Match]
Name=bond0

[Network]
DHCP=no
Address=10.0.1.5/29
DNS=10.0.1.3
DNS=1.1.1.1

[Route]
Gateway=10.0.1.1

[Route]
Destination=0.0.0.0/0
Gateway=10.0.1.2
Metric=5
== tap0.network
[Match]
PermanentMACAddress=fa:16:3e:00:00:01
Kind=!*

[Network]
Bond=bond0
== tap1.network
[Match]
MACAddress=fa:16:3e:00:00:02
Kind=!*

[Link]
MTUBytes=1500

[Network]
DHCP=no
VLAN=v602
== v602.netdev
[NetDev]
Name=v602
Kind=vlan
MACAddress=fa:16:3e:00:00:03

[VLAN]
Id=602
== v602.network
[Match]
Name=v602

[Network]
DHCP=yes
IPv6AcceptRA=yes
DNS=1.1.1.1
",
    },
];

#[test]
fn becomes() {
    for case in CASES {
        let (files, problems) = rendered(case.layout, case.input);
        assert!(problems.is_empty(), "{problems:?}\n{}", case.input);
        assert_eq!(files, case.files, "{}", case.input);
    }
}

#[test]
fn nothing_asked_for() {
    for (layout, input) in [
        (NoCloud, ""),
        (NoCloud, "# only a comment\n"),
        (NoCloud, "network: {config: disabled}"),
        (NoCloud, "version: 2\n"),
        (NoCloud, "version: 1\nconfig: []\n"),
        (ConfigDrive, "{}"),
        (ConfigDrive, "{\"links\": [], \"networks\": []}"),
    ] {
        assert_eq!(
            rendered(layout, input),
            (String::new(), Vec::new()),
            "{input}"
        );
    }
}

#[test]
fn a_gateway_on_no_network_is_told() {
    let (files, problems) = rendered(
        NoCloud,
        "version: 1
config:
  - {type: physical, name: a, subnets: [{type: static, address: 192.168.23.14/24}]}
  - {type: route, destination: 192.168.24.0/24, gateway: 192.168.24.1}
",
    );
    assert!(files.contains("GatewayOnLink=yes"), "{files}");
    assert!(
        problems[0].contains("not in the network of any interface"),
        "{problems:?}"
    );
    // If DHCP may bring the network, nothing is assumed.
    let (files, problems) = rendered(
        NoCloud,
        "version: 2\nethernets: {a: {dhcp4: true, routes: [{to: 10.0.0.0/8, via: 192.168.24.1}]}}",
    );
    assert!(
        !files.contains("GatewayOnLink") && problems.is_empty(),
        "{problems:?}"
    );
}
