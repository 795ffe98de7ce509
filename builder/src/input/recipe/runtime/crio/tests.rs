#![allow(clippy::unwrap_used)]
mod judged;
mod keys;
mod pulls;

use super::super::Misfit;
use super::{config, misfit};
use crate::input::recipe::Recipe;
use crate::input::recipe::handler::tests::handlers;
use crate::input::recipe::tests::{load_text, recipe, refusal};

/// A recipe with CRI-O, with `more` over it.
fn on_crio(more: &str) -> String {
    format!("runtime = \"crio\"\n{more}")
}

fn written(recipe: &Recipe) -> String {
    config::generate(recipe, &"1.36.3".parse().unwrap()).unwrap()
}

const BAKED: &str = "[[artifact]]\nname = \"proxy\"\nkind = \"oci_image\"\nimage = \"registry.k8s.io/kube-proxy:v1.36.4\"\n";

#[test]
fn the_drop_in_says_all_that_a_node_needs() {
    let text = written(&recipe(&on_crio(BAKED)));
    assert_eq!(text, include_str!("tests/10-nodeimg.conf"));
}

const HANDLERS: &str = r#"
[crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_root = "/run/crun"
monitor_path = "/usr/libexec/crio/conmon"
monitor_cgroup = "system.slice"
[kata]
runtime_path = "/opt/kata/bin/containerd-shim-kata-v2"
runtime_type = "vm"
runtime_root = "/run/vc"
runtime_config_path = "/opt/kata/share/defaults/kata-containers/configuration-qemu.toml"
privileged_without_host_devices = true
[youki]
runtime_path = "/usr/local/bin/youki"
runtime_root = "/run/youki"
monitor_path = "/usr/libexec/crio/conmon"
monitor_cgroup = "system.slice"
"#;

#[test]
fn handlers_have_their_tables() {
    let more = on_crio(&handlers(&["crun", "youki", "kata"]));
    let table: toml::Table = written(&recipe(&more)).parse().unwrap();
    let expected: toml::Table = HANDLERS.parse().unwrap();
    let found = &table["crio"]["runtime"]["runtimes"];
    assert_eq!(found.as_table(), Some(&expected));
    for name in ["runsc", "wasmtime"] {
        let text = refusal(&on_crio(&handlers(&[name])));
        let wanted = format!(
            "mine.toml:3:13: handlers[0]: crio does not run `{name}`, only crun, youki, kata"
        );
        assert!(text.contains(&wanted), "{text}");
    }
}

#[test]
fn what_the_recipe_adds_is_merged_in() {
    let more = format!(
        "[crio]\ndefault_runtime = \"runc\"\n[crio.config]\nstorage_option = [\"overlay.mountopt=nodev\"]\n\
         [crio.config.runtime]\npids_limit = 2048\n[crio.config.image]\npinned_images = [\"a.example/b*\"]\n\
         [[artifact]]\nname = \"cri-o\"\nfiles = [{{ from = \"cri-o/bin/crio\", to = \"/usr/local/bin/crio\" }}, \
         {{ from = \"cri-o/bin/pinns\", to = \"/usr/local/bin/pinns\" }}, {{ from = \"cri-o/bin/conmon\", to = \
         \"/usr/libexec/crio/conmon\" }}, {{ from = \"cri-o/bin/runc\", to = \"/usr/libexec/crio/runc\" }}]\n{BAKED}"
    );
    let text = written(&recipe(&on_crio(&more)));
    let table: toml::Table = text.parse().unwrap();
    let at = |way: &str| {
        way.split('.')
            .try_fold(&table["crio"], |value, key| value.get(key))
            .unwrap_or_else(|| panic!("no {way} in\n{text}"))
            .to_string()
    };
    for (way, want) in [
        ("runtime.default_runtime", "\"runc\""),
        (
            "runtime.runtimes.runc.runtime_path",
            "\"/usr/libexec/crio/runc\"",
        ),
        ("runtime.runtimes.runc.runtime_root", "\"/run/runc\""),
        ("runtime.pids_limit", "2048"),
        (
            "storage_option",
            "[\"overlay.imagestore=/usr/lib/containers/storage\", \"overlay.mountopt=nodev\"]",
        ),
        (
            "image.pinned_images",
            "[\"registry.k8s.io/kube-proxy:v1.36.4\", \"a.example/b*\"]",
        ),
    ] {
        assert_eq!(at(way), want, "{way}");
    }
    assert!(!text.contains("crun"), "{text}");
}

#[test]
fn what_the_table_may_not_say_is_refused_at_its_line() {
    let runc = "`/usr/libexec/crio/runc`, which no artifact's `files` installs";
    for (more, wants) in [
        ("[crio]\ndefault_runtime = \"runc\"\n", vec![runc]),
        (
            "[crio]\ndefault_runtime = \"kata\"\n",
            vec!["mine.toml:4:19", "`crun` or `runc`"],
        ),
        (
            "[crio.config.runtime]\npids_limitt = 1\n",
            vec!["mine.toml:4:15", "did you mean `pids_limit`?"],
        ),
        (
            "[crio.config.runtime]\npids_limit = \"1\"\n",
            vec!["mine.toml:4:14", "is a whole number"],
        ),
        (
            "[crio.config.runtime]\ncgroup_manager = \"cgroupfs\"\n",
            vec!["mine.toml:4:18", "must agree"],
        ),
        (
            "[crio.config.api]\nlisten = \"/run/mine.sock\"\n",
            vec!["mine.toml:4:10", "the kubelet of this image"],
        ),
        (
            "[crio.config.image]\npause_image = \"a/b:1\"\n",
            vec!["mine.toml:4:15", "set `sandbox_image`"],
        ),
        (
            "[crio.config]\ninternal_repair = true\n",
            vec!["mine.toml:4:19", "not with baked images"],
        ),
    ] {
        let text = refusal(&on_crio(more));
        for want in wants {
            assert!(text.contains(want), "{more:?} should say {want:?}:\n{text}");
        }
    }
}

/// The bundle's other programs, and a crun by itself.
const OLD_CRUN: &str = r#"
[[artifact]]
name = "cri-o"
files = [
    { from = "cri-o/bin/crio", to = "/usr/local/bin/crio" },
    { from = "cri-o/bin/pinns", to = "/usr/local/bin/pinns" },
    { from = "cri-o/bin/conmon", to = "/usr/libexec/crio/conmon" },
]
[[artifact]]
name = "crun"
kind = "binary"
version = "1.8.1"
url = "https://up.test/crun-{version}-{arch}"
files = [{ to = "/usr/libexec/crio/crun" }]
"#;

#[test]
fn a_crun_that_is_too_old_is_refused_as_handler_or_not() {
    for handlers in ["", "handlers = [\"crun\"]\n"] {
        let text = refusal(&on_crio(&format!("{handlers}{OLD_CRUN}")));
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains("too old"))
            .collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(
            lines[0].contains("artifact.crun.version: crun 1.8.1"),
            "{text}"
        );
    }
}

#[test]
fn the_version_goes_with_the_kubelet() {
    let of = |crio: &str, kubelet: &str| misfit(&crio.parse().unwrap(), &kubelet.parse().unwrap());
    assert_eq!(of("1.36.3", "1.36.4"), None);
    for (crio, kubelet, want) in [
        ("1.35.6", "1.36.4", "is older than kubelet 1.36.4: use 1.36"),
        ("1.33.0", "1.34.0", "is too old"),
        ("1.38.0", "1.37.1", "is too new"),
        ("2.0.0", "1.37.1", "is too new"),
    ] {
        let Some(Misfit::Wrong(how)) = of(crio, kubelet) else {
            panic!("{crio} {kubelet}");
        };
        assert!(how.starts_with(want), "{how}");
    }
    let Some(Misfit::Odd(how)) = of("1.37.0", "1.36.4") else {
        panic!();
    };
    assert!(how.contains("another minor version"), "{how}");
}

/// The same at the lines of a recipe.
#[test]
fn an_older_crio_is_refused_and_a_newer_one_warned_of() {
    let version =
        |version: &str| format!("[[artifact]]\nname = \"cri-o\"\nversion = \"{version}\"\n");
    let text = refusal(&on_crio(&version("1.36.3")));
    for want in ["mine.toml:5:11", "crio 1.36.3 is older than kubelet 1.37.1"] {
        assert!(text.contains(want), "{text}");
    }
    let newer = format!("kubernetes = \"1.36.4\"\n{}", version("1.37.0"));
    let warnings = recipe(&on_crio(&newer)).warnings;
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(warning.contains("mine.toml:6:11"), "{warning}");
    assert!(load_text(&on_crio("")).is_ok_and(|recipe| recipe.warnings.is_empty()));
}

#[test]
fn an_unknown_version_has_no_configuration() {
    for version in ["1.33.9", "1.38.0", "2.36.0"] {
        let made = config::generate(&recipe(&on_crio("")), &version.parse().unwrap());
        assert!(made.is_err(), "{version}");
    }
}
