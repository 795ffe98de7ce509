//! `/etc/containerd/config.toml`, whose plugin names differ between major
//! versions of containerd: chosen by the artifact's version, never guessed.
//!
//! <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::check;
use crate::input::recipe::handler::Shim;
use crate::input::recipe::value::Version;
use crate::input::recipe::{Recipe, with_extra};
use crate::tree::ImagePath;

pub const PATH: &str = "/etc/containerd/config.toml";

const BIN_DIR: &str = "/opt/cni/bin";
const CONF_DIR: &str = "/etc/cni/net.d";
pub const RUNC: &str = "/usr/local/bin/runc";
const SNAPSHOTTER: &str = "overlayfs";
const CERTS_DIR: &str = "/etc/containerd/certs.d";
/// What `ctr install` unpacks, and containerd makes at each start: its default,
/// `/opt/containerd`, is on a root that nothing can be written to.
const OPT_DIR: &str = "/var/lib/containerd/opt";
/// As often as the kubelet's own cAdvisor looks. containerd's default is each second:
/// it wakes the shim of every pod to measure processor time that the kubelet asks for
/// only with its feature gate `PodAndContainerStatsFromCRI`.
const STATS_COLLECT_PERIOD: &str = "10s";

#[derive(Serialize)]
struct Config<P> {
    version: u32,
    /// Drop-ins of a node or of a later layer.
    imports: [&'static str; 1],
    plugins: P,
}

/// containerd 1.x: configuration version 2.
#[derive(Serialize)]
struct PluginsV2<'a> {
    #[serde(rename = "io.containerd.grpc.v1.cri")]
    cri: CriV2<'a>,
    #[serde(rename = "io.containerd.internal.v1.opt")]
    opt: Opt,
}

#[derive(Serialize)]
struct CriV2<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox_image: Option<&'a str>,
    containerd: RuntimesV2,
    cni: Cni,
    registry: Registry,
}

#[derive(Serialize)]
struct RuntimesV2 {
    snapshotter: &'static str,
    #[serde(flatten)]
    runtimes: Runtimes,
}

/// containerd 2.x: configuration version 3 and 4, images and runtime apart. What 4
/// moves is how containerd itself serves, of which nothing is set here.
#[derive(Serialize)]
struct PluginsV3<'a> {
    #[serde(rename = "io.containerd.cri.v1.images")]
    images: ImagesV3<'a>,
    #[serde(rename = "io.containerd.cri.v1.runtime")]
    runtime: RuntimeV3,
    #[serde(rename = "io.containerd.internal.v1.opt")]
    opt: Opt,
}

#[derive(Serialize)]
struct ImagesV3<'a> {
    snapshotter: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned_images: Option<PinnedImages<'a>>,
    registry: Registry,
}

#[derive(Serialize)]
struct PinnedImages<'a> {
    sandbox: &'a str,
}

#[derive(Serialize)]
struct RuntimeV3 {
    /// Since 2.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats_collect_period: Option<&'static str>,
    containerd: Runtimes,
    cni: Cni,
}

#[derive(Serialize)]
struct Runtimes {
    default_runtime_name: &'static str,
    /// By the names that RuntimeClasses have for them.
    runtimes: BTreeMap<&'static str, Runtime>,
}

#[derive(Serialize)]
struct Runtime {
    runtime_type: &'static str,
    /// Of a shim that is not on containerd's PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_path: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pod_annotations: Vec<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    privileged_without_host_devices: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Options {
    Runc(RuncOptions),
    File(FileOptions),
}

/// The configuration of a shim.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FileOptions {
    type_url: String,
    config_path: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RuncOptions {
    /// containerd looks for `runc` on its PATH without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_name: Option<&'static str>,
    systemd_cgroup: bool,
}

/// `bin_dir` until 2.0, `bin_dirs` from 2.1 on, which warns of the old name.
#[derive(Serialize)]
struct Cni {
    #[serde(skip_serializing_if = "Option::is_none")]
    bin_dir: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bin_dirs: Option<[&'static str; 1]>,
    conf_dir: &'static str,
}

#[derive(Serialize)]
struct Opt {
    path: &'static str,
}

#[derive(Serialize)]
struct Registry {
    config_path: &'static str,
}

/// The configuration for the version that the recipe installs.
pub fn generate(recipe: &Recipe, version: &Version) -> Result<String> {
    let sandbox = recipe.sandbox_image.as_deref();
    let runtimes = runtimes(recipe);
    let (major, minor) = version.major_minor();
    let part = recipe.effective.containerd.clone().unwrap_or_default();
    let extra = &part.config;
    let what = "containerd's configuration";
    check::by_version(extra, version)?;
    let table = match (major, minor) {
        // Debian's, of the recipe container-host.
        (1, _) => with_extra(&config(2, plugins_v2(sandbox, runtimes)), extra, what)?,
        (2, 0..=2) => with_extra(
            &config(3, plugins_v3(sandbox, runtimes, version)),
            extra,
            what,
        )?,
        // containerd would say at each start that it has had to migrate a 3.
        (2, _) => with_extra(
            &config(4, plugins_v3(sandbox, runtimes, version)),
            extra,
            what,
        )?,
        _ => {
            bail!("containerd {version}: nodeimg knows the configuration of containerd 1.x and 2.x")
        }
    };
    let body = toml::to_string(&table).context("writing containerd's configuration")?;
    Ok(format!(
        "# For containerd {major}.x, from the recipe.\n{body}"
    ))
}

fn config<P>(version: u32, plugins: P) -> Config<P> {
    Config {
        version,
        imports: ["/etc/containerd/conf.d/*.toml"],
        plugins,
    }
}

fn plugins_v2(sandbox_image: Option<&str>, runtimes: Runtimes) -> PluginsV2<'_> {
    let containerd = RuntimesV2 {
        snapshotter: SNAPSHOTTER,
        runtimes,
    };
    let cni = Cni {
        bin_dir: Some(BIN_DIR),
        bin_dirs: None,
        conf_dir: CONF_DIR,
    };
    PluginsV2 {
        cri: CriV2 {
            sandbox_image,
            containerd,
            cni,
            registry: Registry {
                config_path: CERTS_DIR,
            },
        },
        opt: Opt { path: OPT_DIR },
    }
}

fn plugins_v3<'a>(
    sandbox: Option<&'a str>,
    runtimes: Runtimes,
    version: &Version,
) -> PluginsV3<'a> {
    let many = version.major_minor() >= (2, 1);
    let cni = Cni {
        bin_dir: (!many).then_some(BIN_DIR),
        bin_dirs: many.then_some([BIN_DIR]),
        conf_dir: CONF_DIR,
    };
    PluginsV3 {
        images: ImagesV3 {
            snapshotter: SNAPSHOTTER,
            pinned_images: sandbox.map(|sandbox| PinnedImages { sandbox }),
            registry: Registry {
                config_path: CERTS_DIR,
            },
        },
        runtime: RuntimeV3 {
            stats_collect_period: (version.major_minor() >= (2, 3)).then_some(STATS_COLLECT_PERIOD),
            containerd: runtimes,
            cni,
        },
        opt: Opt { path: OPT_DIR },
    }
}

/// Debian's package has runc elsewhere than the artifact of a recipe.
fn runtimes(recipe: &Recipe) -> Runtimes {
    let is_installed = |path: &ImagePath| recipe.artifacts.iter().any(|a| a.provides(path));
    let runc = RUNC
        .parse()
        .is_ok_and(|path| is_installed(&path))
        .then_some(RUNC);
    let mut runtimes = BTreeMap::from([("runc", like_runc(runc))]);
    for handler in &recipe.handlers {
        runtimes.insert(handler.name, runtime(&handler.containerd));
    }
    Runtimes {
        default_runtime_name: "runc",
        runtimes,
    }
}

/// containerd's own shim, with this program.
fn like_runc(binary_name: Option<&'static str>) -> Runtime {
    Runtime {
        runtime_type: "io.containerd.runc.v2",
        runtime_path: None,
        pod_annotations: Vec::new(),
        privileged_without_host_devices: false,
        options: Some(Options::Runc(RuncOptions {
            binary_name,
            systemd_cgroup: true,
        })),
    }
}

fn runtime(shim: &Shim) -> Runtime {
    match shim {
        Shim::Runc { program } => like_runc(Some(program)),
        Shim::Own {
            runtime_type,
            path,
            config,
            annotations,
            without_host_devices,
        } => Runtime {
            runtime_type,
            runtime_path: *path,
            pod_annotations: annotations.iter().copied().collect(),
            privileged_without_host_devices: *without_host_devices,
            options: config.map(|(config_path, _)| {
                Options::File(FileOptions {
                    type_url: format!("{runtime_type}.options"),
                    config_path,
                })
            }),
        },
    }
}

/// The configuration of handlers' shims that nodeimg writes.
pub fn of_shims(recipe: &Recipe) -> Vec<(&'static str, &'static str)> {
    let shims = recipe.handlers.iter().map(|handler| &handler.containerd);
    let configs = shims.filter_map(|shim| match shim {
        Shim::Own { config, .. } => *config,
        Shim::Runc { .. } => None,
    });
    configs
        .filter_map(|(path, text)| Some((path, text?)))
        .collect()
}
