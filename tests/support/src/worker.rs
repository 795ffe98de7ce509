//! A worker of the hard way as its seed has it: a CA, the certificates that it
//! has signed, and the `nodeimg:` block around them.

use super::seeds::{Authority, Pair, block, pair};

/// In days from now.
const VALID: (i64, i64) = (-1, 300);

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
        let authority = Authority::new("the test's CA");
        let names: Vec<&str> = [host_name].iter().chain(addresses).copied().collect();
        let user = format!("system:node:{host_name}");
        Worker {
            host_name: host_name.to_owned(),
            kubelet: authority.sign("system:nodes", &user, VALID, &names),
            kube_proxy: authority.sign("system:node-proxier", "system:kube-proxy", VALID, &[]),
            ca: authority.cert,
        }
    }

    /// cloud-config with `node_ip` as it is given, and `more` behind it. No API
    /// server is where it says, and nothing else of the network either.
    pub fn user_data(&self, node_ip: &str, more: &str) -> String {
        format!(
            "#cloud-config\nhostname: {}\nnodeimg:\n  node_ip: {node_ip}\n  pod_subnet: 10.200.3.0/24\n  \
             api_server: https://10.0.2.2:1\n  ca: {}  kubelet:\n{}  kube_proxy:\n{}{more}",
            self.host_name,
            block(2, &self.ca),
            pair(&self.kubelet),
            pair(&self.kube_proxy),
        )
    }
}
