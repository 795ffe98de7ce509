//! What holds for every lock that this program has written, looked at again
//! when one is read: its `digest` only says that nobody changed it by accident.

use std::fmt::Display;

use anyhow::{Context, Result, ensure};

use super::Pins;
use super::package::{Packages, PinnedPackage, Place, is_archive_path, is_version};
use super::pin::Keyed;

impl Pins {
    /// # Errors
    /// Something is there twice, out of order, or belongs to nothing.
    pub(super) fn check(&self) -> Result<()> {
        in_order("artifact", &self.artifacts)?;
        in_order("image", &self.images)?;
        in_order("package", &self.packages.packages)?;
        for pin in &self.artifacts {
            let what = || format!("its artifact {} ({})", pin.request.name, pin.request.arch);
            pin.vouch.check().with_context(what)?;
        }
        for pin in &self.images {
            let what = || format!("its image {} ({})", pin.request.name, pin.request.arch);
            pin.vouch.check().with_context(what)?;
        }
        self.packages.check()
    }
}

impl Packages {
    fn check(&self) -> Result<()> {
        let some = !self.packages.is_empty() || !self.indexes.is_empty() || self.unattended;
        ensure!(
            self.base.is_some() || !some,
            "it has packages, indexes or `unattended`, but no `base`"
        );
        for pair in self.indexes.windows(2) {
            let [one, next] = pair else { continue };
            ensure!(
                one.suite < next.suite,
                "its indexes are not in order, or one is there twice: {} and {}",
                one.suite,
                next.suite
            );
        }
        for package in &self.packages {
            let context = || format!("its package {} ({})", package.name, package.arch);
            self.check_package(package).with_context(context)?;
        }
        Ok(())
    }

    fn check_package(&self, package: &PinnedPackage) -> Result<()> {
        self.url(package)?;
        match &package.place {
            Place::Archive { path, .. } => ensure!(
                is_archive_path(path),
                "`{}` is not a path in an archive",
                path.escape_debug()
            ),
            Place::Url { url } => ensure!(
                url.starts_with("https://") && !url.contains(char::is_whitespace),
                "`{}` is not an https URL",
                url.escape_debug()
            ),
        }
        ensure!(
            is_version(&package.version),
            "`{}` is not a version of a package",
            package.version.escape_debug()
        );
        Ok(())
    }
}

/// Each once, by name and architecture.
fn in_order<P: Keyed>(table: impl Display, pins: &[P]) -> Result<()> {
    for pair in pins.windows(2) {
        let [one, next] = pair else { continue };
        let (name, arch) = next.key();
        ensure!(
            one.key() != next.key(),
            "its {table} `{name}` is there twice for {arch}"
        );
        ensure!(
            one.key() < next.key(),
            "its {table} `{name}` ({arch}) is out of order"
        );
    }
    Ok(())
}
