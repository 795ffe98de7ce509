//! What the builder and first boot both know about a container runtime.
//!
//! A runtime is a file here, its `mod` and its line in [`RUNTIMES`]. What only a build
//! needs is in `builder/src/input/recipe/runtime`, what only a node needs in
//! `firstboot/program/src/run/runtime`.
//!
//! # Invariants
//! Nothing outside its files asks which runtime it is, only for the values that it has.

pub mod containerd;
pub mod crio;

use super::named::written_by_name;

pub static RUNTIMES: &[&Runtime] = &[&containerd::RUNTIME, &crio::RUNTIME];

/// The runtime of an image that does not name one.
pub static DEFAULT: &Runtime = &containerd::RUNTIME;

/// Everything that nodeimg and first boot both know about a runtime.
#[derive(Debug, PartialEq, Eq)]
pub struct Runtime {
    /// As recipes, settings and messages name it; also its table of a recipe.
    pub name: &'static str,
    /// For the schema of recipes.
    pub summary: &'static str,
    pub unit: &'static str,
    /// Where the kubelet reaches it.
    pub socket: &'static str,
    /// The same for kubeadm, by the path that kubeadm itself finds.
    pub kubeadm_socket: &'static str,
    /// Where it keeps images and containers, on the state partition.
    pub state: &'static [&'static str],
}

impl Runtime {
    pub fn is_default(&self) -> bool {
        self == DEFAULT
    }

    /// Whether `endpoint` is its socket, by either of the names of `/run`.
    pub fn is_at(&self, endpoint: &str) -> bool {
        path_of(endpoint) == path_of(self.socket)
    }
}

/// The other runtimes' one that listens at this endpoint.
pub fn other_at(endpoint: &str, runtime: &Runtime) -> Option<&'static Runtime> {
    let mut others = RUNTIMES.iter().copied().filter(|other| *other != runtime);
    others.find(|other| other.is_at(endpoint))
}

fn path_of(endpoint: &str) -> &str {
    let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
    path.strip_prefix("/var/run/")
        .or_else(|| path.strip_prefix("/run/"))
        .unwrap_or(path)
}

written_by_name!(Runtime, RUNTIMES);

#[cfg(test)]
mod tests {
    use super::{RUNTIMES, containerd, crio, other_at};

    #[test]
    fn runtimes_agree_with_themselves() {
        for runtime in RUNTIMES {
            let namesakes = RUNTIMES.iter().filter(|other| other.name == runtime.name);
            assert_eq!(namesakes.count(), 1, "{}", runtime.name);
            assert!(runtime.is_at(runtime.kubeadm_socket), "{}", runtime.name);
            assert_eq!(other_at(runtime.socket, runtime), None);
        }
    }

    #[test]
    fn a_socket_is_known_by_all_of_its_names() {
        for endpoint in [
            "unix:///var/run/crio/crio.sock",
            "unix:///run/crio/crio.sock",
            "/run/crio/crio.sock",
        ] {
            let found = other_at(endpoint, &containerd::RUNTIME);
            assert_eq!(found, Some(&crio::RUNTIME), "{endpoint}");
            assert_eq!(other_at(endpoint, &crio::RUNTIME), None, "{endpoint}");
        }
        let own = "unix:///run/mine.sock";
        assert_eq!(other_at(own, &containerd::RUNTIME), None);
    }
}
