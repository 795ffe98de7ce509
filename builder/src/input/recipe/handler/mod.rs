//! `handlers`: other programs than the default one that run the containers of a pod,
//! which chooses one by a RuntimeClass.
//!
//! A handler is a value here and its line in [`HANDLERS`]: what it is made of, what the
//! container runtime is told of it, and what a machine must have.
//!
//! <https://kubernetes.io/docs/concepts/containers/runtime-class/>

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Artifact;
use super::file::RecipeFile;
use super::output::named_schema;
use super::problems::Problems;
use super::runtime::Runtime;
use super::source::{Step, nearest};
use super::value::Version;
use crate::tree::ImagePath;

/// Everything that a build needs to know about a handler.
#[derive(Debug)]
pub struct Handler {
    /// As recipes, the container runtime and RuntimeClasses name it.
    pub name: &'static str,
    /// For the schema of recipes.
    summary: &'static str,
    /// Places of the programs that artifacts must install for containerd.
    pub programs: &'static [&'static str],
    /// The first version of the first program that works, if that is known.
    oldest: Option<(u64, u64)>,
    /// Kernel modules that the recipe must list.
    modules: &'static [&'static str],
    pub containerd: Shim,
    /// `None` if CRI-O cannot run it.
    pub crio: Option<Oci>,
    /// What a pod takes beside its containers: processor time and memory.
    pub overhead: Option<(&'static str, &'static str)>,
    /// Without this, a machine cannot run it.
    pub device: Option<&'static str>,
}

/// What starts the containers of a pod for containerd.
#[derive(Debug)]
pub enum Shim {
    /// containerd's own shim, with another program in the place of runc.
    Runc { program: &'static str },
    /// A shim of its own.
    Own {
        runtime_type: &'static str,
        /// Where it is, if containerd does not find it by its type on its PATH.
        path: Option<&'static str>,
        /// Its own configuration: a file that exists, or the path and text of one to write.
        config: Option<(&'static str, Option<&'static str>)>,
        /// Annotations of pods that it is passed.
        annotations: Option<&'static str>,
        /// Whether a privileged container goes without the devices of the host.
        without_host_devices: bool,
    },
}

/// What starts the containers of a pod for CRI-O.
#[derive(Debug)]
pub struct Oci {
    /// Places of the programs that artifacts must install for CRI-O.
    pub programs: &'static [&'static str],
    pub path: &'static str,
    /// Of a shim for virtual machines: its own configuration.
    pub vm_config: Option<&'static str>,
}

static HANDLERS: [&Handler; 5] = [&CRUN, &YOUKI, &RUNSC, &KATA, &WASMTIME];

static CRUN: Handler = Handler {
    name: "crun",
    summary: "crun, as runc but in C",
    programs: &["/usr/local/bin/crun"],
    // Before, it refuses the version of the OCI's specification that containerd 2 writes.
    oldest: Some((1, 17)),
    modules: &[],
    containerd: Shim::Runc {
        program: "/usr/local/bin/crun",
    },
    crio: Some(Oci {
        programs: &["/usr/libexec/crio/crun"],
        path: "/usr/libexec/crio/crun",
        vm_config: None,
    }),
    overhead: None,
    device: None,
};

static YOUKI: Handler = Handler {
    name: "youki",
    summary: "youki, as runc but in Rust",
    programs: &["/usr/local/bin/youki"],
    oldest: None,
    modules: &[],
    containerd: Shim::Runc {
        program: "/usr/local/bin/youki",
    },
    crio: Some(Oci {
        programs: &["/usr/local/bin/youki"],
        path: "/usr/local/bin/youki",
        vm_config: None,
    }),
    overhead: None,
    device: None,
};

static RUNSC: Handler = Handler {
    name: "runsc",
    summary: "gVisor: a kernel of its own for each pod, in user space",
    programs: &[
        "/usr/local/bin/runsc",
        "/usr/local/bin/containerd-shim-runsc-v1",
    ],
    oldest: None,
    modules: &[],
    containerd: Shim::Own {
        runtime_type: "io.containerd.runsc.v1",
        path: None,
        // containerd names cgroups as systemd does, since the kubelet has it do so.
        config: Some((
            "/etc/containerd/runsc.toml",
            Some("[runsc_config]\nsystemd-cgroup = \"true\"\n"),
        )),
        annotations: None,
        without_host_devices: false,
    },
    // CRI-O starts shims of version 2 only.
    crio: None,
    overhead: None,
    device: None,
};

const KATA_SHIM: &str = "/opt/kata/bin/containerd-shim-kata-v2";
const KATA_CONFIG: &str = "/opt/kata/share/defaults/kata-containers/configuration-qemu.toml";
const KATA_PROGRAMS: &[&str] = &[KATA_SHIM, KATA_CONFIG];

static KATA: Handler = Handler {
    name: "kata",
    summary: "Kata Containers: a virtual machine for each pod, with QEMU",
    programs: KATA_PROGRAMS,
    oldest: None,
    modules: &["vhost_vsock", "vhost_net"],
    containerd: Shim::Own {
        runtime_type: "io.containerd.kata.v2",
        path: Some(KATA_SHIM),
        config: Some((KATA_CONFIG, None)),
        annotations: Some("io.katacontainers.*"),
        without_host_devices: true,
    },
    crio: Some(Oci {
        programs: KATA_PROGRAMS,
        path: KATA_SHIM,
        vm_config: Some(KATA_CONFIG),
    }),
    // Upstream's own, for its configuration with QEMU.
    overhead: Some(("250m", "160Mi")),
    device: Some("/dev/kvm"),
};

static WASMTIME: Handler = Handler {
    name: "wasmtime",
    summary: "WebAssembly by Wasmtime, with a shim of runwasi",
    programs: &["/usr/local/bin/containerd-shim-wasmtime-v1"],
    oldest: None,
    modules: &[],
    containerd: Shim::Own {
        runtime_type: "io.containerd.wasmtime.v1",
        path: None,
        config: None,
        annotations: None,
        without_host_devices: false,
    },
    // There it is a build of crun.
    crio: None,
    overhead: None,
    device: None,
};

/// The schema of a handler's name.
pub enum HandlerName {}

impl JsonSchema for HandlerName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Handler".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = HANDLERS
            .iter()
            .map(|handler| named_schema(handler.name, handler.summary));
        json_schema!({ "oneOf": names.collect::<Vec<_>>() })
    }
}

/// The handlers of a recipe, for a runtime that knows them; all that is wrong is told.
pub fn check(
    file: &RecipeFile,
    runtime: &Runtime,
    artifacts: &[Artifact],
    problems: &mut Problems<'_>,
) -> Vec<&'static Handler> {
    let mut found = Vec::new();
    for (index, name) in file.handlers.iter().enumerate() {
        let way = [Step::Key("handlers"), Step::Index(index)];
        let Some(handler) = HANDLERS.iter().find(|handler| handler.name == name) else {
            let names = HANDLERS.map(|handler| handler.name);
            let near = nearest(name, names.into_iter());
            let near = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
            let (name, names) = (name.escape_debug(), names.join(", "));
            problems.add(
                &way,
                &format!("no handler is named `{name}`{near}. There are: {names}"),
            );
            continue;
        };
        let Some(needed) = (runtime.handlers)(handler) else {
            let others = HANDLERS.into_iter();
            let others = others.filter(|other| (runtime.handlers)(other).is_some());
            let others: Vec<&str> = others.map(|other| other.name).collect();
            let (runtime, others) = (runtime.shared.name, others.join(", "));
            problems.add(
                &way,
                &format!("{runtime} does not run `{name}`, only {others}"),
            );
            continue;
        };
        programs(handler, needed, artifacts, &way, problems);
        modules(handler, file, &way, problems);
        if !found
            .iter()
            .any(|there: &&Handler| there.name == handler.name)
        {
            found.push(*handler);
        }
    }
    found
}

fn programs(
    handler: &Handler,
    needed: &[&str],
    artifacts: &[Artifact],
    way: &[Step<'_>],
    problems: &mut Problems<'_>,
) {
    for program in needed {
        let Ok(path) = program.parse::<ImagePath>() else {
            continue;
        };
        let Some(artifact) = artifacts.iter().find(|artifact| artifact.provides(&path)) else {
            let message = format!("needs `{program}`, which no artifact's `files` installs");
            problems.add(way, &message);
            continue;
        };
        age(handler, artifact, problems);
    }
}

/// Whether the artifact of the handler's program is new enough.
fn age(handler: &Handler, artifact: &Artifact, problems: &mut Problems<'_>) {
    // The version of an archive of several programs is not theirs.
    let is_own = artifact.rules.len() == 1;
    let is_old = |oldest: &(u64, u64)| is_own && artifact.version.major_minor() < *oldest;
    if let Some((major, minor)) = handler.oldest.filter(is_old) {
        let version: &Version = &artifact.version;
        let name = artifact.name.as_str();
        let at = [
            Step::Key("artifact"),
            Step::Named(name),
            Step::Key("version"),
        ];
        let message = format!(
            "{name} {version} is too old: it refuses containers of today's runtimes, which \
             say a newer version of the OCI's specification; use {major}.{minor} or later"
        );
        problems.add(&at, &message);
    }
}

/// The same of CRI-O's own choice, if that is not among the recipe's handlers.
pub fn age_of_crun(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let programs = CRUN.crio.iter().flat_map(|oci| oci.programs);
    if file.handlers.iter().any(|name| name == CRUN.name) {
        return;
    }
    for path in programs.filter_map(|program| program.parse::<ImagePath>().ok()) {
        if let Some(artifact) = artifacts.iter().find(|one| one.provides(&path)) {
            age(&CRUN, artifact, problems);
        }
    }
}

fn modules(handler: &Handler, file: &RecipeFile, way: &[Step<'_>], problems: &mut Problems<'_>) {
    for module in handler.modules {
        if !file.modules.iter().any(|there| there.as_str() == *module) {
            problems.add(way, &format!("needs `{module}` in `modules`"));
        }
    }
}

#[cfg(test)]
pub mod tests;
