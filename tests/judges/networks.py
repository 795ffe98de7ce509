"""The networks of networkd.py: what a seed says, and what is to be on the machine then.

The machine has two links, e0 with the MAC address 52:54:00:00:00:01 and e1 with :02. An
expectation that depends on a type of link that not every kernel has is below that type's name.
"""

import dataclasses
import json

MACS = {"e0": "52:54:00:00:00:01", "e1": "52:54:00:00:00:02"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    text: str
    # `LINK ADDRESS`
    addresses: tuple = ()
    # `DESTINATION via GATEWAY dev LINK table TABLE metric METRIC`, without what is usual
    routes: tuple = ()
    # `PRIORITY SOURCE TABLE`
    rules: tuple = ()
    # Types of links that it creates.
    types: frozenset = frozenset()
    is_network_data: bool = False


NETWORK_DATA = {
    "links": [
        {"id": "p0", "type": "phy", "ethernet_mac_address": MACS["e0"], "mtu": 1400},
        {"id": "p1", "type": "phy", "ethernet_mac_address": MACS["e1"]},
        {"id": "v5", "type": "vlan", "vlan_link": "p1", "vlan_id": 5, "vlan_mac_address": "52:54:00:00:00:05"},
    ],
    "networks": [
        {
            "id": "n0",
            "link": "p0",
            "type": "ipv4",
            "ip_address": "10.4.0.2",
            "netmask": "255.255.255.0",
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.4.0.1"},
                {"network": "10.5.0.0", "netmask": "255.255.0.0", "gateway": "10.4.0.9"},
            ],
        },
        {"id": "n1", "link": "p0", "type": "ipv6", "ip_address": "fd04::2", "netmask": "64"},
        {"id": "n2", "link": "v5", "type": "ipv4", "ip_address": "10.6.0.2", "netmask": "255.255.255.0"},
    ],
    "services": [{"type": "dns", "address": "10.4.0.3"}],
}
BONDED_DATA = {
    "links": [
        {"id": "p0", "type": "phy", "ethernet_mac_address": MACS["e0"]},
        {"id": "p1", "type": "phy", "ethernet_mac_address": MACS["e1"]},
        {"id": "b0", "type": "bond", "bond_links": ["p0", "p1"], "bond_mode": "802.3ad", "bond_miimon": 100},
    ],
    "networks": [{"id": "n0", "link": "b0", "type": "ipv4", "ip_address": "10.7.0.2", "netmask": "255.255.255.0"}],
    "services": [],
}

CASES = [
    Case(
        "addresses, routes and rules of version 2",
        """version: 2
ethernets:
  e0:
    match: {macaddress: '52:54:00:00:00:01'}
    mtu: 1400
    addresses: [10.0.0.2/24, 'fd00::2/64']
    routes:
    - {to: default, via: 10.0.0.1, metric: 7}
    - {to: 10.9.0.0/16, via: 10.0.0.9, table: 12}
    - {to: 'fd09::/64', via: 'fd00::9'}
    - {to: 10.8.0.0/16, via: 10.99.0.1, on-link: true}
    nameservers: {addresses: [10.0.0.3, 'fd00::3'], search: [example.org]}
    routing-policy: [{from: 10.0.0.2/32, table: 12, priority: 6}]
""",
        addresses=("e0 10.0.0.2/24", "e0 fd00::2/64"),
        routes=(
            "default via 10.0.0.1 dev e0 metric 7",
            "10.9.0.0/16 via 10.0.0.9 dev e0 table 12",
            "fd09::/64 via fd00::9 dev e0",
            "10.8.0.0/16 via 10.99.0.1 dev e0",
        ),
        rules=("6 10.0.0.2 12",),
    ),
    Case(
        "a bridge of version 2",
        """version: 2
ethernets:
  e0: {match: {macaddress: '52:54:00:00:00:01'}}
bridges:
  br0:
    interfaces: [e0]
    addresses: [10.1.0.2/24]
    parameters: {stp: false, forward-delay: 4}
    routes: [{to: default, via: 10.1.0.1}]
""",
        addresses=("br0 10.1.0.2/24",),
        routes=("default via 10.1.0.1 dev br0",),
    ),
    Case(
        "a bond, a VLAN and a VRF of version 2",
        """version: 2
ethernets:
  e0: {match: {macaddress: '52:54:00:00:00:01'}}
  e1: {match: {macaddress: '52:54:00:00:00:02'}}
bonds:
  bond0:
    interfaces: [e0, e1]
    addresses: [10.2.0.2/24]
    parameters: {mode: 802.3ad, lacp-rate: fast, mii-monitor-interval: 100, transmit-hash-policy: layer3+4}
vlans:
  v5: {id: 5, link: bond0, addresses: [10.3.0.2/24]}
vrfs:
  red: {table: 9, interfaces: [v5], routes: [{to: default, via: 10.3.0.1}]}
""",
        addresses=("bond0 10.2.0.2/24", "v5 10.3.0.2/24"),
        types=frozenset(["bond", "vlan", "vrf"]),
    ),
    Case(
        "links of version 1",
        """version: 1
config:
- type: physical
  name: e0
  mac_address: '52:54:00:00:00:01'
  mtu: 1400
  subnets:
  - type: static
    address: 10.0.0.2
    netmask: 255.255.255.0
    gateway: 10.0.0.1
    dns_nameservers: [10.0.0.3]
    routes: [{destination: 10.9.0.0, netmask: 255.255.0.0, gateway: 10.0.0.9, metric: 3}]
  - {type: static6, address: 'fd00::2/64'}
- {type: nameserver, address: [10.0.0.4], search: [example.org]}
""",
        addresses=("e0 10.0.0.2/24", "e0 fd00::2/64"),
        routes=("default via 10.0.0.1 dev e0", "10.9.0.0/16 via 10.0.0.9 dev e0 metric 3"),
    ),
    Case(
        "a bridge of version 1",
        """version: 1
config:
- {type: physical, name: e1, mac_address: '52:54:00:00:00:02'}
- type: bridge
  name: br1
  bridge_interfaces: [e1]
  params: {bridge_stp: 'off', bridge_fd: 4}
  subnets: [{type: static, address: 10.1.0.2/24, gateway: 10.1.0.1}]
""",
        addresses=("br1 10.1.0.2/24",),
        routes=("default via 10.1.0.1 dev br1",),
    ),
    Case(
        "a bond and a VLAN of version 1",
        """version: 1
config:
- {type: physical, name: e0, mac_address: '52:54:00:00:00:01'}
- {type: physical, name: e1, mac_address: '52:54:00:00:00:02'}
- type: bond
  name: bond0
  bond_interfaces: [e0, e1]
  params: {bond-mode: active-backup, bond-miimon: 100}
  subnets: [{type: static, address: 10.2.0.2/24}]
- {type: vlan, name: bond0.5, vlan_link: bond0, vlan_id: 5, subnets: [{type: static, address: 10.3.0.2/24}]}
""",
        addresses=("bond0 10.2.0.2/24", "bond0.5 10.3.0.2/24"),
        types=frozenset(["bond", "vlan"]),
    ),
    Case(
        "network_data.json",
        json.dumps(NETWORK_DATA),
        addresses=("e0 10.4.0.2/24", "e0 fd04::2/64"),
        routes=("default via 10.4.0.1 dev e0", "10.5.0.0/16 via 10.4.0.9 dev e0"),
        types=frozenset(["vlan"]),
        is_network_data=True,
    ),
    Case(
        "a bond of network_data.json",
        json.dumps(BONDED_DATA),
        types=frozenset(["bond"]),
        is_network_data=True,
    ),
]
