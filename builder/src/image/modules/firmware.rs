//! Which files of firmware modules ask for, as they say in their `firmware` entries
//! ([the kernel's search](https://docs.kernel.org/driver-api/firmware/fw_search_path.html)).

use std::collections::BTreeSet;

use nodeimg_seed::text::pattern::{matches, normalised};

use super::Modules;
use crate::tree::{ImagePath, Kind, Tree};

/// Where packages put it; the kernel looks into the first one first.
const PLACES: [&str; 2] = ["/usr/lib/firmware/updates", "/usr/lib/firmware"];
/// Of files that the kernel unpacks by itself.
const PACKED: [&str; 3] = ["", ".xz", ".zst"];

impl Modules {
    /// The files of `tree` that the modules at `paths` may ask for: links, and what they
    /// lead to is not among them.
    pub fn firmware_of(&self, tree: &Tree, paths: &BTreeSet<ImagePath>) -> BTreeSet<ImagePath> {
        let modules = self.modules.iter();
        let chosen = modules.filter(|module| paths.contains(&module.path));
        let names = chosen.flat_map(|module| &module.facts.firmware);
        names
            .flat_map(|name| found(tree, &self.release, name))
            .collect()
    }

    /// What the module `name`, with all that it needs, may ask for, if the tree has none of
    /// it: nothing if it asks for none.
    pub fn lacking_firmware(&self, tree: &Tree, name: &str) -> Vec<&str> {
        let Ok(closure) = self.closure(&[name]) else {
            return Vec::new();
        };
        let modules = self.modules.iter();
        let mut lacking = Vec::new();
        for module in modules.filter(|module| closure.modules.contains(&module.path)) {
            let mut asked = module.facts.firmware.iter();
            // Of many names, most are of other devices or earlier versions.
            if !asked.any(|name| !found(tree, &self.release, name).is_empty()) {
                lacking.extend(module.facts.firmware.iter().map(String::as_str));
            }
        }
        lacking
    }
}

/// The files that `name` stands for, packed or not.
fn found(tree: &Tree, release: &str, name: &str) -> Vec<ImagePath> {
    let of_release = PLACES.map(|place| format!("{place}/{release}"));
    let [updates, plain] = PLACES.map(str::to_owned);
    let [updates_of, of] = of_release;
    let mut all = Vec::new();
    for place in [updates_of, updates, of, plain] {
        match name.contains(['*', '?', '[']) {
            true => all.extend(answering(tree, &place, name)),
            false => all.extend(PACKED.iter().filter_map(|end| {
                let path: ImagePath = format!("{place}/{name}{end}").parse().ok()?;
                let node = tree.get(&path)?;
                (!matches!(node.kind, Kind::Directory)).then_some(path)
            })),
        }
    }
    all
}

/// What answers to a pattern, whose stars stand for no separator of directories.
fn answering(tree: &Tree, place: &str, name: &str) -> Vec<ImagePath> {
    let (Ok(place), Some(pattern)) = (place.parse::<ImagePath>(), normalised(name)) else {
        return Vec::new();
    };
    let depth = name.matches('/').count();
    let below = tree.below(&place);
    let answers = below.filter(|(path, node)| {
        let text = path.as_str().strip_prefix(place.as_str());
        let text = text.unwrap_or_default().trim_start_matches('/');
        let plain = PACKED.iter().rev().find_map(|end| text.strip_suffix(end));
        let wanted = plain.and_then(normalised);
        !matches!(node.kind, Kind::Directory)
            && text.matches('/').count() == depth
            && wanted.is_some_and(|wanted| matches(&pattern, &wanted))
    });
    answers.map(|(path, _)| path.clone()).collect()
}
