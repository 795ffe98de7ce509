#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt;

use nodeimg_firstboot::yaml;
use serde_json::json;
use tempfile::TempDir;

use super::*;

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
        kubeadm_join: Some(Secret::new("  indented: yes\n".to_owned())),
        kubeadm_init: Some(Secret::new("a: |\n  x\n\n".to_owned())),
        ssh_keys: vec!["ssh-ed25519 AAAA me: # you".to_owned()],
        ..Node::default()
    }
}

#[test]
fn every_value_is_read_as_it_was() {
    let files = node().files(None);
    let text = files.user_data.expose();
    // As JSON, where all that would be a number or a boolean is no text.
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

#[test]
fn only_its_owner_reads_it_and_only_a_seed_is_replaced() {
    let directory = TempDir::new().unwrap();
    let files = node().files(None);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let seed = directory.path().join("seed");
    write::write(&files, &seed, false).unwrap();
    assert_eq!(mode(&seed), 0o700);
    assert_eq!(mode(&seed.join("user-data")), 0o600);
    let medium = directory.path().join("seed.img");
    write::write(&files, &medium, false).unwrap();
    assert_eq!(mode(&medium), 0o600);
    for out in [&seed, &medium] {
        let refused = write::write(&files, out, false).unwrap_err();
        assert!(refused.to_string().contains("--force"), "{refused}");
        write::write(&node().files(Some("new")), out, true).unwrap();
    }
    let meta = std::fs::read_to_string(seed.join("meta-data")).unwrap();
    assert_eq!(meta, "instance-id: \"new\"\n");
    std::fs::write(seed.join("thesis.tex"), "").unwrap();
    let refused = write::write(&files, &seed, true).unwrap_err();
    assert!(refused.to_string().contains("thesis.tex"), "{refused}");
    let names: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing is left behind");
}
