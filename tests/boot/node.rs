//! A container host with a seed: on its first boot and on the next, and what the
//! firmware has for it: the name of a server, and credentials.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{FIRST_INTERFACE, directory, image, image_of_systemd};
use nodeimg_test_support::faulty_server::Server;
use nodeimg_test_support::guest::{Boot, Facts, Guest};
use nodeimg_test_support::image::manifest;
use nodeimg_test_support::media::{Form, Kind, Seed};
use nodeimg_test_support::run::tool;

const LOGINS: u32 = 3;

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn amd64_comes_up_twice() {
    let Some(image) = image("amd64") else { return };
    let directory = directory("amd64");
    let Some(login) = Login::new(&directory) else {
        return;
    };
    let drive = Form::of(Kind::Iso9660, "config-2");
    let Some(drive) = drive.make(&config_drive(&login.public), &directory.join("drive.iso")) else {
        return;
    };
    let boot = |name: &str| {
        Guest::new(&format!("amd64-{name}"), &image)
            .seed(&drive)
            .keep(&directory.join("keep"))
            .look_at_all()
            .script(ABOUT_THE_SEED)
    };
    let first = boot("first").with(&["--port", &login.forwarding()]);
    let first = first.script(UNTIL_THE_LOGIN).left(2);
    let Some(first) = first.facts_while(|boot| login.happens(boot)) else {
        return;
    };
    expect_as_built(&first, &image, "x86_64");
    expect_the_seeds_node(&first, "applied", "config drive in /dev/vdb");
    expect_network(&first);
    expect_writable_paths(&first, &image);
    first.expect_parts("first-boot", &[r#""commands": "done""#, r#""10.0.2.77""#]);
    first.expect("order", "bootcmd i-node-7 script shell 0 / exec a b");
    first.expect("login", "root");
    expect_output_in_the_journal(&first);
    first.expect("counter", "1");

    let credential = "name=opt/io.systemd.credentials/of-the-test,string=by fw_cfg";
    let second = boot("second").qemu(&["-fw_cfg", credential]);
    let second = second.script(ABOUT_THE_CREDENTIAL).facts().unwrap();
    expect_as_built(&second, &image, "x86_64");
    second.expect("credential", "by fw_cfg");
    for boot in [&first, &second] {
        // Of a systemd there, that is.
        boot.expect("initrd-time", "0");
        boot.expect("verity-target", "active");
        boot.expect("spared", "");
    }
    expect_the_seeds_node(&second, "unchanged", "config drive in /dev/vdb");
    expect_network(&second);
    // In every boot the one, once the others.
    second.expect(
        "order",
        "bootcmd i-node-7 script shell 0 / exec a b bootcmd i-node-7",
    );
    second.expect("counter", "2");
    second.expect("own-plugin", "/opt/cni/bin/of-the-test");
    for same in ["machine-id", "host-key"] {
        second.expect(same, &first[same]);
    }
    // It takes room, and the next run starts afresh.
    fs::remove_dir_all(directory).unwrap();
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn arm64_has_its_seed_of_the_firmware() {
    // systemd hands on in its initrd what it finds of the firmware.
    let Some(image) = image_of_systemd("arm64") else {
        return;
    };
    let directory = directory("arm64");
    let server = Server::start();
    server.serve("/rack-7/meta-data", b"instance-id: i-node-7\n");
    server.serve("/rack-7/user-data", b"#cloud-config\nhostname: node-7\n");
    let place = format!(
        "http://10.0.2.2:{}/__dmi.chassis-serial-number__/",
        server.address().port()
    );
    let serial = format!("type=1,serial=ds=nocloud;s={place}");
    let guest = Guest::new("arm64-firmware", &image);
    let guest = guest.qemu(&["-smbios", &serial, "-smbios", "type=3,serial=rack-7"]);
    let credentials = credentials(&directory);
    let guest = guest.qemu(&credentials.iter().map(String::as_str).collect::<Vec<_>>());
    let Some(facts) = guest
        .look_at_all()
        .script(WITHOUT_THE_SERVER)
        .left(2)
        .facts()
    else {
        return;
    };
    expect_as_built(&facts, &image, "aarch64");
    assert_ne!(&facts["initrd-time"], "0", "no systemd in the initrd");
    expect_the_seeds_node(
        &facts,
        "applied",
        "/rack-7/ (kernel command line or firmware)",
    );
    expect_writable_paths(&facts, &image);
    expect_the_node_of_the_credentials(&facts);
    fs::remove_dir_all(directory).unwrap();
}

/// By both ways that a hypervisor has for them; they come below the server.
fn credentials(directory: &Path) -> Vec<String> {
    let user_data = directory.join("user-data");
    let text = "#cloud-config\nhostname: node-3\nnodeimg:\n  node_ip: 10.0.2.78\n";
    fs::write(&user_data, text).unwrap();
    let network = format!(
        "version: 2\nethernets:\n  card:\n    match: {{macaddress: '{FIRST_INTERFACE}'}}\n    \
         dhcp4: true\n    addresses: [10.0.2.78/24]\n"
    );
    let by_smbios = |name: &str, text: &str| {
        format!(
            "type=11,value=io.systemd.credential.binary:nodeimg.{name}={}",
            STANDARD.encode(text)
        )
    };
    let by_fw_cfg = format!(
        "name=opt/io.systemd.credentials/nodeimg.user-data,file={}",
        user_data.display()
    );
    vec![
        "-fw_cfg".to_owned(),
        by_fw_cfg,
        "-smbios".to_owned(),
        by_smbios("meta-data", "instance-id: i-node-3\n"),
        "-smbios".to_owned(),
        by_smbios("network-config", &network),
    ]
}

/// What names the server is covered, and both steps of first boot are done once more.
const WITHOUT_THE_SERVER: &str = "\
: >/run/of-no-place
mount --bind /run/of-no-place /sys/class/dmi/id/product_serial
systemctl restart nodeimg-firstboot-network.service nodeimg-firstboot.service
for _ in $(seq 60); do ip -4 addr show scope global | grep -q dynamic && break; sleep 1; done
fact of-credentials cat /run/nodeimg/result.json
fact new-name cat /proc/sys/kernel/hostname
fact new-addresses ip -4 -o addr show scope global
";

fn expect_the_node_of_the_credentials(facts: &Facts) {
    facts.expect_parts(
        "of-credentials",
        &[
            r#""outcome": "applied""#,
            r#""instance_id": "i-node-3""#,
            "(credentials)",
            r#""10.0.2.78""#,
        ],
    );
    facts.expect("new-name", "node-3");
    // One of DHCP and one of the seed.
    facts.expect_parts(
        "new-addresses",
        &["10.0.2.15/24", "10.0.2.78/24", "dynamic"],
    );
}

/// Of both boots.
const ABOUT_THE_SEED: &str = "\
fact order cat /var/lib/of-commands
fact leases ip -4 -o addr show scope global dynamic
fact gateway ip -4 route show default
fact output sh -c 'journalctl -b -o cat --no-hostname | grep -- -by-'
";

/// nodeimg's initrd hands nothing on; systemd of the root looks for itself.
const ABOUT_THE_CREDENTIAL: &str = "\
fact credential systemd-creds --system cat of-the-test
";

/// What commands say may be secret: it is in the journal, and not on the console, which clouds
/// keep.
fn expect_output_in_the_journal(facts: &Facts) {
    let told: Vec<&str> = facts["output"].split_whitespace().collect();
    for word in "said-by-bootcmd-42 cried-by-bootcmd-42 said-by-runcmd-42".split(' ') {
        let count = told.iter().filter(|told| **told == word).count();
        assert_eq!(count, 1, "{word}: {told:?}");
        assert!(!facts.console.contains(word), "the console has {word}");
    }
    facts.expect_console(&["nodeimg-firstboot"]);
}

/// The host logs in meanwhile.
const UNTIL_THE_LOGIN: &str = "\
fact waits true
for _ in $(seq 600); do [ -e /run/of-login ] && break; sleep 1; done
fact login cat /run/of-login
";

/// A static network with two addresses, all kinds of commands, a key.
fn config_drive(public_key: &str) -> Seed {
    let user_data = format!(
        r#"MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="of-the-test"

--of-the-test
Content-Type: text/cloud-config; charset="utf-8"

#cloud-config
hostname: node-7
ssh_authorized_keys: ["{public_key}"]
bootcmd:
- echo "bootcmd $INSTANCE_ID" >>/var/lib/of-commands
- echo "said-by-bootcmd-$((6 * 7))"; echo "cried-by-bootcmd-$((6 * 7))" >&2
runcmd:
- echo "said-by-runcmd-$((6 * 7))"
- echo "shell $(id -u) $(pwd)" >>/var/lib/of-commands
- [sh, -c, 'echo "exec $1" >>/var/lib/of-commands', of-the-test, a b]
nodeimg:
  node_ip: 10.0.2.77
--of-the-test
Content-Type: text/x-shellscript

#!/bin/sh
echo script >>/var/lib/of-commands
--of-the-test--
"#
    );
    let network = format!(
        r#"{{
  "links": [{{"id": "card", "type": "phy", "ethernet_mac_address": "{FIRST_INTERFACE}"}}],
  "networks": [
    {{"id": "one", "link": "card", "type": "ipv4", "ip_address": "10.0.2.15", "netmask": "255.255.255.0", "gateway": "10.0.2.2"}},
    {{"id": "two", "link": "card", "type": "ipv4", "ip_address": "10.0.2.77", "netmask": "255.255.255.0"}}
  ],
  "services": [{{"type": "dns", "address": "10.0.2.3"}}]
}}"#
    );
    Seed::config_drive("i-node-7", "node-7", &user_data)
        .with("openstack/latest/network_data.json", network)
}

/// A key of our own, and the port that leads to the node's sshd.
struct Login {
    private: PathBuf,
    public: String,
    port: u16,
}

impl Login {
    /// `None`, with a printed skip, if OpenSSH is missing (an error in CI).
    fn new(directory: &Path) -> Option<Login> {
        let private = directory.join("key");
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "of-the-test", "-f"]);
        tool(make.arg(&private))?.good();
        let public = fs::read_to_string(private.with_extension("pub")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Some(Login {
            private,
            public: public.trim().to_owned(),
            port: free.local_addr().unwrap().port(),
        })
    }

    fn forwarding(&self) -> String {
        format!("{}:22", self.port)
    }

    fn happens(&self, boot: &mut Boot) {
        if !boot.has_told("waits") {
            return; // Facts that are lacking say why.
        }
        // An emulated sshd on a busy host takes longer than its own patience.
        for attempt in 1..=LOGINS {
            let mut ssh = Command::new("ssh");
            ssh.args(["-F", "none", "-o", "BatchMode=yes", "-i"]);
            ssh.arg(&self.private);
            ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=300"]);
            ssh.args(["-o", "UserKnownHostsFile=/dev/null"]);
            ssh.args(["-p", &self.port.to_string(), "root@127.0.0.1"]);
            ssh.arg("id -un >/run/of-login.new; mv /run/of-login.new /run/of-login");
            let Some(ran) = tool(&mut ssh) else {
                return;
            };
            if ran.code == Some(0) || attempt == LOGINS {
                ran.good();
                return;
            }
        }
    }
}

fn expect_as_built(facts: &Facts, image: &Path, machine: &str) {
    facts.expect("machine", machine);
    expect_healthy(facts);
    let root_hash = fs::read_to_string(image.join("root.roothash")).unwrap();
    root_is_verified(facts, root_hash.trim());
    runtime_is_up(facts);
    expect_host_keys(facts);
    expect_what_systemd_would_have_made(facts);
}

/// The kernel's file systems and static device nodes, whoever has made them.
fn expect_what_systemd_would_have_made(facts: &Facts) {
    facts.expect("kernel-mounts", &["active"; 6].join(" "));
    // The size is said only if it is not what the kernel would choose at that moment.
    facts.expect_parts("tmp-options", &["nosuid,nodev", "nr_inodes=1048576"]);
    facts.expect("static-nodes", "");
    facts.expect("tun", "/dev/loop-control /dev/net/tun");
}

/// Both whole, and none of RSA, which takes long to make.
fn expect_host_keys(facts: &Facts) {
    facts.expect("host-key-kinds", "ecdsa-sha2-nistp256 ssh-ed25519");
    facts.expect(
        "host-key-files",
        "ssh_host_ecdsa_key ssh_host_ecdsa_key.pub ssh_host_ed25519_key ssh_host_ed25519_key.pub",
    );
}

fn expect_healthy(facts: &Facts) {
    facts.expect("failed", "");
    facts.expect("state", "running");
    facts.expect("multi-user", "active");
    for unit in [
        "ssh",
        "systemd-networkd",
        "systemd-resolved",
        "systemd-journald",
        "dbus",
    ] {
        facts.expect(&format!("unit-{unit}"), "active");
    }
    facts.expect_parts("address", &["10.0.2.15/24"]);
    facts.expect_parts("os-release", &["debian container-host "]);
    facts.expect("forwarding", "1 1");
    facts.expect_parts("iptables", &["-N NODEIMG"]);
    assert_eq!(facts["machine-id"].len(), 32, "{}", &facts["machine-id"]);
}

fn root_is_verified(facts: &Facts, root_hash: &str) {
    facts.expect_parts("root", &["/dev/mapper/root squashfs ro,"]);
    facts.expect_parts("table", &[" verity 1 ", root_hash]);
    facts.expect_parts("cmdline", &[&format!("roothash={root_hash} ")]);
    // V: every block read so far was as the hash tree says.
    let status = &facts["verity"];
    assert!(status.ends_with(" verity V"), "{status}");
}

fn runtime_is_up(facts: &Facts) {
    facts.expect("unit-containerd", "active");
    let plugins = &facts["plugins"];
    let words: Vec<&str> = plugins.split_whitespace().collect();
    for plugin in ["cri", "overlayfs", "opt"] {
        let at = words.iter().position(|word| *word == plugin);
        let at = at.unwrap_or_else(|| panic!("no plugin {plugin}: {plugins}"));
        assert_eq!(words[at + 2], "ok", "{plugin}: {plugins}");
    }
    facts.expect_parts("containerd", &["Server:"]);
    facts.expect_parts("loopback-plugin", &["supportedVersions"]);
}

fn expect_the_seeds_node(facts: &Facts, outcome: &str, source: &str) {
    facts.expect("host-name", "node-7");
    // By the program, which scripts of Cluster API's templates call.
    facts.expect("hostname", "node-7");
    facts.expect("static-name", "node-7");
    facts.expect("first-boot-unit", "active");
    facts.expect_parts(
        "first-boot",
        &[
            &format!(r#""outcome": "{outcome}""#),
            r#""instance_id": "i-node-7""#,
            source,
        ],
    );
}

/// What the drive says, none of it from DHCP.
fn expect_network(facts: &Facts) {
    facts.expect_parts("address", &["10.0.2.15/24", "10.0.2.77/24"]);
    facts.expect("leases", "");
    facts.expect_parts("gateway", &["default via 10.0.2.2 "]);
}

/// What the recipe calls writable is, what the manifest does not is not.
fn expect_writable_paths(facts: &Facts, image: &Path) {
    let manifest = manifest(image);
    let writable = manifest["image"]["writable"].as_array().unwrap();
    assert!(writable.len() > 2, "{writable:?}");
    for path in writable {
        facts.expect(&format!("writable-{}", path.as_str().unwrap()), "yes");
    }
    for path in ["/root", "/home", "/tmp", "/run"] {
        facts.expect(&format!("writable-{path}"), "yes");
    }
    for path in ["/", "/usr", "/usr/local"] {
        facts.expect(&format!("writable-{path}"), "no");
    }
    facts.expect_parts("var", &["ext4 rw"]);
    facts.expect("etc", "overlay");
    facts.expect("tmp", "tmpfs");
    facts.expect_parts("partitions", &["esp", "container-host_", "_empty", "state"]);
}
