//! Errors of a configuration, each with its place and remedy.
use super::rendered;
use crate::read::seed::Layout::{ConfigDrive, NoCloud};

#[test]
fn v2() {
    for (input, expected) in [
        (
            "a: {match: {macaddress: 40748552316}}",
            "`40748552316` is a number: a MAC address of digits",
        ),
        (
            "a: {match: {macaddress: '00:00:00:00:01'}}",
            "is not a MAC address of six bytes",
        ),
        (
            "a: {match: {serial: x}}",
            "net:2: ethernets.a.match.serial: is not supported",
        ),
        ("a: {match: {}}", "has no condition to match"),
        (
            "a: {match: {name: 'a b'}}",
            "`a b` cannot match an interface",
        ),
        ("a: {adresses: [10.0.0.1/8]}", "did you mean `addresses`?"),
        (
            "a: {addresses: [10.0.0.1]}",
            "`10.0.0.1` has no prefix length",
        ),
        ("a: {addresses: 10.0.0.1/8}", "is text, not a list"),
        (
            "a: {addresses: [10.0.0.1/33]}",
            "is not an address with a prefix length",
        ),
        (
            "a: {addresses: [{10.0.0.1/8: {lifetime: 0}}]}",
            "lifetime: is not supported",
        ),
        ("a: {gateway4: 'fe80::1'}", "is of the wrong address family"),
        ("a: {routes: [{via: 10.0.0.1}]}", "has no `to`"),
        (
            "a: {routes: [{to: default}]}",
            "is a default route without a gateway",
        ),
        (
            "a: {routes: [{to: 10.0.0.0/8, metrik: 1}]}",
            "did you mean `metric`?",
        ),
        (
            "a: {routes: [{to: 10.0.0.0/8, type: nat}]}",
            "write one of: unicast",
        ),
        ("a: {mtu: 12}", "`12` is not a number from 68 to 65535"),
        ("a: {mtu: jumbo}", "`jumbo` is not a number"),
        ("a: {dhcp4: maybe}", "not `true` or `false`"),
        (
            "a: {set-name: much-too-long-a-name}",
            "cannot be the name of an interface",
        ),
        ("a: {set-name: a/b}", "cannot be the name of an interface"),
        ("../x: {}", "`../x` cannot be the name of an interface"),
        ("a: {parameters: {}}", "parameters: is not supported"),
        (
            "a: {nameservers: {addresses: [dns.example.org]}}",
            "`dns.example.org` is not an IP address",
        ),
        (
            "a: {nameservers: {search: ['a;b']}}",
            "`a;b` is not a domain",
        ),
        (
            "a: {dhcp4-overrides: {use-everything: true}}",
            "use-everything: is not supported",
        ),
        (
            "a: {dhcp4-overrides: {hostname: \"a\\nb\"}}",
            "is not a host name",
        ),
        ("[test]", "is a list, not a mapping"),
    ] {
        let (files, problems) = rendered(
            NoCloud,
            &format!("version: 2\nethernets: {{{input}}}").replace("{[test]}", "[test]"),
        );
        assert!(files.is_empty(), "{input}:\n{files}");
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{input}: {problems:?}"
        );
    }
}

#[test]
fn hints_of_hardware_addresses_are_true() {
    for (input, expected) in [
        (
            "a: {match: {macaddress: '00:00:00:00:00:00'}}",
            "is all zeros, the address of no network interface",
        ),
        (
            "a: {match: {macaddress: AABB.CCDD.EEFF}}",
            "has six bytes, but in another notation; write it as \"aa:bb:cc:dd:ee:ff\"",
        ),
        (
            "a: {match: {macaddress: '0:1:2:3:4:f'}}",
            "in another notation; write it as \"00:01:02:03:04:0f\"",
        ),
        (
            "a: {match: {macaddress: '80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39'}}",
            "is an InfiniBand address of 20 bytes",
        ),
        (
            "a: {match: {macaddress: '00:11:22:33:44:55:66:77'}}",
            "is not a MAC address of six bytes: it has 8",
        ),
    ] {
        let (files, problems) = rendered(NoCloud, &format!("version: 2\nethernets: {{{input}}}"));
        assert!(files.is_empty(), "{input}:\n{files}");
        assert!(problems[0].contains(expected), "{input}: {problems:?}");
    }
}

#[test]
fn links_that_do_not_fit_together() {
    const MAC: &str = "match: {macaddress: '52:54:00:00:00:01'}";
    for (input, expected) in [
        (
            "bonds: {b: {interfaces: [eth9]}}",
            "`b` needs the link `eth9`, which is not described",
        ),
        (
            "ethernets: {eth0: {}}\nbonds: {b: {interfaces: [etth0]}}",
            "did you mean `eth0`?",
        ),
        ("bonds: {b: {interfaces: [b]}}", "needs the link `b`"),
        (
            "vlans: {v: {id: 1, link: none}}",
            "`v` needs the link `none`",
        ),
        ("vlans: {v: {link: none}}", "lacks `id` or `link`"),
        (
            "vlans: {v: {id: 4095, link: x}}",
            "not a number from 0 to 4094",
        ),
        ("vrfs: {v: {interfaces: []}}", "has no `table`"),
        (
            "tunnels: {t: {}}",
            "tunnels: is not a supported device type",
        ),
        (
            "wifis: {w: {access-points: {home: {password: secret}}}}",
            "wifis: is not a supported device type",
        ),
        ("ethernet: {}", "did you mean `ethernets`?"),
        (
            "ethernets: {a: {}}\nbonds: {a: {interfaces: []}}",
            "`a`: this link is used twice",
        ),
        (
            "ethernets: {a: {}, b: {set-name: c}, d: {set-name: c}}",
            "`c`: the interface name is used twice",
        ),
        (
            &format!("ethernets: {{a: {{{MAC}}}, b: {{{MAC}}}}}"),
            "already belongs to `a`",
        ),
        (
            "ethernets: {a: {}}\nbonds: {b: {interfaces: [a]}, c: {interfaces: [a]}}",
            "`a` is already part of `b`",
        ),
        (
            "ethernets: {a: {}, z: {}}\nbonds: {b: {interfaces: [a], parameters: {primary: z}}}",
            "`z` is not a member of `b`",
        ),
        (
            "bonds: {b: {parameters: {mode: fast}}}",
            "write one of: balance-rr",
        ),
        (
            "bonds: {b: {parameters: {mii-monitor: 1}}}",
            "mii-monitor: is not supported",
        ),
        (
            "bonds: {much-too-long-a-name: {}}",
            "cannot be the name of an interface",
        ),
        (
            "bridges: {b: {parameters: {path-cost: {x: 5}}}}",
            "`x` is not a member of `b`",
        ),
    ] {
        let (files, problems) = rendered(NoCloud, &format!("version: 2\n{input}"));
        assert!(files.is_empty(), "{input}:\n{files}");
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{input}: {problems:?}"
        );
        assert!(
            !problems.iter().any(|p| p.contains("secret")),
            "{problems:?}"
        );
    }
}

#[test]
fn v1() {
    for (input, expected) in [
        ("{}", "has no `type`"),
        ("{type: physical}", "has no `name`"),
        (
            "{type: infiniband, name: ib0}",
            "`infiniband` is not a supported device type",
        ),
        (
            "{type: physical, name: a, mac_address: 123456789012}",
            "is a number",
        ),
        (
            "{type: physical, name: a, subnets: [{type: dhpc}]}",
            "`dhpc` is not a subnet type",
        ),
        (
            "{type: physical, name: a, subnets: [{type: static}]}",
            "has no `address`",
        ),
        (
            "{type: physical, name: a, subnets: [{type: static, address: 10.0.0.1}]}",
            "has no prefix length and no `netmask`",
        ),
        (
            "{type: physical, name: a, subnets: [{type: static, address: 10.0.0.1, netmask: 255.0.255.0}]}",
            "`255.0.255.0` is not a netmask",
        ),
        (
            "{type: vlan, name: v, vlan_id: 5}",
            "lacks `vlan_id` or `vlan_link`",
        ),
        (
            "{type: bond, name: b, bond_interfaces: [x]}",
            "`b` needs the link `x`",
        ),
        (
            "{type: bond, name: b, params: {bond-mode: 9}}",
            "write one of: balance-rr",
        ),
        (
            "{type: bridge, name: b, params: {bridge_pathcost: [x]}}",
            "is not an interface and a number",
        ),
        (
            "{type: nameserver, address: 1.1.1.1, interface: x}",
            "there is no interface named `x`",
        ),
        ("{type: route, gateway: 10.0.0.1}", "has no destination"),
        ("{type: route, destination: 10.0.0.0/8}", "has no gateway"),
        (
            "{type: route, destination: 10.0.0.0/8, gateway: 10.0.0.1}",
            "no interface has an address from which to reach",
        ),
        ("just-a-word", "is text, not a mapping"),
    ] {
        let (files, problems) = rendered(NoCloud, &format!("version: 1\nconfig:\n  - {input}\n"));
        assert!(files.is_empty(), "{input}:\n{files}");
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{input}: {problems:?}"
        );
    }
}

#[test]
fn openstack() {
    for (input, expected) in [
        ("[]", "is a list, not an object"),
        ("{\"links\": {}}", "is a mapping, not a list"),
        ("{\"links\": [{\"type\": \"phy\"}]}", "has no `id`"),
        (
            "{\"links\": [{\"id\": \"a\"}]}",
            "has no `ethernet_mac_address`",
        ),
        (
            "{\"networks\": [{\"link\": \"a\", \"type\": \"ipv4\"}]}",
            "there is no link `a`",
        ),
        (
            "{\"links\": [{\"id\": \"a\", \"ethernet_mac_address\": \"52:54:00:00:00:01\"}], \"networks\": [{\"link\": \"a\", \"type\": \"ipv5\"}]}",
            "`ipv5` is not a network type",
        ),
        ("{\"links\": [], \"links\": []}", "appears twice"),
        ("{", "net:1: is not valid YAML (column"),
    ] {
        let (files, problems) = rendered(ConfigDrive, input);
        assert!(files.is_empty(), "{input}:\n{files}");
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{input}: {problems:?}"
        );
    }
}

#[test]
fn what_grows_without_end_ends_soon() {
    let began = std::time::Instant::now();
    let list = |item: &str| format!("[{}]", format!("{item}, ").repeat(20_000));
    for input in [
        format!("ethernets: {{a: {{addresses: {}}}}}", list("10.0.0.1/8")),
        format!("ethernets: {{a: {{routes: {}}}}}", list("{to: 10.0.0.0/8}")),
        format!(
            "ethernets: {{a: {{nameservers: {{addresses: {}}}}}}}",
            list("1.1.1.1")
        ),
        format!(
            "ethernets: {{a: {{}}}}\nbonds: {{b: {{interfaces: {}}}}}",
            list("a")
        ),
        format!("ethernets: {{a: {{link-local: {}}}}}", "[".repeat(100_000)),
    ] {
        let (files, problems) = rendered(NoCloud, &format!("version: 2\n{input}"));
        assert!(files.is_empty() && !problems.is_empty());
    }
    let servers = "  - {type: nameserver, address: 1.1.1.1}\n".repeat(5_000);
    let interface = "  - {type: physical, name: a}\n";
    let (_, problems) = rendered(
        NoCloud,
        &format!("version: 1\nconfig:\n{interface}{servers}"),
    );
    assert!(problems[0].contains("more than 512 items"), "{problems:?}");
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn whole_files() {
    let many = format!(
        "version: 2\nethernets:\n{}",
        (0..300)
            .map(|n| format!("  e{n}: {{}}\n"))
            .collect::<String>()
    );
    for (input, expected) in [
        ("version: 3", "version: is neither 1 nor 2"),
        ("ethernets: {}", "version: is neither 1 nor 2"),
        ("- a", "is a list, not a network configuration"),
        ("version: 1", "config: is missing"),
        ("version: 1\nconfig: x", "is text, not a list of devices"),
        ("a: b: c", "net:1: is not valid YAML (column"),
        (many.as_str(), "exceeds the limit on devices"),
    ] {
        let (files, problems) = rendered(NoCloud, input);
        assert!(files.is_empty());
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{input}: {problems:?}"
        );
    }
}
