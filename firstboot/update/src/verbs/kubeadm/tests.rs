use std::cell::{Cell, RefCell};

use nodeimg_seed::contract::update::Applied;

use super::*;

const CONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
    contexts:\n- name: a\n  context: {cluster: c, user: u}\n\
    clusters:\n- name: c\n  cluster: {server: \"https://10.0.0.1:6443\"}\n\
    users:\n- name: u\n  user: {client-certificate: /x, client-key: /x}\n";

#[derive(Default)]
struct Fake {
    /// What the API server says, one answer after the other; the last one stays.
    ready: RefCell<Vec<bool>>,
    fails: bool,
    ran: Cell<u32>,
}

impl Fake {
    fn with(ready: &[bool], fails: bool) -> Fake {
        Fake {
            ready: RefCell::new(ready.to_vec()),
            fails,
            ran: Cell::new(0),
        }
    }
}

impl Around for Fake {
    fn is_ready(&self, server: &str, _authorities: &str) -> bool {
        assert_eq!(server, "https://10.0.0.1:6443");
        let mut ready = self.ready.borrow_mut();
        match ready.len() {
            1 => ready[0],
            _ => ready.remove(0),
        }
    }

    fn run(&self, command: &[&str]) -> Result<()> {
        assert_eq!(command, ["kubeadm", "upgrade", "node"]);
        self.ran.set(self.ran.get() + 1);
        match self.fails {
            true => bail!("kubeadm has failed"),
            false => Ok(()),
        }
    }

    fn pause(&self) {}
}

/// A worker that kubeadm has joined, and that an update has brought to version 2.
fn worker() -> (tempfile::TempDir, Node) {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::at(folder.path());
    let put = |path: &str, text: &str| node.write(path, text.as_bytes()).unwrap();
    put("/etc/os-release", "IMAGE_ID=node\nIMAGE_VERSION=2\n");
    put("/proc/cmdline", &format!("roothash={}\n", "ab".repeat(32)));
    put(KUBELET_CONFIG, CONFIG);
    put(KUBELET_FLAGS, "KUBELET_KUBEADM_ARGS=\"\"\n");
    node.write_state(|state| {
        state.applied = Some(Applied {
            version: "2".to_owned(),
            from: "1".to_owned(),
            source: None,
        });
    })
    .unwrap();
    (folder, node)
}

fn done(node: &Node) -> Option<String> {
    node.read(KUBEADM_DONE).unwrap()
}

#[test]
fn once_a_version() {
    let (_folder, node) = worker();
    let around = Fake::with(&[true], false);
    assert!(once(&node, &around).unwrap().text.contains("has upgraded"));
    assert_eq!((around.ran.get(), done(&node).as_deref()), (1, Some("2\n")));
    once(&node, &around).unwrap();
    assert_eq!(around.ran.get(), 1);
    // Back to the version before, whose kubelet wants its own configuration.
    node.write("/etc/os-release", b"IMAGE_ID=node\nIMAGE_VERSION=1\n")
        .unwrap();
    once(&node, &around).unwrap();
    assert_eq!((around.ran.get(), done(&node).as_deref()), (2, Some("1\n")));
}

#[test]
fn a_node_that_this_version_has_joined_needs_nothing() {
    let (_folder, node) = worker();
    node.write_state(|state| state.applied = None).unwrap();
    let around = Fake::with(&[true], false);
    once(&node, &around).unwrap();
    assert_eq!((around.ran.get(), done(&node).as_deref()), (0, Some("2\n")));
}

#[test]
fn others_than_workers_of_kubeadm_are_left_alone() {
    let (_folder, node) = worker();
    let around = Fake::with(&[true], false);
    node.write(API_SERVER, b"").unwrap();
    assert!(
        once(&node, &around)
            .unwrap()
            .text
            .contains("an operator upgrades")
    );
    let (folder, node) = worker();
    std::fs::remove_file(folder.path().join(&KUBELET_FLAGS[1..])).unwrap();
    assert!(
        once(&node, &around)
            .unwrap()
            .text
            .contains("not a node of kubeadm's")
    );
    assert_eq!((around.ran.get(), done(&node)), (0, None));
}

#[test]
fn an_outage_of_the_cluster_is_no_fault_of_the_version() {
    let (_folder, node) = worker();
    let around = Fake::with(&[false], true);
    assert!(once(&node, &around).unwrap().text.contains("next boot"));
    assert_eq!((around.ran.get(), done(&node)), (0, None));
    // It goes away while kubeadm runs.
    let around = Fake::with(&[true, false], true);
    assert!(once(&node, &around).unwrap().text.contains("next boot"));
    assert_eq!((around.ran.get(), done(&node)), (1, None));
}

#[test]
fn kubeadm_that_fails_beside_a_healthy_cluster_is_one() {
    let (_folder, node) = worker();
    let around = Fake::with(&[true], true);
    let error = once(&node, &around).err().unwrap();
    assert_eq!(error.to_string(), "kubeadm has failed");
    assert_eq!((around.ran.get(), done(&node)), (ATTEMPTS, None));
}

/// The programs of the lab have this command.
#[test]
fn kubeadm_has_the_command() {
    for (version, folder) in nodeimg_test_support::judge::of_lab("kubeadm") {
        let [name, arguments @ ..] = COMMAND;
        let output = Command::new(folder.join(name))
            .args(arguments)
            .arg("--help")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{version}: {said}");
        assert!(
            said.contains("kubeadm upgrade node [flags]"),
            "{version}: {said}"
        );
    }
}
