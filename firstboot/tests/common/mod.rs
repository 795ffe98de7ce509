//! A tiny image root, seeds for it, and the binary run on both.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;

pub const BRIDGE: &str =
    "{\"cniVersion\":\"1.0.0\",\"ranges\":{{ cni_ranges }},\"routes\":{{ cni_routes }}}\n";
pub const ENVIRONMENT: &str = "NODE_IP={{ node_ip }}\nNODE_NAME={{ host_name }}\nNODE_LABELS={{ node_labels }}\nNODE_TAINTS={{ node_taints }}\n";

/// Seeds are kept, for tests that run one twice; those in `scrub.rs` have it otherwise.
pub const SETTINGS: &str = "{\"version\": 1, \"profile\": \"hard-way\", \"cluster_cidr\": \"10.200.0.0/16,fd00:200::/48\", \"service_cidr\": \"10.32.0.0/24\", \"writable\": [\"/etc\"], \"seed_wait\": 60, \"keep_seed\": true, \"epoch\": 1700000000}";

/// A CA and what it has signed.
pub struct Authority {
    pub cert: String,
    issuer: Issuer<'static, KeyPair>,
}

pub fn days_from_now(days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::days(days)
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        (parameters.not_before, parameters.not_after) = (days_from_now(-1), days_from_now(300));
        let key = KeyPair::generate().unwrap();
        let cert = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        Self { cert, issuer }
    }

    /// Certificate and key for `O=organisation, CN=name`, from and to so many days from now.
    pub fn sign(
        &self,
        organisation: &str,
        name: &str,
        days: (i64, i64),
        san: &[&str],
    ) -> (String, String) {
        let names: Vec<String> = san.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name = DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
        parameters.distinguished_name.push(DnType::CommonName, name);
        (parameters.not_before, parameters.not_after) =
            (days_from_now(days.0), days_from_now(days.1));
        let key = KeyPair::generate().unwrap();
        let cert = parameters.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// What a kubelet of this node has.
    pub fn kubelet(&self, host: &str) -> (String, String) {
        let user = format!("system:node:{host}");
        self.sign("system:nodes", &user, (-1, 300), &[host, "192.168.10.101"])
    }
}

/// The cluster's CA, one per test program.
pub fn authority() -> &'static Authority {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("kubernetes"));
    &AUTHORITY
}

static KUBELET: LazyLock<(String, String)> = LazyLock::new(|| authority().kubelet("node-0"));
static KUBE_PROXY: LazyLock<(String, String)> =
    LazyLock::new(|| authority().sign("system:node-proxier", "system:kube-proxy", (-1, 300), &[]));

pub fn ca() -> String {
    authority().cert.clone()
}

/// Certificate and key of the kubelet of node-0.
pub fn cert() -> String {
    KUBELET.0.clone()
}

pub fn key() -> String {
    KUBELET.1.clone()
}

pub fn proxy() -> (String, String) {
    KUBE_PROXY.clone()
}

/// `text` as a YAML block scalar below a key indented by `indent` blanks.
pub fn block(indent: usize, text: &str) -> String {
    let margin = " ".repeat(indent + 2);
    let lines: Vec<String> = text.lines().map(|line| format!("{margin}{line}")).collect();
    format!("|\n{}\n", lines.join("\n"))
}

/// `cert` and `key` of a component.
pub fn pair(pair: &(String, String)) -> String {
    format!(
        "    cert: {}    key: {}",
        block(4, &pair.0),
        block(4, &pair.1)
    )
}

/// The credentials part of a `nodeimg:` block.
pub fn credentials() -> String {
    format!(
        "  ca: {}  kubelet:\n{}  kube_proxy:\n{}",
        block(2, &ca()),
        pair(&KUBELET),
        pair(&KUBE_PROXY)
    )
}

/// The same for another node of the cluster.
pub fn user_data_of(host: &str) -> String {
    let own = pair(&KUBELET);
    let others = pair(&authority().kubelet(host));
    user_data().replace(&own, &others).replace("node-0", host)
}

/// A whole good user-data of a hard-way worker.
pub fn user_data() -> String {
    format!(
        "#cloud-config\nhostname: node-0\nfqdn: node-0.kubernetes.local\nnodeimg:\n  node_ip: 192.168.10.101\n  pod_subnet: 10.200.0.0/24\n  api_server: https://server.kubernetes.local:6443\n  hosts: {{server.kubernetes.local: 192.168.10.100}}\n  labels: {{zone: a, disk: ssd}}\n  taints: ['dedicated=gpu:NoSchedule']\n{}",
        credentials()
    )
}

pub const META_DATA: &str = "instance-id: iid-0\nlocal-hostname: other\n";

pub struct Image {
    pub directory: TempDir,
}

impl Image {
    pub fn new() -> Self {
        let image = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        image.write("usr/lib/nodeimg/firstboot.json", SETTINGS);
        image.write(
            "usr/lib/nodeimg/templates/etc/cni/net.d/10-bridge.conf",
            BRIDGE,
        );
        image.write(
            "usr/lib/nodeimg/templates/etc/nodeimg/node.env",
            ENVIRONMENT,
        );
        image
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A NoCloud seed in the default place.
    pub fn seed(&self, user_data: impl AsRef<[u8]>, meta_data: &str) {
        self.write("var/lib/nodeimg/seed/user-data", user_data);
        self.write("var/lib/nodeimg/seed/meta-data", meta_data);
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["--root".to_owned(), self.path().display().to_string()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ran::new(&all)
    }

    pub fn status(&self, arguments: &[&str]) -> Ran {
        let mut all = vec![
            "status".to_owned(),
            "--root".to_owned(),
            self.path().display().to_string(),
        ];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ran::new(&all)
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    }

    pub fn has(&self, path: &str) -> bool {
        self.path().join(path).exists()
    }

    pub fn result(&self) -> serde_json::Value {
        serde_json::from_str(&self.text("run/nodeimg/result.json")).unwrap()
    }

    /// Every file outside the image's own part and the seed: `path mode`, sorted.
    pub fn written(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(self.path())
                    .unwrap()
                    .display()
                    .to_string();
                if name == "usr" || name == "var/lib/nodeimg/seed" {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(format!("{name} {:o}", self.mode(&name)));
                }
            }
        }
        found.sort();
        found
    }
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(arguments: &[String]) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_nodeimg-firstboot"))
            .args(arguments)
            .output()
            .unwrap();
        Self {
            code: status.code().expect("ended by a signal"),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The box without its frame and line breaks.
    pub fn reason(&self) -> String {
        let lines = self.err.lines().map(|line| line.trim_matches(['|', ' ']));
        lines.collect::<Vec<_>>().join(" ")
    }
}
