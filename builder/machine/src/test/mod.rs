//! A built disk tested in QEMU, without a cluster: what `nodeimg test` does.
//!
//! ```text
//!  identity.rs   a CA, a seed, an API server on loopback   -> Identity
//!  machine.rs    one boot of the disk under an overlay     -> Boot
//!  guest.sh      what the node says of itself              -> Facts (facts.rs)
//!  cases.rs      what must be so                           -> Findings
//!  cluster.rs    of a node in its cluster
//!  logs.rs       where consoles and facts are kept
//!  pictures.rs   how the node came up, beside them
//!  tamper.rs     a copy of the disk with one bit changed
//!  api/          as much of an API server as a node needs
//! ```
//!
//! # Invariants
//! - The disk under test is never written to.
//! - Every boot ends, by itself or by its time.
//! - The report says what the image did, in a boot whose console is kept
//!   if a case fails.
//!
//! Left out: pods (no registry is reached), and so what clusters bring to their
//! nodes as pods: with profile `kubeadm` kube-proxy and the network plugin.

mod api;
pub mod cases;
mod cluster;
mod facts;
mod identity;
pub mod logs;
pub mod machine;
mod pictures;
mod tamper;
