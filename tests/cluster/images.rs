//! The disks of these tests, each built once, by the recipes that ship: their
//! programs are Debian's builds, as in tests/lab/recipes/hard-way.toml.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};

use crate::support::debian::store;
use crate::support::real;
use crate::support::run::{Ran, nodeimg};

/// What differs from tests/lab/recipes/hard-way.toml.
struct Variant {
    name: &'static str,
    /// The recipe that is extended in the place of `hard-way`.
    extends: &'static str,
    more: &'static str,
    /// Container images beside the recipe's own, from ci/images.
    images: &'static [&'static str],
}

const VARIANTS: [Variant; 5] = [
    Variant {
        name: "hard-way",
        extends: "hard-way",
        more: "",
        images: &[],
    },
    Variant {
        name: "ipvs",
        extends: "hard-way",
        more: "[kube_proxy]\nmode = \"ipvs\"\n",
        images: &[],
    },
    Variant {
        name: "bootstrap",
        extends: "bootstrap",
        // So that `kubectl logs` can verify whom it asks.
        more: "[kubelet.config]\nserverTLSBootstrap = true\n",
        images: &[],
    },
    Variant {
        name: "kubeadm",
        extends: "kubeadm",
        more: "",
        images: &[],
    },
    Variant {
        name: "control-plane",
        extends: "kubeadm",
        more: "",
        // Without kube-proxy, which comes when all that is asked for is there.
        images: &[
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        ],
    },
];

/// What pods of these tests are made of: nothing is pulled on a node. By its name
/// in a registry, which is the mirror.
const BUSYBOX: &str = "
[[artifact]]
name = \"busybox\"
kind = \"oci_image\"
image = \"docker.io/library/busybox:latest\"
";

const IPVS_MODULES: &str =
    "modules = [\"ip_vs\", \"ip_vs_rr\", \"ip_vs_wrr\", \"ip_vs_sh\", \"nf_conntrack\"]\n";

/// The output directory of a variant; `None`, with a printed skip, where what it
/// is made of is missing.
pub fn image(name: &str, arch: &str) -> Option<PathBuf> {
    static BUILT: Mutex<BTreeMap<(String, String), PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (name.to_owned(), arch.to_owned());
    if let Some(path) = built.get(&key) {
        return Some(path.clone());
    }
    let variant = VARIANTS.iter().find(|variant| variant.name == name);
    let path = build(variant.unwrap(), arch)?;
    built.insert(key, path.clone());
    Some(path)
}

fn build(variant: &Variant, arch: &str) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    fs::create_dir_all(&directory).unwrap();
    // Another run of these tests waits.
    let lock = File::create(directory.join("lock")).unwrap();
    let _mine = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e);
    let recipe = write(variant, &directory);
    let firstboot = real::firstboot(arch)?;
    let mirror = real::mirror()?;
    let verb = |verb: &str| {
        let mut command = nodeimg();
        command.args([verb, "--quiet", "--mirror", &mirror, "--recipe"]);
        command.arg(&recipe).arg("--store").arg(store());
        command
    };
    // What the lock has already stays as it is.
    Ran::of(&mut verb("lock")).good();
    let mut build = verb("build");
    build.args(["--output", "disk", "--arch", arch, "--out"]);
    build.arg(&directory).arg("--firstboot");
    build.arg(format!("{arch}={}", firstboot.display()));
    Ran::of(&mut build).good();
    let suffix = format!("-{arch}");
    let prefix = format!("cluster-{}-", variant.name);
    let mut entries = fs::read_dir(&directory).unwrap().map(|one| one.unwrap());
    let found = entries.find(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with(&prefix) && name.ends_with(&suffix)
    });
    Some(found.unwrap().path())
}

/// An artifact that is an OCI layout of ci/images, under the name in it.
fn image_of(name: &str) -> String {
    let images = std::env::var("NODEIMG_TEST_IMAGES");
    let layout = Path::new(&images.expect("ci/test sets NODEIMG_TEST_IMAGES")).join(name);
    let index = fs::read(layout.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let image = &index["manifests"][0]["annotations"]["io.containerd.image.name"];
    format!(
        "\n[[artifact]]\nname = \"{name}\"\nkind = \"oci_image\"\nimage = {image}\nsource = \"{}\"\n",
        layout.display()
    )
}

/// The recipe with the lock of tests/lab/recipes/hard-way.toml, which pins the same.
fn write(variant: &Variant, directory: &Path) -> PathBuf {
    let from = real::recipe("hard-way");
    let text = fs::read_to_string(&from).unwrap();
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(" = ") {
            Some(("extends", _)) => {
                out.push_str(&format!("extends = \"{}\"\n", variant.extends));
                if variant.name == "ipvs" {
                    out.push_str(IPVS_MODULES);
                }
            }
            // An artifact's name is none of these: it stands below a table.
            Some(("name", "\"debian\"")) => {
                out.push_str(&format!("name = \"cluster-{}\"\n", variant.name));
            }
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out.push_str(&format!("\n{}{BUSYBOX}", variant.more));
    for name in variant.images {
        out.push_str(&image_of(name));
    }
    let path = directory.join(format!("{}.toml", variant.name));
    fs::write(&path, out).unwrap();
    fs::copy(from.with_extension("lock"), path.with_extension("lock")).unwrap();
    path
}
