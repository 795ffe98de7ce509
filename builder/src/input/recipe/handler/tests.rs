#![allow(clippy::unwrap_used)]
use crate::input::recipe::tests::{recipe, refusal};

/// A program at its place, as an artifact.
pub fn program(name: &str, version: &str, path: &str) -> String {
    format!(
        "[[artifact]]\nname = \"{name}\"\nkind = \"binary\"\nversion = \"{version}\"\n\
         url = \"https://up.test/{name}/{{version}}/{{arch}}\"\nfiles = [{{ to = \"{path}\" }}]\n"
    )
}

/// Every handler, with the programs for containerd.
pub fn all() -> String {
    handlers(&["crun", "youki", "runsc", "kata", "wasmtime"])
}

/// These, with the programs of all.
pub fn handlers(names: &[&str]) -> String {
    let mut text = format!("handlers = {names:?}\nmodules = [\"vhost_vsock\", \"vhost_net\"]\n");
    for (index, path) in [
        "/usr/local/bin/crun",
        "/usr/local/bin/youki",
        "/usr/local/bin/runsc",
        "/usr/local/bin/containerd-shim-runsc-v1",
        "/opt/kata/bin/containerd-shim-kata-v2",
        "/opt/kata/share/defaults/kata-containers/configuration-qemu.toml",
        "/usr/local/bin/containerd-shim-wasmtime-v1",
    ]
    .into_iter()
    .enumerate()
    {
        text.push_str(&program(&format!("p{index}"), "1.26", path));
    }
    text
}

#[test]
fn each_mistake_is_told_at_its_line() {
    let crun = |version| program("crun", version, "/usr/local/bin/crun");
    for (more, wanted) in [
        (
            "handlers = [\"crun\", \"yuki\"]\n".to_owned() + &crun("1.26"),
            "mine.toml:2:21: handlers[1]: no handler is named `yuki` (did you mean `youki`?). There are: crun, youki",
        ),
        (
            "handlers = [\"crun\"]\n".to_owned(),
            "mine.toml:2:13: handlers[0]: needs `/usr/local/bin/crun`, which no artifact's `files` installs",
        ),
        (
            "handlers = [\"crun\"]\n".to_owned() + &crun("1.8.1"),
            "mine.toml:6:11: artifact.crun.version: crun 1.8.1 is too old",
        ),
        (
            "handlers = [\"kata\"]\n".to_owned(),
            "mine.toml:2:13: handlers[0]: needs `vhost_vsock` in `modules`",
        ),
    ] {
        let text = refusal(&more);
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
    let good = recipe(&("handlers = [\"crun\", \"crun\"]\n".to_owned() + &crun("1.26")));
    assert_eq!(good.handlers.len(), 1);
}
