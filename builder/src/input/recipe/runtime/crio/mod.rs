//! CRI-O.

mod check;
mod config;

use std::collections::BTreeMap;

use nodeimg_seed::contract::registries::Format;
use nodeimg_seed::contract::runtime::crio;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Baked, Misfit, Runtime};
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::merge::merged_tables;
use crate::input::recipe::value::Version;

const CRIO_PROGRAM: &str = "/usr/local/bin/crio";
const PINNS: &str = "/usr/local/bin/pinns";
const CONMON: &str = "/usr/libexec/crio/conmon";

pub static CRIO: Runtime = Runtime {
    shared: &crio::RUNTIME,
    program: CRIO_PROGRAM,
    programs,
    // CRI-O makes the directories where they are missing, and does not start where it cannot.
    files: &[
        config::PATH,
        "/etc/systemd/system/crio.service",
        "/etc/containers/policy.json",
        "/etc/crio/auth",
        "/etc/crio/policies",
        config::NETWORK_DIR,
        config::PLUGIN_DIR,
    ],
    layer: "crio",
    images: Baked::Stored,
    handlers: |handler| handler.crio.as_ref().map(|oci| oci.programs),
    registries: Format::Crio,
    more: |_| Vec::new(),
    of_a_pod: &["pinns", "conmon", "crun", "runc"],
    own_directories: &["/usr/libexec/crio"],
    left_out: &[],
    config: config::PATH,
    configure: config::generate,
    laid: None,
    is_given: |file| file.crio.is_some(),
    check: check::check,
    of_bundle: None,
    misfit,
};

/// CRI-O's settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrioPart {
    /// The program that starts containers; `crun` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_runtime: Option<OciRuntime>,
    /// Additional settings of CRI-O's table `[crio]`, merged into what nodeimg writes.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub config: toml::Table,
}

impl CrioPart {
    pub fn over(self, base: CrioPart) -> CrioPart {
        CrioPart {
            default_runtime: self.default_runtime.or(base.default_runtime),
            config: merged_tables(base.config, self.config),
        }
    }
}

/// A program that starts containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OciRuntime {
    #[default]
    Crun,
    Runc,
}

impl OciRuntime {
    fn name(self) -> &'static str {
        match self {
            OciRuntime::Crun => "crun",
            OciRuntime::Runc => "runc",
        }
    }

    fn path(self) -> &'static str {
        match self {
            OciRuntime::Crun => "/usr/libexec/crio/crun",
            OciRuntime::Runc => "/usr/libexec/crio/runc",
        }
    }
}

fn programs(file: &RecipeFile) -> Vec<&'static str> {
    let part = file.crio.as_ref();
    let starts = part.and_then(|part| part.default_runtime);
    let starts = starts.unwrap_or_default().path();
    vec![CRIO_PROGRAM, PINNS, CONMON, starts]
}

/// Minor versions of CRI-O 1 whose keys nodeimg knows.
const OLDEST: u64 = 34;
const NEWEST: u64 = 37;

/// CRI-O's minor versions go with Kubernetes', its patch versions do not:
/// <https://github.com/cri-o/cri-o#compatibility-matrix-cri-o--kubernetes>.
fn misfit(version: &Version, kubelet: &Version) -> Option<Misfit> {
    let (at, of) = (version.major_minor(), kubelet.major_minor());
    let known = (1, OLDEST)..=(1, NEWEST);
    if !known.contains(&at) {
        let how = if at < (1, OLDEST) { "old" } else { "new" };
        return Some(Misfit::Wrong(format!(
            "is too {how}: nodeimg writes the configuration of CRI-O 1.{OLDEST} to 1.{NEWEST}"
        )));
    }
    let (major, minor) = of;
    if at < of {
        Some(Misfit::Wrong(format!(
            "is older than kubelet {kubelet}: use {major}.{minor}"
        )))
    } else if at > of {
        Some(Misfit::Odd(format!(
            "is for another minor version of Kubernetes than kubelet {kubelet}: {major}.{minor} \
             is what CRI-O tests with it"
        )))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
