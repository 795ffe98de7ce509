//! What nodes are given: NoCloud seeds, with a static address on the cluster's
//! network. The second card, QEMU's own, is not described and so left alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::Scene;
use super::control::{API_SERVER, text};
use super::node::{Place, key};

/// A cloud-config, line by line.
pub struct Seed {
    user_data: String,
    /// Networks of pods behind other nodes, `network via address`.
    routes: Vec<(String, String)>,
}

impl Seed {
    /// With a host name and a key, and `nodeimg:` at the end, which more keys follow.
    pub fn new(scene: &Scene, place: &Place) -> Seed {
        Seed {
            user_data: format!(
                "#cloud-config\nhostname: {}\nssh_authorized_keys: [\"{}\"]\nnodeimg:\n  node_ip: {}\n",
                place.name,
                public_key(scene),
                place.address()
            ),
            routes: Vec::new(),
        }
    }

    /// Of a worker of the hard way, to whose pods the API server has a route.
    pub fn hard_way(scene: &Scene, place: &Place, subnet: &str) -> Seed {
        let cluster = &scene.cluster;
        let certificates = cluster.certificates(place.name, &place.address());
        cluster.route(subnet, &place.address());
        Seed::new(scene, place)
            .value("pod_subnet", subnet)
            .cluster(scene)
            .certificates(&certificates)
    }

    /// Exactly this user-data.
    pub fn of(user_data: String) -> Seed {
        Seed {
            user_data,
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
        self.value("api_server", API_SERVER)
            .block("ca", &scene.cluster.ca())
    }

    /// The certificates in a folder of `ci/cluster node-certs`.
    pub fn certificates(self, directory: &Path) -> Seed {
        self.certificate("kubelet", directory, "kubelet")
            .kube_proxy(directory)
    }

    /// Of these, kube-proxy's alone.
    pub fn kube_proxy(self, directory: &Path) -> Seed {
        self.certificate("kube_proxy", directory, "kube-proxy")
    }

    fn certificate(mut self, key: &str, directory: &Path, name: &str) -> Seed {
        self.user_data.push_str(&format!("  {key}:\n"));
        for (part, extension) in [("cert", "crt"), ("key", "key")] {
            let pem = text(directory, &format!("{name}.{extension}"));
            self.user_data.push_str(&format!("    {part}: |\n"));
            self.user_data.push_str(&indented(&pem, 6));
        }
        self
    }

    pub fn route(mut self, network: &str, via: &Place) -> Seed {
        self.routes.push((network.to_owned(), via.address()));
        self
    }

    /// Into a directory of the scene.
    pub fn write(self, scene: &Scene, place: &Place) -> PathBuf {
        let seed = scene.directory.join(format!("seed-{}", place.name));
        fs::create_dir_all(&seed).unwrap();
        let meta = format!("instance-id: i-{0}\nlocal-hostname: {0}\n", place.name);
        fs::write(seed.join("meta-data"), meta).unwrap();
        fs::write(seed.join("user-data"), self.user_data).unwrap();
        let mut network = format!(
            "version: 2\nethernets:\n  lan:\n    match: {{macaddress: \"{}\"}}\n    \
             addresses: [{}/24]\n    routes:\n    - {{to: 0.0.0.0/0, via: 10.240.0.1}}\n",
            place.mac(),
            place.address()
        );
        for (to, via) in self.routes {
            network.push_str(&format!("    - {{to: {to}, via: {via}}}\n"));
        }
        fs::write(seed.join("network-config"), network).unwrap();
        seed
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
