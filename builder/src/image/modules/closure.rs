//! Which modules must be there for some to be loaded: for an initrd.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::needs::all_needed;
use super::{Module, Modules};
use crate::tree::ImagePath;
use nodeimg_seed::text::pattern::{matches, normalised};

/// What answers to some names, and all that it needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Closure {
    /// The modules' files, as they are in the tree.
    pub modules: BTreeSet<ImagePath>,
    /// The names that the kernel itself answers to.
    pub built_in: Vec<String>,
    /// The names that nothing answers to.
    pub missing: Vec<String>,
}

/// What answers to a name.
enum Found {
    Modules(Vec<usize>),
    BuiltIn,
    Nothing,
}

impl Modules {
    /// What `names` stand for, each a module (`dm-verity`), or an alias as the
    /// kernel asks for one (`fs-ext4`, `crypto-sha256`, `virtio:d00000002v0000`),
    /// with all that they need: by symbols, by soft dependency (before and
    /// after) and by weak dependency, which is meant for initrds.
    pub fn closure(&self, names: &[&str]) -> Result<Closure> {
        let by_name = self.by_name();
        let mut closure = Closure::default();
        let mut open = Vec::new();
        for name in names {
            let found = self
                .look_up(&by_name, name)
                .with_context(|| format!("`{name}` is not a valid name of a kernel module"))?;
            match found {
                Found::Modules(found) => open.extend(found),
                Found::BuiltIn => closure.built_in.push((*name).to_owned()),
                Found::Nothing => closure.missing.push((*name).to_owned()),
            }
        }
        let mut seen = vec![false; self.modules.len()];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            let module = &self.modules[at];
            closure.modules.insert(module.path.clone());
            open.extend(all_needed(&self.modules, &[at]));
            // A wish that nothing fulfils is none: so does modprobe.
            for wish in wishes(module) {
                if let Some(Found::Modules(found)) = self.look_up(&by_name, wish) {
                    open.extend(found);
                }
            }
        }
        Ok(closure)
    }

    /// The names of the modules that answer to `name`, as [`Modules::closure`]
    /// takes it, in modules.order: none if it is built in.
    pub fn answering(&self, name: &str) -> Result<Vec<&str>> {
        let found = self.look_up(&self.by_name(), name);
        let found =
            found.with_context(|| format!("`{name}` is not a valid name of a kernel module"))?;
        let Found::Modules(found) = found else {
            return Ok(Vec::new());
        };
        let names = found.into_iter().filter_map(|at| self.modules.get(at));
        Ok(names.map(|module| module.name.as_str()).collect())
    }

    /// Those of `names` that neither a module nor the kernel itself answers to; none if
    /// the kernel does not tell what it has in itself.
    pub fn lacking<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        if self.built_in.names.is_none() {
            return Vec::new();
        }
        let by_name = self.by_name();
        let is_absent =
            |name: &&&str| matches!(self.look_up(&by_name, name), None | Some(Found::Nothing));
        names.iter().filter(is_absent).copied().collect()
    }

    /// Every name of a module, built in or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let built_in = self.built_in.names.iter().flatten();
        let modules = self.modules.iter().map(|module| module.name.as_str());
        modules.chain(built_in.map(String::as_str))
    }

    /// The names of the modules below `folder` of the kernel's own (`drivers/ata`).
    pub fn below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let inside = format!("kernel/{folder}/");
        let modules = self.modules.iter();
        let there =
            modules.filter(move |module| module.relative(&self.release).starts_with(&inside));
        there.map(|module| module.name.as_str())
    }

    fn by_name(&self) -> BTreeMap<&str, usize> {
        let modules = self.modules.iter().enumerate();
        let named = modules.map(|(at, module)| (module.name.as_str(), at));
        named.collect()
    }

    /// In kmod's order: a module, an alias, a built-in one. `None` for a text
    /// whose brackets do not fit together.
    fn look_up(&self, by_name: &BTreeMap<&str, usize>, name: &str) -> Option<Found> {
        let wanted = normalised(name)?;
        if let Some(at) = by_name.get(wanted.as_str()) {
            return Some(Found::Modules(vec![*at]));
        }
        let answers =
            |alias: &String| normalised(alias).is_some_and(|pattern| matches(&pattern, &wanted));
        let modules = self.modules.iter().enumerate();
        let found: Vec<usize> = modules
            .filter(|(_, module)| module.facts.aliases.iter().any(answers))
            .map(|(at, _)| at)
            .collect();
        if !found.is_empty() {
            return Some(Found::Modules(found));
        }
        let names = self.built_in.names.iter().flatten();
        let mut aliases = self.built_in.aliases.iter().flatten();
        let built_in = names.into_iter().any(|there| *there == wanted)
            || aliases.any(|(alias, _)| answers(alias));
        Some(if built_in {
            Found::BuiltIn
        } else {
            Found::Nothing
        })
    }
}

/// What a module would like to have beside it, as it names them.
fn wishes(module: &Module) -> impl Iterator<Item = &str> {
    let texts = module.facts.soft.iter().chain(&module.facts.weak);
    let words = texts.flat_map(|text| text.split_ascii_whitespace());
    words.filter(|word| !matches!(*word, "pre:" | "post:"))
}
