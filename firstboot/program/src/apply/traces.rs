//! What shows that a node was set up when neither stamp nor copy is left to say it.
//!
//! # Invariants
//! Nothing of this exists before a run of first boot has ended, unless its note exists too: a
//! power cut in the first run must not lock the node's own seed out. So copies of originals
//! count only if the files are other ones by now.
use nodeimg_seed::contract::paths::{
    COMMANDS_DONE, HOSTNAME, HOSTS, KUBELET_CLIENT, KUBELET_KEY, SCRIPTS,
};
use nodeimg_seed::contract::stamp::{ORIGINALS, RECORD_PATH, STAMP_PATH};
use nodeimg_seed::read::network;

use super::state::{NAMED, files_below};
use crate::root::Root;

/// What only a node that is set up has: damaged records, the key that its seed has given to
/// the kubelet, and what a kubelet and kubeadm make, which start after first boot.
const OTHERS: [&str; 7] = [
    STAMP_PATH,
    RECORD_PATH,
    COMMANDS_DONE,
    KUBELET_KEY,
    KUBELET_CLIENT,
    "/var/lib/kubelet/cpu_manager_state",
    "/etc/kubernetes/kubelet.conf",
];

/// Paths, in no order that means anything; empty on a new machine.
pub(super) fn find(root: &Root) -> Vec<String> {
    let mut found: Vec<String> = OTHERS
        .iter()
        .chain(&NAMED)
        .map(|path| (*path).to_owned())
        .collect();
    found.retain(|path| matches!(root.stat(path), Ok(Some(_)) | Err(_)));
    files_below(root, SCRIPTS, SCRIPTS, &mut found);
    let networks = root.list(network::DIRECTORY).unwrap_or_default();
    let own = networks
        .into_iter()
        .filter(|(name, _)| name.contains("-nodeimg-"));
    found.extend(own.map(|(name, _)| format!("{}/{name}", network::DIRECTORY)));
    if names_itself(root) {
        found.push(HOSTNAME.to_owned());
    }
    if found.is_empty() {
        files_below(root, ORIGINALS, "", &mut found);
        found.retain(|path| !super::is_original(root, path));
    }
    found
}

/// Whether this machine has a name, and `/etc/hosts` has it too: no image has both.
fn names_itself(root: &Root) -> bool {
    is_named(root, HOSTS, text(root, HOSTNAME).trim())
}

/// Whether a file has a name among its words.
pub(super) fn is_named(root: &Root, path: &str, name: &str) -> bool {
    !name.is_empty() && text(root, path).split_whitespace().any(|word| word == name)
}

fn text(root: &Root, path: &str) -> String {
    let bytes = root.read(path, 1 << 20).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
