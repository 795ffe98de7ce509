//! What a container runtime is. A runtime is a folder here with a [`Runtime`], which says
//! everything about it that a build needs: its programs and paths, its table of the
//! recipe and what that may not say, its configuration by version. Its files are in
//! `overlay`; what first boot does about it is a file in
//! `firstboot/program/src/run/runtime`.

pub mod containerd;

use anyhow::Result;
use nodeimg_seed::contract::registries::Format;

use super::Recipe;
use super::value::Version;

/// Everything that a build needs to know about a container runtime.
#[derive(Debug)]
pub struct Runtime {
    /// As messages call it; also its table of the recipe.
    pub name: &'static str,
    /// The one whose version decides what its configuration says.
    pub program: &'static str,
    /// Every program of it that a node needs.
    pub programs: &'static [&'static str],
    /// What else a node must hold of it.
    pub files: &'static [&'static str],
    pub unit: &'static str,
    /// nodeimg's own overlay for it.
    pub layer: &'static str,
    pub importer: Importer,
    /// Which of the recipe's handlers it can be told of.
    pub handlers: &'static [&'static str],
    /// How it reads about registries.
    pub registries: Format,
    /// Where the kubelet reaches it.
    pub socket: &'static str,
    /// Names of the programs that it runs for the first pod.
    pub of_a_pod: &'static [&'static str],
    /// Paths of Debian's package that an image goes without, and why.
    pub left_out: &'static [(&'static str, &'static str)],
    /// Where the text of [`Runtime::configure`] lies.
    pub config: &'static str,
    /// The configuration for that version of the program.
    pub configure: fn(&Recipe, &Version) -> Result<String>,
    /// The image of every pod's first container, if the recipe names one.
    pub sandbox_image: fn(&Recipe) -> Option<&str>,
    /// What is wrong with that version for that kubelet: `is too old for ...`.
    pub misfit: fn(&Version, kubelet: &str) -> Option<String>,
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
