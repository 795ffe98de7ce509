//! The nodes as others' objects. All are JSON, which `kubectl apply -f` takes as it takes YAML.
//!
//! ```text
//! metal3       BareMetalHosts and their Secrets
//! tinkerbell   Hardware
//! matchbox     groups, and seeds below assets/
//! http         seeds in folders that are named by what the machine says of itself
//! ```
//!
//! # Invariants
//! - Files that hold seeds are private.

mod http;
mod kubernetes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use nodeimg_seed::write::Files;
use nodeimg_values::atomic::{AtomicFile, OutDir};
use std::io::Write;

use super::Row;

/// A node with its seed.
pub struct Seeded<'a> {
    pub row: &'a Row,
    pub files: &'a Files,
}

/// What is written for whom, and where: `metal3=nodes.json`.
#[derive(Clone, Debug)]
pub struct Export {
    form: Form,
    to: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Metal3,
    Tinkerbell,
    Matchbox,
    Http,
}

const FORMS: [(&str, Form); 4] = [
    ("metal3", Form::Metal3),
    ("tinkerbell", Form::Tinkerbell),
    ("matchbox", Form::Matchbox),
    ("nocloud-http", Form::Http),
];

impl FromStr for Export {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Export> {
        let names = FORMS.map(|(name, _)| name).join(", ");
        let Some((name, to)) = text.split_once('=').filter(|(_, to)| !to.is_empty()) else {
            bail!("write FORM=PATH, where FORM is one of {names}");
        };
        let form = FORMS.iter().find(|(known, _)| *known == name);
        let (_, form) = form.with_context(|| format!("`{name}` is not one of {names}"))?;
        Ok(Export {
            form: *form,
            to: to.into(),
        })
    }
}

impl Export {
    /// Where it goes.
    pub fn to(&self) -> &Path {
        &self.to
    }

    /// What is to be written, by names below [`Export::to`]; one file has an empty name.
    ///
    /// # Errors
    /// A machine that lacks what this form needs, with its line.
    pub fn files(&self, nodes: &[Seeded<'_>]) -> Result<BTreeMap<String, String>> {
        match self.form {
            Form::Metal3 => kubernetes::metal3(nodes),
            Form::Tinkerbell => kubernetes::tinkerbell(nodes),
            Form::Matchbox => http::matchbox(nodes),
            Form::Http => http::tree(nodes),
        }
    }

    /// Writes what [`Export::files`] gave, as a whole; an earlier export is replaced.
    pub fn write(&self, files: &BTreeMap<String, String>) -> Result<()> {
        let shown = self.to.display();
        if let Some(text) = files.get("") {
            let mut file = AtomicFile::private(&self.to)?;
            file.file_mut().write_all(text.as_bytes())?;
            return file.commit().with_context(|| format!("writing {shown}"));
        }
        let staged = OutDir::private(&self.to, true)?;
        for (name, text) in files {
            let path = staged.path().join(name);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, text)?;
        }
        staged
            .commit()
            .map(drop)
            .with_context(|| format!("writing {shown}"))
    }
}

/// The value of a key that a form cannot do without.
fn needed<'a>(row: &'a Row, key: &str, form: &str) -> Result<&'a str> {
    row.one(key).with_context(|| {
        format!(
            "{}: {} has no `{}`, which {form} needs",
            row.place,
            row.host_name(),
            key.replace('-', "_")
        )
    })
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
