//! Single files that a recipe adds to its image: `[[file]]`, and the programs of `[[health]]`.

use std::fs;
use std::path::{Path, PathBuf};

use nodeimg_seed::contract::paths::HEALTH_CHECKS;
use nodeimg_values::regular;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::RecipeFile;
use super::output::OutputKind;
use super::problems::Problems;
use super::source::Step;
use super::value::{Name, RecipePath};
use super::{ExtraContent, ExtraFile};
use crate::input::artifact::Mode;

/// Of one file, in bytes; it is held in memory.
const MAX_SOURCE: u64 = 512 << 20;

/// A file that the recipe adds to the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePart {
    pub path: RecipePath,
    /// The text itself; set this or `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A file to read, relative to this recipe; set this or `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The file's mode; `"0644"` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// A program that a new version of the image must pass.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthPart {
    /// Of the program; programs run in the order of their names.
    pub name: Name,
    /// The script itself; set this or `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A program to read, relative to this recipe; set this or `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// All of them, in the recipe's order.
pub fn files(file: &RecipeFile, problems: &mut Problems<'_>) -> Vec<ExtraFile> {
    let files = file
        .file
        .iter()
        .filter_map(|part| extra_file(part, problems));
    let mut files: Vec<ExtraFile> = files.collect();
    let checks = file.health.iter();
    files.extend(checks.filter_map(|part| check(part, problems)));
    files
}

/// Only a disk has versions to choose from.
pub fn health_needs_a_disk(
    file: &RecipeFile,
    outputs: &[&'static OutputKind],
    problems: &mut Problems<'_>,
) {
    if !file.health.is_empty() && !outputs.iter().any(|output| output.is_of_disk()) {
        problems.warn(
            &[Step::Key("health")],
            "no output is a disk: only a disk can go back to the version before, so that nothing \
             would run these checks. Add the output `disk`, or leave them out",
        );
    }
}

fn extra_file(part: &FilePart, problems: &mut Problems<'_>) -> Option<ExtraFile> {
    let name = part.path.to_string();
    let way = [Step::Key("file"), Step::Named(&name)];
    Some(ExtraFile {
        path: part.path.0.clone(),
        mode: part.mode.map_or(0o644, Mode::bits),
        content: content(&part.content, &part.source, &way, problems)?,
    })
}

fn check(part: &HealthPart, problems: &mut Problems<'_>) -> Option<ExtraFile> {
    let name = part.name.to_string();
    let way = [Step::Key("health"), Step::Named(&name)];
    let content = content(&part.content, &part.source, &way, problems)?;
    if let ExtraContent::Text(text) = &content
        && !text.starts_with("#!")
    {
        let way = [way[0], way[1], Step::Key("content")];
        problems.add(
            &way,
            "not a script: begin it with its interpreter, such as `#!/bin/sh`",
        );
        return None;
    }
    Some(ExtraFile {
        path: format!("{HEALTH_CHECKS}/{name}").parse().ok()?,
        mode: 0o755,
        content,
    })
}

fn content(
    text: &Option<String>,
    source: &Option<String>,
    way: &[Step<'_>; 2],
    problems: &mut Problems<'_>,
) -> Option<ExtraContent> {
    match (text, source) {
        (Some(text), None) => Some(ExtraContent::Text(text.clone())),
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            if let Some(problem) = wrong_source(&path) {
                problems.add(&[way[0], way[1], Step::Key("source")], &problem);
                return None;
            }
            Some(ExtraContent::Source(path))
        }
        _ => {
            problems.add(way, "set one of `content` and `source`");
            None
        }
    }
}

/// What is there, but cannot become a file of an image. A file that is not there is
/// missed by a build alone.
fn wrong_source(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    let shown = path.display();
    if !meta.is_file() {
        let kind = regular::name(meta.file_type());
        return Some(format!("{shown} is {kind}, not a file"));
    }
    (meta.len() > MAX_SOURCE).then(|| {
        format!("{shown} is larger than {MAX_SOURCE} bytes: make it an artifact of the recipe")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::input::recipe::ExtraContent;
    use crate::input::recipe::tests::{disk_recipe, refusal};

    #[test]
    fn checks_of_health_are_programs_of_the_image() {
        let text = "[update]\nenable = false\n[[health]]\nname = \"app\"\ncontent = \"#!/bin/sh\\nexit 0\\n\"\n";
        let recipe = disk_recipe(text);
        let [file] = &recipe.files[..] else {
            panic!("{:?}", recipe.files)
        };
        assert_eq!(file.path.as_str(), "/usr/lib/nodeimg/health.d/app");
        assert_eq!(file.mode, 0o755);
        assert!(matches!(&file.content, ExtraContent::Text(text) if text.starts_with("#!")));
        for (more, expected) in [
            ("", "set one of `content` and `source`"),
            ("content = \"exit 0\"\n", "begin it with its interpreter"),
            ("source = \".\"\n", "is a directory, not a file"),
            ("content = \"#!/bin/sh\"\ntimeout = 1\n", "timeout"),
        ] {
            let refused = refusal(&format!("[[health]]\nname = \"app\"\n{more}"));
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
