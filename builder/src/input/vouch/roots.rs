//! The trusted roots of a run: those inside the program, and those that the recipe and the
//! command line name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use nodeimg_trust::Roots;
use nodeimg_values::{regular, stdin};

use super::demand::instance;
use crate::input::recipe::verify::{SigstoreInstance, TrustPart};

/// A trusted root has 10 KB.
const MAX_ROOT: u64 = 4 << 20;

/// `[INSTANCE=]FILE` of `--trusted-root`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenRoot {
    pub instance: SigstoreInstance,
    pub file: PathBuf,
}

impl FromStr for GivenRoot {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<GivenRoot> {
        let named = text.split_once('=').and_then(|(name, file)| {
            let mut all = SigstoreInstance::ALL.into_iter();
            Some((all.find(|one| one.name() == name)?, file))
        });
        let (instance, file) = named.unwrap_or((SigstoreInstance::Private, text));
        if file.is_empty() {
            bail!("expected FILE or INSTANCE=FILE (public-good, github, private)");
        }
        Ok(GivenRoot {
            instance,
            file: stdin::path(file)?,
        })
    }
}

impl fmt::Display for GivenRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.instance.name(), self.file.display())
    }
}

/// The roots inside the program, under those of the recipe, under the given ones.
///
/// # Errors
/// A file that cannot be read, or is not a trusted root.
pub fn load(recipe: &TrustPart, given: &[GivenRoot]) -> Result<Roots> {
    let mut roots = Roots::built_in()?;
    for (named, path) in &recipe.roots {
        if given.iter().all(|given| given.instance != *named) {
            let what = || format!("the trusted root of [trust] roots.{}", named.name());
            roots = with(roots, *named, path.as_ref()).with_context(what)?;
        }
    }
    for given in given {
        let what = || format!("--trusted-root {given}");
        roots = with(roots, given.instance, &given.file).with_context(what)?;
    }
    Ok(roots)
}

fn with(roots: Roots, named: SigstoreInstance, path: &Path) -> Result<Roots> {
    let bytes =
        regular::read(path, MAX_ROOT).with_context(|| format!("reading {}", path.display()))?;
    let roots = match named {
        SigstoreInstance::Private => roots.with_private(&bytes),
        other => roots.replaced(instance(other), &bytes),
    };
    roots.with_context(|| format!("{} is not a trusted root of Sigstore", path.display()))
}
