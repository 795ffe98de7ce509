//! Handlers in containerd's configuration.
use toml::Table;

use super::{at, containerd};
use crate::input::recipe::handler::tests::all;

const RUNTIMES: &str = r#"
[crun]
runtime_type = "io.containerd.runc.v2"
options = { BinaryName = "/usr/local/bin/crun", SystemdCgroup = true }
[kata]
runtime_type = "io.containerd.kata.v2"
runtime_path = "/opt/kata/bin/containerd-shim-kata-v2"
pod_annotations = ["io.katacontainers.*"]
privileged_without_host_devices = true
[kata.options]
TypeUrl = "io.containerd.kata.v2.options"
ConfigPath = "/opt/kata/share/defaults/kata-containers/configuration-qemu.toml"
[runc]
runtime_type = "io.containerd.runc.v2"
options = { BinaryName = "/usr/local/bin/runc", SystemdCgroup = true }
[runsc]
runtime_type = "io.containerd.runsc.v1"
[runsc.options]
TypeUrl = "io.containerd.runsc.v1.options"
ConfigPath = "/etc/containerd/runsc.toml"
[wasmtime]
runtime_type = "io.containerd.wasmtime.v1"
[youki]
runtime_type = "io.containerd.runc.v2"
options = { BinaryName = "/usr/local/bin/youki", SystemdCgroup = true }
"#;

#[test]
fn each_handler_has_its_table() {
    let expected: Table = RUNTIMES.parse().unwrap();
    for (version, cri) in [
        ("1.7.24", "io.containerd.grpc.v1.cri"),
        ("2.3.4", "io.containerd.cri.v1.runtime"),
    ] {
        let table = containerd(&all(), version).unwrap();
        let found = at(&table, &["plugins", cri, "containerd", "runtimes"]).unwrap();
        assert_eq!(found.as_table(), Some(&expected), "{version}");
        let default = at(
            &table,
            &["plugins", cri, "containerd", "default_runtime_name"],
        );
        assert_eq!(default.unwrap().as_str(), Some("runc"), "{version}");
    }
}
