//! An inventory file: CSV by the name's end, TOML otherwise.
//!
//! ```text
//! nodes.csv    host_name,node_ip,labels      the keys
//!              node-0,10.0.0.5,zone=a;ssd=   a machine; `;` between several values
//! nodes.toml   [defaults] [group.NAME] [[node]]
//! ```

mod csv;
mod toml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_seed::text::suggest::nearest;
use nodeimg_values::regular;

use super::{Cell, HOST_NAME, OWN_KEYS, Row};

/// Rows in the order of the file, with what they inherit.
#[derive(Debug)]
pub struct Inventory {
    pub path: PathBuf,
    pub rows: Vec<Row>,
}

/// A flag of `seed new`, as an inventory may have it.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Without the dashes before it.
    pub name: String,
    /// Whether it may be given more than once.
    pub many: bool,
}

impl Inventory {
    /// Reads a file whose keys are these flags and [`OWN_KEYS`].
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a machine without a name, each with its line.
    pub fn read(path: &Path, flags: &[Flag]) -> Result<Inventory> {
        let shown = path.display().to_string();
        let text = regular::read_text(path).with_context(|| format!("reading {shown}"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let keys = Keys { flags };
        let rows = match path.extension().is_some_and(|end| end == "csv") {
            true => csv::rows(&shown, text, &keys)?,
            false => toml::rows(&shown, text, &keys)?,
        };
        if rows.is_empty() {
            bail!("{shown}: the inventory has no machine");
        }
        for row in &rows {
            if row.host_name().is_empty() {
                bail!("{}: this machine has no host_name", row.place);
            }
        }
        Ok(Inventory {
            path: path.to_owned(),
            rows,
        })
    }

    /// The folder of the file, from which relative paths in it start.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// What the file's keys may be.
struct Keys<'a> {
    flags: &'a [Flag],
}

impl Keys<'_> {
    /// A key as a flag has it, however it is written: `node_ip`, `node-ip`. Several values of
    /// one key may also have its plural (`labels`).
    fn known(&self, place: &str, written: &str) -> Result<String> {
        let key = written.trim().replace('_', "-").to_lowercase();
        let singular = key.strip_suffix('s').filter(|short| self.many(short));
        let found = [key.as_str()].into_iter().chain(singular);
        if let Some(key) = found.into_iter().find(|key| self.has(key)) {
            return Ok(key.to_owned());
        }
        let near = match key.as_str() {
            "hostname" | "name" => Some(HOST_NAME),
            "ip" | "address" => Some("node-ip"),
            _ => nearest(&key, self.all()),
        };
        let near = near.map_or_else(String::new, |near| {
            format!(": did you mean `{}`?", near.replace('-', "_"))
        });
        bail!(
            "{place}: `{}` is not a flag of `nodeimg seed new` nor a key of an inventory{near}",
            written.trim().escape_debug()
        )
    }

    fn has(&self, key: &str) -> bool {
        self.all().any(|known| known == key)
    }

    fn many(&self, key: &str) -> bool {
        self.flags.iter().any(|flag| flag.many && flag.name == key)
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let flags = self.flags.iter().map(|flag| flag.name.as_str());
        flags.chain(OWN_KEYS)
    }

    /// One cell, whose values must be as many as the key takes.
    fn cell(&self, place: String, key: &str, values: Vec<String>) -> Result<Cell> {
        if values.len() > 1 && !self.many(key) {
            bail!("{place}: `{}` takes one value", key.replace('-', "_"));
        }
        Ok(Cell { place, values })
    }
}

/// The first of two keys of one meaning; writing both is a mistake.
fn only_once(seen: &mut BTreeSet<String>, place: &str, key: &str) -> Result<()> {
    if !seen.insert(key.to_owned()) {
        bail!("{place}: `{}` is there twice", key.replace('-', "_"));
    }
    Ok(())
}

/// `below` with what `above` says more.
fn over(below: &BTreeMap<String, Cell>, above: BTreeMap<String, Cell>) -> BTreeMap<String, Cell> {
    let mut all = below.clone();
    all.extend(above);
    all
}
