//! A recipe and its lock, as a verb is given them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_trust::Roots;
use nodeimg_values::arch::Arch;
use nodeimg_values::{regular, stdin};

use super::lock::{Lock, Locked, PinnedPackage};
use super::recipe::output::{Kinds, OutputKind};
use super::recipe::{self, Recipe, RecipeRef, built_in};
use super::vouch::Look;
use super::vouch::kept::Proofs;
use crate::store::Store;

/// Refuses packages that cannot make what the recipe asks for.
pub type Needs = fn(&Recipe, &[PinnedPackage]) -> Result<()>;

/// The recipe and its lock's text, not yet checked against each other.
pub struct Chosen {
    pub from: RecipeRef,
    pub recipe: Recipe,
    pub label: String,
    pub lock: Option<String>,
    /// Of that lock.
    pub proofs: Proofs,
}

impl Chosen {
    /// `lock` is a file that stands for the recipe's own lock; `outputs`, if there are
    /// any, for the recipe's own.
    pub fn load(
        from: &RecipeRef,
        lock: Option<&Path>,
        kinds: &Kinds,
        outputs: &[&OutputKind],
    ) -> Result<Chosen> {
        let recipe = recipe::load_for(from, kinds, outputs)?;
        let path = lock.map(Path::to_owned).or_else(|| from.lock_path());
        let (label, lock, proofs) = match (from, path) {
            (_, Some(path)) => (
                path.display().to_string(),
                read_if_there(&path)?,
                Proofs::beside(&path)?,
            ),
            (RecipeRef::BuiltIn(name), None) => {
                let (label, lock) = Chosen::shipped_lock(name);
                (label, lock, Chosen::shipped_proofs(name))
            }
            (RecipeRef::File(_), None) => bail!(
                "the recipe from {} has no lock beside it: name it with --lock FILE",
                stdin::NAME
            ),
        };
        Ok(Chosen {
            from: from.clone(),
            recipe,
            label,
            lock,
            proofs,
        })
    }

    /// What messages call a built-in recipe's own lock, and its text.
    pub fn shipped_lock(name: &str) -> (String, Option<String>) {
        let text = built_in(name).and_then(|found| found.lock);
        (
            format!("the built-in lock of {name}"),
            text.map(str::to_owned),
        )
    }

    /// The proofs of a built-in recipe's own lock.
    pub fn shipped_proofs(name: &str) -> Proofs {
        let text = built_in(name).and_then(|found| found.proofs);
        Proofs::of(
            &format!("the built-in proofs of {name}"),
            text.unwrap_or_default(),
        )
    }

    /// Verifies every proof of the lock again, and that the inputs are vouched for as the
    /// recipe demands. `store` has those of a bundle, and all bytes of the architectures in
    /// `whole`.
    pub fn verified(
        &self,
        locked: &Locked,
        roots: &Roots,
        store: Option<&Store>,
        whole: &[Arch],
    ) -> Result<()> {
        let look = Look {
            recipe: &self.recipe,
            proofs: &self.proofs,
            roots,
            store,
            whole,
        };
        look.check(locked.lock())
            .with_context(|| format!("verifying who vouches for what {} pins", self.label))
    }

    /// The lock, if it is there and fits; `needs` says what else it must hold.
    pub fn locked(&self, needs: Needs) -> Result<Locked> {
        let Some(text) = &self.lock else {
            bail!(
                "{} is missing: create it with `nodeimg lock --recipe {}`",
                self.label,
                self.from
            );
        };
        let lock = Lock::parse(text, &self.label)?;
        let locked = lock.check(&self.recipe, &self.label)?;
        needs(&self.recipe, &locked.pins().packages.packages)?;
        Ok(locked)
    }
}

/// `None` if there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match regular::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading the lock {}", path.display())),
    }
}
