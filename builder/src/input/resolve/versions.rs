//! Other versions in a recipe's own text; its comments stay.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::input::lock::{self, Update};
use crate::input::recipe::{Recipe, RecipeRef};

/// The recipe's text with the versions of `--update NAME=VERSION`.
pub fn changed(updates: &[Update], from: &RecipeRef, recipe: &Recipe) -> Result<Option<String>> {
    let versions: Vec<_> = updates.iter().filter_map(Update::version).collect();
    if versions.is_empty() {
        return Ok(None);
    }
    let RecipeRef::File(path) = from else {
        bail!(
            "`{from}` is built in: `nodeimg init DIR` makes a recipe whose versions you can change"
        );
    };
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .with_context(|| format!("reading {}", path.display()))?;
    for (name, version) in versions {
        // An artifact may have the name of the key, if the recipe has no such key.
        if name.as_str() == lock::KUBERNETES && recipe.kubernetes.is_some() {
            set_value(document.as_table_mut(), lock::KUBERNETES, version.as_str());
            continue;
        }
        let mut debs = recipe.base.iter().flat_map(|base| &base.debs);
        let table = match debs.any(|deb| deb.name.as_str() == name.as_str()) {
            true => DEB,
            false => ARTIFACT,
        };
        set_version(&mut document, table, name.as_str(), version.as_str())
            .with_context(|| format!("changing {}", path.display()))?;
    }
    Ok(Some(document.to_string()))
}

/// The way to an array of tables, each with a `name` and a `version`.
type Way = &'static [&'static str];

const ARTIFACT: Way = &["artifact"];
const DEB: Way = &["base", "deb"];

fn set_version(
    document: &mut toml_edit::DocumentMut,
    way: Way,
    name: &str,
    version: &str,
) -> Result<()> {
    let shown = way.join(".");
    let mut at: &mut toml_edit::Item = document.as_item_mut();
    for (index, key) in way.iter().enumerate() {
        let table = at.as_table_like_mut();
        let table = table.with_context(|| format!("`{shown}` is not in tables"))?;
        let empty = match index + 1 == way.len() {
            true => toml_edit::Item::ArrayOfTables(toml_edit::ArrayOfTables::new()),
            false => toml_edit::table(),
        };
        at = table.entry(key).or_insert(empty);
    }
    let Some(tables) = at.as_array_of_tables_mut() else {
        bail!("`{shown}` is an inline list: write each one as a table `[[{shown}]]`");
    };
    let there = tables
        .iter_mut()
        .find(|table| table.get("name").and_then(|n| n.as_str()) == Some(name));
    if let Some(table) = there {
        set_value(table, "version", version);
        return Ok(());
    }
    // One of the recipe that this one extends.
    let mut table = toml_edit::Table::new();
    table.insert("name", toml_edit::value(name));
    table.insert("version", toml_edit::value(version));
    tables.push(table);
    Ok(())
}

fn set_value(table: &mut toml_edit::Table, key: &str, text: &str) {
    let mut value = toml_edit::Value::from(text);
    if let Some(old) = table.get(key).and_then(toml_edit::Item::as_value) {
        // The comment behind it.
        value.decor_mut().clone_from(old.decor());
    }
    table.insert(key, toml_edit::Item::Value(value));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with_version(text: &str) -> Result<String> {
        let mut document: toml_edit::DocumentMut = text.parse().unwrap();
        set_version(&mut document, ARTIFACT, "runc", "1.4.4")?;
        Ok(document.to_string())
    }

    #[test]
    fn a_version_is_changed_in_its_place_or_told_why_not() {
        let text = "[[artifact]]\nname = \"runc\"\nversion = \"1.4.3\" # why\n";
        assert_eq!(with_version(text).unwrap(), text.replace("1.4.3", "1.4.4"));
        let added = with_version("extends = \"hard-way\"\n").unwrap();
        assert!(
            added.contains("name = \"runc\"\nversion = \"1.4.4\"\n"),
            "{added}"
        );
        let error = with_version("artifact = [{ name = \"runc\" }]\n").unwrap_err();
        assert!(error.to_string().contains("[[artifact]]"), "{error}");
        for text in [
            "[base]\nsuite = \"x\"\n\n[[base.deb]]\nname = \"tool\"\nversion = \"1\"\n",
            "",
        ] {
            let mut document: toml_edit::DocumentMut = text.parse().unwrap();
            set_version(&mut document, DEB, "tool", "2").unwrap();
            let want = "[[base.deb]]\nname = \"tool\"\nversion = \"2\"\n";
            assert!(document.to_string().contains(want), "{document}");
        }
    }
}
