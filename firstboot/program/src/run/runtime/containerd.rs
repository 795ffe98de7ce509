//! containerd: when it reads which of its files.
//!
//! Not included: what it reads whenever it needs it (the CNI configuration, which it
//! watches, name servers and certificates), and files that a `config.toml` imports from
//! outside `/etc/containerd`.
use nodeimg_seed::contract::runtime::containerd;

use super::Runtime;

pub(super) static CONTAINERD: Runtime = Runtime {
    shared: &containerd::RUNTIME,
    read_at_start: &["/etc/containerd", "/etc/nri"],
    // At each pull of an image.
    read_later: &["/etc/containerd/certs.d"],
};
