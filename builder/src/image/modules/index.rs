//! The files that depmod writes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::needs::{self, all_needed};
use super::trie::Trie;
use super::{BuiltIn, Module, Modules};
use crate::tree::ImagePath;
use nodeimg_seed::text::pattern::normalised;

/// How the modules lie where the index is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// Packed or not, as in the tree.
    AsTheyAre,
    /// All as `NAME.ko`.
    Uncompressed,
}

/// What an index is written of.
struct Indexed<'a> {
    release: &'a str,
    modules: &'a [Module],
    built_in: &'a BuiltIn,
    stored: Stored,
}

impl Modules {
    /// The files of the index with their names: for all modules or for those of
    /// `chosen`, as if there were no others.
    pub fn index(
        &self,
        chosen: Option<&BTreeSet<ImagePath>>,
        stored: Stored,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let modules = match chosen {
            Some(paths) => Cow::Owned(self.only(paths)?),
            None => Cow::Borrowed(self.modules.as_slice()),
        };
        let indexed = Indexed {
            release: &self.release,
            modules: &modules,
            built_in: &self.built_in,
            stored,
        };
        let files = indexed.files();
        files.with_context(|| format!("indexing the modules of kernel {}", self.release))
    }

    /// The modules at `paths`; what else they need is not there.
    fn only(&self, paths: &BTreeSet<ImagePath>) -> Result<Vec<Module>> {
        let mut places = vec![None; self.modules.len()];
        let mut modules = Vec::with_capacity(paths.len());
        for (at, module) in self.modules.iter().enumerate() {
            if paths.contains(&module.path) {
                places[at] = Some(modules.len());
                modules.push(module.clone());
            }
        }
        for module in &mut modules {
            module.needs = module.needs.iter().filter_map(|at| places[*at]).collect();
        }
        needs::rank(&mut modules)?;
        Ok(modules)
    }
}

impl Indexed<'_> {
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let lines = self.dependency_lines();
        let owners = self.owners();
        let mut files = vec![
            ("modules.alias", self.aliases().into_bytes()),
            ("modules.alias.bin", self.alias_trie()?.encode()?),
            ("modules.dep", text_of(&lines)),
            ("modules.dep.bin", self.dependency_trie(&lines)?.encode()?),
            ("modules.devname", self.devnames().into_bytes()),
            ("modules.softdep", self.soft().into_bytes()),
            ("modules.symbols", symbols(&owners).into_bytes()),
            ("modules.symbols.bin", symbol_trie(&owners)?.encode()?),
            ("modules.weakdep", self.weak().into_bytes()),
        ];
        let built_in = self.built_in;
        if let Some(names) = &built_in.names {
            let mut trie = Trie::default();
            for name in names {
                trie.add(name, "", 0)?;
            }
            files.push(("modules.builtin.bin", trie.encode()?));
        }
        if let Some(aliases) = &built_in.aliases {
            let mut trie = Trie::default();
            for (alias, name) in aliases {
                if let Some(alias) = normalised(alias) {
                    trie.add(&alias, name, 0)?;
                }
            }
            files.push(("modules.builtin.alias.bin", trie.encode()?));
        }
        files.sort();
        let named = files
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes));
        Ok(named.collect())
    }

    fn place(&self, module: &Module) -> String {
        let path = module.relative(self.release);
        match (self.stored, path.rfind(".ko")) {
            (Stored::Uncompressed, Some(at)) => format!("{}.ko", &path[..at]),
            _ => path.to_owned(),
        }
    }

    /// `kernel/a.ko.xz: kernel/b.ko.xz`, a module each.
    fn dependency_lines(&self) -> Vec<String> {
        let lines = self.modules.iter().enumerate().map(|(at, module)| {
            let mut line = self.place(module) + ":";
            for needed in all_needed(self.modules, &[at]) {
                line.push(' ');
                line.push_str(&self.place(&self.modules[needed]));
            }
            line
        });
        lines.collect()
    }

    fn dependency_trie(&self, lines: &[String]) -> Result<Trie> {
        let mut trie = Trie::default();
        for (priority, (module, line)) in self.modules.iter().zip(lines).enumerate() {
            trie.add(&module.name, line, priority)?;
        }
        Ok(trie)
    }

    fn aliases(&self) -> String {
        let mut out = "# Aliases extracted from modules themselves.\n".to_owned();
        for module in self.modules {
            for alias in &module.facts.aliases {
                let _ = writeln!(out, "alias {alias} {}", module.name);
            }
        }
        out
    }

    /// Without those whose brackets do not fit together: they match nothing.
    fn alias_trie(&self) -> Result<Trie> {
        let mut trie = Trie::default();
        for (priority, module) in self.modules.iter().enumerate() {
            for alias in module.facts.aliases.iter().filter_map(|a| normalised(a)) {
                trie.add(&alias, &module.name, priority)?;
            }
        }
        Ok(trie)
    }

    fn soft(&self) -> String {
        let mut out = "# Soft dependencies extracted from modules themselves.\n".to_owned();
        for module in self.modules {
            for soft in &module.facts.soft {
                let _ = writeln!(out, "softdep {} {soft}", module.name);
            }
        }
        out
    }

    fn weak(&self) -> String {
        let mut out = "# Weak dependencies extracted from modules themselves.\n".to_owned();
        for module in self.modules {
            for weak in &module.facts.weak {
                let _ = writeln!(out, "weakdep {} {weak}", module.name);
            }
        }
        out
    }

    /// Each symbol with the last module that exports it.
    fn owners(&self) -> BTreeMap<&str, (usize, &str)> {
        let mut owners = BTreeMap::new();
        for (priority, module) in self.modules.iter().enumerate() {
            for symbol in &module.facts.exports {
                owners.insert(symbol.as_str(), (priority, module.name.as_str()));
            }
        }
        owners
    }

    fn devnames(&self) -> String {
        let mut out = String::new();
        for module in self.modules {
            if let Some((name, kind, major, minor)) = devname(&module.facts.aliases) {
                if out.is_empty() {
                    out += "# Device nodes to trigger on-demand module loading.\n";
                }
                let _ = writeln!(out, "{} {name} {kind}{major}:{minor}", module.name);
            }
        }
        out
    }
}

/// The same nodes for systemd-tmpfiles, as `kmod static-nodes --format=tmpfiles` writes them at
/// every boot; nothing if there are none.
pub fn static_nodes(modules: &Modules) -> String {
    let mut out = String::new();
    let mut directories = BTreeSet::new();
    for module in &modules.modules {
        let Some((name, kind, major, minor)) = devname(&module.facts.aliases) else {
            continue;
        };
        if let Some((directory, _)) = name.rsplit_once('/')
            && directories.insert(directory)
        {
            let _ = writeln!(out, "d /dev/{directory} 0755 - - -");
        }
        let _ = writeln!(out, "{kind}! /dev/{name} 0600 - - - {major}:{minor}");
    }
    out
}

fn text_of(lines: &[String]) -> Vec<u8> {
    let lines = lines.iter().flat_map(|line| [line.as_str(), "\n"]);
    lines.collect::<String>().into_bytes()
}

/// depmod writes them in the order of its hash table, here they are by name.
fn symbols(owners: &BTreeMap<&str, (usize, &str)>) -> String {
    let mut out = "# Aliases for symbols, used by symbol_request().\n".to_owned();
    for (symbol, (_, module)) in owners {
        let _ = writeln!(out, "alias symbol:{symbol} {module}");
    }
    out
}

fn symbol_trie(owners: &BTreeMap<&str, (usize, &str)>) -> Result<Trie> {
    let mut trie = Trie::default();
    for (symbol, (priority, module)) in owners {
        trie.add(&format!("symbol:{symbol}"), module, *priority)?;
    }
    Ok(trie)
}

/// Name, kind and numbers of the device node that loads a module: from its
/// first aliases that have them.
fn devname(aliases: &[String]) -> Option<(&str, char, u32, u32)> {
    let (mut name, mut numbers) = (None, None);
    for alias in aliases {
        if let Some(rest) = alias.strip_prefix("devname:") {
            name = Some(rest);
        } else if let Some(rest) = alias.strip_prefix("char-major-") {
            numbers = major_minor(rest).map(|(a, b)| ('c', a, b)).or(numbers);
        } else if let Some(rest) = alias.strip_prefix("block-major-") {
            numbers = major_minor(rest).map(|(a, b)| ('b', a, b)).or(numbers);
        }
        if let (Some(name), Some((kind, major, minor))) = (name, numbers) {
            return Some((name, kind, major, minor));
        }
    }
    None
}

/// `10-200` of `10-200`; none of `10-*`.
fn major_minor(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('-')?;
    let end = minor.find(|c: char| !c.is_ascii_digit());
    Some((
        major.parse().ok()?,
        minor[..end.unwrap_or(minor.len())].parse().ok()?,
    ))
}
