//! `container-host`: a whole system with a container runtime as a service and no Kubernetes.

use super::{Join, Profile};

pub const PROFILE: Profile = Profile {
    name: "container-host",
    summary: "a container runtime as a service and no Kubernetes; first boot sets the host name.",
    joins: Join::Never,
    layers: &["common"],
    // Debian's packages have them.
    programs: &[],
    files: &[
        "/opt/cni/bin/bridge",
        "/opt/cni/bin/host-local",
        "/opt/cni/bin/loopback",
        "/usr/sbin/init",
    ],
    writable: &[],
    services: &[],
    refuses_cluster: Some("has no effect: the profile container-host has no Kubernetes"),
    is_whole: true,
};
