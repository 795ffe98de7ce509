//! Kernel modules, by kmod's own indices: `modules.dep`, `modules.alias` and
//! `modules.softdep` ([modules.dep(5)](https://manpages.debian.org/trixie/kmod/modules.dep.5.en.html)).
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nodeimg_seed::text::pattern;

use super::cmdline::CommandLine;
use super::failure::{Failure, While};
use super::kmsg;

/// The modules that exist, and those that are loaded.
pub(crate) struct Modules {
    directory: PathBuf,
    index: Index,
    /// `parameter=value ...` by module.
    parameters: HashMap<String, String>,
    blacklist: Vec<String>,
    loaded: HashSet<String>,
    asked: HashSet<String>,
}

/// Names have `_` for `-`.
#[derive(Default)]
struct Index {
    /// A module's file, and the modules that must be loaded before it, in modprobe's order.
    files: HashMap<String, (String, Vec<String>)>,
    /// Patterns, and the module that each stands for.
    aliases: Vec<(String, String)>,
    /// Modules to load before and after one.
    soft: HashMap<String, [Vec<String>; 2]>,
}

impl Modules {
    pub(crate) fn read(release: &str, words: &CommandLine) -> Result<Self, Failure> {
        let directory = PathBuf::from("/usr/lib/modules").join(release);
        let text = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).during(|| format!("reading {}", path.display()))
        };
        let index = Index::parse(
            &text("modules.dep")?,
            &text("modules.alias")?,
            &text("modules.softdep")?,
        );
        let names = index.files.keys().cloned();
        let parameters = names.map(|name| (name.clone(), words.parameters(&name)));
        Ok(Self {
            parameters: parameters.collect(),
            blacklist: words.blacklist(),
            loaded: HashSet::new(),
            asked: HashSet::new(),
            index,
            directory,
        })
    }

    /// Loads a module by its name or an alias, with its dependencies. A built-in module
    /// is in no index, and not an error.
    pub(crate) fn load(&mut self, name: &str) {
        for name in self.index.resolve(name) {
            self.insert(&name);
        }
    }

    /// Loads the modules for a piece of hardware.
    pub(crate) fn load_for(&mut self, alias: &str) {
        if !self.asked.insert(alias.to_owned()) {
            return;
        }
        for name in self.index.resolve(alias) {
            if !self.blacklist.contains(&name) {
                self.insert(&name);
            }
        }
    }

    fn insert(&mut self, name: &str) {
        if !self.loaded.insert(name.to_owned()) {
            return;
        }
        let Some((file, needs)) = self.index.files.get(name).cloned() else {
            return;
        };
        let [before, after] = self.index.soft.get(name).cloned().unwrap_or_default();
        for wanted in before {
            self.load(&wanted);
        }
        // modprobe's own order: the last of the list has no dependencies.
        for needed in needs.iter().rev() {
            self.insert(needed);
        }
        if let Err(error) = self.put(name, &file) {
            kmsg::warn(&format!("the module {name} cannot be loaded: {error}"));
        }
        for wanted in after {
            self.load(&wanted);
        }
    }

    fn put(&self, name: &str, file: &str) -> std::io::Result<()> {
        let opened = File::open(self.directory.join(file))?;
        let parameters = self.parameters.get(name).map_or("", String::as_str);
        match finit_module(opened, &CString::new(parameters)?, ModuleInitFlags::empty()) {
            // Already loaded; for hardware that this machine does not have.
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Index {
    fn parse(dep: &str, alias: &str, softdep: &str) -> Self {
        let mut index = Self::default();
        for line in dep.lines() {
            if let Some((file, needs)) = line.split_once(':') {
                let needs = needs.split_whitespace().map(name_of).collect();
                index.files.insert(name_of(file), (file.to_owned(), needs));
            }
        }
        for line in alias.lines() {
            if let ["alias", pattern, module] = words(line)[..] {
                let pattern = pattern::normalised(pattern).unwrap_or_else(|| pattern.to_owned());
                index.aliases.push((pattern, module.replace('-', "_")));
            }
        }
        for line in softdep.lines() {
            if let ["softdep", module, ref rest @ ..] = words(line)[..] {
                index.soft.insert(module.replace('-', "_"), soft(rest));
            }
        }
        index
    }

    /// The modules that `text` is the name or an alias of.
    fn resolve(&self, text: &str) -> Vec<String> {
        let text = pattern::normalised(text).unwrap_or_else(|| text.to_owned());
        if self.files.contains_key(&text) {
            return vec![text];
        }
        let fitting = self.aliases.iter();
        fitting
            .filter(|(pattern, _)| pattern::matches(pattern, &text))
            .map(|(_, module)| module.clone())
            .collect()
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// "pre: a b post: c".
fn soft(words: &[&str]) -> [Vec<String>; 2] {
    let mut found: [Vec<String>; 2] = Default::default();
    let mut at = None;
    for word in words {
        match (*word, at) {
            ("pre:", _) => at = Some(0),
            ("post:", _) => at = Some(1),
            (name, Some(at)) => found[at as usize & 1].push(name.replace('-', "_")),
            (_, None) => {}
        }
    }
    found
}

/// "kernel/drivers/md/dm-mod.ko" is `dm_mod`.
fn name_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.split(".ko").next().unwrap_or(name);
    stem.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::Index;

    const DEP: &str = "kernel/drivers/md/dm-mod.ko: kernel/drivers/dax/dax.ko\n\
        kernel/drivers/dax/dax.ko:\n\
        kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n";
    const ALIAS: &str = "# Aliases extracted from modules themselves.\n\
        alias virtio:d00000002v* virtio_blk\nalias fs-ext4 ext4\nalias pci:v00001AF4d*sv*sd*bc*sc*i* virtio-pci\n";
    const SOFTDEP: &str = "softdep ext4 pre: crypto-crc32c post: x-y z\n";

    #[test]
    fn names_and_aliases_lead_to_modules() {
        let index = Index::parse(DEP, ALIAS, SOFTDEP);
        for (text, expected) in [
            ("dm-mod", &["dm_mod"][..]),
            ("dm_mod", &["dm_mod"]),
            ("fs-ext4", &["ext4"]),
            ("virtio:d00000002v00001AF4", &["virtio_blk"]),
            (
                "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00",
                &["virtio_pci"],
            ),
            ("virtio:d00000001v00001AF4", &[]),
            ("squashfs", &[]),
        ] {
            assert_eq!(index.resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_module_needs() {
        let index = Index::parse(DEP, ALIAS, SOFTDEP);
        assert_eq!(
            index.files["dm_mod"],
            (
                "kernel/drivers/md/dm-mod.ko".to_owned(),
                vec!["dax".to_owned()]
            )
        );
        assert_eq!(index.files["ext4"].1, ["jbd2", "crc16"]);
        let [before, after] = &index.soft["ext4"];
        assert_eq!(before, &["crypto_crc32c"]);
        assert_eq!(after, &["x_y", "z"]);
    }
}
