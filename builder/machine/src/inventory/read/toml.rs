//! `[defaults]` for all machines, `[group.NAME]` for those that name it, `[[node]]` for one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Keys, only_once, over};
use crate::inventory::{Cell, Row};

type Cells = BTreeMap<String, Cell>;

pub(super) fn rows(shown: &str, text: &str, keys: &Keys<'_>) -> Result<Vec<Row>> {
    let file = File { shown, text, keys };
    let parsed = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| file.line(span.start));
        anyhow!("{shown}:{line}: {}", error.message())
    })?;
    let mut defaults = Cells::new();
    let mut groups = BTreeMap::new();
    let mut nodes = Vec::new();
    for (key, value) in parsed.get_ref() {
        let place = file.at(key.span().start);
        match key.get_ref().as_ref() {
            "defaults" => defaults = file.cells(value, &place)?,
            "group" => {
                for (name, value) in table(value, &place)? {
                    let place = file.at(name.span().start);
                    groups.insert(name.get_ref().to_string(), file.cells(value, &place)?);
                }
            }
            "node" => nodes.extend(array(value, &place)?),
            other => bail!(
                "{place}: `{}` is not a part of an inventory: it has [defaults], [group.NAME] and \
                 [[node]]",
                other.escape_debug()
            ),
        }
    }
    if let Some(cell) = defaults.get("group") {
        bail!(
            "{}: a group of all machines is [defaults] itself",
            cell.place
        );
    }
    for group in groups.values() {
        if let Some(cell) = group.get("group") {
            bail!("{}: a group is not a member of another", cell.place);
        }
    }
    let row = |node: &Spanned<DeValue<'_>>| file.row(node, &defaults, &groups);
    nodes.into_iter().map(row).collect()
}

struct File<'a> {
    shown: &'a str,
    text: &'a str,
    keys: &'a Keys<'a>,
}

impl File<'_> {
    fn row(
        &self,
        node: &Spanned<DeValue<'_>>,
        defaults: &Cells,
        groups: &BTreeMap<String, Cells>,
    ) -> Result<Row> {
        let place = self.at(node.span().start);
        let own = self.cells(node, &place)?;
        let mut below = defaults.clone();
        if let Some(cell) = own.get("group") {
            let name = cell.values.first().map(String::as_str).unwrap_or_default();
            let Some(group) = groups.get(name) else {
                bail!(
                    "{}: there is no [group.{}]",
                    cell.place,
                    name.escape_debug()
                );
            };
            below = over(&below, group.clone());
        }
        Ok(Row {
            place,
            cells: over(&below, own),
        })
    }

    fn cells(&self, value: &Spanned<DeValue<'_>>, place: &str) -> Result<Cells> {
        let mut seen = BTreeSet::new();
        let mut cells = Cells::new();
        for (key, value) in table(value, place)? {
            let place = self.at(key.span().start);
            let key = self.keys.known(&place, key.get_ref())?;
            only_once(&mut seen, &place, &key)?;
            let values = match value.get_ref() {
                DeValue::Array(items) => items.iter().map(|item| text(item, &place)).collect(),
                _ => text(value, &place).map(|text| vec![text]),
            }?;
            let cell = self.keys.cell(place, &key, values)?;
            cells.insert(key, cell);
        }
        Ok(cells)
    }

    fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.shown, self.line(offset))
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

fn table<'a, 'i>(value: &'a Spanned<DeValue<'i>>, place: &str) -> Result<&'a DeTable<'i>> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        _ => bail!("{place}: this is a value, and a table is expected here"),
    }
}

fn array<'a, 'i>(
    value: &'a Spanned<DeValue<'i>>,
    place: &str,
) -> Result<impl Iterator<Item = &'a Spanned<DeValue<'i>>> + use<'a, 'i>> {
    match value.get_ref() {
        DeValue::Array(items) => Ok(items.iter()),
        _ => bail!("{place}: write [[node]], once for every machine"),
    }
}

fn text(value: &Spanned<DeValue<'_>>, place: &str) -> Result<String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(yes) => Ok(yes.to_string()),
        _ => bail!("{place}: a value is text, a whole number, true, false or a list of these"),
    }
}
