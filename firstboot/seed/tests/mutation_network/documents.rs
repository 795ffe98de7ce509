//! Documents that hold every key of each form, all of them accepted.

pub(crate) const ALL: &[(&str, &str)] = &[
    ("version 2", VERSION_2),
    ("version 2 in network", VERSION_2_WRAPPED),
    ("version 1", VERSION_1),
    ("openstack", OPENSTACK),
    ("meta network", META_VMWARE),
    ("meta network-config", META_HETZNER),
    ("meta packed", META_PACKED),
];

const VERSION_2: &str = "
version: 2
renderer: networkd
ethernets:
  a:
    match: {macaddress: '52:54:00:00:00:01', driver: [virtio_net, 'mlx5*']}
    set-name: ext0
    wakeonlan: true
    renderer: networkd
  b:
    match: {name: 'en*'}
    macaddress: '52:54:00:00:00:02'
    mtu: 1400
    optional: true
    activation-mode: manual
    dhcp4: true
    dhcp6: true
    accept-ra: true
    dhcp-identifier: duid
    dhcp4domain: route
    dhcp6domain: true
    dhcp4-overrides: {use-dns: no, use-ntp: no, use-hostname: no, use-mtu: no, use-routes: no, send-hostname: no, hostname: h, route-metric: 5}
    dhcp6-overrides: {use-dns: no, use-ntp: no, use-hostname: no, use-mtu: no, use-routes: no, route-metric: 5}
    emit-lldp: true
    ignore-carrier: true
    critical: true
    ipv6-privacy: true
    ipv6-mtu: 1300
    link-local: [ipv4]
    addresses: [10.0.0.1/24, '2001:db8::1/64']
    nameservers: {addresses: [1.1.1.1, '2606:4700::1111'], search: [example.org, lab]}
    routes:
      - {to: 10.1.0.0/16, via: 10.0.0.9, on-link: true, from: 10.0.0.1, metric: 1, table: 5, mtu: 1300, scope: link, type: unicast}
      - {to: default, via: 10.0.0.254, metric: 7}
      - {to: '2001:db8:9::/48', via: '2001:db8::9'}
    routing-policy: [{from: 10.0.0.1/32, to: 10.0.0.2/32, table: 5, priority: 6, mark: 7, type-of-service: 8}]
  c: {dhcp6: true, accept-ra: false}
  d: {}
  e: {addresses: [192.0.2.7/32], gateway4: 192.0.2.1, gateway6: 'fe80::1'}
bonds:
  bond0:
    interfaces: [a]
    parameters: {mode: 802.3ad, lacp-rate: fast, mii-monitor-interval: 1, min-links: 1, transmit-hash-policy: layer2, ad-select: count, all-members-active: true, arp-interval: 1, arp-ip-targets: [10.0.0.1], arp-validate: all, arp-all-targets: any, up-delay: 1, down-delay: 1, fail-over-mac-policy: none, gratuitous-arp: 1, packets-per-member: 1, primary-reselect-policy: better, resend-igmp: 1, learn-packet-interval: 1, primary: a}
bridges:
  br0:
    interfaces: [d]
    parameters: {ageing-time: 1, priority: 1, forward-delay: 1, hello-time: 1, max-age: 1, stp: true, path-cost: {d: 1}, port-priority: {d: 2}}
vlans:
  v: {id: 5, link: bond0, macaddress: '52:54:00:00:00:05'}
vrfs:
  r:
    table: 9
    interfaces: [v]
    routes: [{to: 10.7.0.0/16, via: 10.8.0.1}]
    routing-policy: [{from: 10.8.0.0/16}]
";

const VERSION_2_WRAPPED: &str = "
network:
  version: 2
  ethernets:
    ens3: {dhcp4: false, addresses: [10.0.0.5/24], routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]}
";

const VERSION_1: &str = "
version: 1
renderer: networkd
config:
  - type: physical
    name: eth0
    id: eth0
    mac_address: '52:54:00:00:00:01'
    mtu: 1400
    accept-ra: true
    optional: true
    wakeonlan: true
    keep_configuration: true
    subnets:
      - {type: static, address: 10.0.0.2, netmask: 255.255.255.0, gateway: 10.0.0.1, metric: 5, dns_nameservers: [1.1.1.1], dns_search: [a.example], control: auto, broadcast: 10.0.0.255, scope: global, pointopoint: 10.0.0.77, ipv4: true, id: 5,
         routes: [{destination: 10.9.0.0/16, gateway: 10.0.0.9, metric: 3}, {network: 10.8.0.0, netmask: 255.255.0.0, gateway: 10.0.0.9}]}
      - {type: static6, address: '2001:db8::2/64', netmask: 64, mtu: 1300, ipv6: true, gateway: '2001:db8::1'}
  - {type: physical, name: eth1, subnets: [{type: dhcp4, metric: 9}, {type: dhcp6, metric: 10}]}
  - {type: physical, name: eth2}
  - {type: physical, name: eth3}
  - {type: physical, name: eth4, subnets: [{type: static, address: 10.4.0.2/24, metric: 4, control: manual}]}
  - {type: physical, name: eth5, subnets: [{type: dhcp4, control: hotplug}]}
  - {type: bond, name: bond0, mac_address: '52:54:00:00:00:09', bond_interfaces: [eth2], params: {bond-mode: 1, bond-miimon: 100, bond_primary: eth2, bond-slaves: none}}
  - {type: vlan, name: v5, vlan_link: bond0, vlan_id: 5, subnets: [{type: ipv6_slaac}]}
  - {type: bridge, name: br0, bridge_interfaces: [eth3], params: {bridge_stp: 'off', bridge_fd: 3, bridge_pathcost: [eth3 75], bridge_portprio: [eth3 28], bridge_waitport: 5, bridge_maxwait: 0, bridge_gcint: 1}, subnets: [{type: manual}]}
  - {type: loopback, name: lo, subnets: [{type: loopback, address: 10.255.0.1/32, dns_nameservers: [9.9.9.8]}]}
  - {type: nameserver, address: [9.9.9.9], search: [example.org], interface: eth1}
  - {type: nameserver, address: [9.9.9.10], search: [example.com]}
  - {type: route, destination: 10.77.0.0/16, gateway: 10.0.0.7, metric: 6}
";

const OPENSTACK: &str = r#"{
 "links": [
  {"id": "tap0", "name": "nic0", "type": "ovs", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1500, "vif_id": "x", "extra": "1"},
  {"id": "tap1", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:02", "mtu": 1500},
  {"id": "bond0", "type": "bond", "bond_mode": "4", "bond_miimon": 100, "bond_xmit_hash_policy": "layer3+4", "bond_links": ["tap0"], "ethernet_mac_address": "fa:16:3e:00:00:01"},
  {"id": "v602", "name": "other", "type": "vlan", "vlan_link": "tap1", "vlan_id": 602, "vlan_mac_address": "fa:16:3e:00:00:03", "ethernet_mac_address": "fa:16:3e:00:00:04"}],
 "networks": [
  {"id": "n0", "network_id": "y", "link": "bond0", "type": "ipv4", "ip_address": "10.0.1.5", "netmask": "255.255.255.0", "gateway": "10.0.1.1", "metric": 9, "broadcast": "10.0.1.255",
   "routes": [{"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.1.2", "metric": 5, "extra": "1"}],
   "dns_nameservers": ["10.0.1.4"], "dns_search": ["example.org"],
   "services": [{"type": "dns", "address": "10.0.1.3", "extra": "1"}]},
  {"id": "n1", "link": "v602", "type": "ipv6_slaac", "ip_address": "2001:db8::5", "netmask": "ffff:ffff:ffff:ffff::"},
  {"id": "n2", "link": "tap1", "type": "ipv4_dhcp"}],
 "services": [{"type": "dns", "address": "1.1.1.1"}, {"type": "ntp", "address": "1.1.1.2"}],
 "extra": "1"}
"#;

const META_VMWARE: &str = "
network:
  version: 2
  ethernets:
    id0:
      match: {macaddress: '00:50:56:00:00:01'}
      set-name: eth0
      wakeonlan: true
      dhcp4: true
      accept-ra: false
";

const META_HETZNER: &str = "
network-config:
  version: 1
  config:
    - {mac_address: '96:00:00:00:00:01', name: eth0, type: physical, subnets: [{type: dhcp}, {type: static, address: '2a01:4f8::1/64', gateway: 'fe80::1', dns_nameservers: ['2a01:4ff:ff00::add:1']}]}
network: {version: 2}
network.encoding: base64
";

const META_PACKED: &str = "
network: {config: 'dmVyc2lvbjogMgpldGhlcm5ldHM6IHthOiB7ZGhjcDQ6IHRydWV9fQo=', encoding: base64}
network-config.encoding: base64
";

/// As nova's template writes it, and what people add.
pub(crate) const INTERFACES: &str = "auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    hwaddress ether fa:16:3e:69:b0:58
    address 10.0.1.5
    netmask 255.255.255.0
    gateway 10.0.1.1
    metric 3
    mtu 1450
    dns-nameservers 10.0.0.2 10.0.0.3
    dns-search example.org
    pointopoint 10.0.1.7
    post-up ip route add 10.9.0.0/16 via 10.0.1.9 metric 4
    pre-down ip route del 10.9.0.0/16 via 10.0.1.9
iface eth0 inet6 static
    address 2001:db8::5
    netmask 64
    accept_ra 0
allow-hotplug eth1
iface eth1 inet dhcp
iface eth2 inet6 auto
";
