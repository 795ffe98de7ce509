//! One image of a recipe, from its inputs to the directory that it is written into.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic;
use nodeimg_values::progress::Progress;
use nodeimg_values::trace;

use super::reuse::{self, Inputs, Key};
use super::sbom::{self, Subject};
use super::{Built, write_all};
use crate::image::brought::Brought;
use crate::image::rootfs;
use crate::input::bring::Fetched;
use crate::input::lock::Locked;
use crate::input::recipe::Recipe;
use crate::store::Store;
use crate::tree::Content;

/// An image that is to be built.
pub struct Build<'a> {
    pub arch: Arch,
    /// Where it is written.
    pub directory: PathBuf,
    recipe: &'a Recipe,
    brought: &'a Brought,
    locked: &'a Locked,
    firstboot: Content,
    key: Key,
    shared: Key,
}

impl<'a> Build<'a> {
    /// Into a directory of its own in `out`, with that first-boot program.
    pub fn new(
        recipe: &'a Recipe,
        brought: &'a Brought,
        locked: &'a Locked,
        arch: Arch,
        firstboot: Content,
        out: &Path,
    ) -> Result<Build<'a>> {
        locked.check_arch(recipe, arch)?;
        let inputs = Inputs {
            recipe,
            brought,
            locked: locked.digest(),
            arch,
            firstboot: &firstboot,
        };
        let key = Key::of(&inputs, &reuse::program()?)?;
        let shared = Key::shared(&inputs)?;
        Ok(Build {
            arch,
            directory: out.join(recipe.image_name(arch)),
            recipe,
            brought,
            locked,
            firstboot,
            key,
            shared,
        })
    }

    /// Whether an earlier build has written just this.
    pub fn is_current(&self, store: &Store) -> bool {
        let is_current = reuse::is_current(store, &self.directory, &self.key);
        if is_current {
            // Nothing is written, so nothing else removes what a killed build left.
            atomic::tidy(&self.directory);
        }
        is_current
    }

    /// By what a registry may have it.
    pub fn shared_key(&self) -> &str {
        self.shared.short()
    }

    /// The directory holds what somebody else has built from the same.
    pub fn is_taken(&self, store: &Store) -> Result<()> {
        reuse::remember(store, &self.directory, &self.key)
    }

    pub fn run(&self, fetched: Fetched<'_>, store: &Store, progress: &Progress) -> Result<()> {
        let name = self.recipe.image_name(self.arch);
        let _span = trace::span("image", || name.clone());
        self.write(fetched, store, progress)
            .with_context(|| format!("building {name}"))
    }

    fn write(&self, fetched: Fetched<'_>, store: &Store, progress: &Progress) -> Result<()> {
        let name = self.recipe.image_name(self.arch);
        progress.step(&format!("assembling {name}"));
        let inputs = rootfs::BuildInputs {
            recipe: self.recipe,
            brought: self.brought,
            arch: self.arch,
            epoch: self.locked.epoch(),
            store,
            fetched,
            unattended: self.locked.unattended(),
            firstboot: self.firstboot.clone(),
        };
        let mut image = rootfs::assemble(&inputs)?;
        for warning in &image.warnings {
            progress.warn(warning);
        }
        let subject = Subject {
            recipe: self.recipe,
            locked: self.locked,
            arch: self.arch,
            fetched: &inputs.fetched,
        };
        progress.step(&format!("listing what {name} is made of"));
        let listing = trace::stage("listing what the image is made of");
        let bill = sbom::embed(&subject, &mut image.tree)?;
        if let Some(overlay) = &mut image.overlay {
            sbom::embed(&subject, overlay)?;
        }
        drop(listing);
        progress.step(&format!("writing {}", self.directory.display()));
        let built = Built {
            recipe: self.recipe,
            locked: self.locked,
            arch: self.arch,
            tree: image.overlay.as_ref().unwrap_or(&image.tree),
            rootfs: &image.tree,
            boot: image.boot.as_ref(),
            brought: self.brought,
            firstboot: &self.firstboot,
            bill: &bill,
            fetched: &inputs.fetched,
            store,
        };
        // Another build into this directory must not come between the two, or its
        // files would be remembered as this one's.
        let _turn = write_all(&built, &self.directory)?;
        reuse::remember(store, &self.directory, &self.key)
    }
}
