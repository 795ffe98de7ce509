//! containerd.

mod check;
mod config;
mod files;

use std::collections::BTreeMap;

use nodeimg_seed::contract::registries::Format;
use nodeimg_seed::contract::runtime::containerd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Baked, Importer, Misfit, Runtime};
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::merge::merged_tables;
use crate::input::recipe::value::Version;

const PROGRAM: &str = "/usr/bin/containerd";

pub static CONTAINERD: Runtime = Runtime {
    shared: &containerd::RUNTIME,
    program: PROGRAM,
    programs,
    files: &[config::PATH, "/etc/systemd/system/containerd.service"],
    layer: "containerd",
    images: Baked::Imported(Importer {
        program: "/usr/bin/ctr",
        name: "containerd's `ctr`",
        layer: "containerd-images",
        unit: "nodeimg-images.service",
    }),
    handlers: |handler| Some(handler.programs),
    registries: Format::Containerd,
    of_a_pod: &["containerd-shim-runc-v2", "runc"],
    own_directories: &[],
    left_out: &[
        ("/usr/bin/containerd-shim", "for containerd before 1.4"),
        (
            "/usr/bin/containerd-shim-runc-v1",
            "for containerd before 1.4",
        ),
        (config::PATH, "nodeimg writes its own"),
    ],
    config: config::PATH,
    configure: config::generate,
    laid: Some(&files::LAID),
    more: config::of_shims,
    is_given: |file| file.containerd.is_some(),
    check: check::check,
    of_bundle: Some("2.0.0"),
    misfit,
};

/// containerd's settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerdPart {
    /// Additional settings of `/etc/containerd/config.toml`, merged into what nodeimg writes.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub config: toml::Table,
}

impl ContainerdPart {
    pub fn over(self, base: ContainerdPart) -> ContainerdPart {
        ContainerdPart {
            config: merged_tables(base.config, self.config),
        }
    }
}

fn programs(file: &RecipeFile) -> Vec<&'static str> {
    // A whole system has Debian's package.
    let runc = match file.profile.is_some_and(|profile| profile.is_whole) {
        true => "/usr/sbin/runc",
        false => config::RUNC,
    };
    let shim = "/usr/bin/containerd-shim-runc-v2";
    vec![PROGRAM, shim, runc]
}

/// The first containerd whose CRI has everything that the oldest kubelet of a node asks
/// for; its configuration is version 3.
const OLDEST: (u64, u64) = (2, 0);
const NEWEST: u64 = 2;

fn misfit(version: &Version, kubelet: &Version) -> Option<Misfit> {
    let at = version.major_minor();
    let (major, minor) = OLDEST;
    if at < OLDEST {
        Some(Misfit::Wrong(format!(
            "is too old for kubelet {kubelet}: use {major}.{minor} or later"
        )))
    } else if at.0 > NEWEST {
        Some(Misfit::Wrong(format!(
            "is too new: nodeimg writes the configuration of containerd {NEWEST}.x"
        )))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
