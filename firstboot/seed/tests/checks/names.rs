//! Host names, entries of /etc/hosts, labels and taints.
use nodeimg_seed::contract::paths;
use nodeimg_seed::contract::profile::container_host;
use nodeimg_seed::plan;
use nodeimg_seed::text::problem::Problems;

use crate::{Case, GROUND};
use nodeimg_test_support::seeds::user_data;

#[test]
fn host_names_in_the_order_of_cloud_init() {
    for (user, meta, host_name, fqdn) in [
        ("hostname: a", "b", "a", "a"),
        ("hostname: a", "a.dom.ain", "a", "a.dom.ain"),
        ("hostname: a", "b.dom.ain", "a", "a"),
        ("hostname: a.dom.ain", "b", "a", "a.dom.ain"),
        ("fqdn: a.dom.ain", "b", "a", "a.dom.ain"),
        ("hostname: a\nfqdn: c.dom.ain", "b", "a", "c.dom.ain"),
        (
            "fqdn: a.dom.ain\nprefer_fqdn_over_hostname: true",
            "b",
            "a.dom.ain",
            "a.dom.ain",
        ),
        ("hostname: 10", "b", "10", "10"),
        ("packages: []", "b.dom.ain", "b", "b.dom.ain"),
        (
            "prefer_fqdn_over_hostname: yes",
            "b.dom.ain",
            "b.dom.ain",
            "b.dom.ain",
        ),
    ] {
        let mut case = Case::new(format!("#cloud-config\n{user}\n"));
        case.settings.profile = &container_host::PROFILE;
        case.meta = format!("instance-id: i\nlocal-hostname: {meta}\n");
        let node = case.good();
        assert_eq!(
            (node.host_name.as_str(), node.fqdn.as_str()),
            (host_name, fqdn),
            "{user}, {meta}"
        );
    }
}

#[test]
fn host_names_that_cannot_name_a_node() {
    let long = format!("hostname: {}", "a".repeat(64));
    let long_fqdn = format!(
        "fqdn: {}.b\nprefer_fqdn_over_hostname: true",
        "a.".repeat(40) + "a"
    );
    for (names, expected) in [
        (
            "hostname: localhost",
            "user-data:2: hostname: `localhost` stands for every machine",
        ),
        (
            "hostname: localhost.localdomain",
            "stands for every machine",
        ),
        ("hostname: Node_0", "`node_0` holds `_`"),
        (
            "hostname: 0x10",
            "user-data:2: hostname: is a number in YAML, which cloud-init would not take",
        ),
        ("fqdn: 1_0", "fqdn: is a number in YAML"),
        (
            "hostname: node_0",
            "`node_0` holds `_`; use lowercase letters, digits and `-`",
        ),
        ("hostname: -a", "begins or ends with `-`"),
        ("hostname: a..b", "has a part of 0 characters"),
        ("hostname: a b", "`a b` holds ` `"),
        ("hostname: näme", "holds `\\u{e4}`"),
        (long.as_str(), "has a part of 64 characters"),
        (long_fqdn.as_str(), "Linux allows 64"),
        ("hostname: no", "is a boolean in YAML"),
    ] {
        let mut case = Case::with("hostname: node-0\nfqdn: node-0.kubernetes.local", names);
        // A name of the wrong shape counts as none given; meta-data has one.
        case.meta = "instance-id: i\nlocal-hostname: node-0\n".to_owned();
        case.fails(expected);
    }
    let mut none = Case::with("hostname: node-0\nfqdn: node-0.kubernetes.local\n", "");
    none.meta = "instance-id: i".to_owned();
    none.fails("user-data: hostname: no host name is given");
    // One that is refused is given.
    for (name, reason) in [
        ("no", "is a boolean"),
        ("0x10", "is a number"),
        ("[a]", "is a list"),
    ] {
        let named = format!("hostname: {name}\n");
        let mut case = Case::with("hostname: node-0\nfqdn: node-0.kubernetes.local\n", &named);
        case.meta = "instance-id: i".to_owned();
        case.fails(reason);
    }
}

#[test]
fn names_in_capitals_are_lowered() {
    for (names, host, fqdn, expected) in [
        (
            "hostname: Node-0",
            "node-0",
            "node-0",
            "user-data:2: hostname: has uppercase letters, and Kubernetes allows only lowercase ones: this node is `node-0`; write `node-0`",
        ),
        (
            "fqdn: node-0.Dom.ain",
            "node-0",
            "node-0.dom.ain",
            "user-data:2: fqdn: has uppercase letters",
        ),
    ] {
        let case = Case::with("hostname: node-0\nfqdn: node-0.kubernetes.local", names);
        case.warns(expected);
        let node = case.good();
        assert_eq!((node.host_name.as_str(), node.fqdn.as_str()), (host, fqdn));
    }
}

#[test]
fn a_name_that_is_not_used_is_told() {
    let mut case = Case::new(user_data());
    for (name, expected) in [
        ("local-hostname: node-1", true),
        ("local-hostname: Node-0", false),
    ] {
        case.meta = format!("instance-id: i\n{name}\n");
        match expected {
            true => case.warns(
                "meta-data:2: local-hostname: has no effect: user-data gives this node its name",
            ),
            false => case.says_nothing(),
        }
    }
}

#[test]
fn hosts_labels_and_taints() {
    for (from, to, expected) in [
        (
            "{server.kubernetes.local: 192.168.10.100}",
            "{server: 10.0.0.300}",
            "nodeimg.hosts.server: is not the IP address",
        ),
        (
            "{server.kubernetes.local: 192.168.10.100}",
            "{server: 0.0.0.0}",
            "is not the IP address",
        ),
        (
            "{server.kubernetes.local: 192.168.10.100}",
            "{localhost: 10.0.0.1}",
            "is not a host name that can be given an address",
        ),
        (
            "{server.kubernetes.local: 192.168.10.100}",
            "[a]",
            "is a list, not a mapping",
        ),
        (
            "{zone: a, disk: ssd}",
            "{zone: yes}",
            "is a boolean in YAML",
        ),
        ("{zone: a, disk: ssd}", "{-zone: a}", "is not a valid key"),
        (
            "{zone: a, disk: ssd}",
            "{zone: 'a b'}",
            "has a value that is too long or has invalid characters",
        ),
        ("{zone: a, disk: ssd}", "{a/b/c: d}", "is not a valid key"),
        (
            "{zone: a, disk: ssd}",
            "{node-role.kubernetes.io/worker: ''}",
            "a kubelet may not set on itself",
        ),
        (
            "{zone: a, disk: ssd}",
            "{x.k8s.io/y: z}",
            "a kubelet may not set on itself",
        ),
        (
            "['dedicated=gpu:NoSchedule']",
            "dedicated",
            "is text, not a list",
        ),
        (
            "['dedicated=gpu:NoSchedule']",
            "[dedicated]",
            "is a taint without an effect",
        ),
        (
            "['dedicated=gpu:NoSchedule']",
            "['a:NoSchedul']",
            "did you mean `NoSchedule`?",
        ),
        (
            "['dedicated=gpu:NoSchedule']",
            "['a b:NoExecute']",
            "is not a valid key",
        ),
        (
            "['dedicated=gpu:NoSchedule']",
            "[{key: a}]",
            "lacks `key` or `effect`",
        ),
        (
            "['dedicated=gpu:NoSchedule']",
            "[{key: a, effect: NoExecute, valu: x}]",
            "did you mean `value`?",
        ),
    ] {
        Case::with(from, to).fails(expected);
    }
    let user = user_data()
        .replace(
            "{zone: a, disk: ssd}",
            "{node.kubernetes.io/x: '', topology.kubernetes.io/zone: 1, a.example/b: c_d.e}",
        )
        .replace(
            "['dedicated=gpu:NoSchedule']",
            "['a:NoExecute', {key: b, value: c, effect: PreferNoSchedule}]",
        );
    let node = Case::new(user).good();
    assert_eq!(
        node.labels,
        [
            "a.example/b=c_d.e",
            "node.kubernetes.io/x=",
            "topology.kubernetes.io/zone=1"
        ]
    );
    assert_eq!(node.taints, ["a:NoExecute", "b=c:PreferNoSchedule"]);
}

#[test]
fn a_list_of_hosts_may_hold_this_node() {
    let user = user_data().replace(
        "{server.kubernetes.local: 192.168.10.100}",
        "{node-0: 192.168.10.101, node-1: 192.168.10.102}",
    );
    let node = Case::new(user).good();
    let plan = plan::plan(&node, &GROUND, &mut Problems::new()).unwrap();
    let hosts = plan.text(paths::HOSTS).unwrap().to_owned();
    let rest = hosts.split_once("ip6-loopback\n").unwrap().1;
    assert_eq!(
        rest,
        "192.168.10.101 node-0.kubernetes.local\n192.168.10.101 node-0\n192.168.10.102 node-1\n"
    );
    let bare = Case::with("  node_ip: 192.168.10.101\n", "").good();
    let plan = plan::plan(&bare, &GROUND, &mut Problems::new()).unwrap();
    let hosts = plan.text(paths::HOSTS).unwrap().to_owned();
    assert!(
        hosts.contains("\n127.0.1.1 node-0.kubernetes.local node-0\n"),
        "{hosts}"
    );
}
