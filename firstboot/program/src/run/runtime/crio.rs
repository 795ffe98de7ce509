//! CRI-O: when it reads which of its files.
//!
//! Not included: what it reads whenever it needs it (the CNI configuration, which it
//! watches, name servers and certificates).
use nodeimg_seed::contract::runtime::crio;

use super::Runtime;

pub(super) static CRIO: Runtime = Runtime {
    shared: &crio::RUNTIME,
    read_at_start: &["/etc/crio", "/etc/containers", "/etc/nri"],
    // At each pull of an image.
    read_later: &["/etc/containers/certs.d", "/etc/containers/policy.json"],
};
