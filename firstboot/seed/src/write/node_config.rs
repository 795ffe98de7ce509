//! The `nodeimg:` block of a new seed; [`crate::read::node_config`] has its schema.
use super::{Node, Pair};
use crate::text::secret::Secret;
use crate::text::yaml::write::Text;

pub(super) fn write(node: &Node, block: &mut Text) {
    block.list("node_ip", &node.node_ip);
    block.list("pod_subnet", &node.pod_subnet);
    block.optional("api_server", node.api_server.as_deref());
    block.optional("ca", node.ca.as_deref());
    pair("kubelet", node.kubelet.as_ref(), block);
    pair("kube_proxy", node.kube_proxy.as_ref(), block);
    block.optional("bootstrap_token", exposed(&node.bootstrap_token));
    block.list("ca_cert_hashes", &node.ca_cert_hashes);
    block.mapping("kubeadm", |kubeadm| {
        kubeadm.optional("join", exposed(&node.kubeadm_join));
        kubeadm.optional("init", exposed(&node.kubeadm_init));
    });
    block.optional("provider_id", node.provider_id.as_deref());
    block.pairs("hosts", &node.hosts);
    block.pairs("labels", &node.labels);
    block.list("taints", &node.taints);
    block.flow("registries", exposed(&node.registries));
    let of = &node.update;
    block.mapping("update", |update| {
        update.optional("source", of.source.as_deref());
        update.optional("schedule", of.schedule.as_deref());
        update.optional("key", of.key.as_deref());
        update.mapping("reboot", |reboot| {
            reboot.optional("window", of.window.as_deref());
            reboot.optional("duration", of.duration.as_deref());
            reboot.optional("zone", of.zone.as_deref());
        });
    });
}

fn pair(key: &str, pair: Option<&Pair>, block: &mut Text) {
    if let Some(pair) = pair {
        block.mapping(key, |credentials| {
            credentials.value("cert", &pair.cert);
            credentials.value("key", pair.key.expose());
        });
    }
}

fn exposed(secret: &Option<Secret>) -> Option<&str> {
    secret.as_ref().map(Secret::expose)
}
