//! A cluster's CA, and seeds and settings that are good.
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

pub const BRIDGE: &str =
    "{\"cniVersion\":\"1.0.0\",\"ranges\":{{ cni_ranges }},\"routes\":{{ cni_routes }}}\n";
pub const ENVIRONMENT: &str = "NODE_IP={{ node_ip }}\nNODE_NAME={{ host_name }}\nNODE_LABELS={{ node_labels }}\nNODE_TAINTS={{ node_taints }}\n";

/// Seeds are kept, for tests that run one twice; those in `scrub.rs` have it otherwise.
pub const SETTINGS: &str = "{\"version\": 1, \"profile\": \"hard-way\", \"cluster_cidr\": \"10.200.0.0/16,fd00:200::/48\", \"service_cidr\": \"10.32.0.0/24\", \"writable\": [\"/etc\"], \"seed_wait\": 60, \"keep_seed\": true, \"epoch\": 1700000000}";

/// A certificate and its private key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

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

    /// A certificate for `O=organisation, CN=name`, from and to so many days from now.
    pub fn sign(&self, organisation: &str, name: &str, days: (i64, i64), san: &[&str]) -> Pair {
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
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a kubelet of this node has.
    pub fn kubelet(&self, host: &str) -> Pair {
        let user = format!("system:node:{host}");
        self.sign("system:nodes", &user, (-1, 300), &[host, "192.168.10.101"])
    }
}

/// The cluster's CA, one per test program.
pub fn authority() -> &'static Authority {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("kubernetes"));
    &AUTHORITY
}

static KUBELET: LazyLock<Pair> = LazyLock::new(|| authority().kubelet("node-0"));
static KUBE_PROXY: LazyLock<Pair> =
    LazyLock::new(|| authority().sign("system:node-proxier", "system:kube-proxy", (-1, 300), &[]));

pub fn ca() -> String {
    authority().cert.clone()
}

/// Of the kubelet of node-0.
pub fn kubelet() -> Pair {
    KUBELET.clone()
}

pub fn cert() -> String {
    KUBELET.cert.clone()
}

pub fn key() -> String {
    KUBELET.key.clone()
}

pub fn proxy() -> Pair {
    KUBE_PROXY.clone()
}

/// `text` as a YAML block scalar below a key indented by `indent` blanks.
pub fn block(indent: usize, text: &str) -> String {
    let margin = " ".repeat(indent + 2);
    let lines: Vec<String> = text.lines().map(|line| format!("{margin}{line}")).collect();
    format!("|\n{}\n", lines.join("\n"))
}

/// `cert` and `key` of a component.
pub fn pair(pair: &Pair) -> String {
    format!(
        "    cert: {}    key: {}",
        block(4, &pair.cert),
        block(4, &pair.key)
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

pub const META_DATA: &str = "instance-id: iid-0\nlocal-hostname: node-0\n";
