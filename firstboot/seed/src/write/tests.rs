#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::{Node, Pair, Update};
use crate::read::node_config::key_names;
use crate::text::secret::Secret;
use crate::text::yaml;

fn node() -> Node {
    Node {
        // Booleans and numbers to YAML, if they were not quoted.
        host_name: "no".to_owned(),
        node_ip: vec!["10.0.0.7".to_owned(), "!fd00::/8".to_owned()],
        ca: Some("-----BEGIN\nabc\n-----END\n".to_owned()),
        kubelet: Some(Pair {
            cert: "one\n\n  two\n".to_owned(),
            key: Secret::new("tail without an end".to_owned()),
        }),
        hosts: vec![("y".to_owned(), "10.0.0.1".to_owned())],
        labels: vec![("a/b".to_owned(), String::new())],
        taints: vec!["k=\"v\":NoSchedule".to_owned()],
        registries: Some(Secret::new("{\"m\": {\"ca\": \"a\\nb\\n\"}}".to_owned())),
        kubeadm_join: Some(Secret::new("  indented: yes\n".to_owned())),
        kubeadm_init: Some(Secret::new("a: |\n  x\n\n".to_owned())),
        update: Update {
            source: Some("oci://registry.example/nodes/web".to_owned()),
            // A number to YAML 1.1, in base 60.
            schedule: Some("03:00".to_owned()),
            key: Some("-----BEGIN\nabc\n-----END\n".to_owned()),
            window: Some("Sat,Sun 04:00".to_owned()),
            ..Update::default()
        },
        ssh_keys: vec!["ssh-ed25519 AAAA me: # you".to_owned()],
        ..Node::default()
    }
}

#[test]
fn every_value_is_read_as_it_was() {
    let files = node().files(None);
    let text = files.user_data.expose();
    // As JSON, in which numbers and booleans are not text.
    let tree = yaml::parse(text).unwrap().unwrap();
    let read: Value = serde_json::from_str(tree.to_flow().expose()).unwrap();
    let expected = json!({
        "hostname": "no",
        "ssh_authorized_keys": ["ssh-ed25519 AAAA me: # you"],
        "nodeimg": {
            "node_ip": ["10.0.0.7", "!fd00::/8"],
            "ca": "-----BEGIN\nabc\n-----END\n",
            "kubelet": { "cert": "one\n\n  two\n", "key": "tail without an end" },
            "kubeadm": { "join": "  indented: yes\n", "init": "a: |\n  x\n\n" },
            "hosts": { "y": "10.0.0.1" },
            "labels": { "a/b": "" },
            "taints": ["k=\"v\":NoSchedule"],
            "registries": { "m": { "ca": "a\nb\n" } },
            "update": {
                "source": "oci://registry.example/nodes/web", "schedule": "03:00",
                "key": "-----BEGIN\nabc\n-----END\n", "reboot": { "window": "Sat,Sun 04:00" },
            },
        },
    });
    assert_eq!(read, expected, "{text}");
}

#[test]
fn another_content_is_another_instance() {
    let id = |edit: &dyn Fn(&mut Node)| {
        let mut node = node();
        edit(&mut node);
        node.files(None).instance_id
    };
    let first = id(&|_| {});
    assert_eq!(first, id(&|_| {}));
    assert_eq!(first.len(), "nodeimg-".len() + 16);
    assert_ne!(first, id(&|node| node.host_name.push('2')));
    assert_ne!(
        first,
        id(&|node| node.network = Some("version: 2\n".to_owned()))
    );
    let given = node().files(Some("i-1"));
    assert_eq!(given.meta_data, "instance-id: \"i-1\"\n");
}

/// A value for whatever a new seed may have.
fn whole() -> Node {
    let some = |text: &str| Some(text.to_owned());
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    let pair = || {
        Some(Pair {
            cert: "c\n".to_owned(),
            key: Secret::new("k\n".to_owned()),
        })
    };
    let list = |text: &str| vec![text.to_owned()];
    let pairs = || vec![("n".to_owned(), "10.0.0.1".to_owned())];
    Node {
        host_name: "n".to_owned(),
        node_ip: list("10.0.0.7"),
        pod_subnet: list("10.200.0.0/24"),
        api_server: some("https://s:6443"),
        ca: some("c\n"),
        kubelet: pair(),
        kube_proxy: pair(),
        bootstrap_token: secret("t"),
        ca_cert_hashes: list("sha256:00"),
        kubeadm_join: secret("a: b\n"),
        kubeadm_init: secret("c: d\n"),
        provider_id: some("p"),
        hosts: pairs(),
        labels: pairs(),
        taints: list("k=v:NoSchedule"),
        registries: secret("{}"),
        update: Update {
            source: some("/media"),
            schedule: some("never"),
            key: some("c\n"),
            window: some("03:00"),
            duration: some("1h"),
            zone: some("UTC"),
        },
        ssh_keys: list("ssh-ed25519 AAAA"),
        network: None,
    }
}

/// Writing and reading agree: a key that only one of the two knows fails here.
#[test]
fn the_block_has_the_keys_that_first_boot_reads() {
    let files = whole().files(None);
    let tree = yaml::parse(files.user_data.expose()).unwrap().unwrap();
    let mut keys = tree.entries().unwrap().iter();
    let block = keys.find(|entry| entry.key.expose() == "nodeimg").unwrap();
    let block = block.value.entries().unwrap().iter();
    let written: Vec<&str> = block.map(|entry| entry.key.expose()).collect();
    for key in &written {
        assert!(key_names().any(|name| name == *key), "{key} is not read");
    }
    let left_out: Vec<&str> = key_names().filter(|name| !written.contains(name)).collect();
    // The recipe's, and the one that `kubeadm init` prints.
    assert_eq!(left_out, ["cluster_cidr", "certificate_key"]);
}
