//! A whole node of tiny programs: a recipe, a server that has its artifacts,
//! and directories of its own. Every build of it takes milliseconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::archive::{self, MACHINES, Member, file, firstboot, gz, program, tar, zst};
use super::faulty_server::{Answer, Server};
use super::run::{self, Ran, listing};

/// The recipe, with a comment that edits must keep.
pub const RECIPE: &str = r#"# A node of tiny programs.
name = "tiny"
version = "1.0.0"
profile = "hard-way"
modules = ["overlay", "br_netfilter", "nf_conntrack"]
writable = ["/etc/cni/net.d", "/etc/kubernetes", "/etc/nodeimg", "/var/lib/kubelet"]
overlay = ["overlay"]

[cluster]
cluster_cidr = "10.200.0.0/16"
service_cidr = "10.32.0.0/24"
cluster_dns = ["10.32.0.10"]
cluster_domain = "cluster.local"

[kubelet]
max_pods = 16

[units]
enable = ["nodeimg-firstboot.service", "containerd.service", "kubelet.service", "kube-proxy.service"]

[sysctl]
"net.ipv4.ip_forward" = 1

[[artifact]]
name = "kubernetes"
kind = "archive"
version = "1.36.0"
url = "https://up.test/kubernetes/{version}/{arch}"
checksum = "{url}.sha512"
files = [{ from = "kubernetes/node/bin/*", to = "/usr/local/bin/" }]

[[artifact]]
name = "containerd"
kind = "archive"
version = "2.3.4"
url = "https://up.test/containerd/{version}/{arch}"
max_unpacked = "1 MiB"
files = [
    { from = "bin/containerd", to = "/bin/containerd" },
    { from = "bin/containerd-shim-runc-v2", to = "/bin/containerd-shim-runc-v2" },
]

[[artifact]]
name = "runc"
kind = "binary"
version = "1.4.3" # the newest one
url = "https://up.test/runc/{version}/{arch}"
files = [{ to = "/usr/local/bin/runc" }]

[[artifact]]
name = "crictl"
kind = "archive"
version = "1.36.0"
url = "https://up.test/crictl/{version}/{arch}"
files = [{ from = "crictl", to = "/usr/local/bin/crictl" }]

[[artifact]]
name = "cni-plugins"
kind = "archive"
version = "1.9.1"
url = "https://up.test/cni-plugins/{version}/{arch}"
files = [{ from = "*", to = "/opt/cni/bin/" }]
"#;

/// Artifacts of [`RECIPE`] with their versions.
pub const ARTIFACTS: [(&str, &str); 5] = [
    ("kubernetes", "1.36.0"),
    ("containerd", "2.3.4"),
    ("runc", "1.4.3"),
    ("crictl", "1.36.0"),
    ("cni-plugins", "1.9.1"),
];

/// The architectures of every image.
pub const MACHINE_NAMES: [&str; 2] = ["amd64", "arm64"];

/// The times in locks that tests make.
pub const EPOCH: &str = "1790000000";

/// What the server has for an artifact.
pub fn body(name: &str, arch: &str) -> Vec<u8> {
    match name {
        "runc" => program(arch, "runc"),
        "crictl" => zst(&tar(&members(name, arch))),
        _ => gz(&tar(&members(name, arch))),
    }
}

/// The members of an archive, to add a hostile one to.
pub fn members(name: &str, arch: &str) -> Vec<Member> {
    let names: &[&str] = match name {
        "kubernetes" => &[
            "kubernetes/node/bin/kubelet",
            "kubernetes/node/bin/kube-proxy",
        ],
        "containerd" => &["bin/containerd", "bin/containerd-shim-runc-v2"],
        "crictl" => &["crictl"],
        "cni-plugins" => &["bridge", "host-local", "loopback"],
        other => panic!("no archive is named {other}"),
    };
    names
        .iter()
        .map(|name| file(name, program(arch, name)))
        .collect()
}

/// A recipe directory, a server, a store and a place for images.
pub struct World {
    directory: TempDir,
    pub server: Server,
    /// `recipe.toml` as it stands.
    pub recipe: String,
}

impl World {
    /// With everything served, but no lock yet.
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> World {
        let directory = tempfile::Builder::new()
            .prefix("nodeimg-test-")
            .tempdir()
            .unwrap();
        let mut world = World {
            directory,
            server: Server::start(),
            recipe: String::new(),
        };
        for (name, version) in ARTIFACTS {
            for (arch, _) in MACHINES {
                world.serve(name, version, arch, &body(name, arch));
            }
        }
        for (arch, _) in MACHINES {
            fs::write(world.firstboot(arch), firstboot(arch)).unwrap();
        }
        fs::create_dir_all(world.path("overlay/root")).unwrap();
        world.write_recipe(RECIPE);
        world
    }

    /// The same with a lock that fits, and an empty store.
    pub fn locked() -> World {
        // Made once: the same artifacts and epoch give the same text.
        static LOCK: OnceLock<String> = OnceLock::new();
        let world = World::new();
        let text = LOCK.get_or_init(|| {
            let maker = World::new();
            maker.lock();
            maker.lock_text()
        });
        fs::write(world.path("recipe.lock"), text).unwrap();
        world
    }

    /// The same with everything in the store.
    pub fn warm() -> World {
        let world = World::locked();
        let mut fetch = world.nodeimg("fetch");
        Ran::of(fetch.args(["--arch", "amd64", "--arch", "arm64"])).good();
        world
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn firstboot(&self, arch: &str) -> PathBuf {
        self.path(&format!("firstboot-{arch}"))
    }

    pub fn write_recipe(&mut self, text: &str) {
        text.clone_into(&mut self.recipe);
        fs::write(self.path("recipe.toml"), text).unwrap();
    }

    /// Changes the recipe; `from` must be in it.
    pub fn edit(&mut self, from: &str, to: &str) {
        assert!(self.recipe.contains(from), "no {from:?} in the recipe");
        let text = self.recipe.replacen(from, to, 1);
        self.write_recipe(&text);
    }

    /// The path of an artifact on the server.
    pub fn target(name: &str, version: &str, arch: &str) -> String {
        format!("/up.test/{name}/{version}/{arch}")
    }

    /// Serves an artifact, and its checksum where the recipe names one.
    pub fn serve(&self, name: &str, version: &str, arch: &str, body: &[u8]) {
        let target = World::target(name, version, arch);
        if name == "kubernetes" {
            let line = format!("{}\n", archive::sha512(body));
            self.server
                .serve(&format!("{target}.sha512"), line.as_bytes());
        }
        self.server.serve(&target, body);
    }

    /// Answers for the amd64 artifact of the recipe, one after the other.
    pub fn script(&self, name: &str, answers: Vec<Answer>) {
        let version = ARTIFACTS.iter().find(|(n, _)| *n == name).unwrap().1;
        self.server
            .script(&World::target(name, version, "amd64"), answers);
    }

    /// Requests so far for the amd64 artifact.
    pub fn asked(&self, name: &str) -> Vec<super::http_server::Request> {
        let version = ARTIFACTS.iter().find(|(n, _)| *n == name).unwrap().1;
        let target = World::target(name, version, "amd64");
        let mut seen = self.server.seen();
        seen.retain(|request| request.target == target);
        seen
    }

    pub fn mirror(&self) -> String {
        format!("https://up.test/={}", self.server.url("/up.test/"))
    }

    /// `nodeimg VERB` in this directory, with its store and its mirror.
    pub fn nodeimg(&self, verb: &str) -> Command {
        self.prepared(run::nodeimg(), verb)
    }

    /// The same with another command before it.
    pub fn prepared(&self, command: Command, verb: &str) -> Command {
        let mut command = self.placed(command);
        command.arg(verb);
        if ["build", "fetch", "lock"].contains(&verb) {
            command.args(["--recipe", "./recipe.toml"]);
        }
        command
    }

    /// `nodeimg VERB` without the recipe.
    pub fn bare(&self, verb: &str) -> Command {
        let mut command = self.placed(run::nodeimg());
        command.arg(verb);
        command
    }

    fn placed(&self, mut command: Command) -> Command {
        command
            .current_dir(self.directory.path())
            .env("NODEIMG_STORE", self.path("store"))
            .env("NODEIMG_MIRROR", self.mirror())
            .env("NODEIMG_FIRSTBOOT_AMD64", self.firstboot("amd64"))
            .env("NODEIMG_FIRSTBOOT_ARM64", self.firstboot("arm64"))
            .env("SOURCE_DATE_EPOCH", EPOCH);
        command
    }

    pub fn build(&self) -> Command {
        let mut command = self.nodeimg("build");
        command.args(["--arch", "amd64"]);
        command
    }

    /// Makes the lock for the files served now.
    pub fn lock(&self) {
        Ran::of(&mut self.nodeimg("lock")).good();
    }

    pub fn lock_text(&self) -> String {
        fs::read_to_string(self.path("recipe.lock")).unwrap()
    }

    /// The output directory for `arch`.
    pub fn image(&self, arch: &str) -> PathBuf {
        self.path(&format!("out/tiny-1.0.0-{arch}"))
    }

    /// Blobs in the store, by digest.
    pub fn blobs(&self) -> Vec<String> {
        let store = self.path("store/blobs");
        let mut blobs = listing(&store);
        blobs.retain(|path| path.contains('/'));
        blobs
            .iter()
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    /// Downloads under way or given up that keep bytes in the store.
    pub fn partials(&self) -> Vec<String> {
        let mut found = listing(&self.path("store/partial"));
        found.retain(|name| !name.ends_with(".lock"));
        found
    }

    /// After a refusal: nothing in `out/`, nothing half done or bad in the store.
    pub fn is_clean(&self) -> Result<(), String> {
        let out = listing(&self.path("out"));
        if !out.is_empty() {
            return Err(format!("left in out/: {out:?}"));
        }
        for part in ["store/derived", "store/built"] {
            let left: Vec<_> = listing(&self.path(part))
                .into_iter()
                .filter(|name| self.path(part).join(name).is_file())
                .collect();
            if !left.is_empty() && part == "store/built" {
                return Err(format!("left in {part}: {left:?}"));
            }
            if left.iter().any(|name| name.contains("tmp")) {
                return Err(format!("temporary files in {part}: {left:?}"));
            }
        }
        if !self.partials().is_empty() {
            return Err(format!("left in store/partial: {:?}", self.partials()));
        }
        self.store_is_sound()
    }

    /// `nodeimg store verify`, and nothing in `blobs/` that it would not know.
    pub fn store_is_sound(&self) -> Result<(), String> {
        let ran = Ran::of(self.nodeimg("store").arg("verify"));
        match ran.code {
            Some(0) => Ok(()),
            _ => Err(format!("store verify: {}", ran.err)),
        }
    }
}

/// Whether a directory holds a whole image.
pub fn is_image(directory: &Path) -> bool {
    listing(directory)
        == [
            "SHA256SUMS",
            "manifest.json",
            "overlay.tar.zst",
            "provenance.json",
            "sbom.cdx.json",
            "sbom.spdx.json",
        ]
}
