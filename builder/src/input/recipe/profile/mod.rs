//! What a profile is, and what a recipe's profile and outputs need of the rest of it.
//!
//! A profile is a file here, which says everything of it, a variant of [`Profile`] and
//! a line in [`Profile::spec`].

mod bootstrap;
mod container_host;
mod hard_way;
mod kubeadm;

use std::collections::BTreeSet;

use nodeimg_seed::contract::settings;

use super::Artifact;
use super::file::{ClusterPart, KubeProxyPart, KubeletPart, OutputKind, Profile, RecipeFile};
use super::problems::Problems;
use super::runtime::Runtime;
use super::source::Step;
use crate::tree::ImagePath;

/// Everything that nodeimg knows of a profile.
pub struct Spec {
    /// As recipes name it.
    pub name: &'static str,
    /// As first boot is told of it.
    pub contract: settings::Profile,
    /// nodeimg's own overlays, the lowest first.
    pub layers: &'static [&'static str],
    pub runtime: &'static Runtime,
    /// Programs that the recipe's artifacts must install, beside those of the runtime.
    pub programs: &'static [&'static str],
    /// What else a node must hold: baked, rendered by first boot, or made of something
    /// baked whenever it boots.
    pub files: &'static [&'static str],
    /// Services of Kubernetes whose configuration the recipe says.
    pub services: &'static [Service],
    /// Whether a seed has the kubelet's certificate.
    pub kubelet_has_certificate: bool,
    /// Whether kubeadm makes the node a member of its cluster.
    pub joins_by_kubeadm: bool,
    /// Whether the image is a whole system in every output.
    pub is_whole: bool,
    /// What else a recipe must say, and may not.
    check: fn(&RecipeFile, &mut Problems<'_>),
}

/// A service whose configuration is generated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    Kubelet,
    KubeProxy,
}

impl Profile {
    pub fn spec(self) -> &'static Spec {
        match self {
            Profile::HardWay => &hard_way::SPEC,
            Profile::Bootstrap => &bootstrap::SPEC,
            Profile::Kubeadm => &kubeadm::SPEC,
            Profile::ContainerHost => &container_host::SPEC,
        }
    }
}

impl Spec {
    /// Every path that a node must hold, in order.
    pub fn paths(&self) -> BTreeSet<&'static str> {
        let own = self.programs.iter().chain(self.files);
        let of_runtime = self.runtime.programs.iter().chain(self.runtime.files);
        own.chain(of_runtime).copied().collect()
    }

    /// Programs that artifacts must install: a whole system has them of packages.
    fn of_artifacts(&self) -> impl Iterator<Item = &'static str> {
        let of_runtime = match self.is_whole {
            true => &[],
            false => self.runtime.programs,
        };
        self.programs.iter().chain(of_runtime).copied()
    }

    pub fn has_service(&self, service: Service) -> bool {
        self.services.contains(&service)
    }
}

/// Which outputs can be made depends on whether there is a base system.
pub fn outputs_and_base(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (index, output) in file.outputs.iter().enumerate() {
        if file.base.is_some() {
            continue;
        }
        let way = [Step::Key("outputs"), Step::Index(index)];
        if *output == OutputKind::RootfsTar {
            problems.add(
                &way,
                "`rootfs-tar` needs a base system: add a table `[base]`",
            );
        } else if output.is_of_disk() {
            problems.add(
                &way,
                "a disk needs a base system with a kernel: add a table `[base]`, or start with `extends = \"container-host\"`",
            );
        }
    }
}

/// What the profile cannot do without, and what it would not look at.
pub fn needs(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let Some(profile) = file.profile else {
        return;
    };
    let spec = profile.spec();
    for program in spec.of_artifacts() {
        let Ok(path) = program.parse::<ImagePath>() else {
            continue;
        };
        if !artifacts.iter().any(|artifact| artifact.provides(&path)) {
            problems.add(
                &[Step::Key("profile")],
                &format!(
                    "{} needs `{program}`, which no artifact's `files` installs",
                    spec.name
                ),
            );
        }
    }
    (spec.check)(file, problems);
}

const API_SERVER_VERSION: [Step<'_>; 2] = [Step::Key("cluster"), Step::Key("api_server_version")];

/// Refuses what a profile would not look at.
fn no_cluster(file: &RecipeFile, why: &str, problems: &mut Problems<'_>) {
    // No node is told it: the recipe's versions are compared with it.
    let cluster = ClusterPart {
        api_server_version: None,
        ..file.cluster.clone()
    };
    for (key, is_set) in [
        ("cluster", cluster != ClusterPart::default()),
        ("kubelet", file.kubelet != KubeletPart::default()),
        ("kube_proxy", file.kube_proxy != KubeProxyPart::default()),
    ] {
        if is_set {
            problems.add(&[Step::Key(key)], why);
        }
    }
}
