//! From a tree to the facts about its modules.
//!
//! Modules are packed with xz and lie in the store's unpacked package, so
//! reading them is nearly all of the work. It is done on all cores and kept in
//! the store under what was read: blobs and places in them, not their bytes.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use nodeimg_formats::packing::Packing;
use nodeimg_values::digest::Digest;
use nodeimg_values::key::KeyWriter;
use nodeimg_values::parallel::{decoders, in_parallel};

use super::object::Object;
use super::{BuiltIn, Module, ModuleFacts, Modules, directory, is_module, module_name, needs};
use crate::store::Store;
use crate::tree::{Content, ImagePath, Kind, Tree, check_unchanged};

/// What the facts are made by, and their form.
const KEPT: &str = "kernel-modules-2";
/// No module comes near this: the largest, of graphics, have some 60 MiB.
const MAX_MODULE: u64 = 128 << 20;
/// What is unpacked before it is known how much there is of it.
const TRIED: u64 = 16 << 20;
/// modules.order and the like are some hundred kilobytes.
const MAX_LIST: u64 = 64 << 20;

/// A kernel's directory in the tree.
struct Directory<'a> {
    path: ImagePath,
    modules: Vec<(&'a ImagePath, &'a Content)>,
    order: Option<&'a Content>,
    built_in: Option<&'a Content>,
    built_in_info: Option<&'a Content>,
}

impl Modules {
    /// The modules of kernel `release` in `tree`; with `store`, what has been
    /// read once is not read again.
    pub fn read(tree: &Tree, release: &str, store: Option<&Store>) -> Result<Modules> {
        let directory = Directory::of(tree, release)?;
        let read = || directory.read(release);
        let context = || format!("reading the modules of kernel {release}");
        let Some(store) = store else {
            return read().with_context(context);
        };
        let key = directory.identity();
        let kept = store.kept(KEPT, &key)?;
        if let Some(modules) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(modules);
        }
        let modules = read().with_context(context)?;
        check_unchanged(directory.contents())?;
        store.keep(KEPT, &key, &serde_json::to_vec(&modules)?)?;
        Ok(modules)
    }
}

impl<'a> Directory<'a> {
    fn of(tree: &'a Tree, release: &str) -> Result<Directory<'a>> {
        let path = directory(release)?;
        let file = |name: &str| -> Result<Option<&Content>> {
            let node = tree.get(&path.join(name)?);
            Ok(node.and_then(|node| match &node.kind {
                Kind::File(content) => Some(content),
                Kind::Directory | Kind::Symlink(_) => None,
            }))
        };
        let mut modules: BTreeMap<String, (&ImagePath, &Content)> = BTreeMap::new();
        let updates = path.join("updates")?;
        for (at, node) in tree.iter() {
            let Kind::File(content) = &node.kind else {
                continue;
            };
            if !is_module(at) || !at.is_within(&path) {
                continue;
            }
            let name = module_name(at.as_str());
            match modules.get(&name) {
                Some((other, _)) if at.is_within(&updates) == other.is_within(&updates) => bail!(
                    "`{other}` and `{at}` are both the kernel module {name}: leave one of them out"
                ),
                Some((other, _)) if other.is_within(&updates) => {}
                _ => {
                    modules.insert(name, (at, content));
                }
            }
        }
        if modules.is_empty() {
            bail!("there is no kernel module below {path}");
        }
        let mut modules: Vec<_> = modules.into_values().collect();
        modules.sort_by_key(|(at, _)| *at);
        Ok(Directory {
            order: file("modules.order")?,
            built_in: file("modules.builtin")?,
            built_in_info: file("modules.builtin.modinfo")?,
            path,
            modules,
        })
    }

    fn contents(&self) -> impl Iterator<Item = &'a Content> {
        let lists = [self.order, self.built_in, self.built_in_info];
        let modules = self.modules.iter().map(|(_, content)| *content);
        lists.into_iter().flatten().chain(modules)
    }

    /// Stands for the bytes of all files and for their paths.
    fn identity(&self) -> Digest {
        let mut key = KeyWriter::new(KEPT);
        key.add("nodeimg", env!("CARGO_PKG_VERSION"));
        key.add("directory", self.path.as_str());
        for (kind, file) in [
            ("order", self.order),
            ("built in", self.built_in),
            ("about built in", self.built_in_info),
        ] {
            if let Some(content) = file {
                key.add(kind, content.identity());
            }
        }
        for (path, content) in &self.modules {
            key.add("module", path.as_str());
            key.add("its bytes", content.identity());
        }
        key.finish()
    }

    fn read(&self, release: &str) -> Result<Modules> {
        let objects = in_parallel(decoders(), self.modules.len(), |at| {
            let (path, content) = self.modules[at];
            read_one(path, content).with_context(|| format!("reading the kernel module {path}"))
        });
        let objects = objects.into_iter().collect::<Result<Vec<_>>>()?;
        let (mut modules, uses) = self.in_order(objects)?;
        needs::resolve(&mut modules, &uses)?;
        Ok(Modules {
            release: release.to_owned(),
            modules,
            built_in: BuiltIn {
                names: self.built_in.map(names).transpose()?,
                aliases: self.built_in_info.map(aliases).transpose()?,
            },
        })
    }

    /// As modules.order says, the rest by path.
    fn in_order(
        &self,
        objects: Vec<(ModuleFacts, Vec<String>)>,
    ) -> Result<(Vec<Module>, Vec<Vec<String>>)> {
        let order = self.order.map(list).transpose()?.unwrap_or_default();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, line) in order.lines().enumerate() {
            places.entry(line).or_insert(place);
        }
        let place = |path: &ImagePath| {
            let within = path.as_str().strip_prefix(self.path.as_str());
            let within = within.unwrap_or_default().trim_start_matches('/');
            let plain = within.rfind(".ko").map_or(within, |at| &within[..at + 3]);
            places.get(plain).copied().unwrap_or(usize::MAX)
        };
        let mut all: Vec<_> = self
            .modules
            .iter()
            .zip(objects)
            .map(|((path, _), (facts, uses))| (place(path), *path, facts, uses))
            .collect();
        all.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let modules = all.into_iter().map(|(_, path, facts, uses)| {
            let module = Module {
                path: path.clone(),
                name: module_name(path.as_str()),
                facts,
                needs: Vec::new(),
                rank: 0,
            };
            (module, uses)
        });
        Ok(modules.unzip())
    }
}

/// A module's plain bytes, whatever its file at `path` is packed with.
pub fn uncompressed(packed: &[u8], path: &ImagePath) -> Result<Vec<u8>> {
    let open = || -> Result<Box<dyn Read + '_>> {
        Ok(match Packing::of(packed) {
            Some(packing) => packing.decoder(packed)?,
            None => Box::new(packed),
        })
    };
    let unpack = || -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut from = open()?;
        from.by_ref().take(TRIED).read_to_end(&mut bytes)?;
        // What is large is counted first: a bomb takes no memory, and what is kept grows no
        // more.
        let rest = io::copy(&mut from.take(MAX_MODULE), &mut io::sink())?;
        if rest == 0 {
            return Ok(bytes);
        }
        let size = bytes.len() as u64 + rest;
        if size > MAX_MODULE {
            bail!(
                "it unpacks to more than {} MiB: strip it of what is for debuggers, or leave it out",
                MAX_MODULE >> 20
            );
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size)?);
        open()?.take(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    unpack().with_context(|| format!("unpacking the kernel module {path}"))
}

fn read_one(path: &ImagePath, content: &Content) -> Result<(ModuleFacts, Vec<String>)> {
    let object = Object::read(&uncompressed(&content.bytes()?, path)?)?;
    let all = |key: &str| -> Vec<String> {
        let values = object.info.iter().filter_map(|entry| {
            let (name, value) = entry.split_once('=')?;
            (name == key).then(|| value.to_owned())
        });
        values.collect()
    };
    let facts = ModuleFacts {
        aliases: all("alias"),
        soft: all("softdep"),
        weak: all("weakdep"),
        firmware: all("firmware"),
        exports: object.exports,
    };
    let name = module_name(path.as_str());
    let texts = [&facts.aliases, &facts.soft, &facts.weak, &facts.exports];
    for text in texts.into_iter().flatten().chain([&name]) {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            bail!(
                "`{}` is not printable ASCII, and the module index can hold nothing else",
                text.escape_debug()
            );
        }
    }
    Ok((facts, object.uses))
}

fn list(content: &Content) -> Result<String> {
    let bytes = content.head(MAX_LIST)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in modules.builtin, whose lines are paths.
fn names(content: &Content) -> Result<Vec<String>> {
    let lines = list(content)?;
    let paths = lines
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()));
    Ok(paths.map(module_name).collect())
}

/// The aliases in modules.builtin.modinfo, (`module.key=value` NUL)*.
fn aliases(content: &Content) -> Result<Vec<(String, String)>> {
    let entries = list(content)?;
    let found = entries.split('\0').filter_map(|entry| {
        let (module, rest) = entry.split_once('.')?;
        let alias = rest.strip_prefix("alias=")?;
        (!module.is_empty() && !alias.is_empty()).then(|| (alias.to_owned(), module.to_owned()))
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::tree::{Node, Origin};

    fn key(release: &str, files: &[(&str, &str)]) -> Digest {
        let mut tree = Tree::default();
        for (name, text) in files {
            let path = format!("/usr/lib/modules/{release}/{name}")
                .parse()
                .unwrap();
            let content = Content::inline(text.as_bytes().to_vec());
            tree.insert(path, Node::file(content, 0o644, Origin::Implied))
                .unwrap();
        }
        Directory::of(&tree, release).unwrap().identity()
    }

    /// Zeros: small enough to be kept, and more than any module has.
    #[test]
    fn a_module_is_unpacked_whole_and_a_bomb_not_at_all() {
        let path: ImagePath = "/usr/lib/modules/1/kernel/a.ko.zst".parse().unwrap();
        let packed = |size: u64| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            io::copy(&mut io::repeat(0).take(size), &mut encoder).unwrap();
            encoder.finish().unwrap()
        };
        for size in [0, TRIED - 1, TRIED, TRIED + 1, 3 * TRIED] {
            let unpacked = uncompressed(&packed(size), &path).unwrap();
            assert_eq!(unpacked.len() as u64, size);
        }
        assert!(uncompressed(&packed(MAX_MODULE), &path).is_ok());
        for size in [MAX_MODULE + 1, MAX_MODULE + TRIED, 4 * MAX_MODULE] {
            let refused = uncompressed(&packed(size), &path).unwrap_err();
            let text = format!("{refused:#}");
            assert!(
                text.contains("more than 128 MiB") && text.contains("a.ko.zst"),
                "{text}"
            );
        }
    }

    #[test]
    fn whatever_changes_the_facts_changes_the_key() {
        let module = ("kernel/a.ko", "a");
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("1", &[module]),
            ("2", &[module]),
            ("1", &[("kernel/a.ko", "b")]),
            ("1", &[("kernel/b.ko", "a")]),
            ("1", &[("updates/a.ko", "a")]),
            ("1", &[module, ("kernel/b.ko", "a")]),
            ("1", &[module, ("modules.order", "x")]),
            ("1", &[module, ("modules.order", "y")]),
            ("1", &[module, ("modules.order", "")]),
            ("1", &[module, ("modules.builtin", "x")]),
            ("1", &[module, ("modules.builtin.modinfo", "x")]),
        ];
        let keys = cases.iter().map(|(release, files)| key(release, files));
        assert_eq!(keys.collect::<BTreeSet<_>>().len(), cases.len());
    }
}
