//! The recipe's table `units`: what it masks and enables.

use anyhow::{Result, bail};
use nodeimg_seed::contract::paths::TEMPLATE_DIR;
use nodeimg_seed::text::suggest;

use super::{ADMIN, UNIT_DIRS, enable, mask};
use crate::input::recipe::Recipe;
use crate::tree::{ImagePath, Kind, Origin, Tree};

/// Masks and enables what the recipe says; warnings of units that another base system may
/// have.
///
/// # Errors
/// With every unit that the image lacks, each at its place in the recipe.
pub fn enable_all(recipe: &Recipe, tree: &mut Tree) -> Result<Vec<String>> {
    for unit in &recipe.mask {
        let origin = Origin::Recipe("units.mask".to_owned());
        mask(tree, unit.as_str(), origin)?;
    }
    let (mut elsewhere, mut absent) = (Vec::new(), Vec::new());
    for unit in &recipe.enable {
        let unit = unit.as_str();
        if enable(tree, unit)? {
            continue;
        }
        let template: ImagePath = format!("{TEMPLATE_DIR}{ADMIN}/{unit}").parse()?;
        if recipe.needs_base() && tree.get(&template).is_none() {
            let places = recipe.enable_places.iter();
            let place = places
                .filter(|(name, _)| name.as_str() == unit)
                .map(|(_, place)| place.as_str())
                .next()
                .unwrap_or("units.enable");
            absent.push(format!("{place}: {}", absent_unit(tree, unit)));
        } else {
            elsewhere.push(format!(
                "units.enable: `{unit}` is not in this image: a preset will enable it if the base \
                 system has it"
            ));
        }
    }
    if absent.is_empty() {
        return Ok(elsewhere);
    }
    bail!("{}", absent.join("\n"))
}

/// Why a unit cannot be enabled, and which one is meant.
fn absent_unit(tree: &Tree, unit: &str) -> String {
    let link = UNIT_DIRS.iter().find_map(|directory| {
        let path: ImagePath = format!("{directory}/{unit}").parse().ok()?;
        match &tree.get(&path)?.kind {
            Kind::Symlink(target) => Some(target.rsplit('/').next()?.to_owned()),
            _ => None,
        }
    });
    if let Some(target) = link {
        return match target.as_str() {
            "null" => format!("`{unit}` is masked in this image"),
            _ => format!("`{unit}` is another name of `{target}`: enable that"),
        };
    }
    let units: Vec<&str> = tree
        .iter()
        .map(|(path, _)| path)
        .filter(|path| {
            let parent = path.parent();
            parent.is_some_and(|parent| UNIT_DIRS.contains(&parent.as_str()))
        })
        .map(ImagePath::name)
        .collect();
    let service = format!("{unit}.service");
    let whole = units.iter().find(|name| **name == service).copied();
    let hint = match whole.or_else(|| suggest::nearest(unit, units)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; add what brings it, or remove it".to_owned(),
    };
    format!("no unit `{unit}` is in this image{hint}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::tests::{disk_recipe, recipe};
    use crate::tree::{Content, Node};

    #[test]
    fn a_unit_that_nothing_brings_is_an_error_with_a_near_name() {
        let enabled = |name: &str| format!("[units]\nenable = [\"{name}\"]\n");
        let said = |name: &str, whole: bool| {
            let text = enabled(name);
            let recipe = if whole {
                disk_recipe(&text)
            } else {
                recipe(&text)
            };
            let recipe = Recipe {
                enable: vec![name.parse().unwrap()],
                ..recipe
            };
            let mut tree = Tree::default();
            let text = Content::inline(&b"[Install]\nWantedBy=x.target\n"[..]);
            let node = Node::file(text, 0o644, Origin::Overlay("o".into()));
            let path = "/usr/lib/systemd/system/a.service";
            tree.insert(path.parse().unwrap(), node).unwrap();
            let link = Node::symlink("/dev/null", Origin::Recipe("units.mask".to_owned()));
            let path = "/etc/systemd/system/masked.service";
            tree.insert(path.parse().unwrap(), link).unwrap();
            let found = enable_all(&recipe, &mut tree);
            found.map_or_else(|e| format!("error: {e:#}"), |warnings| warnings.concat())
        };
        assert_eq!(said("a.service", true), "");
        for (name, part) in [
            ("b.service", "no unit `b.service` is in this image"),
            ("a", "did you mean `a.service`?"),
            ("masked.service", "is masked"),
        ] {
            let found = said(name, true);
            let is_error = found.starts_with("error: ") && found.contains("units.enable");
            assert!(is_error && found.contains(part), "{found}");
        }
        // Another base system may have it.
        assert!(said("b.service", false).starts_with("units.enable: `b.service` is not in"));
    }
}
