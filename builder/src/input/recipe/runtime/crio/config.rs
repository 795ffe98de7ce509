//! `/etc/crio/crio.conf.d/10-nodeimg.conf`, by the version of CRI-O.
//!
//! <https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md>

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use toml::{Table, Value};

use super::{CONMON, NEWEST, OLDEST, OciRuntime, PINNS};
use crate::input::artifact::oci_image::store::DIRECTORY;
use crate::input::recipe::merge::with_extra;
use crate::input::recipe::value::Version;
use crate::input::recipe::{ContainerImage, Recipe};

/// A node's own drop-ins sort behind: `50-node.conf`.
pub const PATH: &str = "/etc/crio/crio.conf.d/10-nodeimg.conf";
pub const NETWORK_DIR: &str = "/etc/cni/net.d";
pub const PLUGIN_DIR: &str = "/opt/cni/bin";

#[derive(Serialize)]
struct Crio {
    /// Named, since without it CRI-O falls back to copies of whole images.
    storage_driver: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_option: Option<[String; 1]>,
    /// With a second store CRI-O takes the layers of pulled images for damaged after a
    /// crash, and removes them under running containers.
    internal_repair: bool,
    runtime: Runtime,
    image: Image,
    network: Network,
}

#[derive(Serialize)]
struct Runtime {
    default_runtime: &'static str,
    cgroup_manager: &'static str,
    pinns_path: &'static str,
    runtimes: BTreeMap<&'static str, Handler>,
}

#[derive(Serialize)]
struct Handler {
    runtime_path: &'static str,
    /// `oci` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_type: Option<&'static str>,
    runtime_root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_config_path: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    privileged_without_host_devices: bool,
    /// A virtual machine has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor_path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor_cgroup: Option<&'static str>,
}

impl Handler {
    fn oci(name: &str, path: &'static str) -> Handler {
        Handler {
            runtime_path: path,
            runtime_type: None,
            runtime_root: format!("/run/{name}"),
            runtime_config_path: None,
            privileged_without_host_devices: false,
            monitor_path: Some(CONMON),
            monitor_cgroup: Some("system.slice"),
        }
    }

    fn vm(path: &'static str, config: &'static str) -> Handler {
        Handler {
            runtime_path: path,
            runtime_type: Some("vm"),
            runtime_root: "/run/vc".to_owned(),
            runtime_config_path: Some(config),
            privileged_without_host_devices: true,
            monitor_path: None,
            monitor_cgroup: None,
        }
    }
}

#[derive(Serialize)]
struct Image {
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_image: Option<String>,
    /// A baked image that is not pinned would be collected again and again, since it
    /// cannot be removed. The pause image pins itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pinned_images: Vec<String>,
}

#[derive(Serialize)]
struct Network {
    network_dir: &'static str,
    plugin_dirs: [&'static str; 1],
}

/// The configuration for the version that the recipe installs.
pub fn generate(recipe: &Recipe, version: &Version) -> Result<String> {
    let (major, minor) = version.major_minor();
    if major != 1 || !(OLDEST..=NEWEST).contains(&minor) {
        bail!("CRI-O {version}: nodeimg knows the configuration of CRI-O 1.{OLDEST} to 1.{NEWEST}");
    }
    let what = "CRI-O's configuration";
    let part = recipe.effective.crio.clone().unwrap_or_default();
    let starts = part.default_runtime.unwrap_or_default();
    let mut table = with_extra(&ours(recipe, starts), &part.config, what)?;
    // A list of the recipe is added to ours, which would have no effect otherwise.
    add_to(&mut table, &["storage_option"], baked_option(recipe));
    add_to(&mut table, &["image", "pinned_images"], pinned(recipe));
    let whole = Table::from_iter([("crio".to_owned(), Value::Table(table))]);
    let body = toml::to_string(&whole).context("writing CRI-O's configuration")?;
    Ok(format!(
        "# For CRI-O {major}.{minor}, from the recipe.\n{body}"
    ))
}

fn ours(recipe: &Recipe, starts: OciRuntime) -> Crio {
    let default = Handler::oci(starts.name(), starts.path());
    let mut runtimes = BTreeMap::from([(starts.name(), default)]);
    for handler in &recipe.handlers {
        let Some(oci) = &handler.crio else { continue };
        let table = match oci.vm_config {
            Some(config) => Handler::vm(oci.path, config),
            None => Handler::oci(handler.name, oci.path),
        };
        runtimes.insert(handler.name, table);
    }
    Crio {
        storage_driver: "overlay",
        storage_option: baked_option(recipe).try_into().ok(),
        internal_repair: false,
        runtime: Runtime {
            default_runtime: starts.name(),
            cgroup_manager: "systemd",
            pinns_path: PINNS,
            runtimes,
        },
        image: Image {
            pause_image: recipe.sandbox_image.clone(),
            pinned_images: pinned(recipe),
        },
        network: Network {
            network_dir: NETWORK_DIR,
            plugin_dirs: [PLUGIN_DIR],
        },
    }
}

/// One option where images are baked, otherwise none.
fn baked_option(recipe: &Recipe) -> Vec<String> {
    let option = (!recipe.images.is_empty()).then(|| format!("overlay.imagestore={DIRECTORY}"));
    option.into_iter().collect()
}

/// Every name of a baked image but the pause image's.
fn pinned(recipe: &Recipe) -> Vec<String> {
    let names = recipe.images.iter().flat_map(ContainerImage::kept_names);
    let sandbox = recipe.sandbox_image.as_deref();
    names
        .filter(|name| Some(name.as_str()) != sandbox)
        .collect()
}

/// Puts `items` before those of the list at `way`.
fn add_to(table: &mut Table, way: &[&str], items: Vec<String>) {
    let Some((last, tables)) = way.split_last() else {
        return;
    };
    let inner = tables
        .iter()
        .try_fold(table, |table, name| table.get_mut(*name)?.as_table_mut());
    let list = inner.and_then(|table| table.get_mut(*last)?.as_array_mut());
    if let Some(list) = list {
        let mut all: Vec<Value> = items.into_iter().map(Value::String).collect();
        for item in std::mem::take(list) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        *list = all;
    }
}
