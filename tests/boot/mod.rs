//! Disks booted in QEMU under emulation for both architectures, by `nodeimg
//! run`: recipes/container-host.toml and a worker of the hard way. A boot takes
//! one to two minutes of a processor, so each proves many things:
//!
//! | boots | prove |
//! |---|---|
//! | `node`, amd64, 2 | config drive on iso9660 with a static network, commands and where their output goes, SSH, the second boot |
//! | `node`, arm64, 1 | the initrd of systemd (all others but some of `twins` have nodeimg's own); a seed over http that the firmware names; without that, credentials of SMBIOS and fw_cfg |
//! | `flash`, amd64, 1 | a disk that `nodeimg flash` wrote to a larger device, with a seed on it (root) |
//! | `media`, amd64, 2 | no volume, near misses, every kind of volume, metadata services, `silent`, failing commands, `refused`; then `late` |
//! | `media`, arm64, 2 | as on amd64 (NODEIMG_TEST_FULL=1) |
//! | `owner`, amd64, 2 | a set-up node is not taken by others' media: hot, cold, before and behind its own, in its place; the operator's word, a clone |
//! | `owner`, amd64, 3 more | clones with an SMBIOS UUID of their own, a word of the command line (NODEIMG_TEST_FULL=1) |
//! | `power`, amd64, 1 and 1 | power cuts, the same end state, no secret but in its own file |
//! | `rollback`, amd64, 1 | a newer version whose kernel panics: back on the one before, by itself |
//! | `rollback`, amd64, 6 more; arm64, 1 | a corrupt root, a first boot that fails, a kubelet that dies, a good version and a power cut (NODEIMG_TEST_FULL=1) |
//! | `secure`, amd64, 3 as far as the kernel | Secure Boot: keys are enrolled, what they signed boots, another command line does not |
//! | `secure`, amd64, 7 more; arm64, 3 | unsigned, others' keys, a changed loader, the next key, a revoked one; the same on arm64 (NODEIMG_TEST_FULL=1) |
//! | `tampered`, amd64, 1, 1 and 1 | one bit of the root is another one, of the hash tree, of the command line: never up |
//! | `twins`, amd64, 2 | a second disk with the same image and a state that is not this node's |
//! | `twins`, amd64, 27 more | GUIDs of its own; the same with systemd's initrd; neither of two disks if the firmware does not say which; virtio, SATA and USB, and the node's own disk there (NODEIMG_TEST_FULL=1) |
//! | `twins`, arm64, 4 | NVMe, and the node's own disk there (NODEIMG_TEST_FULL=1) |
//! | `update`, amd64, 2 | a node updates itself from a registry, by https and with a signature |
//! | `update`, amd64, 7 more | a second update, by the unit; versions from a medium that panic, fail or are corrupt after an update, and a power cut in the midst of one (NODEIMG_TEST_FULL=1) |
//! | `every`, both, 1 each | every package that is known: all units run, programs work (NODEIMG_TEST_FULL=1) |
//!
//! `silent` is a metadata service that does not answer a node that is set up: the delay.
//! `refused` is a seed with every mistake that makes a node useless: no kubelet. `late` is the
//! correct volume on the next boot: two interfaces, a static network, the node IP by its
//! network, drop-ins of containerd and the kubelet; kubelet and kube-proxy run.
//!
//! tests/support/src/guest.rs has how facts come out of a guest; consoles are in
//! `tmp/boot-logs` of the build directory.

mod every;
mod flash;
mod late;
mod media;
mod node;
mod owner;
mod power;
mod refused;
mod rollback;
mod secrets;
mod secure;
mod silent;
mod tampered;
mod twins;
mod update;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};

use nodeimg_test_support::debian::{
    ARCHS, fetched, locked, recipe, verb_of, with_generic_kernel, with_systemds_initrd,
};
use nodeimg_test_support::media::Seed;
use nodeimg_test_support::real;
use nodeimg_test_support::run::Ran;

/// The address that QEMU gives to its first interface.
const FIRST_INTERFACE: &str = "52:54:00:12:34:56";

/// Both disks of a recipe, built once for all tests.
struct Images {
    directory: PathBuf,
    /// Another run of these tests waits.
    _mine: Flock<File>,
}

/// The container host's output directory for `arch`; `None`, with a printed skip, if no
/// mirror of Debian is available.
fn image(arch: &str) -> Option<PathBuf> {
    static IMAGES: OnceLock<Option<Images>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| Images::build("boot", container_host));
    Some(real::output_for(&images.as_ref()?.directory, arch))
}

/// The same for `arch` with systemd's initrd.
fn image_of_systemd(arch: &str) -> Option<PathBuf> {
    let images = Images::build(&format!("boot-systemd-{arch}"), |directory| {
        let recipe = with_systemds_initrd(directory);
        build_container_host(directory, &recipe, &[arch])
    })?;
    Some(real::output_for(&images.directory, arch))
}

/// The same of a worker of the hard way, from Debian's builds.
fn worker_image(arch: &str) -> Option<PathBuf> {
    static IMAGES: OnceLock<Option<Images>> = OnceLock::new();
    let build = |directory: &Path| real::build_whole(directory, &ARCHS, &["disk"]);
    let images = IMAGES.get_or_init(|| Images::build("boot-worker", build));
    Some(real::output_for(&images.as_ref()?.directory, arch))
}

fn container_host(directory: &Path) -> Option<()> {
    build_container_host(directory, &recipe(), &ARCHS)
}

/// The container host with the kernel for metal: of amd64, with an initrd of this kind.
fn image_of_generic_kernel(initrd: &str) -> Option<PathBuf> {
    let images = Images::build(&format!("boot-generic-{initrd}"), |directory| {
        let recipe = with_generic_kernel(directory, initrd);
        locked(&recipe).then_some(())?;
        build_container_host(directory, &recipe, &["amd64"])
    })?;
    Some(real::output_for(&images.directory, "amd64"))
}

/// The disks of a recipe whose packages are in the store.
fn build_container_host(directory: &Path, recipe: &Path, archs: &[&str]) -> Option<()> {
    let mut build = verb_of(recipe, "build", archs);
    for arch in archs {
        let binary = real::firstboot(arch)?;
        build.arg("--firstboot");
        build.arg(format!("{arch}={}", binary.display()));
    }
    build.args(["--offline", "--output", "disk", "--output", "root", "--out"]);
    Ran::of(build.arg(directory)).good();
    Some(())
}

impl Images {
    fn build(name: &str, build: impl FnOnce(&Path) -> Option<()>) -> Option<Images> {
        let directory = real::directory(name);
        let lock = File::create(real::directory("").join(format!("{name}.lock"))).unwrap();
        let mine = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, e)| e)
            .unwrap();
        if !fetched() {
            return None;
        }
        build(&directory)?;
        Some(Images {
            directory,
            _mine: mine,
        })
    }
}

/// An empty directory for one test.
fn directory(name: &str) -> PathBuf {
    let path = real::directory("boot-work").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A NoCloud seed of a host name.
fn seed(directory: &Path, host_name: &str) -> PathBuf {
    let user_data = format!("#cloud-config\nhostname: {host_name}\n");
    let seed = Seed::no_cloud(&format!("i-{host_name}"), &user_data);
    seed.write(&directory.join(format!("seed-{host_name}")))
}
