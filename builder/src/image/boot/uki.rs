//! The unified kernel image
//! ([UAPI.5](https://uapi-group.org/specifications/specs/unified_kernel_image/)):
//! systemd's EFI stub with all that boots one root as sections.

use anyhow::{Context, Result};
use nodeimg_formats::pe::{self, NewSection};
use nodeimg_formats::verity::RootHash;
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::trace;

use super::cmdline::CommandLine;
use super::initrd::{self, Initrd};
use super::name::OS_RELEASE;
use super::{Parts, microcode, wanted};
use crate::image::units::text_at;
use crate::input::recipe::Recipe;
use crate::store::Store;
use crate::tree::{ImagePath, Tree};

/// What a UKI is made for.
pub struct Request<'a> {
    pub recipe: &'a Recipe,
    pub arch: Arch,
    pub epoch: Epoch,
    /// The root, as it was sealed.
    pub tree: &'a Tree,
    /// What each slot's root and hash tree have for room, in bytes.
    pub slot: initrd::Slot,
    pub store: &'a Store,
}

impl Parts {
    /// The whole EFI program, with that initrd, for the root that has this hash.
    pub fn uki(&self, request: &Request<'_>, initrd: &[u8], root: RootHash) -> Result<Vec<u8>> {
        let os_release: ImagePath = OS_RELEASE.parse()?;
        wanted(request.tree, &os_release, "base-files")?;
        let os_release = text_at(request.tree, &os_release)?.unwrap_or_default();
        let extra = &request.recipe.disk.kernel_args;
        let command_line = CommandLine::new(root, request.arch, extra);
        let kernel = self.kernel.head(u64::MAX).context("reading the kernel")?;
        let stub = self.stub.head(u64::MAX).context("reading the EFI stub")?;
        let section = |name, bytes| NewSection { name, bytes };
        // The kernel last: it is the one that may grow in memory.
        let sections = [
            section(".osrel", os_release.as_bytes()),
            section(".cmdline", command_line.as_str().as_bytes()),
            section(".uname", self.release.as_bytes()),
            section(".initrd", initrd),
            section(".linux", &kernel),
        ];
        pe::with_sections(&stub, &sections).context("the EFI stub of systemd-boot-efi")
    }

    /// What the UKI has as its initrd; the root need not be written yet.
    pub fn initrd(&self, request: &Request<'_>) -> Result<Vec<u8>> {
        let _span = trace::stage("making the initrd");
        self.packed(request).context("making the initrd")
    }

    fn packed(&self, request: &Request<'_>) -> Result<Vec<u8>> {
        let initrd: Initrd = initrd::of(&initrd::InitrdInputs {
            tree: request.tree,
            recipe: request.recipe,
            arch: request.arch,
            release: &self.release,
            slot: request.slot,
            store: request.store,
        })?;
        let packed = initrd.packed(request.epoch, request.store)?;
        let mut all = microcode::archive(request.tree, request.arch, request.epoch)
            .context("collecting the microcode")?;
        if all.is_empty() {
            return Ok(packed);
        }
        all.extend(packed);
        Ok(all)
    }
}
