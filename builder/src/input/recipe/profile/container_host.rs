//! `container-host`: a whole system with containerd as a service and no Kubernetes.

use nodeimg_seed::contract::settings;

use super::{API_SERVER_VERSION, Spec, no_cluster};
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::CONTAINERD;
use crate::input::recipe::source::Step;

pub const SPEC: Spec = Spec {
    name: "container-host",
    contract: settings::Profile::ContainerHost,
    layers: &["common"],
    runtime: &CONTAINERD,
    // Debian's packages have them.
    programs: &[],
    files: &[
        "/opt/cni/bin/bridge",
        "/opt/cni/bin/host-local",
        "/opt/cni/bin/loopback",
        "/usr/sbin/init",
        "/usr/sbin/runc",
    ],
    services: &[],
    kubelet_has_certificate: false,
    joins_by_kubeadm: false,
    is_whole: true,
    check,
};

fn check(file: &RecipeFile, problems: &mut Problems<'_>) {
    if file.base.is_none() {
        problems.add(
            &[Step::Key("profile")],
            "container-host is a whole system: add a table `[base]`",
        );
    }
    let why = "has no effect: the profile container-host has no Kubernetes";
    no_cluster(file, why, problems);
    for (way, is_set) in [
        (&[Step::Key("kubernetes")][..], file.kubernetes.is_some()),
        (
            &API_SERVER_VERSION,
            file.cluster.api_server_version.is_some(),
        ),
    ] {
        if is_set {
            problems.add(way, why);
        }
    }
}
