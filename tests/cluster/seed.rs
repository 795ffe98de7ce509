//! The nodes' seeds: NoCloud, with a static address on the cluster's network. The
//! second interface, QEMU's own, is not described and so left alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::Scene;
use super::control::{API_SERVER, API_SERVER6, text};
use super::node::{Place, key};

/// A cloud-config, line by line.
pub struct Seed {
    user_data: String,
    /// The node's own; if there are none, that of its place.
    addresses: Vec<String>,
    /// Networks of pods behind other nodes, `network via address`.
    routes: Vec<(String, String)>,
}

impl Seed {
    /// With a host name and a key, and `nodeimg:` at the end, which more keys follow.
    pub fn new(scene: &Scene, place: &Place) -> Seed {
        Seed::at(scene, place, vec![place.address()])
    }

    /// The same of a node that has these addresses.
    fn at(scene: &Scene, place: &Place, addresses: Vec<String>) -> Seed {
        Seed {
            user_data: format!(
                "#cloud-config\nhostname: {}\nssh_authorized_keys: [\"{}\"]\nnodeimg:\n  node_ip: {}\n",
                place.name,
                public_key(scene),
                listed(&addresses)
            ),
            addresses,
            routes: Vec::new(),
        }
    }

    /// Of a worker of the hard way, to whose pods the API server has a route.
    pub fn hard_way(scene: &Scene, place: &Place, subnet: &str) -> Seed {
        Seed::hard_way_of(scene, place, &[subnet])
    }

    /// The same with an address, and a network for its pods, of each subnet's family.
    pub fn hard_way_of(scene: &Scene, place: &Place, subnets: &[&str]) -> Seed {
        let cluster = &scene.cluster;
        let own = |subnet: &&str| match is_of_six(subnet) {
            true => place.address6(),
            false => place.address(),
        };
        let addresses: Vec<String> = subnets.iter().map(own).collect();
        let certificates = cluster.certificates(place.name, &addresses);
        for (subnet, address) in subnets.iter().zip(&addresses) {
            cluster.route(subnet, address);
        }
        Seed::at(scene, place, addresses)
            .value("pod_subnet", &listed(subnets))
            .cluster(scene)
            .certificates(&certificates)
    }

    /// Exactly this user-data.
    pub fn of(user_data: String) -> Seed {
        Seed {
            user_data,
            addresses: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// A key below `nodeimg:`, as it stands in YAML.
    pub fn value(mut self, key: &str, value: &str) -> Seed {
        self.user_data.push_str(&format!("  {key}: {value}\n"));
        self
    }

    /// The same of text with lines.
    pub fn block(mut self, key: &str, value: &str) -> Seed {
        self.user_data.push_str(&format!("  {key}: |\n"));
        self.user_data.push_str(&indented(value, 4));
        self
    }

    /// Text with lines, one level below.
    pub fn nested(mut self, key: &str, part: &str, value: &str) -> Seed {
        self.user_data
            .push_str(&format!("  {key}:\n    {part}: |\n"));
        self.user_data.push_str(&indented(value, 6));
        self
    }

    /// The cluster's address and CA.
    pub fn cluster(self, scene: &Scene) -> Seed {
        let server = match self.addresses.first().is_some_and(|one| is_of_six(one)) {
            true => API_SERVER6,
            false => API_SERVER,
        };
        self.value("api_server", server)
            .block("ca", &scene.cluster.ca())
    }

    /// The certificates in a folder of `ci/cluster node-certs`.
    pub fn certificates(self, directory: &Path) -> Seed {
        self.certificate("kubelet", directory, "kubelet")
            .certificate("kube_proxy", directory, "kube-proxy")
    }

    /// The one of that name, with its key.
    pub fn certificate(mut self, key: &str, directory: &Path, name: &str) -> Seed {
        self.user_data.push_str(&format!("  {key}:\n"));
        for (part, extension) in [("cert", "crt"), ("key", "key")] {
            let pem = text(directory, &format!("{name}.{extension}"));
            self.user_data.push_str(&format!("    {part}: |\n"));
            self.user_data.push_str(&indented(&pem, 6));
        }
        self
    }

    pub fn route(mut self, network: &str, via: &Place) -> Seed {
        let via = match is_of_six(network) {
            true => via.address6(),
            false => via.address(),
        };
        self.routes.push((network.to_owned(), via));
        self
    }

    /// Into a directory of the scene.
    pub fn write(self, scene: &Scene, place: &Place) -> PathBuf {
        let seed = scene.directory.join(format!("seed-{}", place.name));
        fs::create_dir_all(&seed).unwrap();
        let meta = format!("instance-id: i-{0}\nlocal-hostname: {0}\n", place.name);
        fs::write(seed.join("meta-data"), meta).unwrap();
        fs::write(seed.join("user-data"), &self.user_data).unwrap();
        fs::write(seed.join("network-config"), self.network(place)).unwrap();
        seed
    }

    /// The interface on the cluster's network: its addresses, the way out by the API
    /// server's, and the ways to other nodes' pods.
    fn network(&self, place: &Place) -> String {
        let mut addresses = self.addresses.clone();
        if addresses.is_empty() {
            addresses.push(place.address());
        }
        let mut text = format!(
            "version: 2\nethernets:\n  lan:\n    match: {{macaddress: \"{}\"}}\n    addresses:\n",
            place.mac()
        );
        let mut routes = Vec::new();
        for address in addresses {
            let (length, all, via) = match is_of_six(&address) {
                true => (64, "::/0", "fd00:10:240::1"),
                false => (24, "0.0.0.0/0", "10.240.0.1"),
            };
            text.push_str(&format!("    - \"{address}/{length}\"\n"));
            routes.push((all.to_owned(), via.to_owned()));
        }
        text.push_str("    routes:\n");
        for (to, via) in routes.iter().chain(&self.routes) {
            text.push_str(&format!("    - {{to: \"{to}\", via: \"{via}\"}}\n"));
        }
        text
    }
}

/// Whether an address or a network is IPv6's.
fn is_of_six(text: &str) -> bool {
    text.contains(':')
}

/// As YAML has it: the one that there is, or a list.
fn listed<T: AsRef<str>>(values: &[T]) -> String {
    let quoted = |one: &T| format!("\"{}\"", one.as_ref());
    match values {
        [one] => quoted(one),
        all => format!(
            "[{}]",
            all.iter().map(quoted).collect::<Vec<_>>().join(", ")
        ),
    }
}

pub fn public_key(scene: &Scene) -> String {
    let path = key(scene).with_extension("pub");
    fs::read_to_string(path).unwrap().trim().to_owned()
}

/// Every line behind `depth` blanks.
pub fn indented(text: &str, depth: usize) -> String {
    text.lines()
        .map(|line| format!("{:depth$}{line}\n", ""))
        .collect()
}
