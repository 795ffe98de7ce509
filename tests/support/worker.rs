//! A worker of the hard way as its seed has it: a CA, the certificates that it
//! has signed, and the `nodeimg:` block around them.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

/// A certificate and its private key, as PEM.
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// A node's values: of one CA, for one host name.
pub struct Worker {
    pub host_name: String,
    pub ca: String,
    pub kubelet: Pair,
    pub kube_proxy: Pair,
}

impl Worker {
    /// `addresses` are those that the kubelet's certificate is for, too.
    pub fn new(host_name: &str, addresses: &[&str]) -> Worker {
        let mut parameters = named(&[], None, "the test's CA");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        let sign = |parameters: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            let cert = parameters.signed_by(&key, &issuer).unwrap();
            Pair {
                cert: cert.pem(),
                key: key.serialize_pem(),
            }
        };
        let names: Vec<&str> = [host_name].iter().chain(addresses).copied().collect();
        let user = format!("system:node:{host_name}");
        Worker {
            host_name: host_name.to_owned(),
            ca,
            kubelet: sign(named(&names, Some("system:nodes"), &user)),
            kube_proxy: sign(named(&[], Some("system:node-proxier"), "system:kube-proxy")),
        }
    }

    /// cloud-config with `node_ip` as it is given, and `more` behind it. No API
    /// server is where it says, and nothing else of the network either.
    pub fn user_data(&self, node_ip: &str, more: &str) -> String {
        let pair = |pair: &Pair| {
            format!(
                "\n    cert: {}    key: {}",
                block(4, &pair.cert),
                block(4, &pair.key)
            )
        };
        format!(
            "#cloud-config\nhostname: {}\nnodeimg:\n  node_ip: {node_ip}\n  pod_subnet: 10.200.3.0/24\n  \
             api_server: https://10.0.2.2:1\n  ca: {}  kubelet: {}  kube_proxy: {}{more}",
            self.host_name,
            block(2, &self.ca),
            pair(&self.kubelet),
            pair(&self.kube_proxy),
        )
    }
}

fn named(names: &[&str], organisation: Option<&str>, name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    if let Some(organisation) = organisation {
        let kind = DnType::OrganizationName;
        parameters.distinguished_name.push(kind, organisation);
    }
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// A block scalar below a key that stands `indent` blanks in.
fn block(indent: usize, text: &str) -> String {
    let margin = " ".repeat(indent + 2);
    let lines: Vec<String> = text.lines().map(|line| format!("{margin}{line}")).collect();
    format!("|\n{}\n", lines.join("\n"))
}
