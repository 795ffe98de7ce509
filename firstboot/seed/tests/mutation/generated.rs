//! Seeds with every key.
use nodeimg_seed::contract::profile::{Join, PROFILES, Profile};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::read::seed::Layout;
use nodeimg_test_support::seeds;

use crate::document::Tree;
use crate::judge::{Document, Role, Sample};

pub const CONFIG: &str = "#cloud-config\n";

/// Every key of cloud-config but `nodeimg` and the second spelling of `ca_certs`.
const EVERY_KEY: &str = "
hostname: node-0
fqdn: node-0.example.org
prefer_fqdn_over_hostname: true
timezone: Europe/Berlin
ntp: {enabled: true, servers: [s1.example.org, 10.0.0.1], pools: [p.example.org]}
user: {name: me, sudo: 'ALL=(ALL) ALL', groups: [users, wheel]}
ssh_authorized_keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA one']
users:
- {name: alice, gecos: A B, groups: 'users, wheel', primary_group: users, homedir: /var/home/a, shell: /bin/sh, uid: 2000, sudo: ['ALL=(ALL) NOPASSWD:ALL'], ssh_authorized_keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA a'], lock_passwd: true}
- {name: bob, no_create_home: true}
- {name: serv, system: true}
- carol
groups: [{wheel: [serv, root]}, empty, {more: [bob]}]
write_files:
- {path: /etc/a, content: text, permissions: '0640', owner: 'alice:wheel'}
- {path: /etc/there, content: more, append: true}
- {path: /etc/c, content: aGk=, encoding: b64}
- {path: /etc/d, content: last, defer: true}
bootcmd: [one, [two, three]]
runcmd: [[four, five], six, [seven, '8']]
manage_etc_hosts: true
growpart: {mode: auto, devices: [/]}
resize_rootfs: true
create_hostname_file: true
preserve_hostname: false
chpasswd: {expire: false}
ssh_pwauth: false
package_update: true
packages: [vim]
";

/// What may be written in more than one way.
const OTHER_FORMS: &str = "
fqdn: node-0.example.org
user: me
users: {alice: {groups: wheel, ssh-authorized-keys: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA a'}, bob: {primary-group: users, no-create-home: true}}
groups: {wheel: 'root, alice', more: [bob]}
ssh_authorized_keys: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA a\\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA b\"
ntp: {servers: s.example.org, pools: p.example.org}
write_files: [{path: /etc/a, content: !!binary aGk=, permissions: \"0o600\"}, {path: /etc/hosts, content: \"127.0.0.1 localhost\\n\"}]
runcmd: [\"one\\ntwo\"]
";

fn settings(profile: &Profile) -> ImageSettings {
    let text = seeds::SETTINGS
        .replace("hard-way", &profile.to_string())
        .replace("[\"/etc\"]", "[\"/\"]");
    ImageSettings::from_json(text.as_bytes()).unwrap()
}

pub fn sample(name: &str, layout: Layout, profile: &str, documents: Vec<Document>) -> Sample {
    let profile = PROFILES.iter().find(|known| known.to_string() == profile);
    Sample {
        name: name.to_owned(),
        layout,
        settings: settings(profile.unwrap()),
        documents,
        others: Vec::new(),
        network: None,
    }
}

fn meta() -> Document {
    let text = "instance-id: i-1\nlocal-hostname: node-0\npublic-keys: {mine: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA m']}\n";
    Document::new(Role::Meta, "", text)
}

fn user(text: &str) -> Document {
    Document::new(Role::User, CONFIG, text)
}

/// What every profile with Kubernetes takes.
fn common() -> String {
    let registry_ca = seeds::block(6, &seeds::ca());
    format!(
        "hostname: node-0
nodeimg:
  node_ip: [192.168.10.101]
  hosts: {{a.example.org: 192.168.10.100}}
  labels: {{zone: a, disk: ssd}}
  taints: ['dedicated=gpu:NoSchedule', {{key: a, value: b, effect: NoExecute}}]
  provider_id: example://one
  update: {{source: 'https://images.example.org/', schedule: 'Sun 03:00', reboot: {{window: 'Sun 04:00', duration: 2h, zone: UTC}}}}
  registries:
    one.example.org:
      mirrors: ['https://mirror.example.org']
      fallback: false
      username: u
      password: p
      ca: {registry_ca}
    two.example.org: {{plain_http: true, token: t}}
"
    )
}

fn by_profile(profile: &Profile) -> Option<String> {
    const TOKEN: &str = "abcdef.0123456789abcdef";
    const HASH: &str = "sha256:8cb2de97839780a412b93877f8507ad6c94f73add17d5d7058e91741c9d5ec78";
    let ca = seeds::block(2, &seeds::ca());
    let by_seed = format!(
        "  pod_subnet: 10.200.0.0/24\n  cluster_cidr: 10.200.0.0/16\n  api_server: https://a.example.org:6443\n  ca: {ca}"
    );
    let proxy = format!("  kube_proxy:\n{}", seeds::pair(&seeds::proxy()));
    Some(match profile.joins {
        Join::Certificate => {
            format!(
                "{}{by_seed}  kubelet:\n{}{proxy}",
                common(),
                seeds::pair(&seeds::kubelet())
            )
        }
        Join::Token => format!("{}{by_seed}  bootstrap_token: {TOKEN}\n{proxy}", common()),
        Join::Kubeadm => format!(
            "{}  api_server: https://a.example.org:6443\n  bootstrap_token: {TOKEN}\n  ca_cert_hashes: ['{HASH}']\n  certificate_key: {}\n",
            common(),
            "0123456789abcdef".repeat(4)
        ),
        Join::Never => return None,
    })
}

fn archive() -> Document {
    Document {
        role: Role::User,
        head: "#cloud-config-archive\n".to_owned(),
        tree: Tree::List(vec![
            Tree::Map(vec![
                ("type".to_owned(), Tree::text("text/cloud-config")),
                (
                    "content".to_owned(),
                    Tree::text("hostname: node-0\nruncmd: [a]\n"),
                ),
            ]),
            Tree::Map(vec![
                ("type".to_owned(), Tree::text("text/cloud-config")),
                (
                    "merge-type".to_owned(),
                    Tree::text("dict(recurse_list)+list(append)"),
                ),
                ("content".to_owned(), Tree::text("runcmd: [b]\n")),
            ]),
            Tree::Map(vec![
                ("type".to_owned(), Tree::text("text/x-shellscript")),
                ("filename".to_owned(), Tree::text("s.sh")),
                ("content".to_owned(), Tree::text("#!/bin/sh\ntrue\n")),
            ]),
        ]),
    }
}

pub fn all() -> Vec<Sample> {
    use Layout::{ConfigDrive, NoCloud};
    let mut samples = vec![sample(
        "every key",
        NoCloud,
        "container-host",
        vec![meta(), user(EVERY_KEY)],
    )];
    let trust = format!(
        "ca_certs: {{remove_defaults: false, trusted: [{}]}}\n",
        serde_json::Value::from(seeds::ca())
    );
    samples.push(sample(
        "trust",
        NoCloud,
        "container-host",
        vec![meta(), user(&format!("hostname: node-0\n{trust}"))],
    ));
    samples.push(sample(
        "other forms",
        NoCloud,
        "container-host",
        vec![meta(), user(OTHER_FORMS)],
    ));
    samples.push(sample(
        "names",
        NoCloud,
        "container-host",
        vec![Document::new(
            Role::Meta,
            "",
            "instance-id: i\nlocal-hostname: node-0.example.org\n",
        )],
    ));
    samples.push(sample(
        "meta_data.json",
        ConfigDrive,
        "container-host",
        vec![
            Document::new(Role::Meta, "", r#"{"uuid": "u", "hostname": "node-0", "public_keys": {"k": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtV8kN0bTzq2cB8mVb7d1J3c8yKqkQm3m0WcFZ0b1aA m"}, "files": [{"path": "/etc/a", "content_path": "/content/0000"}, {"path": "/etc/b", "content_path": "/content/0001"}]}"#),
            user("runcmd: [a]\n"),
            Document::new(Role::Vendor, "", r##"{"cloud-init": "#cloud-config\ntimezone: Europe/Berlin\n"}"##),
        ],
    ));
    samples.push(sample(
        "vendor-data",
        NoCloud,
        "container-host",
        vec![
            meta(),
            user("hostname: node-0\nntp: {servers: [a]}\n"),
            Document::new(Role::Vendor, CONFIG, "hostname: theirs\ntimezone: Europe/Berlin\nntp: {servers: [b], pools: [p]}\nruncmd: [a]\nwrite_files: [{path: /etc/a, content: b}]\n"),
        ],
    ));
    samples.push(sample(
        "parts",
        NoCloud,
        "container-host",
        vec![
            meta(),
            Document::new(Role::Part, CONFIG, "hostname: node-0\nruncmd: [a]\nntp: {servers: [a]}\nwrite_files: [{path: /etc/a, content: b}]\n"),
            Document::new(Role::Part, CONFIG, "timezone: Europe/Berlin\nruncmd: [b]\nntp: {servers: [c], pools: [p]}\nwrite_files: [{path: /etc/b, content: c}]\n"),
        ],
    ));
    samples.push(sample(
        "archive",
        NoCloud,
        "container-host",
        vec![meta(), archive()],
    ));
    for profile in PROFILES {
        if let Some(text) = by_profile(profile) {
            let name = profile.to_string();
            samples.push(sample(&name, NoCloud, &name, vec![meta(), user(&text)]));
        }
    }
    let config = "hostname: node-0\nnodeimg:\n  kubeadm:\n    join: {apiVersion: kubeadm.k8s.io/v1beta4, kind: JoinConfiguration, discovery: {timeout: 5}}\n";
    samples.push(sample(
        "kubeadm's configuration",
        NoCloud,
        "kubeadm",
        vec![meta(), user(config)],
    ));
    samples
}
