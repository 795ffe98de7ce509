//! What a recipe needs to know about an output. Which outputs there are, it is told by
//! who loads it: they are a matter of the rooms above.

use std::borrow::Cow;

use anyhow::{Result, anyhow};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::{Step, nearest};

/// A kind of output.
#[derive(Debug, PartialEq, Eq)]
pub struct OutputKind {
    /// As recipes and `--output` name it.
    pub name: &'static str,
    /// For the schema of recipes and for `--help`.
    pub summary: &'static str,
    pub contents: Contents,
}

/// Every kind that there is, in the order in which people read them.
pub type Kinds = [&'static OutputKind];

/// How much of an image is in an output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// What lies over a base system.
    Overlay,
    /// That and the base system, which boots nothing.
    System,
    /// A disk that boots, or a part of one.
    Disk,
}

impl OutputKind {
    /// Whether it is a whole system, not something to lay over one.
    pub fn is_whole(&self) -> bool {
        self.contents != Contents::Overlay
    }

    pub fn is_of_disk(&self) -> bool {
        self.contents == Contents::Disk
    }
}

/// The kind of this name.
pub fn named(name: &str, kinds: &Kinds) -> Result<&'static OutputKind> {
    let found = kinds.iter().find(|kind| kind.name == name);
    found.copied().ok_or_else(|| {
        let names = || kinds.iter().map(|kind| kind.name);
        let near = nearest(name, names());
        let near = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
        let all = names().collect::<Vec<_>>().join(", ");
        anyhow!("`{name}` is not an output{near}: there are {all}")
    })
}

/// The outputs of a recipe; by default the first kind that fits its base system.
pub fn outputs(
    file: &RecipeFile,
    kinds: &Kinds,
    problems: &mut Problems<'_>,
) -> Vec<&'static OutputKind> {
    let mut found = Vec::new();
    for (index, name) in file.outputs.iter().enumerate() {
        let way = [Step::Key("outputs"), Step::Index(index)];
        match named(name, kinds) {
            Ok(kind) => {
                if file.base.is_none() {
                    needs_base(kind, &way, problems);
                }
                found.push(kind);
            }
            Err(error) => problems.add(&way, &error.to_string()),
        }
    }
    let contents = match file.base {
        None => Contents::Overlay,
        Some(_) => Contents::System,
    };
    if file.outputs.is_empty() {
        found.extend(kinds.iter().find(|kind| kind.contents == contents));
    }
    found
}

fn needs_base(kind: &OutputKind, way: &[Step<'_>], problems: &mut Problems<'_>) {
    match kind.contents {
        Contents::Overlay => {}
        Contents::System => {
            let name = kind.name;
            let message = format!("`{name}` needs a base system: add a table `[base]`");
            problems.add(way, &message);
        }
        Contents::Disk => problems.add(
            way,
            "a disk needs a base system with a kernel: add a table `[base]`, or start with `extends = \"container-host\"`",
        ),
    }
}

/// The schema of an output's name, but for the names.
pub enum OutputName {}

impl JsonSchema for OutputName {
    fn schema_name() -> Cow<'static, str> {
        "OutputKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "An output of a build." })
    }
}

/// Adds the names to the schema of a recipe.
pub fn describe(schema: &mut Schema, kinds: &Kinds) {
    let names: Vec<serde_json::Value> = kinds
        .iter()
        .map(|kind| named_schema(kind.name, kind.summary))
        .collect();
    if let Some(of_kind) = schema.pointer_mut("/$defs/OutputKind") {
        of_kind["oneOf"] = names.into();
    }
}

/// The schema of one name.
pub fn named_schema(name: &str, summary: &str) -> serde_json::Value {
    serde_json::json!({ "description": summary, "type": "string", "const": name })
}
