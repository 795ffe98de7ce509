//! What a container runtime is. A runtime is a folder here with a [`Runtime`] and its line
//! in [`RUNTIMES`]; it says everything that a build needs: its programs and paths, its
//! table of the recipe and what that may not say, its configuration by version. Its files
//! are in `overlay`. What first boot knows as well is a file in
//! `firstboot/seed/src/contract/runtime`, what first boot does about it is a file in
//! `firstboot/program/src/run/runtime`.

pub mod containerd;
pub mod crio;
mod keys;

use anyhow::Result;
use nodeimg_seed::contract::registries::Format;
use nodeimg_seed::contract::runtime as shared;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::file::RecipeFile;
use super::handler::Handler;
use super::output::named_schema;
use super::problems::Problems;
use super::source::Step;
use super::value::Version;
use super::{Artifact, Recipe};
use crate::tree::ImagePath;

pub static RUNTIMES: [&Runtime; 2] = [&containerd::CONTAINERD, &crio::CRIO];

/// The one of a recipe that does not name one.
static DEFAULT: &Runtime = &containerd::CONTAINERD;

/// What stands for the runtime's unit in units of nodeimg's own.
pub const UNIT: &str = "@RUNTIME_UNIT@";

/// Everything that a build needs to know about a container runtime.
#[derive(Debug)]
pub struct Runtime {
    /// Its name, unit, socket and state, which first boot knows as well.
    pub shared: &'static shared::Runtime,
    /// The one whose version decides what its configuration says.
    pub program: &'static str,
    /// Every program of it that a node of this recipe needs.
    pub programs: fn(&RecipeFile) -> Vec<&'static str>,
    /// What else a node must hold of it.
    pub files: &'static [&'static str],
    /// nodeimg's own overlay for it.
    pub layer: &'static str,
    /// How the baked container images get to it.
    pub images: Baked,
    /// The programs with which it runs that handler; `None` if it cannot.
    pub handlers: fn(&Handler) -> Option<&'static [&'static str]>,
    /// How it reads about registries.
    pub registries: Format,
    /// Names of the programs that it runs for the first pod.
    pub of_a_pod: &'static [&'static str],
    /// Where they are, beside the directories of `PATH`.
    pub own_directories: &'static [&'static str],
    /// Paths of Debian's package that an image goes without, and why.
    pub left_out: &'static [(&'static str, &'static str)],
    /// Where the text of [`Runtime::configure`] lies.
    pub config: &'static str,
    /// The configuration for that version of the program.
    pub configure: fn(&Recipe, &Version) -> Result<String>,
    /// Files of its configuration that the recipe's author may lay in; `None`: not judged.
    pub laid: Option<&'static Laid>,
    /// Further files that its handlers need, with their texts.
    pub more: fn(&Recipe) -> Vec<(&'static str, &'static str)>,
    /// Whether the recipe has its table.
    pub is_given: fn(&RecipeFile) -> bool,
    /// What its table may not say.
    pub check: fn(&RecipeFile, &[Artifact], &mut Problems<'_>),
    /// The version that is assumed of one that an artifact brings together with the kubelet:
    /// the artifact's version is Kubernetes' then. None: the runtime has the same versions.
    pub of_bundle: Option<&'static str>,
    /// What is wrong with that version beside that kubelet.
    pub misfit: fn(&Version, kubelet: &Version) -> Option<Misfit>,
}

/// How files are judged that are laid in beside the configuration, or in its place.
#[derive(Debug)]
pub struct Laid {
    /// The folder of those beside it.
    pub folder: &'static str,
    pub ending: &'static str,
    /// What is wrong with them, each message with its place. The text is nodeimg's own
    /// configuration, which they are merged into.
    pub check: fn(&[LaidFile<'_>], own: &str, &Version) -> Vec<String>,
}

/// One of them.
pub struct LaidFile<'a> {
    pub path: &'a str,
    /// Its place for messages.
    pub label: String,
    pub text: &'a str,
}

/// What is wrong with a version, from `is` on.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    Wrong(String),
    /// It works, but should be changed.
    Odd(String),
}

/// The schema of a runtime's name.
pub enum RuntimeName {}

impl JsonSchema for RuntimeName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Runtime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = shared::RUNTIMES
            .iter()
            .map(|runtime| named_schema(runtime.name, runtime.summary));
        json_schema!({
            "description": "The container runtime.",
            "oneOf": names.collect::<Vec<_>>()
        })
    }
}

/// The runtime of a recipe.
pub fn of(file: &RecipeFile) -> &'static Runtime {
    let wanted = |runtime: &&&Runtime| Some(runtime.shared) == file.runtime;
    RUNTIMES.iter().find(wanted).copied().unwrap_or(DEFAULT)
}

/// Drops the artifacts that are for images with another runtime.
pub fn choose(runtime: &Runtime, file: &mut RecipeFile) {
    let is_wanted = |of: Option<&shared::Runtime>| of.is_none_or(|of| of == runtime.shared);
    file.artifact.retain(|part| is_wanted(part.runtime));
}

/// Whether the recipe has the table of its runtime only, and what that says is good.
pub fn check(
    runtime: &Runtime,
    file: &RecipeFile,
    artifacts: &[Artifact],
    problems: &mut Problems<'_>,
) {
    let name = runtime.shared.name;
    for other in RUNTIMES {
        if other.shared != runtime.shared && (other.is_given)(file) {
            let other = other.shared.name;
            let message = format!(
                "this image has {name}, which does not read it: remove the table, or set \
                 `runtime = \"{other}\"`"
            );
            problems.add(&[Step::Key(other)], &message);
        }
    }
    (runtime.check)(file, artifacts, problems);
}

impl Runtime {
    /// The version of the runtime's programs that `artifact` installs.
    pub fn version_in(&self, artifact: &Artifact) -> Version {
        let kubelet = "/usr/local/bin/kubelet".parse::<ImagePath>();
        let is_bundle = kubelet.is_ok_and(|kubelet| artifact.provides(&kubelet));
        let assumed = self.of_bundle.filter(|_| is_bundle);
        let assumed = assumed.and_then(|version| version.parse().ok());
        assumed.unwrap_or_else(|| artifact.version.clone())
    }

    /// What imports baked images, if the runtime needs that.
    pub fn importer(&self) -> Option<&Importer> {
        match &self.images {
            Baked::Imported(importer) => Some(importer),
            Baked::Stored => None,
        }
    }
}

/// How a runtime finds the container images that are baked into the node image.
#[derive(Debug)]
pub enum Baked {
    /// As archives, which a unit of the node imports.
    Imported(Importer),
    /// In a read-only store, which the runtime reads where it lies.
    Stored,
}

/// What brings baked container images into the runtime.
#[derive(Debug)]
pub struct Importer {
    pub program: &'static str,
    /// As messages call it.
    pub name: &'static str,
    /// The overlay with the unit that runs it.
    pub layer: &'static str,
    pub unit: &'static str,
}

#[cfg(test)]
mod tests;
