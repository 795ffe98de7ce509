//! What a profile is: how a node joins its cluster, and what its image holds for that.
//!
//! A profile is a file here, which says everything about it, its `mod` and its line in
//! [`PROFILES`]; the files that it lays into an image are in `overlay`. Recipes and
//! settings name it by [`Profile::name`].
//!
//! # Invariants
//! Nothing outside its file asks which profile it is, only for the values that it has.

pub mod bootstrap;
pub mod container_host;
pub mod hard_way;
pub mod kubeadm;

use std::fmt;

use super::named::written_by_name;

pub static PROFILES: &[&Profile] = &[
    &hard_way::PROFILE,
    &bootstrap::PROFILE,
    &kubeadm::PROFILE,
    &container_host::PROFILE,
];

/// Everything that nodeimg and first boot know about a profile.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// As recipes and settings name it.
    pub name: &'static str,
    /// For the schema of recipes.
    pub summary: &'static str,
    pub joins: Join,
    /// nodeimg's own overlays, the lowest first.
    pub layers: &'static [&'static str],
    /// Programs that the recipe's artifacts must install, besides those of the
    /// container runtime.
    pub programs: &'static [&'static str],
    /// What else a node must hold: built in, rendered by first boot, or made at each
    /// boot from something built in.
    pub files: &'static [&'static str],
    /// Directories of the image that stay writable, whatever the recipe says.
    pub writable: &'static [&'static str],
    /// Services of Kubernetes whose configuration the recipe describes.
    pub services: &'static [Service],
    /// Why the recipe's tables `cluster`, `kubelet` and `kube_proxy` have no effect; they
    /// have one if this is `None`.
    pub refuses_cluster: Option<&'static str>,
    /// Whether the image is a whole system in every output.
    pub is_whole: bool,
}

/// How a node becomes a member of its cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// With the kubelet's certificate, which comes with the seed.
    Certificate,
    /// With a token of the seed, by which the kubelet requests its certificate.
    Token,
    /// By kubeadm, with a configuration of the seed.
    Kubeadm,
    /// Never: it has no Kubernetes.
    Never,
}

impl Join {
    /// Whether the seed has what the image's own kubelet authenticates with.
    pub fn is_by_seed(self) -> bool {
        matches!(self, Join::Certificate | Join::Token)
    }
}

/// A service whose configuration is generated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    Kubelet,
    KubeProxy,
}

impl Profile {
    pub fn has_service(&self, service: Service) -> bool {
        self.services.contains(&service)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

written_by_name!(Profile, PROFILES);

#[cfg(test)]
mod tests {
    use super::{PROFILES, Service};

    #[test]
    fn profiles_agree_with_themselves() {
        for profile in PROFILES {
            let namesakes = PROFILES.iter().filter(|other| other.name == profile.name);
            assert_eq!(namesakes.count(), 1, "{profile}");
            let by_seed = profile.joins.is_by_seed();
            assert_eq!(profile.has_service(Service::Kubelet), by_seed, "{profile}");
            assert_eq!(profile.refuses_cluster.is_none(), by_seed, "{profile}");
        }
    }
}
