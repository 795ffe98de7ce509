//! The binary on a directory: what a good seed gives, run after run.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use common::{Image, Ran};
use nodeimg_test_support::seeds::{self, META_DATA, user_data};

const WRITTEN: &[&str] = &[
    "etc/cni/net.d/10-bridge.conf 644",
    "etc/hostname 644",
    "etc/hosts 644",
    "etc/nodeimg/node.env 644",
    "run/nodeimg/metrics/nodeimg.prom 644",
    "run/nodeimg/result.json 644",
    "var/lib/kube-proxy/kubeconfig 600",
    "var/lib/kubelet/ca.crt 644",
    "var/lib/kubelet/kubeconfig 600",
    "var/lib/kubelet/kubelet.crt 644",
    "var/lib/kubelet/kubelet.key 600",
    "var/lib/nodeimg/instance-copy.json 644",
    "var/lib/nodeimg/instance.json 644",
    "var/lib/nodeimg/rendered.json 600",
];

const NETWORK_DATA: &str = r#"{"links": [{"id": "tap0", "type": "ovs",
    "ethernet_mac_address": "fa:16:3e:00:00:01"}],
  "networks": [{"id": "n0", "link": "tap0", "type": "ipv4_dhcp"}]}"#;

#[test]
fn no_cloud_seed_makes_a_node() {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    let ran = image.run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(
        ran.out.contains("node-0 is set up") && ran.out.contains("10.200.0.0/24"),
        "{}",
        ran.out
    );
    assert_eq!(image.written(), WRITTEN);
    assert_eq!(image.text("etc/hostname"), "node-0\n");
    assert_eq!(
        image.text("etc/hosts"),
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n192.168.10.101 node-0.kubernetes.local node-0\n192.168.10.100 server.kubernetes.local\n"
    );
    assert_eq!(
        image.text("etc/nodeimg/node.env"),
        "NODE_IP=192.168.10.101\nNODE_NAME=node-0\nNODE_LABELS=disk=ssd,zone=a\nNODE_TAINTS=dedicated=gpu:NoSchedule\n"
    );
    let bridge: serde_json::Value =
        serde_json::from_str(&image.text("etc/cni/net.d/10-bridge.conf")).unwrap();
    assert_eq!(
        bridge["ranges"],
        serde_json::json!([[{"subnet": "10.200.0.0/24"}]])
    );
    assert_eq!(bridge["routes"], serde_json::json!([{"dst": "0.0.0.0/0"}]));
    assert_eq!(image.text("var/lib/kubelet/ca.crt"), seeds::ca());
    assert_eq!(image.text("var/lib/kubelet/kubelet.key"), seeds::key());
    let kubelet = image.text("var/lib/kubelet/kubeconfig");
    assert!(
        kubelet.contains("client-key: \"/var/lib/kubelet/kubelet.key\""),
        "{kubelet}"
    );
    assert!(
        kubelet.contains("name: \"system:node:node-0\""),
        "{kubelet}"
    );
    let proxy = image.text("var/lib/kube-proxy/kubeconfig");
    assert!(
        proxy.contains("client-key-data: ") && proxy.contains("server: \"https://server"),
        "{proxy}"
    );
    let result = image.result();
    assert_eq!(result["outcome"], "applied");
    assert_eq!(result["instance_id"], "iid-0");
}

#[test]
fn config_drive_seed_makes_a_node() {
    let image = Image::new();
    for program in ["systemd-networkd", "systemd-resolved"] {
        image.write(&format!("usr/lib/systemd/{program}"), "");
    }
    let seed = tempfile::tempdir().unwrap();
    let latest = seed.path().join("openstack/latest");
    std::fs::create_dir_all(&latest).unwrap();
    std::fs::write(
        latest.join("meta_data.json"),
        "{\"uuid\": \"u-1\", \"hostname\": \"from-nova.novalocal\", \"name\": \"n\"}",
    )
    .unwrap();
    let user = seeds::user_data_of("from-nova")
        .replace("hostname: from-nova\n", "")
        .replace("fqdn: from-nova.kubernetes.local\n", "");
    std::fs::write(latest.join("user_data"), user).unwrap();
    std::fs::write(latest.join("vendor_data.json"), "{}").unwrap();
    std::fs::write(latest.join("network_data.json"), NETWORK_DATA).unwrap();
    let ran = image.run(&["--seed", seed.path().to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text("etc/hostname"), "from-nova\n");
    assert!(ran.out.contains("config drive in "), "{}", ran.out);
    assert!(
        !ran.out.contains("vendor_data") && !ran.out.contains("warning"),
        "{}",
        ran.out
    );
    let file = image.text("etc/systemd/network/10-nodeimg-tap0.network");
    assert!(
        file.contains("MACAddress=fa:16:3e:00:00:01\n") && file.contains("DHCP=ipv4\n"),
        "{file}"
    );
    assert_eq!(image.result()["instance_id"], "u-1");
}

/// What whoever runs the cloud adds: data below the user's, and files.
#[test]
fn a_cloud_has_its_say() {
    let image = Image::new();
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    let host = settings.replace("hard-way", "container-host");
    image.write("usr/lib/nodeimg/firstboot.json", host);
    let seed = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = seed.path().join("openstack").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "latest/meta_data.json",
        "{\"uuid\": \"u\", \"files\": [{\"path\": \"/etc/vendor/ca\", \"content_path\": \"/content/0000\"}]}",
    );
    write("content/0000", "injected");
    write("latest/user_data", "#cloud-config\nhostname: n\n");
    write(
        "latest/vendor_data.json",
        "{\"cloud-init\": \"#cloud-config\\nhostname: theirs\\nruncmd: [agent]\\n\"}",
    );
    let run = || image.run(&["--seed", seed.path().to_str().unwrap()]);
    let ran = run();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let warnings: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.contains("warning"))
        .collect();
    let [warning] = warnings.as_slice() else {
        panic!("{}", ran.out)
    };
    assert!(
        warning.contains("vendor_data.json:2: hostname: has no effect"),
        "{warning}"
    );
    assert_eq!(image.text("etc/hostname"), "n\n");
    assert_eq!(image.text("etc/vendor/ca"), "injected");
    assert_eq!(image.mode("etc/vendor/ca"), 0o660);
    let script = image.text("var/lib/nodeimg/scripts/900-runcmd");
    assert_eq!(script, "#!/bin/sh\nagent\n");
    // A file that is listed and is not there.
    std::fs::remove_file(seed.path().join("openstack/content/0000")).unwrap();
    let meta =
        "{\"uuid\": \"u2\", \"files\": [{\"path\": \"/a\", \"content_path\": \"/content/0000\"}]}";
    write("latest/meta_data.json", meta);
    let broken = run();
    assert_eq!(broken.code, 1);
    let expected = "lists `openstack/content/0000`, which is not there";
    assert!(broken.reason().contains(expected), "{}", broken.err);
}

#[test]
fn the_same_instance_is_left_alone() {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    // A seed that changed under the same identity, and one that is gone.
    image.write("etc/hostname", "edited\n");
    image.seed("#!/bin/sh\n", META_DATA);
    let again = image.run(&[]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("nothing to do"), "{}", again.out);
    assert_eq!(image.result()["outcome"], "unchanged");
    std::fs::remove_dir_all(image.path().join("var/lib/nodeimg/seed")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("etc/hostname"), "edited\n");
    // A seed asked for by name must be there.
    assert_eq!(image.run(&["--seed", "/nonexistent"]).code, 1);
}

#[test]
fn a_new_instance_replaces_the_old_one() {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    std::fs::remove_file(
        image
            .path()
            .join("usr/lib/nodeimg/templates/etc/nodeimg/node.env"),
    )
    .unwrap();
    image.seed(seeds::user_data_of("node-1"), "instance-id: iid-1\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(image.text("etc/hostname"), "node-1\n");
    assert!(
        !image.has("etc/nodeimg/node.env"),
        "the old instance's file is still there"
    );
    assert_eq!(image.result()["outcome"], "applied");
}

#[test]
fn the_network_is_part_of_the_plan() {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    let seed = "var/lib/nodeimg/seed/network-config";
    image.write(seed, "version: 2\nethernets: {a: {dhcp5: true}}\n");
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.reason().contains("did you mean `dhcp4`?"),
        "{}",
        ran.err
    );
    assert!(!image.has("etc"));
    image.write(seed, "version: 2\nethernets: {a: {dhcp4: true}}\n");
    assert_eq!(image.run(&[]).code, 0);
    let directory = "etc/systemd/network";
    assert_eq!(
        image.text(&format!("{directory}/80-nodeimg-dhcp.network")),
        ""
    );
    assert_eq!(
        image.text(&format!("{directory}/10-nodeimg-a.network")),
        "[Match]\nName=a\n\n[Network]\nDHCP=ipv4\n"
    );
    // Of the next instance nothing of it is left.
    image.write(seed, "version: 2\nethernets: {b: {dhcp4: true}}\n");
    image.seed(user_data(), "instance-id: iid-1\n");
    assert_eq!(image.run(&[]).code, 0);
    assert!(!image.has(&format!("{directory}/10-nodeimg-a.network")));
    assert!(image.has(&format!("{directory}/10-nodeimg-b.network")));
    std::fs::remove_file(image.path().join(seed)).unwrap();
    image.seed(user_data(), "instance-id: iid-2\n");
    assert_eq!(image.run(&[]).code, 0);
    assert!(
        !image
            .written()
            .iter()
            .any(|line| line.contains("systemd/network"))
    );
}

#[test]
fn lost_files_are_written_again() {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    std::fs::remove_dir_all(image.path().join("etc")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["outcome"], "applied");
    assert_eq!(image.written(), WRITTEN);
}

#[test]
fn a_failed_run_writes_its_verdict_only() {
    let image = Image::new();
    image.seed(
        user_data().replace("10.200.0.0/24", "10.200.0.1/24"),
        META_DATA,
    );
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        image.written(),
        [
            "run/nodeimg/metrics/nodeimg.prom 644",
            "run/nodeimg/result.json 644"
        ]
    );
    assert!(
        ran.err.contains("THIS NODE IS NOT SET UP")
            && ran.reason().contains("write `10.200.0.0/24`"),
        "{}",
        ran.err
    );
    assert_eq!(image.status(&[]).code, 1);
    // The corrected seed of the same instance is tried again.
    image.seed(user_data(), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    let status = image.status(&[]);
    assert_eq!(status.code, 0);
    assert!(status.out.contains("node-0 is set up"), "{}", status.out);
    let json: serde_json::Value = serde_json::from_str(&image.status(&["--json"]).out).unwrap();
    assert_eq!(json, image.result());
}

#[test]
fn two_families_give_two_ranges() {
    let image = Image::new();
    let user = user_data()
        .replace(
            "pod_subnet: 10.200.0.0/24",
            "pod_subnet: [10.200.0.0/24, 'fd00:200::/64']",
        )
        .replace(
            "node_ip: 192.168.10.101",
            "node_ip: ['192.168.10.0/24', '2001:db8::/64', '!192.168.10.7/32']",
        );
    image.seed(user, META_DATA);
    let ran = image.run(&[
        "--assume-address",
        "192.168.10.7/24",
        "--assume-address=192.168.10.101/24",
        "--assume-address",
        "2001:db8::5/64",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let bridge: serde_json::Value =
        serde_json::from_str(&image.text("etc/cni/net.d/10-bridge.conf")).unwrap();
    assert_eq!(
        bridge["ranges"],
        serde_json::json!([[{"subnet": "10.200.0.0/24"}], [{"subnet": "fd00:200::/64"}]])
    );
    assert_eq!(
        bridge["routes"],
        serde_json::json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])
    );
    assert!(
        image
            .text("etc/nodeimg/node.env")
            .contains("NODE_IP=192.168.10.101,2001:db8::5\n")
    );
    assert!(
        image
            .text("etc/hosts")
            .contains("2001:db8::5 node-0.kubernetes.local node-0\n")
    );
}

#[test]
fn the_umask_changes_nothing() {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    let command = format!(
        "umask 077; exec {} --root {}",
        env!("CARGO_BIN_EXE_nodeimg-firstboot"),
        image.path().display()
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    assert_eq!(image.written(), WRITTEN);
    assert_eq!(image.mode("etc/cni/net.d"), 0o755);
}

#[test]
fn command_line() {
    let version = Ran::new(&["--version".to_owned()]);
    assert_eq!(
        version.out,
        format!("nodeimg-firstboot {}\n", env!("CARGO_PKG_VERSION"))
    );
    let wrong = Ran::new(&["--nonsense".to_owned()]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("Usage:"), "{}", wrong.err);
    let image = Image::new();
    let status = image.status(&[]);
    assert_eq!(status.code, 1);
    assert!(
        status.err.contains("first boot has not run"),
        "{}",
        status.err
    );
    let marker = nodeimg_seed::contract::CONTRACT_MARKER.as_bytes();
    let binary = std::fs::read(env!("CARGO_BIN_EXE_nodeimg-firstboot")).unwrap();
    assert!(binary.windows(marker.len()).any(|window| window == marker));
}

/// What a kubelet has made of its token stays for its instance, and goes with it.
#[test]
fn a_bootstrapped_kubelet_belongs_to_its_instance() {
    let image = Image::new();
    let settings = image.text("usr/lib/nodeimg/firstboot.json");
    image.write(
        "usr/lib/nodeimg/firstboot.json",
        settings.replace("hard-way", "bootstrap"),
    );
    let seed = |host: &str| {
        let user = user_data();
        let (start, end) = (
            user.find("  kubelet:").unwrap(),
            user.find("  kube_proxy:").unwrap(),
        );
        let token = "  bootstrap_token: abcdef.0123456789abcdef\n";
        let text = format!("{}{token}{}", &user[..start], &user[end..]).replace("node-0", host);
        image.seed(text, &format!("instance-id: {host}\n"));
    };
    seed("node-0");
    let ran = image.run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(image.mode("var/lib/kubelet/bootstrap-kubeconfig"), 0o600);
    // The kubelet has its certificate, and the token was removed.
    image.write("var/lib/kubelet/kubeconfig", "own");
    image.write("var/lib/kubelet/pki/kubelet-client-current.pem", "own");
    std::fs::remove_file(image.path().join("var/lib/kubelet/bootstrap-kubeconfig")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["outcome"], "unchanged");
    // A lost file makes a new run for the same instance; the kubelet's own stays.
    std::fs::remove_file(image.path().join("etc/hostname")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["outcome"], "applied");
    assert_eq!(image.text("var/lib/kubelet/kubeconfig"), "own");
    seed("node-1");
    assert_eq!(image.run(&[]).code, 0);
    assert!(!image.has("var/lib/kubelet/kubeconfig"));
    assert!(!image.has("var/lib/kubelet/pki/kubelet-client-current.pem"));
}
