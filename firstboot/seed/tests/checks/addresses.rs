//! Networks, the node's address, and the API server's.
use nodeimg_seed::check::{self, Addresses};
use nodeimg_seed::contract::profile::hard_way;
use nodeimg_seed::read::cloud_config;
use nodeimg_seed::read::seed::SeedFile;
use nodeimg_seed::text::jinja::Value;
use nodeimg_seed::text::problem::{Problems, Waited};

use crate::Case;
use nodeimg_test_support::seeds::user_data;

#[test]
fn pod_subnets() {
    for (given, expected) in [
        ("''", "nodeimg.pod_subnet: is empty"),
        (
            "10.200.0.0",
            "is not a network; add the length, such as `10.200.0.0/24`",
        ),
        (
            "10.200.0.5/24",
            "is an address in a network, not a network; write `10.200.0.0/24`",
        ),
        ("10.200.0.0/33", "`10.200.0.0/33` is not a network"),
        ("010.200.0.0/24", "is not a network"),
        ("10.200.0.0/31", "has length /31"),
        (
            "10.201.0.0/24",
            "10.201.0.0/24 is not inside the cluster's pod network 10.200.0.0/16,fd00:200::/48",
        ),
        (
            "[10.200.0.0/24, 'fd00:300::/64']",
            "fd00:300::/64 is not inside",
        ),
        (
            "[10.200.0.0/24, 10.200.1.0/24]",
            "10.200.1.0/24 is a second IPv4 network",
        ),
        ("{a: 1}", "is a mapping, not text"),
        ("[]", "is an empty list"),
        ("nonsense", "`nonsense` is not a network; write it like"),
    ] {
        Case::with("10.200.0.0/24", given).fails(expected);
    }
    Case::with("  pod_subnet: 10.200.0.0/24\n", "")
        .fails("user-data: nodeimg.pod_subnet: is missing");
    // A pod beyond the last address would wait for one for ever.
    let small = |net: &str| Case::with("10.200.0.0/24", net);
    small("10.200.0.0/25").says_nothing();
    small("10.200.0.0/26").warns(
        "10.200.0.0/26 has addresses for 61 pods, but this image's kubelet takes up to 110; \
         choose a larger network, or build the image with `kubelet.max_pods = 61`",
    );
    let mut case = small("10.200.0.0/26");
    case.settings.max_pods = Some(61);
    case.says_nothing();
    let mut case = Case::new(user_data());
    case.settings.max_pods = Some(254);
    case.warns("10.200.0.0/24 has addresses for 253 pods");
    // Against the image and the machine.
    let mut case = Case::new(user_data());
    case.settings.service_cidr = Some("10.200.0.0/20".to_owned());
    case.fails("10.200.0.0/24 overlaps the service network 10.200.0.0/20");
    let mut case = Case::with("10.200.0.0/24", "127.0.0.0/24");
    case.settings.cluster_cidr = None;
    case.fails("is reserved for other uses");
    let machine = [("eth0", "192.168.10.101/24"), ("eth1", "10.200.0.7/16")];
    Case::new(user_data())
        .on(&machine)
        .fails("overlaps this node's own network 10.200.0.0/16 (eth1)");
    let bridge = [("eth0", "192.168.10.101/24"), ("cni0", "10.200.0.1/24")];
    Case::new(user_data()).on(&bridge).good();
    let two = Case::with("10.200.0.0/24", "'10.200.0.0/24,fd00:200::/64'");
    two.warns("node_ip: has one address family, and `pod_subnet` has two");
}

#[test]
fn cluster_cidr_of_seed_and_image() {
    let with = |cluster: &str| {
        Case::with(
            "  pod_subnet:",
            &format!("  cluster_cidr: {cluster}\n  pod_subnet:"),
        )
    };
    with("10.200.0.0/16").good();
    with("10.0.0.0/8")
        .fails("10.0.0.0/8 is not what the image was built for, 10.200.0.0/16,fd00:200::/48");
    let mut case = with("10.201.0.0/16");
    case.settings.cluster_cidr = None;
    case.fails("10.200.0.0/24 is not inside the cluster's pod network 10.201.0.0/16");
    let mut case = with("10.200.0.0/16");
    case.settings.cluster_cidr = None;
    assert_eq!(case.good().cluster_cidrs.len(), 1);
    let mut case = Case::new(user_data());
    case.settings.cluster_cidr = Some("nonsense".to_owned());
    case.fails("/usr/lib/nodeimg/firstboot.json: `nonsense` is not a network");
}

const MACHINE: &[(&str, &str)] = &[
    ("eth0", "192.168.10.101/24"),
    ("eth0", "192.168.10.200/32"),
    ("eth1", "172.16.0.5/16"),
    ("eth1", "2001:db8::5/64"),
];

#[test]
fn node_addresses_chosen() {
    for (given, expected) in [
        ("192.168.10.101", "192.168.10.101"),
        ("192.168.10.0/24", "192.168.10.101"),
        ("172.16.0.0/12", "172.16.0.5"),
        ("'!192.168.0.0/16'", "172.16.0.5"),
        ("['192.168.0.0/16', '!192.168.10.101/32']", "192.168.10.200"),
        ("[10.0.0.0/8, 172.16.0.0/12]", "172.16.0.5"),
    ] {
        let node = Case::with("192.168.10.101", given).on(MACHINE).good();
        assert_eq!(
            node.node_ips,
            [expected.parse::<std::net::IpAddr>().unwrap()],
            "{given}"
        );
    }
    let both = Case::new(
        user_data()
            .replace("192.168.10.101", "['2001:db8::/32', 192.168.10.101]")
            .replace("10.200.0.0/24", "[10.200.0.0/24, 'fd00:200::/64']"),
    );
    let chosen: Vec<String> = both
        .on(MACHINE)
        .good()
        .node_ips
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(chosen, ["2001:db8::5", "192.168.10.101"]);
    assert!(
        Case::with("  node_ip: 192.168.10.101\n", "")
            .on(MACHINE)
            .good()
            .node_ips
            .is_empty()
    );
    let absent = user_data()
        .replace("  node_ip: 192.168.10.101\n", "")
        .replace("10.200.0.0/24", "[10.200.0.0/24, 'fd00:200::/64']");
    Case::new(absent)
        .on(MACHINE)
        .warns("node_ip: is missing, and by default a kubelet");
}

#[test]
fn node_addresses_refused() {
    for (given, expected) in [
        ("192.168.10.300", "is neither an address nor a network"),
        (
            "192.168.10.101/24",
            "write `192.168.10.101` for this address, `192.168.10.0/24` for the one",
        ),
        (
            "node-0",
            "is neither an address nor a network; write an address",
        ),
        ("127.0.0.1", "127.0.0.1 cannot be the address of a node"),
        ("169.254.1.1", "cannot be"),
        ("'fe80::1'", "cannot be"),
        ("'::ffff:10.0.0.1'", "cannot be"),
        ("0.0.0.0", "cannot be"),
        ("'!10.0.0.1/8'", "write `10.0.0.0/8`"),
        (
            "192.168.10.9",
            "192.168.10.9 is on no interface of this machine; this machine has 192.168.10.101/24 (eth0), 192.168.10.200/32 (eth0), 172.16.0.5/16 (eth1)",
        ),
        ("10.0.0.0/8", "no IPv4 address of this machine is in"),
        (
            "[192.168.10.0/24, 172.16.0.0/16]",
            "matches addresses of more than one interface: 192.168.10.101/24 (eth0)",
        ),
        ("'!10.0.0.0/8'", "more than one interface"),
        (
            "[192.168.10.101, 172.16.0.5]",
            "combines an IPv4 address with other rules",
        ),
        (
            "[192.168.10.101, 192.168.10.0/24]",
            "combines an IPv4 address with other rules",
        ),
        (
            "'2001:db8::5'",
            "is of an address family that `pod_subnet` does not have",
        ),
    ] {
        Case::with("192.168.10.101", given)
            .on(MACHINE)
            .fails(expected);
    }
    Case::with("192.168.10.101", "192.168.10.0/24").fails("not known here; give --assume-address");
    Case::with("192.168.10.101", "10.200.0.5")
        .fails("10.200.0.5 is inside the pod subnet 10.200.0.0/24");
    for (is_busy, expected) in [
        (
            false,
            "is on no interface of this machine (waited 61 s); this",
        ),
        (true, "(waited 61 s, and udev is still processing"),
    ] {
        let mut case = Case::with("192.168.10.101", "192.168.10.9").on(MACHINE);
        case.waited = Some(Waited {
            seconds: 61,
            is_busy,
        });
        case.fails(expected);
    }
}

#[test]
fn waiting_is_for_addresses_that_are_absent_only() {
    for (given, waits) in [
        ("192.168.10.101", false),
        ("192.168.10.9", true),
        ("10.0.0.0/8", true),
        ("nonsense", false),
        ("'!10.0.0.0/8'", false),
    ] {
        let case = Case::with("192.168.10.101", given).on(MACHINE);
        let mut problems = Problems::new();
        let file = SeedFile::new("user-data", case.user.as_bytes());
        let user = cloud_config::read_file(&file, &Value::None, &hard_way::PROFILE, &mut problems)
            .unwrap();
        assert_eq!(
            check::still_missing(&user, &case.addresses),
            waits,
            "{given}"
        );
    }
}

/// A new instance's seed is checked while the interfaces are still those of the old one.
#[test]
fn addresses_that_come_later() {
    for good in ["192.168.10.101", "192.168.10.0/24", "'!192.168.10.0/24'"] {
        let mut case = Case::with("192.168.10.101", good);
        case.addresses = Addresses::Later;
        let (node, errors, _) = case.run();
        assert!(node.is_some() && errors.is_empty(), "{good}: {errors:?}");
    }
    for (bad, expected) in [
        ("10.200.0.5", "is inside the pod subnet"),
        ("nonsense", "is neither an address nor a network"),
    ] {
        let mut case = Case::with("192.168.10.101", bad);
        case.addresses = Addresses::Later;
        case.fails(expected);
    }
}

#[test]
fn api_servers() {
    let given = "https://server.kubernetes.local:6443";
    for good in [
        "https://10.0.0.1",
        "https://[2001:db8::1]:6443",
        "https://s/k8s/clusters/c-1",
        "https://S.Example:443/",
    ] {
        let node = Case::with(given, good).good();
        assert_eq!(node.identity.as_ref().unwrap().server, good);
    }
    for (bad, expected) in [
        ("http://s:6443", "is not encrypted"),
        ("s:6443", "is not an https URL"),
        ("https://", "has no valid host name"),
        ("https://s:0", "has no valid port"),
        ("https://s:65536", "has no valid port"),
        ("https://s:+1", "has no valid port"),
        ("'https://s:'", "has no valid port"),
        ("https://u:p@s", "has a user name or password in it"),
        ("https://10.0.0.300", "not a valid IPv4 address"),
        ("'https://[::1'", "not closed by `]`"),
        ("'https://[x]:1'", "other than an IPv6 address in brackets"),
        ("https://s/a?b", "query"),
        ("\"https://s/\\n  x: y\"", "odd characters"),
        ("https://under_score", "no valid host name"),
        (
            "https://10.200.0.9:6443",
            "10.200.0.9 is inside the pod subnet",
        ),
    ] {
        Case::with(given, bad).fails(expected);
    }
    Case::with(&format!("  api_server: {given}\n"), "")
        .fails("user-data: nodeimg.api_server: is missing");
}
