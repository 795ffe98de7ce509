//! What must be so of a node in the fake cluster, by how it joins.

use nodeimg_seed::contract::profile::Join;

use super::api::{ANONYMOUS, BOOTSTRAP, Store};
use super::facts::{Facts, Findings};
use super::identity::{ADDRESS, HOST_NAME, Identity};

const KUBE_PROXY: &str = "system:kube-proxy";
const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";

/// Whether nothing is left to wait for.
pub fn is_settled(joins: Join, store: &Store) -> bool {
    let node = store.nodes.get(HOST_NAME);
    node.is_some_and(|node| match joins {
        Join::Kubeadm => node.is_ready() || node.waits_for_network(),
        _ => node.is_ready() && store.callers.contains_key(KUBE_PROXY),
    })
}

/// Everything that is not as it should be of a node that has been up.
pub fn check(identity: &Identity, facts: &Facts, store: &Store, findings: &mut Findings) {
    findings.expect("kubelet", facts.get("kubelet"), "active");
    match identity.joins {
        Join::Kubeadm => expect_joined(facts, findings),
        _ => expect_services(&identity.pod_subnet, facts, store, findings),
    }
    if identity.joins != Join::Certificate {
        findings.expect(
            "the list of files with the token",
            facts.get("token-in"),
            "",
        );
        if facts.report("outcome") == "applied" {
            let signed = store.signed.join(" ");
            let what = "the names whose certificates were signed";
            findings.expect(what, &signed, &format!("system:node:{HOST_NAME}"));
        }
    }
    expect_registered(identity.joins, facts, store, findings);
}

/// kube-proxy and the network plugin are the image's own.
fn expect_services(subnet: &str, facts: &Facts, store: &Store, findings: &mut Findings) {
    let subnet = format!("\"{subnet}\"");
    findings.expect_part("the CNI configuration", facts.get("cni"), &subnet);
    findings.expect("kube-proxy", facts.get("kube-proxy"), "active");
    if !store.callers.contains_key(KUBE_PROXY) {
        findings.add(format!(
            "kube-proxy did not reach the API server as {KUBE_PROXY}"
        ));
    }
}

fn expect_joined(facts: &Facts, findings: &mut Findings) {
    let commands = facts.report("commands");
    // The report of a later boot does not mention them.
    let is_later = facts.report("outcome") == "unchanged" && commands.is_empty();
    if commands != "done" && !is_later {
        findings.add(format!(
            "the commands of first boot are `{commands}`, not `done`; the end of kubeadm's \
             output: {}",
            facts.get("commands-journal")
        ));
    }
    let found = facts.get("kubelet-conf");
    findings.expect("the kubelet's own kubeconfig", found, KUBELET_CONF);
}

fn expect_registered(joins: Join, facts: &Facts, store: &Store, findings: &mut Findings) {
    let Some(node) = store.nodes.get(HOST_NAME) else {
        let came: Vec<&str> = store.callers.keys().map(String::as_str).collect();
        findings.add(format!(
            "no Node was registered; clients of the API server: [{}]; the end of the journal: {}",
            came.join(", "),
            facts.get("journal")
        ));
        return;
    };
    let own = format!("system:node:{HOST_NAME}");
    findings.expect("the user that registered the Node", &node.by.name, &own);
    let address = ("InternalIP".to_owned(), ADDRESS.to_owned());
    if !node.addresses.contains(&address) {
        findings.add(format!(
            "the Node does not have InternalIP {ADDRESS}: {:?}",
            node.addresses
        ));
    }
    // A cluster of kubeadm brings the network plugin's configuration, unless the
    // image has one.
    let may_wait = joins == Join::Kubeadm && facts.get("networks").is_empty();
    if !(node.is_ready() || may_wait && node.waits_for_network()) {
        let ready = node.conditions.get("Ready");
        let why = ready.map_or("never reported", |(_, why)| why.as_str());
        findings.add(format!("the Node is not Ready: {why}"));
    }
}

/// Of a node that has its certificate since an earlier boot: it has nothing to
/// discover, and nothing to ask for by a token.
pub fn expect_no_second_join(store: &Store, findings: &mut Findings) {
    for (name, what) in &store.callers {
        if name == ANONYMOUS || name.starts_with(BOOTSTRAP) {
            findings.add(format!("the node joined again: {name} asked for {what}"));
        }
    }
}

/// A note for the reader if the node is as it should be.
pub fn note(identity: &Identity, store: &Store) -> Option<String> {
    let node = store.nodes.get(HOST_NAME)?;
    let state = match node.is_ready() {
        true => "Ready",
        false => "not Ready until its cluster has a network plugin",
    };
    let version = &node.kubelet_version;
    Some(match identity.joins {
        Join::Kubeadm => {
            format!("kubeadm joined, kubelet {version} registered {HOST_NAME}, {ADDRESS}, {state}")
        }
        _ => format!("kubelet {version} registered {HOST_NAME}, {ADDRESS}, {state}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::api::SeenNode;
    use super::*;

    const JOINED: [&str; 5] = [
        "kubelet=active",
        "first-boot={\"outcome\": \"applied\", \"commands\": \"done\"}",
        "kubelet-conf=/etc/kubernetes/kubelet.conf",
        "networks=",
        "token-in=",
    ];
    const SERVED: [&str; 6] = [
        "kubelet=active",
        "kube-proxy=active",
        "first-boot={\"outcome\": \"applied\"}",
        "cni={\"subnet\":\"10.200.0.0/24\"}",
        "networks=/etc/cni/net.d/10-bridge.conflist",
        "token-in=",
    ];

    fn no_network() -> (String, String) {
        let why = "runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady";
        ("False".to_owned(), why.to_owned())
    }

    fn ready() -> (String, String) {
        (
            "True".to_owned(),
            "kubelet is posting ready status".to_owned(),
        )
    }

    /// A store with the Node that its own kubelet has registered.
    fn store(ready: (String, String)) -> Store {
        let mut node = SeenNode::default();
        node.by.name = format!("system:node:{HOST_NAME}");
        node.addresses = vec![("InternalIP".to_owned(), ADDRESS.to_owned())];
        node.conditions.insert("Ready".to_owned(), ready);
        let mut store = Store::default();
        store.signed.push(node.by.name.clone());
        store.nodes.insert(HOST_NAME.to_owned(), node);
        store
    }

    /// The findings for a node with these facts after the healthy ones.
    fn found(joins: Join, store: &Store, facts: &str) -> Vec<String> {
        let healthy: &[&str] = match joins {
            Join::Kubeadm => &JOINED,
            _ => &SERVED,
        };
        let identity = Identity {
            joins,
            pod_subnet: "10.200.0.0/24".to_owned(),
            api: None,
            seed: "seed".into(),
        };
        let facts = Facts::read(&format!("{}\n{facts}", healthy.join("\n")));
        let mut findings = Findings::default();
        check(&identity, &facts, store, &mut findings);
        findings.0
    }

    #[test]
    fn a_joined_node_waits_for_nothing_but_its_network_plugin() {
        let joins = Join::Kubeadm;
        for good in [no_network(), ready()] {
            let store = store(good);
            assert!(is_settled(joins, &store));
            assert_eq!(found(joins, &store, ""), [""; 0]);
            let later = "first-boot={\"outcome\": \"unchanged\"}";
            assert_eq!(found(joins, &store, later), [""; 0]);
        }
        let waits = store(no_network());
        for (facts, says) in [
            ("kubelet=inactive", "kubelet is `inactive`"),
            (
                "kubelet-conf=ls: cannot access",
                "kubeconfig is `ls: cannot",
            ),
            (
                "token-in=/etc/x.conf",
                "files with the token is `/etc/x.conf`",
            ),
            (
                "networks=/etc/cni/net.d/a.conf",
                "is not Ready: runtime network",
            ),
            (
                "first-boot={\"commands\": \"failed\"}\ncommands-journal=no route",
                "are `failed`, not `done`; the end of kubeadm's output: no route",
            ),
            (
                "first-boot={\"outcome\": \"unchanged\", \"commands\": \"pending\"}",
                "are `pending`, not `done`",
            ),
        ] {
            let found = found(joins, &waits, facts);
            assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
        }
        let other = store(("False".to_owned(), "PLEG is not healthy".to_owned()));
        assert!(!is_settled(joins, &other));
        let found = found(joins, &other, "");
        assert_eq!(found, ["the Node is not Ready: PLEG is not healthy"]);
    }

    #[test]
    fn services_of_the_image_are_there_and_its_node_is_ready() {
        let mut ready = store(ready());
        let joins = Join::Token;
        assert!(!is_settled(joins, &ready));
        let missing = found(joins, &ready, "");
        assert!(missing.len() == 1 && missing[0].contains("as system:kube-proxy"));
        ready.callers.insert(KUBE_PROXY.to_owned(), String::new());
        assert!(is_settled(joins, &ready));
        assert_eq!(found(joins, &ready, ""), [""; 0]);
        let token = found(
            joins,
            &ready,
            "token-in=/var/lib/kubelet/bootstrap-kubeconfig",
        );
        assert_eq!(token.len(), 1, "{token:?}");
        let mut waits = store(no_network());
        waits.callers.insert(KUBE_PROXY.to_owned(), String::new());
        assert_eq!(found(joins, &waits, "").len(), 1);
        // A seed's own certificate: nobody asks for one.
        waits = store(self::ready());
        waits.callers.insert(KUBE_PROXY.to_owned(), String::new());
        waits.signed.clear();
        assert_eq!(found(Join::Certificate, &waits, ""), [""; 0]);
        assert_eq!(found(joins, &waits, "").len(), 1);
    }

    #[test]
    fn a_token_is_used_once() {
        let mut store = store(ready());
        let mut findings = Findings::default();
        expect_no_second_join(&store, &mut findings);
        assert_eq!(findings.0, [""; 0]);
        for name in [ANONYMOUS, "system:bootstrap:abcdef"] {
            store.callers.insert(name.to_owned(), "GET /x".to_owned());
        }
        expect_no_second_join(&store, &mut findings);
        assert_eq!(findings.0.len(), 2, "{findings:?}");
    }
}
