//! What holds for every lock that this program has written, looked at again
//! when one is read: its `digest` only says that nobody changed it by accident.

use std::fmt::Display;

use anyhow::{Context, Result, bail, ensure};

use super::Pins;
use super::package::{Packages, is_archive_path};
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
            let check = || -> Result<()> {
                self.url(package)?;
                let path = &package.path;
                if !is_archive_path(path) {
                    bail!("`{}` is not a path in an archive", path.escape_debug());
                }
                let version = &package.version;
                let is_version = !version.is_empty()
                    && version
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b".+-:~".contains(&b));
                ensure!(
                    is_version,
                    "`{}` is not a version of a package",
                    version.escape_debug()
                );
                Ok(())
            };
            check().with_context(|| format!("its package {} ({})", package.name, package.arch))?;
        }
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
