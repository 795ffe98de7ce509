//! Values that are good ones, and that the kernel would refuse or pass over.
use super::rendered;
use crate::read::seed::Layout;

fn v2(text: &str) -> (String, Vec<String>) {
    rendered(Layout::NoCloud, &format!("version: 2\n{text}\n"))
}

#[test]
fn what_the_kernel_passes_over_is_told() {
    for (input, expected) in [
        (
            "ethernets:\n  a:\n    addresses: [10.0.0.2/8]\n    routes:\n    - {to: 10.9.0.0/16, via: 10.0.0.1}\n    - {to: 10.9.0.0/16, via: 10.0.0.3}",
            "net:7: ethernets.a.routes: `a` has a route to 10.9.0.0/16 of the same metric as `a`, line 6",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/8], routes: [{to: 10.9.0.0/16, via: 10.0.0.1, from: 10.0.0.9}]}}",
            "has no effect: 10.0.0.9 is not an address of this node",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.0/24]}}",
            "10.0.0.0/24 is not the address of a machine",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.255/24]}}",
            "10.0.0.255/24 is not the address of a machine",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/24]}, b: {addresses: [10.0.0.2/24]}}",
            "10.0.0.2 is an address of `a` as well",
        ),
        (
            "ethernets: {a: {mtu: 1500}}\nvlans: {v: {id: 5, link: a, mtu: 9000}}",
            "its `mtu` of 9000 has no effect: that of `a` is 1500",
        ),
        (
            "ethernets: {a: {mtu: 9000}}\nbonds: {b: {interfaces: [a]}}",
            "its `mtu` has no effect: the bond `b` sets that of its members",
        ),
        (
            "ethernets: {a: {mtu: 1000, addresses: ['fd00::2/64']}}",
            "its IPv6 has no effect",
        ),
        (
            "ethernets: {a: {}}\nbonds: {b: {interfaces: [a], parameters: {mode: active-backup, lacp-rate: fast}}}",
            "its parameter `lacp-rate` has no effect in the mode `active-backup`",
        ),
        (
            "ethernets: {a: {}}\nbonds: {b: {interfaces: [a], parameters: {mode: 802.3ad, arp-interval: 100}}}",
            "its parameter `arp-interval` has no effect in the mode `802.3ad`",
        ),
        (
            "ethernets: {a: {}}\nbonds: {b: {interfaces: [a], parameters: {primary: a}}}",
            "its parameter `primary` has no effect in the mode `balance-rr`",
        ),
    ] {
        let (files, problems) = v2(input);
        assert!(!files.is_empty(), "{input}: {problems:?}");
        let told = problems.iter().any(|said| said.contains(expected));
        assert!(told && problems.len() == 1, "{input}: {problems:?}");
    }
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    for (input, expected) in [
        (
            "ethernets: {a: {addresses: [10.0.0.2/24], gateway4: 10.0.0.0}}",
            "the gateway 10.0.0.0 is not the address of a machine in 10.0.0.0/24",
        ),
        (
            "ethernets: {a: {addresses: [10.0.0.2/24], gateway4: 10.0.0.255}}",
            "the gateway 10.0.0.255 is not the address of a machine",
        ),
        (
            "bridges: {c: {interfaces: [d]}, d: {interfaces: [c]}}",
            "`c` is built on itself",
        ),
        (
            "bridges: {c: {interfaces: [v]}}\nvlans: {v: {id: 5, link: c}}",
            "`c` is built on itself",
        ),
    ] {
        let (files, problems) = v2(input);
        let told = problems.iter().any(|said| said.contains(expected));
        assert!(told && files.is_empty(), "{input}: {files} {problems:?}");
    }
}

#[test]
fn what_makes_sense_is_not_named() {
    for input in [
        "ethernets: {a: {addresses: [10.0.0.0/31], gateway4: 10.0.0.1}}",
        "ethernets: {a: {addresses: [10.0.0.0/32]}, b: {addresses: ['fe80::1/64']}, c: {addresses: ['fe80::1/64']}}",
        "ethernets: {a: {addresses: [10.0.0.2/24]}, b: {addresses: [10.0.0.2/24]}}\nvrfs: {v: {table: 9, interfaces: [b]}}",
        "ethernets: {a: {addresses: [10.0.0.2/8], routes: [{to: 10.9.0.0/16, via: 10.0.0.1}, {to: 10.9.0.0/16, via: 10.0.0.3, metric: 5}]}}",
        "ethernets: {a: {dhcp4: true, routes: [{to: 10.9.0.0/16, via: 10.0.0.1, from: 10.0.0.9}]}}",
        "ethernets: {a: {mtu: 9000}}\nbonds: {b: {interfaces: [a], mtu: 9000, parameters: {mode: 802.3ad, lacp-rate: fast, transmit-hash-policy: layer3+4}}}\nvlans: {v: {id: 5, link: b, mtu: 1500}}",
        "ethernets: {a: {}}\nbonds: {b: {interfaces: [a], parameters: {mode: active-backup, primary: a, arp-interval: 100, arp-ip-targets: [10.0.0.1]}}}",
        "ethernets: {a: {}}\nbonds: {b: {interfaces: [a], parameters: {mode: active-backup, lacp-rate: slow, arp-validate: none}}}",
        "ethernets: {a: {}}\nbridges: {c: {interfaces: [a]}}\nvlans: {v: {id: 5, link: c}, w: {id: 5, link: v}}",
    ] {
        let (files, problems) = v2(input);
        assert!(
            !files.is_empty() && problems.is_empty(),
            "{input}: {problems:?}"
        );
    }
}
