//! The command line of `nodeimg init`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use nodeimg_seed::contract::profile::PROFILES;
use nodeimg_seed::contract::runtime::RUNTIMES;

use super::complete;
use crate::input::recipe::network::Cidr;
use crate::input::recipe::value::Name;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// A new or empty directory
    pub directory: PathBuf,
    /// Copy this built-in recipe as it is, without questions [default without a terminal: hard-way]
    #[arg(long, value_name = "NAME", add = complete::built_in())]
    pub from: Option<String>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// What the recipe says of its own; what is not given stays as in the built-in recipe.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = true, conflicts_with = "from")]
pub struct ChoiceArgs {
    /// How the node joins its cluster
    #[arg(long, value_parser = profile())]
    pub profile: Option<String>,
    /// Version of Kubernetes: 1.36, or a whole one (1.36.4)
    #[arg(long, value_name = "VERSION")]
    pub kubernetes: Option<String>,
    /// The container runtime
    #[arg(long, value_parser = runtime())]
    pub runtime: Option<String>,
    /// Network of the cluster's pods (10.200.0.0/16)
    #[arg(long, value_name = "CIDR")]
    pub pods: Option<Cidr>,
    /// Network of the cluster's Services (10.32.0.0/24)
    #[arg(long, value_name = "CIDR")]
    pub services: Option<Cidr>,
    /// What the node runs on
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Name of the image [default: that of the directory]
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
}

impl ChoiceArgs {
    /// Whether nothing is chosen.
    pub fn is_empty(&self) -> bool {
        let words = [&self.profile, &self.kubernetes, &self.runtime];
        let networks = [&self.pods, &self.services];
        words.iter().all(|word| word.is_none())
            && networks.iter().all(|network| network.is_none())
            && self.platform.is_none()
            && self.name.is_none()
    }
}

/// Which of Debian's kernels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Platform {
    /// A virtual machine: Debian's cloud kernel
    Cloud,
    /// A physical machine too: Debian's generic kernel
    Metal,
}

fn profile() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(PROFILES.iter().map(|profile| profile.name))
}

fn runtime() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(RUNTIMES.iter().map(|runtime| runtime.name))
}
