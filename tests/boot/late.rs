//! The boot after one without a seed, with a correct volume: two interfaces, a static
//! network for both, and the node IP by the network of the second.

use super::FIRST_INTERFACE;
use nodeimg_test_support::guest::{Facts, Guest};

/// Of the second interface's address.
pub const NODE_IP: &str = "192.168.77.0/24";
/// Of units that are up, or about to be, when the seed is read.
pub const DROP_INS: &str = r#"
write_files:
- path: /etc/systemd/system/containerd.service.d/20-mine.conf
  content: "[Service]\nEnvironment=OF_THE_SEED=runtime\n"
- path: /etc/systemd/system/kubelet.service.d/20-mine.conf
  content: "[Service]\nEnvironment=OF_THE_SEED=kubelet\n"
"#;
const SECOND_INTERFACE: &str = "52:54:00:aa:bb:02";

const ABOUT_THE_NODE: &str = r#"
fact interfaces ip -4 -br addr show scope global
fact leases ip -4 -o addr show scope global dynamic
fact routes ip -4 route show
fact resolvers cat /run/systemd/resolve/resolv.conf
fact node-env cat /etc/nodeimg/node.env
fact kubelet-line sh -c 'tr "\0" " " </proc/$(systemctl show -P MainPID kubelet.service)/cmdline'
fact cni cat /etc/cni/net.d/10-bridge.conflist
fact restarts systemctl show -P NRestarts kubelet.service
of_the_seed() { tr '\0' '\n' <"/proc/$(systemctl show -P MainPID "$1")/environ" | grep OF_THE_SEED; }
fact runtime-environment of_the_seed containerd.service
fact kubelet-environment of_the_seed kubelet.service
fact runtime-up systemctl show -P ActiveEnterTimestampMonotonic containerd.service
fact kubelet-begun systemctl show -P ExecMainStartTimestampMonotonic kubelet.service
fact patience systemctl show -P TimeoutStartUSec systemd-modules-load.service systemd-sysctl.service
"#;

/// The volume's network-config: none of it is what DHCP would give.
pub fn network() -> String {
    format!(
        "version: 2
ethernets:
  up:
    match: {{macaddress: '{FIRST_INTERFACE}'}}
    set-name: up0
    addresses: [10.0.2.77/24]
    routes: [{{to: default, via: 10.0.2.2}}]
    nameservers: {{addresses: [10.0.2.3]}}
  lan:
    match: {{macaddress: '{SECOND_INTERFACE}'}}
    set-name: lan0
    addresses: [192.168.77.10/24]
    routes: [{{to: 10.99.0.0/16, via: 192.168.77.2}}]
"
    )
}

/// With the second interface, on whose network DHCP is answered as well.
pub fn boot(machine: Guest) -> Guest {
    let interface = format!("virtio-net-pci,netdev=lan,romfile=,mac={SECOND_INTERFACE}");
    let network = "user,id=lan,net=192.168.77.0/24,restrict=on";
    let machine = machine.qemu(&["-netdev", network, "-device", &interface]);
    machine.script(ABOUT_THE_NODE)
}

pub fn expect_the_node_of_the_medium(facts: &Facts) {
    facts.expect("failed", "");
    facts.expect("state", "running");
    facts.expect("host-name", "node-0");
    facts.expect_parts(
        "first-boot",
        &[
            r#""outcome": "applied""#,
            r#""instance_id": "i-late""#,
            "NoCloud in /dev/",
            r#""192.168.77.10""#,
        ],
    );
    expect_network(facts);
    for unit in ["containerd", "kubelet", "kube-proxy"] {
        facts.expect(&format!("unit-{unit}"), "active");
    }
    facts.expect("restarts", "0");
    its_drop_ins_are_in_force(facts);
    // systemd's own 90 s are too few for a machine such as this one.
    let patience: Vec<&str> = facts["patience"].split_whitespace().collect();
    assert_eq!(patience, ["15min", "15min"]);
    facts.expect_parts("cni", &[r#""subnet":"10.200.3.0/24""#]);
    let flags = ["--hostname-override=node-0", "--node-ip=192.168.77.10 "];
    facts.expect_parts("node-env", &flags);
    facts.expect_parts("kubelet-line", &flags);
}

/// containerd was restarted if it had started without them, and the kubelet after that.
fn its_drop_ins_are_in_force(facts: &Facts) {
    facts.expect("runtime-environment", "OF_THE_SEED=runtime");
    facts.expect("kubelet-environment", "OF_THE_SEED=kubelet");
    let [runtime, kubelet] = ["runtime-up", "kubelet-begun"].map(|name| {
        let microseconds: u64 = facts[name].parse().unwrap();
        microseconds
    });
    assert!(runtime < kubelet, "{runtime} {kubelet}");
}

/// Both interfaces have the names and addresses of the volume, and no others.
fn expect_network(facts: &Facts) {
    let interfaces = &facts["interfaces"];
    let words: Vec<&str> = interfaces.split_whitespace().collect();
    for (name, address) in [("up0", "10.0.2.77/24"), ("lan0", "192.168.77.10/24")] {
        let at = words.iter().position(|word| *word == name);
        let at = at.unwrap_or_else(|| panic!("no interface {name}: {interfaces}"));
        assert_eq!(words.get(at + 2), Some(&address), "{interfaces}");
    }
    assert_eq!(words.len(), 6, "{interfaces}");
    facts.expect("leases", "");
    facts.expect_parts(
        "routes",
        &[
            "default via 10.0.2.2 dev up0 ",
            "10.99.0.0/16 via 192.168.77.2 dev lan0 ",
        ],
    );
    facts.expect_parts("resolvers", &["nameserver 10.0.2.3"]);
}
