//! What a container runtime is. A runtime is a file here, which says everything of it
//! but its configuration (`image/config/`).

mod containerd;

pub use containerd::CONTAINERD;

/// Everything that nodeimg knows of a container runtime.
pub struct Runtime {
    /// The one whose version decides what its configuration says.
    pub program: &'static str,
    /// Every program of it that a node needs.
    pub programs: &'static [&'static str],
    /// What else a node must hold of it.
    pub files: &'static [&'static str],
    /// What brings baked container images into it, and how people call that.
    pub importer: &'static str,
    pub importer_name: &'static str,
    /// Where the kubelet reaches it.
    pub socket: &'static str,
}
