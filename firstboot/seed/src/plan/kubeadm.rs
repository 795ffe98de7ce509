//! Runs kubeadm once: its configuration, and a script.
use super::{PlannedFile, Role};
use crate::check::Kubeadm;
use crate::contract::paths::{BINARY_PATH, KUBEADM_CONFIG};
use crate::text::secret::SecretBytes;

/// kubeadm's configuration, and the script that runs it once the node is set up.
///
/// An API server that is not up yet is not a failure of the node, so it is tried a few
/// times; what a failed attempt leaves behind would fail the next one's checks.
pub(super) fn files(kubeadm: &Kubeadm) -> Vec<PlannedFile> {
    let (verb, socket) = (kubeadm.verb, kubeadm.socket);
    let done = match verb {
        "init" => "/etc/kubernetes/admin.conf",
        _ => "/etc/kubernetes/kubelet.conf",
    };
    // The journal may be kept: commands that would print secrets are told not to.
    let quiet = match verb {
        "init" => " --skip-token-print --skip-certificate-key-print",
        _ => "",
    };
    // The key in the configuration alone has no effect.
    let upload = match kubeadm.upload_certs {
        true => " --upload-certs",
        false => "",
    };
    let script = format!(
        "#!/bin/sh\n\
         # Made by first boot; run by nodeimg-commands.service.\n\
         config={KUBEADM_CONFIG}\n\
         attempt=1\n\
         [ ! -e \"$config\" ] && [ -e {done} ] && exit 0\n\
         until kubeadm {verb} --config \"$config\"{upload}{quiet}; do\n\
         \x20   status=$?\n\
         \x20   if [ \"$attempt\" -ge 5 ]; then\n\
         \x20       echo \"kubeadm {verb} has failed $attempt times\" >&2\n\
         \x20       exit \"$status\"\n\
         \x20   fi\n\
         \x20   attempt=$((attempt + 1))\n\
         \x20   kubeadm reset --force --cri-socket {socket}\n\
         \x20   sleep 15\n\
         done\n\
         # The configuration holds a token that is used up now.\n\
         exec {BINARY_PATH} forget-token\n"
    );
    let mut config = PlannedFile::private(KUBEADM_CONFIG, kubeadm.config.clone());
    config.role = Role::Passing;
    let script = PlannedFile::script("000-kubeadm", SecretBytes::new(script.into_bytes()));
    vec![config, script]
}
