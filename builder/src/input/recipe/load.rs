//! From a name or a path to a checked [`Recipe`].

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use nodeimg_values::{regular, stdin};

use super::file::RecipeFile;
use super::library::{built_in, built_in_names, is_part};
use super::output::{Kinds, OutputKind};
use super::problems::Problems;
use super::source::{Source, Step, nearest};
use super::{Recipe, check};
use crate::input::fetch::Mirrors;

/// Longer chains of `extends` are a mistake.
const MAX_EXTENDS: usize = 8;

/// Which recipe the user means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecipeRef {
    BuiltIn(String),
    File(PathBuf),
}

impl FromStr for RecipeRef {
    type Err = anyhow::Error;

    /// A path has a slash or ends in `.toml`, or is a directory, which has one recipe in it;
    /// `-` is standard input; anything else is a built-in name.
    fn from_str(text: &str) -> Result<RecipeRef> {
        if text == "-" {
            return stdin::path(text).map(RecipeRef::File);
        }
        RecipeRef::beside(Path::new(""), text)
    }
}

/// The recipe in `folder`: the only one, or the one that is called `recipe.toml` or as the folder.
fn recipe_in(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).with_context(|| format!("listing {shown}"))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("listing {shown}"))?.path();
        if path.extension().is_some_and(|end| end == "toml") && looks_like_recipe(&path) {
            found.push(path);
        }
    }
    found.sort();
    let whole = folder.canonicalize().unwrap_or_default();
    let own = whole.file_name().map(|name| name.to_string_lossy());
    let names = [Some("recipe".into()), own];
    let called = |path: &&PathBuf| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        names.contains(&stem)
    };
    match (found.as_slice(), found.iter().find(called)) {
        ([one], _) | (_, Some(one)) => Ok(one.clone()),
        ([], None) => bail!("the directory {shown} has no recipe in it (a file NAME.toml)"),
        (many, None) => {
            let names: Vec<_> = many.iter().map(|path| path.display().to_string()).collect();
            bail!(
                "the directory {shown} has several recipes, name one: {}",
                names.join(", ")
            )
        }
    }
}

/// Other TOML files, such as inventories and lists of keys, have neither key.
fn looks_like_recipe(path: &Path) -> bool {
    // What cannot be read is told about when it is read as the recipe.
    let Ok(text) = regular::read_text(path) else {
        return true;
    };
    let keys = ["name", "extends", "profile"];
    toml::from_str::<toml::Table>(&text).map_or(true, |table| {
        keys.iter().any(|key| table.contains_key(*key))
    })
}

impl fmt::Display for RecipeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecipeRef::BuiltIn(name) => f.write_str(name),
            RecipeRef::File(path) => f.write_str(&stdin::shown(path)),
        }
    }
}

impl RecipeRef {
    /// The one that `text` of a file in `folder` names.
    ///
    /// # Errors
    /// A directory without a recipe, or with several.
    pub fn beside(folder: &Path, text: &str) -> Result<RecipeRef> {
        let path = folder.join(text);
        if built_in(text).is_none() && path.is_dir() {
            return recipe_in(&path).map(RecipeRef::File);
        }
        Ok(match RecipeRef::named(text) {
            RecipeRef::File(_) => RecipeRef::File(path),
            name => name,
        })
    }

    fn named(text: &str) -> RecipeRef {
        let is_path =
            text.contains('/') || Path::new(text).extension().is_some_and(|e| e == "toml");
        match is_path {
            true => RecipeRef::File(text.into()),
            false => RecipeRef::BuiltIn(text.to_owned()),
        }
    }

    /// The lock beside the recipe; `None` for a built-in one, whose lock is in
    /// the binary, and for standard input, which has nothing beside it.
    pub fn lock_path(&self) -> Option<PathBuf> {
        match self {
            RecipeRef::BuiltIn(_) => None,
            RecipeRef::File(path) if stdin::is(path) => None,
            RecipeRef::File(path) => Some(path.with_extension("lock")),
        }
    }

    fn read(&self) -> Result<Source> {
        match self {
            RecipeRef::BuiltIn(name) => {
                let Some(found) = built_in(name) else {
                    let names = built_in_names();
                    let near = nearest(name, names.iter().copied());
                    let near = near
                        .map(|n| format!(" (did you mean `{n}`?)"))
                        .unwrap_or_default();
                    bail!(
                        "no built-in recipe is named `{name}`{near}. There are: {}. Give a file \
                         by its path: ./{name}.toml",
                        names.join(", ")
                    );
                };
                Ok(Source {
                    label: format!("{name} (built in)"),
                    text: found.recipe.to_owned(),
                    directory: None,
                })
            }
            RecipeRef::File(path) => {
                let text = regular::read_text(path)
                    .with_context(|| format!("reading the recipe {}", path.display()))?;
                let directory = match stdin::is(path) {
                    true => Some(PathBuf::new()),
                    false => path.parent().map(Path::to_owned),
                };
                Ok(Source {
                    label: stdin::shown(path),
                    text,
                    directory,
                })
            }
        }
    }
}

/// Reads, merges and checks; `kinds` are all outputs that there are.
pub fn load(from: &RecipeRef, kinds: &Kinds) -> Result<Recipe> {
    load_for(from, kinds, &[])
}

/// As [`load`], with other outputs than the recipe has, unless there are none:
/// those of the command line.
pub fn load_for(from: &RecipeRef, kinds: &Kinds, outputs: &[&OutputKind]) -> Result<Recipe> {
    if let RecipeRef::BuiltIn(name) = from
        && is_part(name)
    {
        bail!(
            "`{name}` is only a part for other recipes and cannot be built: write a recipe with \
             `extends = \"{name}\"`"
        );
    }
    load_source(from.read()?, kinds, outputs)
}

/// As [`load`], with other text than the file has now.
pub fn load_edited(from: &RecipeRef, kinds: &Kinds, text: &str) -> Result<Recipe> {
    let source = Source {
        text: text.to_owned(),
        ..from.read()?
    };
    load_source(source, kinds, &[])
}

fn load_source(first: Source, kinds: &Kinds, outputs: &[&OutputKind]) -> Result<Recipe> {
    let mut sources = vec![first];
    let mut file = located(sources[0].parse::<RecipeFile>()?, &sources[0])?;
    while let Some(base) = file.extends.take() {
        let last = &sources[sources.len() - 1];
        let context = || {
            last.report(
                last.locate(&[Step::Key("extends")]),
                &format!("extending `{base}`"),
                None,
            )
        };
        let base = base_of(&base, last);
        let source = base.read().with_context(context)?;
        if sources.len() >= MAX_EXTENDS || sources.iter().any(|s| s.label == source.label) {
            bail!(
                "{}",
                last.report(
                    last.locate(&[Step::Key("extends")]),
                    "recipes extend each other in a circle",
                    None
                )
            );
        }
        let mut under = located(source.parse::<RecipeFile>()?, &source)?;
        let next = under.extends.take();
        file = file.over(under);
        file.extends = next;
        sources.push(source);
    }
    let mut problems = Problems::new(&sources);
    if !outputs.is_empty() {
        file.outputs = Vec::new();
        for output in outputs {
            if !file.outputs.iter().any(|name| name == output.name) {
                file.outputs.push(output.name.to_owned());
            }
        }
        problems.by_flag("outputs", "--output");
    }
    check::recipe(file, kinds, problems)
}

fn base_of(text: &str, from: &Source) -> RecipeRef {
    match (RecipeRef::named(text), &from.directory) {
        (RecipeRef::File(path), Some(directory)) => RecipeRef::File(directory.join(path)),
        (other, _) => other,
    }
}

/// Makes the file's own relative paths good from anywhere, before they are
/// merged with those of a file in another directory.
fn located(mut file: RecipeFile, source: &Source) -> Result<RecipeFile> {
    for (index, overlay) in file.overlay.iter_mut().enumerate() {
        let way = [Step::Key("overlay"), Step::Index(index)];
        *overlay = beside(overlay, source, &way)?;
    }
    for (name, registry) in &mut file.registries {
        let way = [Step::Key("registries"), Step::Key(name), Step::Key("ca")];
        if let Some(path) = &mut registry.ca {
            *path = beside(path, source, &way)?;
        }
    }
    if let Some(directory) = &source.directory {
        for mirror in mirrors(&mut file) {
            *mirror = Mirrors::beside(mirror, directory);
        }
    }
    let repositories = file.base.iter_mut().flat_map(|base| &mut base.repository);
    for (index, repository) in repositories.enumerate() {
        let way = [
            Step::Key("base"),
            Step::Key("repository"),
            Step::Index(index),
            Step::Key("signed_by"),
        ];
        repository.signed_by = beside(&repository.signed_by, source, &way)?;
    }
    for part in &mut file.artifact {
        let name = part.name.to_string();
        let way = [
            Step::Key("artifact"),
            Step::Named(&name),
            Step::Key("source"),
        ];
        for path in part.source.iter_mut().flat_map(|all| all.paths_mut()) {
            *path = beside(path, source, &way)?;
        }
        let way = [
            way[0],
            way[1],
            Step::Key("verify"),
            Step::Key("openpgp"),
            Step::Key("keyring"),
        ];
        let openpgp = part
            .verify
            .iter_mut()
            .flat_map(|verify| &mut verify.openpgp);
        for path in openpgp.filter_map(|openpgp| openpgp.keyring.as_mut()) {
            *path = beside(path, source, &way)?;
        }
    }
    for (instance, root) in &mut file.trust.roots {
        let way = [
            Step::Key("trust"),
            Step::Key("roots"),
            Step::Key(instance.name()),
        ];
        *root = beside(root, source, &way)?;
    }
    if let Some(path) = file.update.as_mut().and_then(|update| update.key_file()) {
        *path = beside(path, source, &[Step::Key("update"), Step::Key("key")])?;
    }
    for entry in &mut file.file {
        let name = entry.path.to_string();
        let way = [Step::Key("file"), Step::Named(&name), Step::Key("source")];
        if let Some(path) = &mut entry.source {
            *path = beside(path, source, &way)?;
        }
    }
    for check in &mut file.health {
        let name = check.name.to_string();
        let way = [Step::Key("health"), Step::Named(&name), Step::Key("source")];
        if let Some(path) = &mut check.source {
            *path = beside(path, source, &way)?;
        }
    }
    Ok(file)
}

/// Each place of a mirror.
fn mirrors(file: &mut RecipeFile) -> impl Iterator<Item = &mut String> {
    let base = file.base.iter_mut();
    let debian = base.flat_map(|base| base.mirrors.iter_mut().chain(&mut base.security_mirrors));
    file.mirrors.values_mut().chain(debian)
}

/// The same wherever it lies: every path of the author's disk is only its name.
pub fn portable(file: &RecipeFile) -> RecipeFile {
    let mut file = file.clone();
    for mirror in mirrors(&mut file).filter(|mirror| Mirrors::is_path(mirror)) {
        *mirror = name_of(mirror);
    }
    let registries = file.registries.values_mut();
    let repositories = file.base.iter_mut().flat_map(|base| &mut base.repository);
    let sources = file.artifact.iter_mut().flat_map(|part| &mut part.source);
    let paths = file
        .overlay
        .iter_mut()
        .chain(registries.flat_map(|registry| &mut registry.ca))
        .chain(repositories.map(|repository| &mut repository.signed_by))
        .chain(sources.flat_map(|all| all.paths_mut()))
        .chain(
            file.update
                .iter_mut()
                .filter_map(|update| update.key_file()),
        )
        .chain(file.file.iter_mut().flat_map(|entry| &mut entry.source))
        .chain(file.health.iter_mut().flat_map(|check| &mut check.source));
    for path in paths {
        *path = name_of(path);
    }
    file
}

fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name();
    name.map_or_else(
        || path.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn beside(path: &str, source: &Source, way: &[Step<'_>]) -> Result<String> {
    let Some(directory) = &source.directory else {
        bail!(
            "{}",
            source.report(
                source.locate(way),
                "a built-in recipe has no files beside it",
                None
            )
        );
    };
    let joined = directory.join(path);
    match joined.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{} is not UTF-8", joined.display()),
    }
}
