//! Where the network of a seed stands: a file, the meta-data, the config drive's older form.
use std::convert::Infallible;

use super::super::{read, render};
use crate::read::seed::{Layout, Seed, SeedFile};
use crate::text::problem::Problems;

fn run(seed: &Seed) -> (String, Vec<String>) {
    let mut problems = Problems::new();
    let network = read(seed, &mut problems);
    let files = network.map(|network| render(&network)).unwrap_or_default();
    let shown = files.iter().map(|(name, text)| format!("{name}\n{text}"));
    (
        shown.collect(),
        problems.iter().map(ToString::to_string).collect(),
    )
}

fn meta(text: &str) -> Seed {
    Seed::new(Layout::NoCloud, SeedFile::new("meta-data", text))
}

/// `version: 2`, ethernets a with dhcp4; the same through `gzip -n`.
const BASE64: &str = "dmVyc2lvbjogMgpldGhlcm5ldHM6IHthOiB7ZGhjcDQ6IHRydWV9fQo=";

fn zipped() -> String {
    use base64::Engine;
    use std::io::Write;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&engine.decode(BASE64).unwrap()).unwrap();
    engine.encode(packer.finish().unwrap())
}

#[test]
fn a_network_in_the_meta_data_is_read() {
    let plain = "version: 2\n  ethernets: {a: {dhcp4: true}}";
    let zipped = zipped();
    for text in [
        format!("instance-id: i\nnetwork:\n  {plain}"),
        "network:\n  network:\n    version: 2\n    ethernets: {a: {dhcp4: true}}".to_owned(),
        format!("network-config:\n  {plain}"),
        format!("network_config:\n  {plain}"),
        "network-config: {version: 1, config: [{type: physical, name: a, subnets: [{type: dhcp}]}]}".to_owned(),
        format!("network: {BASE64}\nnetwork.encoding: base64"),
        format!("network: {BASE64}\nnetwork.encoding: b64"),
        format!("network: {zipped}\nnetwork.encoding: gzip+base64"),
        format!("network: {zipped}\nnetwork.encoding: gz+b64"),
        format!("network: {{config: {BASE64}, encoding: base64}}"),
        format!("network: {{config: {zipped}, encoding: gzip+base64}}"),
        "network: {config: {version: 2, ethernets: {a: {dhcp4: true}}}}".to_owned(),
        "network: |\n  version: 2\n  ethernets: {a: {dhcp4: true}}".to_owned(),
        "network-interfaces: |\n  auto a\n  iface a inet dhcp\n".to_owned(),
        format!("{{\"network\": \"{zipped}\", \"network.encoding\": \"gzip+base64\"}}"),
    ] {
        let (files, problems) = run(&meta(&text));
        assert!(problems.is_empty(), "{text}: {problems:?}");
        assert!(files.contains("Name=a\n\n[Network]\nDHCP=ipv4"), "{text}: {files}");
    }
    let (files, problems) = run(&meta("network: {config: disabled}"));
    assert!(files.is_empty() && problems.is_empty(), "{problems:?}");
}

#[test]
fn a_network_in_the_meta_data_that_is_wrong_is_refused() {
    for (text, expected) in [
        (
            "\nnetwork:\n  version: 2\n  ethernets: {a: {dhpc4: true}}",
            "meta-data:4: ethernets.a.dhpc4: is not supported",
        ),
        (
            "network: '%%%'\nnetwork.encoding: base64",
            "meta-data:1: network: is not valid base64",
        ),
        (
            "network: aGk=\nnetwork.encoding: gzip+base64",
            "meta-data:1: network: is gzip data that is truncated",
        ),
        (
            "network: aGk=\nnetwork.encoding: rot13",
            "meta-data:2: network.encoding: `rot13` is not a supported encoding",
        ),
        (
            "network: aGk=\nnetwork.encoding: base64",
            "meta-data, key `network`:1: is text, not a network",
        ),
        ("network: []", "meta-data:1: is a list, not a network"),
        (
            "network: {config: aGk=, encoding: b64, x: 1}",
            "network.x: is not supported",
        ),
        (
            "network: |\n  version: 2\n  ethernets:\n    a: {x: 1}",
            "meta-data, key `network`:3: ethernets.a.x: is not supported",
        ),
        (
            "network-interfaces: |\n  auto a\n  iface a inet ppp\n",
            "key `network-interfaces`:2: iface: `inet ppp` is not supported",
        ),
    ] {
        let (files, problems) = run(&meta(text));
        assert!(files.is_empty(), "{text}: {files}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn one_network_counts_and_the_others_are_named() {
    let text = "network: {version: 2}\nnetwork-config: {version: 2, ethernets: {b: {}}}\nnetwork-interfaces: x";
    let mut seed = meta(text);
    let (files, problems) = run(&seed);
    assert!(files.contains("10-nodeimg-b.network"), "{files}");
    assert_eq!(
        problems,
        [
            "meta-data:1: network: has no effect: `network-config` takes precedence",
            "meta-data:3: network-interfaces: has no effect: `network-config` takes precedence",
        ]
    );
    seed.network = Some(SeedFile::new(
        "/x/network-config",
        "version: 2\nethernets: {c: {}}",
    ));
    let (files, problems) = run(&seed);
    assert!(files.contains("10-nodeimg-c.network"), "{files}");
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("network-config: has no effect: `/x/network-config` takes"));
    // An empty file asks for nothing.
    seed.network = Some(SeedFile::new("/x/network-config", " \n"));
    assert!(run(&seed).0.contains("10-nodeimg-b.network"));
}

/// A config drive with such meta-data and one file, `openstack/content/0000`.
fn drive(meta: &str, content: &str) -> (Seed, Vec<String>) {
    let mut seed = Seed::new(Layout::ConfigDrive, SeedFile::new("meta_data.json", meta));
    let mut problems = Problems::new();
    let take = |name: &str| {
        let file = (name == "openstack/content/0000").then(|| SeedFile::new(name, content));
        Ok::<_, Infallible>(file)
    };
    let Ok(()) = seed.inject(take, &mut problems);
    (seed, problems.iter().map(ToString::to_string).collect())
}

const POINTER: &str =
    r#"{"network_config": {"name": "network_config", "content_path": "/content/0000"}}"#;

#[test]
fn the_config_drives_older_form_is_read() {
    let interfaces = "# made by nova\nauto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n    hwaddress ether fa:16:3e:69:b0:58\n    address 10.0.1.5\n    netmask 255.255.255.0\n    gateway 10.0.1.1\n    dns-nameservers 10.0.0.2 \\\n      10.0.0.3\n    post-up ip route add 10.9.0.0/16 via 10.0.1.9 dev eth0 || true\n    pre-down ip route del 10.9.0.0/16 via 10.0.1.9 dev eth0 || true\niface eth0 inet6 static\n    hwaddress ether fa:16:3e:69:b0:58\n    address 2001:db8::5\n    netmask 64\n";
    let (mut seed, problems) = drive(POINTER, interfaces);
    assert!(problems.is_empty(), "{problems:?}");
    let (files, problems) = run(&seed);
    assert!(problems.is_empty(), "{problems:?}");
    let expected = "10-nodeimg-eth0.network
[Match]
MACAddress=fa:16:3e:69:b0:58
Kind=!*

[Network]
DHCP=no
Address=10.0.1.5/24
Address=2001:db8::5/64
DNS=10.0.0.2
DNS=10.0.0.3

[Route]
Gateway=10.0.1.1

[Route]
Destination=10.9.0.0/16
Gateway=10.0.1.9
";
    assert!(files.contains(expected), "{files}");
    assert!(!files.contains("nodeimg-lo"), "{files}");
    // network_data.json takes precedence.
    let json = r#"{"links": [{"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:69:b0:58"}], "networks": [{"link": "a", "type": "ipv4_dhcp"}]}"#;
    seed.network = Some(SeedFile::new("network_data.json", json));
    let (files, problems) = run(&seed);
    assert!(files.contains("DHCP=ipv4"), "{files}");
    assert_eq!(
        problems,
        ["meta_data.json: network_config: has no effect: `network_data.json` takes precedence"]
    );
}

#[test]
fn the_config_drives_older_form_is_refused_by_name() {
    for (meta, expected) in [
        (
            r#"{"network_config": {"content_path": "/content/0001"}}"#,
            "network_config: points to `openstack/content/0001`, which is not there",
        ),
        (
            r#"{"network_config": {"content_path": "/content/../../x"}}"#,
            "network_config.content_path: is not the path of a file",
        ),
        (
            r#"{"network_config": "auto eth0"}"#,
            "network_config.content_path: is not the path of a file",
        ),
    ] {
        let (_, problems) = drive(meta, "");
        assert!(problems[0].contains(expected), "{meta}: {problems:?}");
    }
    for (text, expected) in [
        (
            "source /etc/network/interfaces.d/*",
            "openstack/content/0000:1: source: is not supported",
        ),
        (
            "iface a inet",
            ":1: iface: is not an interface, a family and a method",
        ),
        (
            "iface a inet static\n  address 10.0.0.1\n  netmaks 24",
            ":3: netmaks: is not supported",
        ),
        (
            "iface a inet static\n  address 10.0.0.x\n  netmask 24",
            ":2: iface a.subnets.address: `10.0.0.x` is not an IP address",
        ),
        (
            "iface a inet static\n  address 10.0.0.1/8\n  address 10.0.0.2/8",
            ":3: address: is given twice",
        ),
        (
            "iface a inet manual\n  bond-slaves b",
            ":2: bond-slaves: is not supported",
        ),
        (
            "iface a inet manual\n  up echo hello",
            ":2: up: is not supported",
        ),
        (
            "iface a inet manual\n  mtu 1400\niface a inet6 manual\n  mtu 1500",
            ":4: mtu: is given twice",
        ),
    ] {
        let (seed, _) = drive(POINTER, text);
        let (files, problems) = run(&seed);
        assert!(files.is_empty(), "{text}: {files}");
        assert!(
            problems.iter().any(|said| said.contains(expected)),
            "{text}: {problems:?}"
        );
    }
}
