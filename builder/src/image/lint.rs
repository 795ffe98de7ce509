//! What must hold for a whole tree, whatever it was made of.

mod name_servers;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use nodeimg_formats::oci::Reference;
use nodeimg_seed::contract::paths::TEMPLATE_DIR;
use nodeimg_seed::text::template::{self, Template};

use crate::image::base::setup::made_at_boot;
use crate::image::units::{UNIT_DIRS, Unit, text_at};
use crate::input::artifact::oci_image::store;
use crate::input::recipe::Recipe;
use crate::input::recipe::runtime::{Baked, Importer};
use crate::tree::{ImagePath, Kind, Origin, Tree};

/// Small enough to be a configuration file that someone wrote.
const TEXT_LIMIT: u64 = 256 * 1024;

/// Runs every lint and reports everything they find; returns the warnings.
pub fn check(recipe: &Recipe, tree: &Tree) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let templates = template_destinations(tree)?;
    let mut problems = contract(recipe, tree, &templates)?;
    problems.extend(template_places(recipe, tree, &templates));
    problems.extend(stray_placeholders(tree)?);
    problems.extend(unit_environment(tree, &templates)?);
    problems.extend(baked_images(recipe, tree)?);
    match sandbox(recipe) {
        Some(Sandbox::Wrong(problem)) => problems.push(problem),
        Some(Sandbox::Absent(warning)) => warnings.push(warning),
        None => {}
    }
    warnings.extend(name_servers::warning(recipe, tree)?);
    if problems.is_empty() {
        return Ok(warnings);
    }
    bail!("{}", problems.join("\n"))
}

fn template_root() -> Result<ImagePath> {
    TEMPLATE_DIR.parse()
}

/// What keeps baked images from the container runtime: the program that imports them is
/// missing, or a part of the store that it reads.
fn baked_images(recipe: &Recipe, tree: &Tree) -> Result<Vec<String>> {
    match &recipe.runtime.images {
        _ if recipe.images.is_empty() => Ok(Vec::new()),
        Baked::Imported(importer) => imports(recipe, importer, tree),
        Baked::Stored => store::problems(tree),
    }
}

fn imports(recipe: &Recipe, importer: &Importer, tree: &Tree) -> Result<Vec<String>> {
    let program = importer.program;
    if tree.get(&program.parse()?).is_some() {
        return Ok(Vec::new());
    }
    let missing = recipe.images.iter().map(|image| {
        format!(
            "artifact.{}: `{program}`, which imports container images, is missing: install {} \
             there",
            image.name, importer.name
        )
    });
    Ok(missing.collect())
}

/// Problems with the image that every pod starts with.
enum Sandbox {
    /// It is not the one that is baked.
    Wrong(String),
    /// None is baked.
    Absent(String),
}

/// Whether the runtime's sandbox image is among the baked ones.
fn sandbox(recipe: &Recipe) -> Option<Sandbox> {
    let (key, text) = ("sandbox_image", recipe.sandbox_image.as_deref()?);
    let wanted: Reference = match text.parse() {
        Ok(wanted) => wanted,
        Err(error) => {
            return Some(Sandbox::Wrong(format!("{key}: {error:#}")));
        }
    };
    let all = || {
        recipe
            .images
            .iter()
            .flat_map(|image| image.called().map(move |name| (image, name)))
    };
    if all().any(|(_, name)| name.covers(&wanted)) {
        return None;
    }
    let near = all().find(|(_, name)| name.base_name() == wanted.base_name());
    Some(match near {
        Some((image, name)) => Sandbox::Wrong(format!(
            "{key} is `{text}`, but artifact.{} bakes `{name}`: make them \
             equal, or add the name to its `as`",
            image.name
        )),
        None => Sandbox::Absent(format!(
            "{key} `{text}` is not in the image: the first pod has to wait for \
             its registry; an artifact of kind `oci_image` bakes it in"
        )),
    })
}

/// Where first boot renders each template to.
fn template_destinations(tree: &Tree) -> Result<BTreeSet<ImagePath>> {
    let root = template_root()?;
    tree.iter()
        .filter(|(path, node)| path.is_within(&root) && matches!(node.kind, Kind::File(_)))
        .filter_map(|(path, _)| path.as_str().strip_prefix(TEMPLATE_DIR))
        .map(str::parse)
        .collect()
}

/// Every path that a node of the profile must hold: baked, rendered by first
/// boot, or made of something baked whenever it boots.
fn contract(recipe: &Recipe, tree: &Tree, templates: &BTreeSet<ImagePath>) -> Result<Vec<String>> {
    let (profile, runtime) = (recipe.profile, recipe.runtime);
    let lists = [
        profile.programs,
        profile.files,
        &(runtime.programs)(&recipe.effective),
        runtime.files,
    ];
    let paths: BTreeSet<&str> = lists.into_iter().flatten().copied().collect();
    let made = made_at_boot(tree)?;
    let mut problems = Vec::new();
    for path in paths {
        let path: ImagePath = path.parse()?;
        if tree.get(&path).is_none() && !templates.contains(&path) && !made.contains(&path) {
            problems.push(format!(
                "`{path}` is missing: a node with the profile {profile} does not work without it"
            ));
        }
    }
    Ok(problems)
}

/// First boot can write only where the node is writable, and over nothing.
fn template_places(recipe: &Recipe, tree: &Tree, templates: &BTreeSet<ImagePath>) -> Vec<String> {
    let mut problems = Vec::new();
    for path in templates {
        if !recipe
            .writable
            .iter()
            .any(|directory| path.is_within(directory))
        {
            problems.push(format!(
                "templates{path}: first boot cannot write `{path}`: it is not \
                below a directory of `writable`"
            ));
        }
        if let Some(there) = tree.get(path) {
            problems.push(format!(
                "templates{path}: `{path}` is in the image as well (from {})",
                there.origin
            ));
        }
    }
    problems
}

/// A file with a first-boot placeholder that nobody will render.
fn stray_placeholders(tree: &Tree) -> Result<Vec<String>> {
    let root = template_root()?;
    let mut problems = Vec::new();
    for (path, node) in tree.iter() {
        let Kind::File(content) = &node.kind else {
            continue;
        };
        if content.len() > TEXT_LIMIT || path.is_within(&root) || store::holds(path) {
            continue;
        }
        let bytes = content.head(TEXT_LIMIT)?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        let Ok(parsed) = Template::parse(text) else {
            continue;
        };
        if let Some(name) = parsed
            .placeholders()
            .find(|name| template::placeholder(name).is_some())
        {
            problems.push(format!(
                "`{path}` (from {}) holds the first-boot placeholder `{{{{ {name} }}}}`, but only files below \
                 an overlay's `templates/` are rendered: move it there",
                node.origin
            ));
        }
    }
    Ok(problems)
}

/// Every variable that a unit's commands use is set: by the unit, by a file of
/// the image, or by a template that first boot renders.
fn unit_environment(tree: &Tree, templates: &BTreeSet<ImagePath>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for directory in UNIT_DIRS {
        let directory: ImagePath = directory.parse()?;
        for (path, node) in tree.iter() {
            let is_unit =
                path.parent().as_ref() == Some(&directory) && path.as_str().ends_with(".service");
            // A package's unit may rest on what systemd itself sets (`$TERM`).
            let of_package = matches!(node.origin, Origin::Package(_));
            if !is_unit || of_package || !matches!(node.kind, Kind::File(_)) {
                continue;
            }
            let Some(text) = text_at(tree, path)? else {
                continue;
            };
            problems.extend(environment_of(tree, templates, path, &Unit::parse(&text))?);
        }
    }
    Ok(problems)
}

fn environment_of(
    tree: &Tree,
    templates: &BTreeSet<ImagePath>,
    unit_path: &ImagePath,
    unit: &Unit,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut known: BTreeSet<String> = unit
        .values("Service", "Environment")
        .flat_map(str::split_whitespace)
        .filter_map(variable)
        .collect();
    let mut optional = false;
    for file in unit.values("Service", "EnvironmentFile") {
        optional |= file.starts_with('-');
        let Ok(path) = file.trim_start_matches('-').parse::<ImagePath>() else {
            continue;
        };
        let source = if templates.contains(&path) {
            template_root()?.join(path.relative())?
        } else {
            path.clone()
        };
        match text_at(tree, &source)? {
            Some(text) => known.extend(text.lines().filter(|line| !line.starts_with('#')).filter_map(variable)),
            None if file.starts_with('-') => {}
            None => problems.push(format!(
                "`{unit_path}` reads EnvironmentFile={path}, which is neither in the image nor rendered by first boot"
            )),
        }
    }
    for command in unit.values_of_prefix("Service", "Exec") {
        for name in variables(command).filter(|name| !known.contains(*name) && !optional) {
            problems.push(format!(
                "`{unit_path}` uses `${name}`, which neither the image nor first boot sets"
            ));
        }
    }
    Ok(problems)
}

/// `NAME` of `NAME=value`, quotes around it taken off.
fn variable(assignment: &str) -> Option<String> {
    let (name, _) = assignment.trim_start_matches(['"', '\'']).split_once('=')?;
    Some(name.trim().to_owned())
}

/// Names in `$NAME` and `${NAME}`; `$$` is a dollar sign.
fn variables(command: &str) -> impl Iterator<Item = &str> {
    let mut rest = command;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('$')?;
            let tail = &rest[at + 1..];
            if let Some(after) = tail.strip_prefix('$') {
                rest = after;
                continue;
            }
            let name = tail.strip_prefix('{').unwrap_or(tail);
            let end = name
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(name.len());
            rest = &name[end..];
            if end > 0 {
                return Some(&name[..end]);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::{Content, Node};

    #[test]
    fn placeholders_of_a_container_are_not_first_boots() {
        let found = |at: &str| {
            let mut tree = Tree::default();
            let text = Content::inline(&b"ip: {{ node_ip }}"[..]);
            let node = Node::file(text, 0o644, Origin::Overlay("x".to_owned()));
            tree.insert(at.parse().unwrap(), node).unwrap();
            stray_placeholders(&tree).unwrap().len()
        };
        assert_eq!(found("/etc/x"), 1);
        assert_eq!(found("/usr/lib/containers/storage/overlay/a/diff/etc/x"), 0);
        assert_eq!(found("/usr/lib/containers/storage-x"), 1);
    }

    #[test]
    fn variables_of_a_command() {
        let found: Vec<_> = variables("/x --a=${NODE_IP} $ARGS $$no $ ${} end$").collect();
        assert_eq!(found, ["NODE_IP", "ARGS"]);
    }
}
