//! [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180), and `#` for comments. An empty cell
//! says nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Keys, only_once};
use crate::inventory::Row;

pub(super) fn rows(shown: &str, text: &str, keys: &Keys<'_>) -> Result<Vec<Row>> {
    let mut reader = ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let head = reader
        .headers()
        .with_context(|| format!("reading {shown}"))?
        .clone();
    let place = at(shown, &head);
    if let [one] = head.iter().collect::<Vec<_>>()[..]
        && one.contains([';', '\t'])
    {
        bail!("{place}: the columns are not separated by commas");
    }
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for name in &head {
        let key = keys.known(&place, name)?;
        if key == "group" {
            bail!("{place}: groups are for inventories in TOML, which can say what a group has");
        }
        only_once(&mut seen, &place, &key)?;
        columns.push(key);
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("reading {shown}"))?;
        rows.push(row(shown, &columns, &record, keys)?);
    }
    Ok(rows)
}

fn row(shown: &str, columns: &[String], record: &StringRecord, keys: &Keys<'_>) -> Result<Row> {
    let place = at(shown, record);
    if record.len() > columns.len() {
        bail!(
            "{place}: {} cells, but the header names {} columns",
            record.len(),
            columns.len()
        );
    }
    let mut cells = BTreeMap::new();
    for (key, text) in columns.iter().zip(record) {
        let values: Vec<_> = match keys.many(key) {
            true => text
                .split(';')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect(),
            false => Some(text)
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect(),
        };
        if !values.is_empty() {
            let values = values.into_iter().map(str::to_owned).collect();
            cells.insert(key.clone(), keys.cell(place.clone(), key, values)?);
        }
    }
    Ok(Row { place, cells })
}

fn at(shown: &str, record: &StringRecord) -> String {
    let line = record.position().map_or(1, csv::Position::line);
    format!("{shown}:{line}")
}
