//! A worker of the hard way whose seed comes as credentials of the system, by
//! both ways that a hypervisor has for them, on a machine with two cards.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{directory, worker_image};
use crate::support::guest::Guest;
use crate::support::worker::Worker;

const NETWORK: &str = "\
version: 2
ethernets:
  up:
    match: {macaddress: '52:54:00:12:34:56'}
    dhcp4: true
  lan:
    match: {macaddress: '52:54:00:aa:bb:02'}
    set-name: lan0
    addresses: [192.168.77.10/24]
";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn arm64_has_the_node_ip_of_its_second_card() {
    let Some(image) = worker_image("arm64") else {
        return;
    };
    let directory = directory("worker-arm64");
    let worker = Worker::new("node-3", &["192.168.77.10"]);
    let user_data = directory.join("user-data");
    fs::write(&user_data, worker.user_data("192.168.77.0/24", "")).unwrap();
    let by_fw_cfg = format!(
        "name=opt/io.systemd.credentials/nodeimg.user-data,file={}",
        user_data.display()
    );
    let by_smbios = |name: &str, text: &str| {
        format!(
            "type=11,value=io.systemd.credential.binary:nodeimg.{name}={}",
            STANDARD.encode(text)
        )
    };
    let guest = Guest::new("arm64-worker", &image).qemu(&[
        "-fw_cfg",
        &by_fw_cfg,
        "-smbios",
        &by_smbios("meta-data", "instance-id: i-node-3\n"),
        "-smbios",
        &by_smbios("network-config", NETWORK),
        "-netdev",
        "user,id=lan,net=192.168.77.0/24,restrict=on",
        "-device",
        "virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:aa:bb:02",
    ]);
    let guest = guest.script(
        "fact node-env cat /etc/nodeimg/node.env\n\
         fact cni cat /etc/cni/net.d/10-bridge.conf\n\
         fact cards ip -4 -br addr show scope global\n\
         fact restarts systemctl show -P NRestarts kubelet.service\n",
    );
    let Some(facts) = guest.facts() else { return };
    facts.is("machine", "aarch64");
    facts.is("failed", "");
    facts.is("state", "running");
    facts.is("host-name", "node-3");
    facts.has(
        "first-boot",
        &[
            r#""outcome": "applied""#,
            r#""instance_id": "i-node-3""#,
            "(credentials)",
            r#""192.168.77.10""#,
        ],
    );
    facts.has("cards", &["10.0.2.15/24", "lan0", "192.168.77.10/24"]);
    facts.has(
        "node-env",
        &["--hostname-override=node-3", "--node-ip=192.168.77.10 "],
    );
    facts.has("cni", &[r#""subnet":"10.200.3.0/24""#]);
    for unit in ["containerd", "kubelet", "kube-proxy"] {
        facts.is(&format!("unit-{unit}"), "active");
    }
    facts.is("restarts", "0");
    fs::remove_dir_all(directory).unwrap();
}
