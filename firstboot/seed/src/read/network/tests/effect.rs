//! What had no effect, or one by chance: each is done, refused or named.
use super::rendered;
use crate::read::seed::Layout::{ConfigDrive, NoCloud};

fn v1(devices: &str) -> (String, Vec<String>) {
    rendered(NoCloud, &format!("version: 1\nconfig:\n{devices}"))
}

fn v2(devices: &str) -> (String, Vec<String>) {
    rendered(NoCloud, &format!("version: 2\n{devices}"))
}

#[test]
fn servers_of_all_stand_beside_those_of_a_subnet() {
    let (files, problems) = v1(
        "- {type: physical, name: a, subnets: [{type: static, address: 10.0.0.1/8, dns_nameservers: [1.1.1.1], dns_search: [a.example]}]}\n- {type: nameserver, address: [9.9.9.9], search: [b.example]}\n",
    );
    assert!(problems.is_empty(), "{problems:?}");
    assert!(
        files.contains("DNS=1.1.1.1\nDNS=9.9.9.9\nDomains=a.example b.example\n"),
        "{files}"
    );
    let (_, problems) =
        v1("- {type: physical, name: a}\n- {type: nameserver, address: [9.9.9.9]}\n");
    assert!(
        problems[0].contains("net:4: config: has no effect: no interface has an address"),
        "{problems:?}"
    );
}

#[test]
fn a_gateway_outside_is_judged_by_family() {
    for (input, on_link) in [
        (
            "{a: {dhcp4: true, addresses: ['2001:db8::2/128'], gateway6: '2001:db8:1::1'}}",
            true,
        ),
        (
            "{a: {dhcp6: true, addresses: [10.0.0.2/32], gateway4: 10.9.0.1}}",
            true,
        ),
        (
            "{a: {dhcp4: true, addresses: [10.0.0.2/32], gateway4: 10.9.0.1}}",
            false,
        ),
        (
            "{a: {dhcp6: true, addresses: ['2001:db8::2/128'], gateway6: '2001:db8:1::1'}}",
            false,
        ),
        (
            "{a: {addresses: ['2001:db8::2/128'], gateway6: 'fe80::1'}}",
            false,
        ),
    ] {
        let (files, problems) = v2(&format!("ethernets: {input}"));
        assert!(problems.is_empty(), "{input}: {problems:?}");
        assert_eq!(
            files.contains("GatewayOnLink=yes"),
            on_link,
            "{input}: {files}"
        );
    }
    let (_, problems) = v2("ethernets: {a: {addresses: ['fd00::1/64'], gateway4: 10.0.0.1}}");
    assert!(
        problems[0].contains("`a` has no IPv4 address to reach 10.0.0.1 from"),
        "{problems:?}"
    );
}

#[test]
fn refused_by_name() {
    for (input, expected) in [
        (
            "ethernets: {a: {addresses: [10.0.0.1/8], gateway4: 10.0.0.1}}",
            "ethernets.a.gateway4: the gateway 10.0.0.1 is this node's own address, on `a`",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.1/8]}, b: {addresses: [10.1.0.1/8], routes: [{to: default, via: 10.0.0.1}]}}",
            "own address, on `a`",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/8], routes: [{to: '2001:db8::/32', via: 10.0.0.1}]}}",
            "is of another address family",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/8]}}\nbonds: {b: {interfaces: [a]}}",
            "`a` is a member of the bond `b` and cannot have addresses",
        ),
        (
            "ethernets: {a: {}}\nvlans: {v: {id: 5, link: a}, w: {id: 5, link: a}}",
            "the `id` 5 is that of `v` as well",
        ),
        (
            "vrfs: {v: {table: 5, interfaces: []}, w: {table: 5, interfaces: []}}",
            "the `table` 5 is that of `v` as well",
        ),
        (
            "ethernets: {a: {match: {name: 'en*'}}, b: {match: {name: 'en*'}}}",
            "matches the same interfaces as `a`",
        ),
        (
            "ethernets: {a: {}, b: {match: {macaddress: '52:54:00:00:00:01'}, set-name: a}}",
            "`a`: the interface name is used twice",
        ),
        (
            "renderer: sriov\nethernets: {a: {}}",
            "renderer: `sriov` is not a valid value",
        ),
        (
            "bonds: {b: {match: {name: x}}}",
            "bonds.b.match: is not supported for this kind of device; remove the key",
        ),
        ("vlans: {v: {}}", "net:2: vlans.v: lacks `id` or `link`"),
        (
            "ethernets: {a: {addresses: [{10.0.0.1: {}}]}}",
            "is not one address with a prefix length",
        ),
        (
            "bridges: {b: {parameters: {ageing-time: 1, aging-time: 2}}}",
            "aging-time: is given twice",
        ),
    ] {
        let (files, problems) = v2(input);
        assert!(files.is_empty(), "{input}: {files}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{input}: {problems:?}"
        );
        assert!(
            !problems
                .iter()
                .any(|said| said.contains("did you mean `match`"))
        );
    }
}

#[test]
fn refused_by_name_in_version_1() {
    const STATIC: &str = "- {type: physical, name: a, subnets: [{type: static, address: 10.0.0.1/8";
    for (input, expected) in [
        (
            format!("{STATIC}, netmask: 255.255.0.0}}]}}"),
            "netmask: is a length of 16, but 10.0.0.1/8 has one of its own",
        ),
        (
            format!("{STATIC}, routes: {{a: 1}}}}]}}"),
            "routes: is a mapping, not a list",
        ),
        (
            format!("{STATIC}, routes: [{{network: 10.0.0.0/8, to: 10.0.0.0/8}}]}}]}}"),
            "is given twice, under another name",
        ),
        (
            format!("{STATIC}, control: sometimes}}]}}"),
            "control: `sometimes` is not a valid value",
        ),
        (
            "- {type: physical, name: a, subnets: [{type: dhcp, address: 10.0.0.1/8}]}".to_owned(),
            "address: is given beside `type: dhcp`",
        ),
        (
            "- {type: physical, name: a, subnets: [{type: static6, address: 10.0.0.1/8}]}"
                .to_owned(),
            "address: is not an address of `static6`",
        ),
        (
            "- {type: physical, name: a, subnets: []}\n- {type: physical, name: a, subnets: []}"
                .to_owned(),
            "`a`: this link is used twice (line 3 as well)",
        ),
        (
            "- {type: bond, name: b, bond_interfaces: [], params: {bond-slaves: eth0}}".to_owned(),
            "list them as `bond_interfaces`",
        ),
    ] {
        let (files, problems) = v1(&input);
        assert!(files.is_empty(), "{input}: {files}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{input}: {problems:?}"
        );
    }
}

#[test]
fn warned_by_name() {
    const STATIC: &str = "- {type: physical, name: a, subnets: [{type: static, address: 10.0.0.1/8";
    for (input, expected) in [
        (
            "ethernets: {a: {dhcp4: true}}\nbridges: {b: {interfaces: [a]}}",
            "ethernets.a: `a` is a port of the bridge `b` and has DHCP; give them to `b`",
        ),
        (
            "ethernets: {a: {addresses: ['fd00::1/64'], gateway6: 'fd00::1'}}",
            "ethernets.a.gateway6: the gateway fd00::1 is this node's own address, on `a`",
        ),
        (
            "renderer: NetworkManager\nethernets: {a: {}}",
            "net:2: renderer: has no effect",
        ),
        (
            "ethernets: {a: {renderer: NetworkManager}}",
            "ethernets.a.renderer: has no effect",
        ),
        (
            "ethernets:\n  a: {addresses: [10.0.0.2/8], gateway4: 10.0.0.1}\n  b:\n    addresses: [10.1.0.2/8]\n    gateway4: 10.1.0.1",
            "net:6: ethernets.b.gateway4: `b` has a default route of the same metric as `a`, line 3",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/8], routes: [{to: default, via: 10.0.0.1}, {to: 0.0.0.0/0, via: 10.0.0.3}]}}",
            "of the same metric as `a`",
        ),
        (
            "ethernets: {a: {addresses: ['fd00::2/64'], routes: [{to: default, via: 'fd00::1'}, {to: '::/0', via: 'fd00::3', metric: 1024}]}}",
            "of the same metric as `a`",
        ),
        (
            "ethernets: {a: {dhcp4-overrides: {use-dns: false}}}",
            "dhcp4-overrides.use-dns: has no effect: this device does not use `dhcp4`",
        ),
        (
            "ethernets: {a: {dhcp6: true, dhcp6-overrides: {hostname: x}}}",
            "hostname: has no effect",
        ),
    ] {
        let (files, problems) = v2(input);
        assert!(!files.is_empty(), "{input}: {problems:?}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{input}: {problems:?}"
        );
    }
    for (more, expected) in [
        (
            ", metric: 5}]}",
            "net:3: config.subnets.metric: has no effect: this subnet has no `gateway`",
        ),
        (", broadcast: 10.1.1.1}]}", "broadcast: has no effect"),
    ] {
        let (files, problems) = v1(&format!("{STATIC}{more}"));
        assert!(
            !files.is_empty() && problems[0].contains(expected),
            "{problems:?}"
        );
    }
}

#[test]
fn accepted_without_a_word() {
    for (input, expected) in [
        (
            "renderer: networkd\nethernets: {a: {renderer: networkd, match: {driver: [bnxt_en, 'mlx5*']}}}",
            "Driver=bnxt_en mlx5*\n",
        ),
        (
            "ethernets: {a: {match: {driver: virtio_net}}}",
            "Driver=virtio_net\n",
        ),
        ("bonds: {b: {parameters: {mode: 4}}}", "Mode=802.3ad\n"),
        (
            "ethernets: {a: {dhcp4: true, nameservers: {addresses: ['', 1.1.1.1], search: [null, b]}}}",
            "DNS=1.1.1.1\nDomains=b\n",
        ),
        (
            "vrfs: {v: {table: 7, interfaces: [], routing-policy: [{from: 10.0.0.0/8}]}}",
            "From=10.0.0.0/8\nTable=7\n",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/8], routes: [{to: default, via: 10.0.0.1, metric: 1}, {to: default, via: 10.0.0.3, metric: 2}]}}",
            "Metric=2",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/8], routes: [{to: default, via: 10.0.0.1}, {to: default, via: 10.0.0.3, table: 9}]}}",
            "Table=9",
        ),
    ] {
        let (files, problems) = v2(input);
        assert!(problems.is_empty(), "{input}: {problems:?}");
        assert!(files.contains(expected), "{input}: {files}");
    }
    for (input, expected) in [
        (
            "- {type: physical, id: a, name: a, subnets: [{type: dhcp4, metric: 5}]}",
            "[DHCPv4]\nRouteMetric=5\n",
        ),
        (
            "- {type: physical, name: a, subnets: [{type: static, address: 10.0.0.1/32, pointopoint: 172.31.1.1}]}",
            "Destination=172.31.1.1/32\nScope=link\n",
        ),
        (
            "- {type: bond, name: b, bond_interfaces: [], params: {bond_mode: '1', bond-slaves: none}}",
            "Mode=active-backup\n",
        ),
        (
            "- {type: physical, name: a, subnets: [{type: dhcp, ipv4: true, mtu: 1400}, {type: static, address: 'fd00::1/64', ipv6: true, mtu: 1300}]}",
            "MTUBytes=1400\n\n[Network]\nDHCP=ipv4\nAddress=fd00::1/64\nIPv6MTUBytes=1300\n",
        ),
        ("- {type: loopback, name: lo, mtu: 9000}", "MTUBytes=9000\n"),
    ] {
        let (files, problems) = v1(input);
        assert!(problems.is_empty(), "{input}: {problems:?}");
        assert!(files.contains(expected), "{input}: {files}");
    }
}

#[test]
fn network_data() {
    const LINK: &str = r#""id": "a", "ethernet_mac_address": "52:54:00:00:00:01""#;
    for (input, expected) in [
        (
            format!("{{\"links\": [{{{LINK}, \"type\": \"phy\", \"speed\": 1}}]}}"),
            "net:1: links.speed: has no effect: this key",
        ),
        (
            format!("{{\"links\": [{{{LINK}, \"type\": \"fog\"}}]}}"),
            "links.type: `fog` is not a known type",
        ),
        (
            format!("{{\"links\": [{{{LINK}}}], \"routers\": []}}"),
            "routers: has no effect",
        ),
        (
            format!(
                "{{\"links\": [{{{LINK}}}], \"networks\": [{{\"link\": \"a\", \"type\": \"ipv4_dhcp\", \"ip_address\": \"10.0.0.1\"}}]}}"
            ),
            "networks.ip_address: has no effect",
        ),
        (
            format!(
                "{{\"links\": [{{{LINK}}}], \"networks\": [{{\"id\": \"n\", \"link\": \"a\", \"type\": \"ipv4_dhcp\"}}, {{\"id\": \"n\", \"link\": \"a\", \"type\": \"ipv6_dhcp\"}}]}}"
            ),
            "has the `id` of another network",
        ),
    ] {
        let (files, problems) = rendered(ConfigDrive, &input);
        assert!(!files.is_empty(), "{input}: {problems:?}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{input}: {problems:?}"
        );
    }
    for (input, expected) in [
        (
            format!("{{\"links\": [{{{LINK}, \"type\": \"infiniband\"}}]}}"),
            "`infiniband` is not a supported type",
        ),
        (
            format!("{{\"links\": [{{{LINK}}}, {{{LINK}}}]}}"),
            "`a`: this link is used twice",
        ),
        (
            format!(
                "{{\"links\": [{{{LINK}}}], \"networks\": [{{\"link\": \"a\", \"type\": \"ipv6\", \"ip_address\": \"10.0.0.1\", \"netmask\": \"255.0.0.0\"}}]}}"
            ),
            "is not an address of a network of type `ipv6`",
        ),
    ] {
        let (files, problems) = rendered(ConfigDrive, &input);
        assert!(files.is_empty(), "{input}: {files}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{input}: {problems:?}"
        );
        assert!(!problems.iter().any(|said| said.contains("network-config")));
    }
    let bond = format!(
        "{{\"links\": [{{{LINK}, \"name\": \"nic0\"}}, {{\"id\": \"b\", \"type\": \"bond\", \"bond_mode\": 1, \"bond_links\": [\"a\"], \"bond_primary\": \"a\"}}]}}"
    );
    let (files, problems) = rendered(ConfigDrive, &bond);
    assert!(problems.is_empty(), "{problems:?}");
    for expected in ["Mode=active-backup", "PrimarySlave=yes", "Name=nic0"] {
        assert!(files.contains(expected), "{expected}: {files}");
    }
}
