//! The fuzz targets' readers on stable: inputs made of good ones by a
//! deterministic mutator, in bounded time and memory. `ci/fuzz` goes on from here
//! with coverage, for as long as one likes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_fuzz_entries::{ENTRIES, Entry, NEXT_FILE, WORDS, piece};
use nodeimg_test_support::mutate::Mutator;
use nodeimg_test_support::seeds;

/// Of each reader; NODEIMG_FUZZ_RUNS asks for more.
const RUNS: usize = 600;

/// Of a processor: far more than any input takes in a build without optimisation.
const SLOWEST: Duration = Duration::from_secs(6);

/// What a reader may hold in memory for an input.
const MOST_KIB: usize = 64 << 10;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const NETWORK_V1: &str = "version: 1\nconfig:\n- {type: physical, name: eth0, mac_address: '52:54:00:00:00:01', mtu: 1400, subnets: [{type: static, address: 10.0.0.2/24, gateway: 10.0.0.1, dns_nameservers: [1.1.1.1], routes: [{destination: 10.9.0.0/16, gateway: 10.0.0.9}]}]}\n- {type: bond, name: bond0, bond_interfaces: [eth0], params: {bond-mode: 802.3ad}}\n- {type: vlan, name: v5, vlan_link: bond0, vlan_id: 5, subnets: [{type: dhcp4}]}\n- {type: bridge, name: br0, bridge_interfaces: [v5], params: {bridge_stp: false}}\n- {type: nameserver, address: [9.9.9.9], search: [example.org]}\n- {type: route, destination: 0.0.0.0/0, gateway: 10.0.0.1}\n";
const NETWORK_V2: &str = "network:\n  version: 2\n  ethernets:\n    a: {match: {macaddress: '52:54:00:00:00:01'}, set-name: ext0, dhcp4: true, addresses: [10.0.0.1/24, 'fd00::1/64'], routes: [{to: default, via: 10.0.0.9, metric: 1}], nameservers: {addresses: [1.1.1.1], search: [example.org]}, dhcp4-overrides: {use-dns: no}}\n    b: {match: {name: 'en*'}, optional: true}\n  bonds: {bond0: {interfaces: [a, b], parameters: {mode: active-backup, primary: a}}}\n  bridges: {br0: {interfaces: [bond0], parameters: {stp: false}}}\n  vlans: {v7: {id: 7, link: br0, dhcp6: true}}\n  vrfs: {blue: {table: 5, interfaces: [v7]}}\n";
const NETWORK_OPENSTACK: &str = r#"{"links": [{"id": "tap0", "type": "ovs", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1450}, {"id": "v1", "type": "vlan", "vlan_link": "tap0", "vlan_id": 101, "vlan_mac_address": "fa:16:3e:00:00:02"}], "networks": [{"id": "n0", "link": "tap0", "type": "ipv4", "ip_address": "10.0.0.2", "netmask": "255.255.255.0", "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]}, {"id": "n1", "link": "v1", "type": "ipv6_dhcpv6-stateful"}], "services": [{"type": "dns", "address": "8.8.8.8"}]}"#;
const EXTRAS: &str = "#cloud-config\nfqdn: n.example.org\nwrite_files:\n- {path: /etc/a, content: aGk=, encoding: b64, permissions: '0640', owner: 'root:root', append: true}\n- {path: /etc/b, content: !!binary aGk=, defer: true}\nusers:\n- default\n- {name: u, ssh_authorized_keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEEE x'], sudo: 'ALL=(ALL) NOPASSWD:ALL'}\nntp: {servers: [ntp.example.org]}\ntimezone: Europe/Berlin\nbootcmd: [[echo, a], 'echo b']\nruncmd: ['kubeadm join --config /run/kubeadm/kubeadm.yaml', [touch, /x]]\nca_certs: {remove_defaults: false}\nmanage_etc_hosts: true\nmerge_how: 'dict(recurse_array)+list(append)'\n";
const JINJA: &str = "## template: jinja\n#cloud-config\n{% set x = ds.meta_data.list[0] %}\nhostname: {{ v1.local_hostname|default('n')|lower|replace('_', '-') }}\nfqdn: {{ ds.meta_data['local-hostname'].split('.')[0] ~ x }}\n{% for i in ds.meta_data.list %}{% if i == 'a' and not loop.last %}- {{ i|upper }}{% elif i is defined %}{% else %}{# no #}{% endif %}{% endfor %}\n{% raw %}{{ x }}{% endraw %}\n";
const MULTIPART: &str = "Content-Type: multipart/mixed; boundary=\"==B==\"\nMIME-Version: 1.0\n\n--==B==\nContent-Type: text/cloud-config; charset=\"us-ascii\"\n\n#cloud-config\nhostname: a\n\n--==B==\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a.sh\"\n\nIyEvYmluL3NoCmVjaG8gaGkK\n--==B==\nContent-Transfer-Encoding: quoted-printable\n\n#cloud-config\nfqdn: a=\n.b=3D\n--==B==--\n";
const META_JSON: &str = r#"{"uuid": "u-1", "hostname": "n.novalocal", "name": "n", "public_keys": {"k": "ssh-rsa AAAA x"}, "network_config": {"content_path": "/content/0"}}"#;

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Good inputs of a reader.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let whole = seeds::user_data();
    let seed =
        |user: &str, meta: &str, network: &str| [user, meta, network].join(NEXT_FILE).into_bytes();
    match name {
        "jinja" => texts(&[
            JINJA,
            "{{ v1 }}",
            "{{ ds.meta_data.list|join(', ') }}",
            "{% if (1 + 2) * 3 > 4 or 'a' in 'ab' %}x{% endif %}",
        ]),
        "network" => texts(&[NETWORK_V1, NETWORK_V2, NETWORK_OPENSTACK]),
        "pem" => texts(&[
            &seeds::ca(),
            &seeds::cert(),
            &seeds::key(),
            &format!("{}{}", seeds::cert(), seeds::ca()),
            &seeds::cert().replace('\n', "\r\r\n"),
        ]),
        "seed" => vec![
            seed(&whole, seeds::META_DATA, NETWORK_V2),
            seed(EXTRAS, META_JSON, NETWORK_OPENSTACK),
            seed(JINJA, seeds::META_DATA, NETWORK_V1),
            seed(
                "#cloud-config\nnodeimg:\n  kubeadm: {join: {apiVersion: kubeadm.k8s.io/v1beta4, kind: JoinConfiguration}}\n",
                "",
                "",
            ),
        ],
        "state" => texts(&[
            seeds::SETTINGS,
            seeds::BRIDGE,
            seeds::ENVIRONMENT,
            "{\"version\":1,\"instance_id\":\"i\",\"host_name\":\"n\",\"plan_digest\":\"\",\"files\":[\"/etc/hosts\"],\"extra_files\":[\"/run/x\"]}",
            "{\"version\":1,\"files\":[\"/etc/hosts\"]}",
        ]),
        "user_data" => {
            let archive = format!(
                "#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    {}\n- '#!/bin/sh'\n",
                EXTRAS.replace('\n', "\n    ")
            );
            let mut forms = texts(&[
                &whole,
                EXTRAS,
                JINJA,
                MULTIPART,
                &archive,
                &STANDARD.encode(EXTRAS),
            ]);
            forms.push(gzip(MULTIPART.as_bytes()));
            forms.push(STANDARD.encode(gzip(EXTRAS.as_bytes())).into_bytes());
            forms
        }
        "volume" => volumes(),
        "x509" => {
            let certificates = [seeds::ca(), seeds::cert()];
            let mut ders: Vec<Vec<u8>> = certificates.iter().map(|text| der(text)).collect();
            ders.push(der(&seeds::key()));
            ders
        }
        "yaml" => texts(&[
            &whole,
            EXTRAS,
            NETWORK_V1,
            NETWORK_OPENSTACK,
            "a: &a {b: [1, *c], ? d : e}\n<<: *a\nf: >-\n  g\n --- \n",
        ]),
        other => panic!("no corpus for {other}"),
    }
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

/// Superblocks with a label, of each kind, and a partition table.
fn volumes() -> Vec<Vec<u8>> {
    let mut fat = vec![0; 512];
    fat[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
    fat[11..20].copy_from_slice(&[0, 2, 1, 4, 0, 2, 0, 2, 0]);
    fat[21..24].copy_from_slice(&[0xf8, 8, 0]);
    fat[38] = 0x29;
    fat[43..54].copy_from_slice(b"CIDATA     ");
    fat[510..].copy_from_slice(&[0x55, 0xaa]);
    let mut ext = vec![0; 1024];
    ext[24..28].copy_from_slice(&[2, 0, 0, 0]);
    ext[56..58].copy_from_slice(&[0x53, 0xef]);
    ext[120..126].copy_from_slice(b"cidata");
    let descriptor = |kind: u8| {
        let mut block = vec![b' '; 2048];
        block[0] = kind;
        block[1..7].copy_from_slice(b"CD001\x01");
        block[40..48].copy_from_slice(b"config-2");
        block
    };
    let mut root = vec![0; 32];
    root[..12].copy_from_slice(b"cidata     \x08");
    let mut gpt = vec![0; 92];
    gpt[..8].copy_from_slice(b"EFI PART");
    gpt[72] = 2;
    gpt[80] = 128;
    gpt[84] = 128;
    let mut entry = vec![0; 128];
    entry[..16].copy_from_slice(&[
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
    ]);
    vec![
        [piece(0, &fat), piece(20 * 512, &root)].concat(),
        piece(1024, &ext),
        [
            piece(32768, &descriptor(1)),
            piece(34816, &descriptor(2)),
            piece(36864, &descriptor(255)),
        ]
        .concat(),
        [piece(512, &gpt), piece(1024, &entry)].concat(),
        [piece(0, b"XFSB"), piece(65536 + 64, b"_BHRfS_M")].concat(),
    ]
}

/// Memory of this process in KiB: now (`VmRSS`), or at its highest (`VmHWM`).
fn memory(which: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Of a processor, in this process so far (proc(5), stat: utime and stime).
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The file in which an input is left for whoever looks into a failure.
fn kept(name: &str, input: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nodeimg-fuzz-{name}"));
    fs::write(&path, input).unwrap();
    path
}

fn try_one((name, entry): Entry, input: &[u8], which: &str) {
    // Resets the peak to the current use (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun) = (memory("VmRSS"), processor_time());
    let survived = catch_unwind(|| entry(input)).is_ok();
    let took = processor_time() - begun;
    let grown = memory("VmHWM").saturating_sub(before);
    if !survived || took > SLOWEST || grown > MOST_KIB {
        let path = kept(name, input);
        panic!(
            "{name}, input {which}: {took:?}, {grown} KiB; the input is {}",
            path.display()
        );
    }
}

/// One test, since the memory of the process is watched.
#[test]
fn whatever_the_bytes_are() {
    let runs = std::env::var("NODEIMG_FUZZ_RUNS");
    let runs = runs.map_or(RUNS, |runs| runs.parse().unwrap());
    for entry in ENTRIES {
        let corpus = corpus(entry.0);
        for (index, input) in corpus.iter().enumerate() {
            try_one(entry, input, &format!("corpus {index}"));
        }
        let mut mutator = Mutator::new(entry.0.len() as u64);
        for run in 0..runs {
            let input = mutator.input(&corpus, &WORDS);
            try_one(entry, &input, &run.to_string());
        }
    }
    for (index, bomb) in BOMBS.iter().enumerate() {
        let bytes = bomb();
        for entry in ENTRIES {
            try_one(entry, &bytes, &format!("bomb {index}"));
        }
    }
    for unit in REPEATED {
        for head in HEADS {
            let bytes = [head, &unit.repeat(MOST_BYTES / unit.len())].concat();
            for entry in ENTRIES {
                try_one(
                    entry,
                    bytes.as_bytes(),
                    &format!("{head:?} and then {unit:?}"),
                );
            }
        }
    }
}

/// A part of what a seed file may have (4 MiB): if time grew faster than the input,
/// this would already take far too long.
const MOST_BYTES: usize = 128 << 10;

const HEADS: [&str; 3] = [
    "",
    "#cloud-config\nnodeimg: ",
    "## template: jinja\n#cloud-config\n",
];

/// One thing over and over.
const REPEATED: [&str; 24] = [
    "[",
    "{a: ",
    "- ",
    "\n",
    "&a ",
    "!",
    "? ",
    "'",
    "\"",
    "|\n ",
    "{{ ",
    "{% if 1 %}",
    "{{ a",
    "(",
    "\t",
    "\0",
    "é",
    "a: b\n",
    "--B\n",
    "MIME-Version: 1.0\n",
    "-----BEGIN CERTIFICATE-----\n",
    "%",
    "#",
    "0\u{82}",
];

const BOMBS: [fn() -> Vec<u8>; 4] = [laughs, deep_mime, zeros, zeros_of_zeros];

fn laughs() -> Vec<u8> {
    let mut text = "#cloud-config\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let row = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    text.into_bytes()
}

fn deep_mime() -> Vec<u8> {
    let heads = (0..20_000).map(|level| {
        format!(
            "Content-Type: multipart/mixed; boundary=B{level}\nMIME-Version: 1.0\n\n--B{level}\n"
        )
    });
    heads
        .chain(["#cloud-config\na: 1\n".to_owned()])
        .collect::<String>()
        .into_bytes()
}

/// 1 GiB of zeros, as gzip.
fn zeros() -> Vec<u8> {
    gzip(&vec![0; 64 << 20]).repeat(16)
}

fn zeros_of_zeros() -> Vec<u8> {
    gzip(&zeros())
}

/// Writes the corpus below the directory NODEIMG_FUZZ_CORPUS, for `ci/fuzz`.
#[test]
#[ignore = "writes files, for ci/fuzz"]
fn write_corpus() {
    let top = PathBuf::from(std::env::var_os("NODEIMG_FUZZ_CORPUS").unwrap());
    for (name, _) in ENTRIES {
        let directory = top.join(name);
        fs::create_dir_all(&directory).unwrap();
        for (index, input) in corpus(name).iter().enumerate() {
            fs::write(directory.join(format!("good-{index}")), input).unwrap();
        }
    }
}
