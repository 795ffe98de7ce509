//! containerd.

mod config;

use std::collections::BTreeMap;

use nodeimg_seed::contract::registries::Format;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Importer, Runtime};
use crate::input::recipe::merge::merged_tables;
use crate::input::recipe::value::Version;

pub static CONTAINERD: Runtime = Runtime {
    name: "containerd",
    program: "/usr/bin/containerd",
    programs: &["/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2"],
    files: &[config::PATH, "/etc/systemd/system/containerd.service"],
    unit: "containerd.service",
    layer: "containerd",
    importer: Importer {
        program: "/usr/bin/ctr",
        name: "containerd's `ctr`",
        layer: "containerd-images",
        unit: "nodeimg-images.service",
    },
    handlers: &["crun", "youki", "runsc", "kata", "wasmtime"],
    registries: Format::Containerd,
    socket: "unix:///var/run/containerd/containerd.sock",
    of_a_pod: &["containerd-shim-runc-v2", "runc"],
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
    sandbox_image: |recipe| recipe.containerd.sandbox_image.as_deref(),
    misfit,
};

/// containerd's settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerdPart {
    /// The pause image that every pod uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_image: Option<String>,
    /// Additional settings of `/etc/containerd/config.toml`, merged into what nodeimg writes.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub config: toml::Table,
}

impl ContainerdPart {
    pub fn over(self, base: ContainerdPart) -> ContainerdPart {
        ContainerdPart {
            sandbox_image: self.sandbox_image.or(base.sandbox_image),
            config: merged_tables(base.config, self.config),
        }
    }
}

/// The first containerd whose CRI has everything that the oldest kubelet of a node asks
/// for; its configuration is version 3.
const OLDEST: (u64, u64) = (2, 0);
const NEWEST: u64 = 2;

fn misfit(version: &Version, kubelet: &str) -> Option<String> {
    let at = version.major_minor();
    if at < OLDEST {
        let (major, minor) = OLDEST;
        Some(format!(
            "is too old for {kubelet}: use {major}.{minor} or later"
        ))
    } else if at.0 > NEWEST {
        Some(format!(
            "is too new: nodeimg writes the configuration of containerd {NEWEST}.x"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
