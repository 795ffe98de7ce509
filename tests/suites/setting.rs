//! What the suites and workloads are run in: a cluster of their own, since they
//! change what others rely on, and a node as a user has it, whose images come from
//! a registry and whose names from a server beside it.
//!
//! ```text
//!  netns  API server, registry :5000, names :53, all at 10.240.0.1
//!           |  bridge `lan`
//!           +-- judged     hard-way, 2 GiB; CoreDNS runs on it as a Deployment
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::lab;
use super::registry;
use super::server::Server;
use crate::cluster::control::{Cluster, Own};
use crate::cluster::images::{Variant, image};
use crate::cluster::node::{Machine, Node, Place};
use crate::cluster::seed::Seed;
use crate::cluster::{Scene, directory, logs};

/// A name that only the server beside the cluster knows.
pub const OUTSIDE: &str = "outside.example.test";
pub const OUTSIDE_ADDRESS: &str = "10.240.0.99";
const COREDNS: &str = include_str!("coredns.yaml");

/// The servers of one cluster, which end with it.
pub struct Setting {
    pub scene: Scene,
    pub names: Server,
    _registry: Server,
    // Last: what is above runs in it.
    _own: Own,
}

impl Setting {
    /// `None`, with a printed skip, if there is no cluster or lab.
    pub fn start(name: &'static str, settings: &[(&str, &str)]) -> Option<Setting> {
        lab::directory()?;
        let own = Cluster::start(name, settings)?;
        let scene = Scene {
            cluster: own.0.clone(),
            directory: directory(name),
            name,
        };
        let cluster = &scene.cluster;
        let log = logs().join(format!("{name}-registry.log"));
        let registry = registry::start(cluster, &scene.directory, &log);
        let names = names(
            cluster,
            &scene.directory,
            &logs().join(format!("{name}-names.log")),
        );
        Some(Setting {
            scene,
            names,
            _registry: registry,
            _own: own,
        })
    }

    /// A node of it, as `seed` says and with what every one here is told beside that.
    pub fn node(&self, variant: &Variant, place: &Place, seed: Seed, cpus: u8) -> Option<Node> {
        let image = image(variant, "amd64")?;
        let seed = self.seed(variant, place, seed);
        let machine = Machine {
            cpus,
            ..machine(place, &image, &seed)
        };
        Some(Node::start(&self.scene, &machine))
    }

    /// The seed with the mirror of all registries and the server of names, written.
    pub fn seed(&self, variant: &Variant, place: &Place, seed: Seed) -> PathBuf {
        let mirrors = registry::mirrors(variant);
        let seed = seed.value("registries", &mirrors);
        let seed = seed.write(&self.scene, place);
        // Of the interface that is described last.
        let network = OpenOptions::new()
            .append(true)
            .open(seed.join("network-config"));
        let names = "    nameservers: {addresses: [10.240.0.1]}\n";
        network.unwrap().write_all(names.as_bytes()).unwrap();
        seed
    }

    /// CoreDNS as a Deployment, as clusters have it.
    pub fn resolves(&self) {
        self.scene.cluster.apply(COREDNS);
    }

    /// The cluster's administrator, for programs that run in its namespace.
    pub fn kubeconfig(&self) -> PathBuf {
        let path = self.scene.directory.join("admin.kubeconfig");
        let words = ["config", "view", "--raw", "--flatten"];
        let text = self.scene.cluster.kubectl(&words).good().out;
        fs::write(&path, text).unwrap();
        path
    }
}

/// A node with room for what suites start.
pub fn machine<'a>(place: &'a Place, image: &'a Path, seed: &'a Path) -> Machine<'a> {
    Machine {
        memory: "2 GiB",
        ..Machine::worker(place, image, seed)
    }
}

/// A server of names at 10.240.0.1, which knows one and says of all others that
/// they are not.
fn names(cluster: &Cluster, directory: &Path, log: &Path) -> Server {
    let zone = directory.join("root.zone");
    let text = format!(
        ". 60 IN SOA ns.example.test. admin.example.test. 1 60 60 60 60\n\
         . 60 IN NS ns.example.test.\n\
         ns.example.test. 60 IN A 10.240.0.1\n\
         {OUTSIDE}. 60 IN A {OUTSIDE_ADDRESS}\n"
    );
    fs::write(&zone, text).unwrap();
    let corefile = directory.join("Corefile");
    let text = format!(
        ".:53 {{\n  bind 10.240.0.1\n  log\n  errors\n  file {} .\n}}\n",
        zone.display()
    );
    fs::write(&corefile, text).unwrap();
    let mut serve = cluster.inside(lab::program("coredns"));
    serve.arg("-conf").arg(&corefile);
    Server::start(serve, log)
}
