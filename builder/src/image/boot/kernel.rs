//! What boots the root, and is not in it.
//!
//! The kernel, the stub of the UKI and the boot loader are in the EFI system
//! partition; in the root they would only be copies that nobody reads. What
//! they leave is the kernel's configuration, where kubeadm's checks and others
//! look for it.

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;

use super::{origin, wanted};
use crate::image::modules;
use crate::tree::{Content, ImagePath, Kind, Node, Tree};

const BOOT: &str = "/boot";
pub const EFI_PROGRAMS: &str = "/usr/lib/systemd/boot";

/// The parts of a tree that boot it, taken out of it.
pub struct Parts {
    /// The kernel's: `6.12.117+deb13-cloud-amd64`.
    pub release: String,
    pub kernel: Content,
    /// systemd's EFI stub, which the UKI begins with.
    pub stub: Content,
    /// systemd-boot.
    pub loader: Content,
}

/// `x64`, `aa64`: the architecture in names of EFI programs.
pub fn efi_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x64",
        Arch::Arm64 => "aa64",
    }
}

/// Takes the parts out of `tree`.
pub fn take(tree: &mut Tree, arch: Arch) -> Result<Parts> {
    let release = modules::the_one_release(tree)?;
    let efi = efi_name(arch);
    let kernel = kernel(tree, &release)?;
    let program = |name: String| -> Result<Content> {
        file(
            tree,
            &format!("{EFI_PROGRAMS}/efi/{name}"),
            "systemd-boot-efi",
        )
    };
    let parts = Parts {
        kernel,
        stub: program(format!("linux{efi}.efi.stub"))?,
        loader: program(format!("systemd-boot{efi}.efi"))?,
        release,
    };
    let release = &parts.release;
    let config: ImagePath = format!("{BOOT}/config-{release}").parse()?;
    let config = tree.get(&config).cloned();
    let modules = format!("/usr/lib/modules/{release}");
    let beside = |name| format!("{modules}/{name}");
    let taken = [beside("System.map"), beside("vmlinuz")];
    for path in taken.iter().map(String::as_str).chain([BOOT, EFI_PROGRAMS]) {
        tree.take(&path.parse()?);
    }
    let step = "extracting the kernel";
    tree.insert(BOOT.parse()?, Node::directory(0o755, origin(step)))?;
    if let Some(config) = config {
        tree.replace(beside("config").parse()?, config)?;
    }
    Ok(parts)
}

/// `vmlinuz-RELEASE`, the only one; since Linux 7 Debian has it beside the modules.
fn kernel(tree: &Tree, release: &str) -> Result<Content> {
    let boot: ImagePath = BOOT.parse()?;
    let others: Vec<&str> = tree
        .iter()
        .filter(|(path, _)| path.parent().as_ref() == Some(&boot))
        .filter_map(|(path, _)| path.name().strip_prefix("vmlinuz-"))
        .filter(|other| *other != release)
        .collect();
    if !others.is_empty() {
        bail!(
            "there are other kernels besides {release}, to which the modules belong: {}; keep one \
             in `base.packages`",
            others.join(", ")
        );
    }
    let beside = format!("/usr/lib/modules/{release}/vmlinuz");
    if tree.get(&beside.parse()?).is_some() {
        return file(tree, &beside, &format!("linux-binary-{release}"));
    }
    let package = format!("linux-image-{release}");
    file(tree, &format!("{BOOT}/vmlinuz-{release}"), &package)
}

fn file(tree: &Tree, path: &str, package: &str) -> Result<Content> {
    let path: ImagePath = path.parse()?;
    match &wanted(tree, &path, package)?.kind {
        Kind::File(content) => Ok(content.clone()),
        Kind::Directory | Kind::Symlink(_) => bail!("`{path}` is not a file"),
    }
}
