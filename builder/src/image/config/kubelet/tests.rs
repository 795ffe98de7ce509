//! The rendered kubelet configuration with a node's part over it, judged by the lab's
//! kubelets themselves: the active settings, and that no flag of ours is deprecated.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_seed::text::template::{Template, Values};
use nodeimg_test_support::judge;

use crate::image::config::kubelet;
use crate::input::recipe::tests::recipe;

/// Of the lab, one for each version.
fn kubelets() -> impl Iterator<Item = PathBuf> {
    let folders = judge::of_lab("kubelet").into_iter();
    folders.map(|(_, folder)| folder.join("kubelet"))
}

fn overlay(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../overlay");
    fs::read_to_string(top.join(path)).unwrap()
}

fn rendered(template: &str) -> String {
    Template::parse(&overlay(template))
        .unwrap()
        .render(&Values::examples())
        .unwrap()
}

/// What `kubelet` says with `config`, the drop-in of `profile` and the node's `flags`,
/// until it stops: there is no runtime at the other end of its socket.
fn says(kubelet: &Path, config: &str, profile: &str, flags: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    fs::create_dir(path("conf.d")).unwrap();
    let drop_in = format!("{profile}/templates/etc/kubernetes/kubelet.conf.d/50-nodeimg.conf");
    fs::write(path("conf.d/50-nodeimg.conf"), rendered(&drop_in)).unwrap();
    let config = config
        .replace("/var/run/containerd", &path("run"))
        .replace("/var/lib/kubelet", &path("kubelet"));
    fs::write(path("config.yaml"), config).unwrap();
    let mut command = Command::new("timeout");
    command.args(["20", "unshare", "--user", "--map-root-user", "--net"]);
    command.arg(kubelet).arg("--v=2");
    command.arg(format!("--config={}", path("config.yaml")));
    command.arg(format!("--config-dir={}", path("conf.d")));
    command.arg(format!("--root-dir={}", path("kubelet")));
    command.arg(format!("--cert-dir={}", path("kubelet/pki")));
    command.args(
        flags
            .split_whitespace()
            .filter(|flag| flag.starts_with("--")),
    );
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn the_kubelet_takes_its_configuration_and_the_nodes_part() {
    let config = &kubelet::generate(&recipe(""), false).unwrap()[0].text;
    let node = rendered("hard-way/templates/etc/nodeimg/node.env");
    let (_, flags) = node.split_once("KUBELET_NODE_ARGS=").unwrap();
    for program in kubelets() {
        for profile in ["hard-way", "kubeadm"] {
            let said = says(&program, config, profile, flags);
            // Past its flags and its configuration, of which 1.37 says the whole.
            assert!(said.contains("FLAG: --node-labels="), "{said}");
            assert!(!said.contains("deprecated"), "{said}");
            if said.contains("Effective KubeletConfiguration") {
                for part in ["registerWithTaints:", "key: dedicated", "/volume-plugins"] {
                    assert!(said.contains(part), "{part} is not in {said}");
                }
            }
        }
    }
}

/// The judge does find a flag that belongs into the file.
#[test]
fn a_flag_that_is_deprecated_is_told() {
    let config = &kubelet::generate(&recipe(""), false).unwrap()[0].text;
    for program in kubelets() {
        let said = says(&program, config, "hard-way", "--register-with-taints=");
        assert!(
            said.contains("--register-with-taints has been deprecated"),
            "{said}"
        );
    }
}
