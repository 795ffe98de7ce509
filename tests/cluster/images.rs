//! The disks of these tests, each built once, by the recipes that ship: those of
//! tests/lab/recipes, which have their versions of the lab and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};

use nodeimg_test_support::debian::store;
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::{judge, place, real};
use nodeimg_values::digest::Digest;

/// An image to test with.
pub struct Variant {
    pub name: &'static str,
    /// The recipe of the lab that it is.
    pub recipe: &'static str,
    /// What it has beside that: keys of a recipe, and tables.
    pub keys: &'static str,
    pub tables: &'static [&'static str],
    /// Container images of the lab beside the recipe's own.
    pub images: &'static [&'static str],
}

impl Variant {
    /// The recipe as it is, with the image that pods of these tests are made of.
    pub const fn of(name: &'static str, recipe: &'static str) -> Variant {
        Variant {
            name,
            recipe,
            keys: "",
            tables: &[],
            images: &["busybox"],
        }
    }

    /// Whether CRI-O runs its containers, and not containerd.
    pub fn is_of_crio(&self) -> bool {
        self.keys.contains("crio")
    }
}

pub const HARD_WAY: Variant = Variant::of("hard-way", "hard-way");
/// A node that is older than its cluster, keeps to iptables, and has crun beside runc: Debian's,
/// which is linked with a library.
pub const OLDER: Variant = Variant {
    keys: "handlers = [\"crun\"]\n",
    tables: &[r#"
[kube_proxy]
mode = "iptables"
[base]
packages = ["libyajl2"]
[[artifact]]
name = "crun"
kind = "binary"
version = "1.21"
url = "https://github.com/containers/crun/releases/download/{version}/crun-{version}-linux-{arch}"
files = [{ to = "/usr/local/bin/crun" }]
"#],
    ..Variant::of("older", "hard-way-1.36")
};
/// Those of `NODEIMG_TEST_FULL`.
pub const TWO_OLDER: Variant = Variant::of("two-older", "hard-way-1.35");
pub const THREE_OLDER: Variant = Variant::of("three-older", "hard-way-1.34");
pub const CONTAINERD_2_4: Variant = Variant::of("containerd-2.4", "hard-way-containerd-2.4");
pub const BOOTSTRAP: Variant = Variant {
    keys: "modules = [\"ip_vs\", \"ip_vs_rr\", \"ip_vs_wrr\", \"ip_vs_sh\"]\n",
    tables: &["[kube_proxy]\nmode = \"ipvs\"\n"],
    ..Variant::of("bootstrap", "bootstrap")
};
/// For a cluster whose pods and Services have addresses of both families.
pub const DUAL_STACK: Variant = Variant {
    tables: &[
        "[cluster]\ncluster_cidr = [\"10.200.0.0/16\", \"fd00:10:200::/56\"]\nservice_cidr = [\"10.32.0.0/24\", \"fd00:10:32::/112\"]\n",
    ],
    ..Variant::of("dual-stack", "hard-way")
};
/// With CRI-O, of a folder that `NODEIMG_TEST_CRIO` names. Debian's conmon and crun are
/// linked with libraries, which upstream's bundle does not need.
pub const HARD_WAY_CRIO: Variant = Variant {
    keys: "runtime = \"crio\"\nhandlers = [\"crun\"]\n",
    tables: &[CRIO_TABLES],
    ..Variant::of("hard-way-crio", "hard-way-1.36")
};
pub const CRIO_TABLES: &str = r#"
[base]
packages = ["libglib2.0-0t64", "libyajl2"]
# They index schemas and modules of programs with windows.
accept_scripts = [
    "libglib2.0-0t64/postinst sha256:5ca419d1cad0a3b6ce4734c907633fc063c244cffc5c6809feabe541af7e1fdb",
    "libglib2.0-0t64/postinst sha256:c0e6575cc67a660445438a4ac704fab6f5ad26528c9fb796d2ad6afa474cacd3",
    "libglib2.0-0t64/preinst sha256:9a54cd57e693b3ef91362835d997363d8539b0172b1a650e0697e0161ae9fcd4",
]
[[artifact]]
name = "cri-o"
version = "1.36.3"
"#;
/// With the programs of a folder that `NODEIMG_TEST_HANDLERS` names.
pub const HANDLERS: Variant = Variant {
    keys: "handlers = [\"youki\", \"runsc\"]\n",
    tables: &[r#"
[[artifact]]
name = "youki"
kind = "archive"
version = "0.7.0"
url = "https://github.com/youki-dev/youki/releases/download/v{version}/youki-{version}-{arch}-gnu.tar.gz"
arch_names = { amd64 = "x86_64", arm64 = "aarch64" }
files = [{ from = "youki", to = "/usr/local/bin/youki" }]
[[artifact]]
name = "runsc"
kind = "binary"
version = "20260224.0"
url = "https://storage.googleapis.com/gvisor/releases/release/{version}/{arch}/runsc"
arch_names = { amd64 = "x86_64", arm64 = "aarch64" }
files = [{ to = "/usr/local/bin/runsc" }]
[[artifact]]
name = "runsc-shim"
kind = "binary"
version = "20260224.0"
url = "https://storage.googleapis.com/gvisor/releases/release/{version}/{arch}/containerd-shim-runsc-v1"
arch_names = { amd64 = "x86_64", arm64 = "aarch64" }
files = [{ to = "/usr/local/bin/containerd-shim-runsc-v1" }]
"#],
    ..Variant::of("handlers", "hard-way")
};
pub const KUBEADM: Variant = Variant::of("kubeadm", "kubeadm");
pub const KUBEADM_CRIO: Variant = Variant {
    keys: "runtime = \"crio\"\nkubernetes = \"1.36.3\"\n",
    // The lab has kubectl in one version.
    tables: &[
        CRIO_TABLES,
        "[[artifact]]\nname = \"kubectl\"\nversion = \"1.37.2\"\n",
    ],
    ..Variant::of("kubeadm-crio", "kubeadm")
};
/// With all that `kubeadm init` asks for.
pub const CONTROL_PLANE: Variant = Variant {
    images: &[
        "coredns",
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
    ],
    ..Variant::of("control-plane", "kubeadm")
};

/// The output directory of a variant; `None`, with a printed skip, if one of its inputs
/// is missing.
pub fn image(variant: &Variant, arch: &str) -> Option<PathBuf> {
    static BUILT: Mutex<BTreeMap<(String, String), PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (variant.name.to_owned(), arch.to_owned());
    if let Some(path) = built.get(&key) {
        return Some(path.clone());
    }
    let path = build(variant, arch)?;
    built.insert(key, path.clone());
    Some(path)
}

fn build(variant: &Variant, arch: &str) -> Option<PathBuf> {
    let directory = place::tmp().join("cluster");
    fs::create_dir_all(&directory).unwrap();
    // Another run of these tests waits.
    let lock = File::create(directory.join("lock")).unwrap();
    let _mine = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e);
    let firstboot = real::firstboot(arch)?;
    let mirror = real::mirror()?;
    if variant.is_of_crio() {
        bundle_of_crio(&judge::crio()?);
    }
    if variant.name == HANDLERS.name {
        release_handlers(&judge::handlers()?);
    }
    let recipe = write(variant, &directory);
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
    let prefix = format!("{}-", variant.name);
    let mut entries = fs::read_dir(&directory).unwrap().map(|one| one.unwrap());
    let found = entries.find(|entry| {
        let name = entry.file_name().into_string().unwrap();
        // Then the version, and not more of another variant's name.
        let version = name.strip_prefix(&prefix).unwrap_or_default();
        version.starts_with(|first: char| first.is_ascii_digit()) && version.ends_with(&suffix)
    });
    Some(found.unwrap().path())
}

/// The recipes whose locks fit the mirror.
pub fn recipes() -> PathBuf {
    let path = real::recipes();
    fs::canonicalize(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// CRI-O's release bundle as the lab's mirror serves it, packed of the programs in `folder`.
fn bundle_of_crio(folder: &Path) {
    let version = Command::new(folder.join("crio")).arg("--version").output();
    let version = String::from_utf8(version.unwrap().stdout).unwrap();
    let version = version.split_whitespace().nth(2).unwrap();
    // A lock is of both architectures; only this machine's is built.
    for arch in ["amd64", "arm64"] {
        let to = served(&format!(
            "storage.googleapis.com/cri-o/artifacts/cri-o.{arch}.v{version}.tar.gz"
        ));
        pack(
            folder,
            "cri-o/bin/",
            &["conmon", "crio", "crun", "pinns"],
            &to,
        );
        let name = to.file_name().unwrap().display();
        let digest = Digest::sha256(&fs::read(&to).unwrap());
        let line = format!("{}  {name}\n", digest.hex());
        fs::write(to.with_file_name(format!("{name}.sha256sum")), line).unwrap();
    }
}

/// youki and gVisor as their projects release them, of the programs in `folder`.
fn release_handlers(folder: &Path) {
    for arch in ["x86_64", "aarch64"] {
        let youki = format!(
            "github.com/youki-dev/youki/releases/download/v0.7.0/youki-0.7.0-{arch}-gnu.tar.gz"
        );
        pack(folder, "", &["youki"], &served(&youki));
        for program in ["runsc", "containerd-shim-runsc-v1"] {
            let to = format!(
                "storage.googleapis.com/gvisor/releases/release/20260224.0/{arch}/{program}"
            );
            fs::copy(folder.join(program), served(&to)).unwrap();
        }
    }
}

/// Where the lab's mirror has what upstream has at this address.
fn served(address: &str) -> PathBuf {
    let path = lab().join("mirror").join(address);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

/// An archive of programs, each below `prefix`.
fn pack(folder: &Path, prefix: &str, programs: &[&str], to: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0"])
        .arg("--numeric-owner")
        .arg(format!("--transform=s,^,{prefix},"))
        .arg("-czf")
        .arg(to)
        .arg("-C")
        .arg(folder)
        .args(programs);
    assert!(tar.status().unwrap().success());
}

fn lab() -> PathBuf {
    let lab = std::env::var("NODEIMG_TEST_LAB").expect("ci/test sets NODEIMG_TEST_LAB");
    PathBuf::from(lab)
}

/// An artifact that is an OCI layout of the lab, under the name in it.
fn image_of(name: &str) -> String {
    let layout = lab().join("images").join(name);
    let index = layout.join("index.json");
    let index = fs::read(&index).unwrap_or_else(|e| panic!("{}: {e}", index.display()));
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let image = &index["manifests"][0]["annotations"]["io.containerd.image.name"];
    format!(
        "\n[[artifact]]\nname = \"{name}\"\nkind = \"oci_image\"\nimage = {image}\nsource = \"{}\"\n",
        layout.display()
    )
}

/// The variant's recipe, with the lock of the one that it extends.
pub fn write(variant: &Variant, directory: &Path) -> PathBuf {
    let from = recipes().join(format!("{}.toml", variant.recipe));
    let mut text = format!(
        "extends = \"{}\"\nname = \"{}\"\n{}\n{}",
        from.display(),
        variant.name,
        variant.keys,
        variant.tables.concat()
    );
    for name in variant.images {
        text.push_str(&image_of(name));
    }
    let path = directory.join(format!("{}.toml", variant.name));
    fs::write(&path, text).unwrap();
    fs::copy(from.with_extension("lock"), path.with_extension("lock")).unwrap();
    path
}
