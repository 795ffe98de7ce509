//! Names and keys of another containerd, and those that are not a recipe's.
use std::fs;
use std::process::Command;

use nodeimg_test_support::judge;
use toml::Table;

use super::super::check;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::keys::tests::every_line_is_a_key;
use crate::input::recipe::tests::{recipe, refusal};

/// With the names of plugins.
fn named(config: &str) -> String {
    config
        .replace("{old}", "plugins.\"io.containerd.grpc.v1.cri\"")
        .replace("{images}", &cri("images"))
        .replace("{runtime}", &cri("runtime"))
}

fn cri(name: &str) -> String {
    format!("plugins.\"io.containerd.cri.v1.{name}\"")
}

#[test]
fn every_line_of_the_list_is_a_key() {
    let mut tables = 0;
    for (.., lines) in check::sections() {
        every_line_is_a_key(check::list(lines.trim_end()));
        tables += 1;
    }
    assert!(tables > 60, "{tables}");
}

const REFUSED: &[(&str, &str, &str)] = &[
    (
        "[containerd.config.{old}.containerd.runtimes.nvidia]\nruntime_type = \"a\"",
        "containerd",
        "`io.containerd.cri.v1.runtime`",
    ),
    (
        "[containerd.config.{old}.containerd]\nsnapshotter = \"a\"",
        "snapshotter",
        "`io.containerd.cri.v1.images`",
    ),
    (
        "[containerd.config.{old}]\nsandbox_image = \"a\"",
        "sandbox_image",
        "set `sandbox_image`",
    ),
    (
        "[containerd.config.{old}]\nmax_concurrent_downloads = 5",
        "max_concurrent_downloads",
        "`io.containerd.cri.v1.images`",
    ),
    (
        "[containerd.config.{old}.registry.mirrors.\"a.b\"]\nendpoint = [\"https://c\"]",
        "registry.mirrors",
        "[registries.NAME]",
    ),
    (
        "[containerd.config]\nversion = 2",
        "version",
        "nodeimg writes the version",
    ),
    (
        "[containerd.config]\nimports = [\"/x\"]",
        "imports",
        "conf.d",
    ),
    (
        "[containerd.config]\nroot = \"/x\"",
        "root",
        "state partition",
    ),
    (
        "[containerd.config]\noom_scores = 5",
        "oom_scores",
        "did you mean `oom_score`?",
    ),
    (
        "[containerd.config]\noom_score = \"5\"",
        "oom_score",
        "a whole number",
    ),
    (
        "[containerd.config]\ndisabled_plugins = [\"cri\"]",
        "disabled_plugins",
        "no container runtime",
    ),
    (
        "[containerd.config]\ndisabled_plugins = [\"btrfs\"]",
        "disabled_plugins",
        "not the name of a plugin",
    ),
    (
        "[containerd.config.grpc]\naddress = \"/x\"",
        "grpc.address",
        "the kubelet",
    ),
    (
        "[containerd.config.plugins.cri]\nx = 1",
        "plugins.cri",
        "io.containerd.cri.v1.runtime",
    ),
    (
        "[containerd.config.plugins.\"io.containerd.cri.v1.runtimes\"]\nx = 1",
        "runtimes",
        "did you mean `io.containerd.cri.v1.runtime`?",
    ),
    (
        "[containerd.config.plugins.\"io.containerd.internal.v1.restart\"]\nx = 1",
        "restart",
        "io.containerd.monitor.container.v1.restart",
    ),
    (
        "[containerd.config.{runtime}.cni]\nbin_dirz = [\"a\"]",
        "bin_dirz",
        "did you mean `bin_dir`?",
    ),
    (
        "[containerd.config.{runtime}.cni]\nbin_dirs = \"a\"",
        "bin_dirs",
        "a list of strings",
    ),
    (
        "[containerd.config.{runtime}.containerd]\ndefault_runtime_name = \"nvidia\"",
        "default_runtime_name",
        "no runtime is called `nvidia`",
    ),
    (
        "[containerd.config.{runtime}.containerd.runtimes.runc.options]\nSystemdCgroup = false",
        "SystemdCgroup",
        "cgroupDriver",
    ),
    (
        "[containerd.config.{runtime}.containerd.runtimes.x]\nruntime_typ = \"a\"",
        "runtime_typ",
        "did you mean `runtime_type`?",
    ),
    (
        "[containerd.config.{images}.registry]\nconfig_path = \"/x\"",
        "config_path",
        "certs.d",
    ),
    (
        "[containerd.config.{images}.registry.mirrors.\"a.b\"]\nendpoint = [\"https://c\"]",
        "registry.mirrors",
        "[registries.NAME]",
    ),
    (
        "[containerd.config.{images}.pinned_images]\nsandbox = \"a\"",
        "sandbox",
        "set `sandbox_image`",
    ),
    (
        "[containerd.config.plugins.\"io.containerd.gc.v1.scheduler\"]\npause = 5",
        "pause",
        "no such key",
    ),
];

#[test]
fn what_containerd_would_ignore_or_stop_at_is_refused() {
    for (config, way, want) in REFUSED {
        let config = named(config);
        let said = refusal(&format!("{config}\n"));
        assert!(
            said.contains(way) && said.contains(want) && said.contains("mine.toml:"),
            "{config}: {said}"
        );
    }
    let images = cri("images");
    let login = format!(
        "[containerd.config.{images}.registry.configs.\"a.b\".auth]\npassword = \"geheim\"\n"
    );
    let said = refusal(&login);
    assert!(
        said.contains("nodeimg.registries") && !said.contains("geheim"),
        "{said}"
    );
}

#[test]
fn names_of_the_version_are_good() {
    let (images, runtime) = (cri("images"), cri("runtime"));
    recipe(&format!(
        "[containerd.config.{runtime}.containerd]\ndefault_runtime_name = \"nvidia\"\n\
         [containerd.config.{runtime}.containerd.runtimes.nvidia]\nruntime_type = \"io.containerd.runc.v2\"\n\
         [containerd.config.{runtime}.containerd.runtimes.nvidia.options]\nBinaryName = \"/x\"\n\
         [containerd.config.{images}]\nmax_concurrent_downloads = 5\n\
         [containerd.config.plugins.\"io.containerd.grpc.v1.cri\"]\nstream_idle_timeout = \"1h\"\n\
         [containerd.config.plugins.\"io.containerd.gc.v1.scheduler\"]\npause_threshold = 0.5\n\
         [containerd.config.proxy_plugins.stargz]\ntype = \"snapshot\"\naddress = \"/run/x.sock\"\n\
         [containerd.config]\noom_score = -999\ndisabled_plugins = [\"io.containerd.snapshotter.v1.btrfs\"]\n"
    ));
}

#[test]
fn a_containerd_of_the_base_system_is_known_by_its_lock() {
    for (version, plugin, want) in [
        (
            "1.7.24",
            "io.containerd.cri.v1.images",
            "before 2.0 it is `io.containerd.grpc.v1.cri`",
        ),
        ("2.2.9", "io.containerd.grpc.v1.cri", "set `sandbox_image`"),
    ] {
        let config = format!("[plugins.\"{plugin}\"]\nsandbox_image = \"a\"\n");
        let said = check::by_version(&config.parse().unwrap(), &version.parse().unwrap());
        let said = format!("{:#}", said.unwrap_err());
        assert!(said.contains(want), "{version}: {said}");
    }
    let good = "[plugins.\"io.containerd.grpc.v1.cri\"]\nenable_selinux = true\n";
    check::by_version(&good.parse().unwrap(), &"1.7.24".parse().unwrap()).unwrap();
}

const JUDGED: &[&str] = &[
    "oom_score = 5",
    "oom_score = \"5\"",
    "oom_scor = 5",
    "[timeouts]\nx = 5",
    "[debug]\nlevel = \"debug\"",
    "[debug]\nlevels = \"debug\"",
    "[{runtime}.cni]\nbin_dirz = [\"a\"]",
    "[{runtime}.cni]\nbin_dirs = \"a\"",
    "[{runtime}.cni]\nbin_dirs = [\"a\"]",
    "[{runtime}]\nenable_selinux = \"yes\"",
    "[{runtime}]\nenable_cdi = true",
    "[{runtime}]\nstats_collect_period = \"10s\"",
    "[{runtime}.containerd.runtimes.x]\nruntime_typ = \"a\"",
    "[{runtime}.containerd.runtimes.x]\npod_annotations = \"a\"",
    "[{runtime}.containerd.runtimes.x.options]\nAnything = 5",
    "[{images}]\nmax_concurrent_downloads = \"5\"",
    "[{images}]\nenable_selinux = true",
    "[{images}.registry.headers]\nX = [\"a\"]",
    "[{images}.pinned_images]\na = \"b\"",
    "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"a\"",
    "[plugins.\"io.containerd.grpc.v1.cri\"]\nstream_server_port = 5",
    "[plugins.\"io.containerd.gc.v1.scheduler\"]\npause = 5",
    "[plugins.\"io.containerd.gc.v1.scheduler\"]\nschedule_delay = \"5s\"",
    "[plugins.\"io.containerd.metadata.v1.bolt\"]\ncontent_sharing_policy = 5",
];

/// The lab's containerd reads the same: it tells of keys that it ignores, and stops at
/// values of another type.
#[test]
fn containerd_says_the_same() {
    for (version, programs) in judge::of_lab("containerd") {
        let minor: u64 = version.split('.').nth(1).unwrap().parse().unwrap();
        for config in JUDGED {
            let config = named(config);
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(
                file.path(),
                format!("version = {}\n{config}\n", if minor < 3 { 3 } else { 4 }),
            )
            .unwrap();
            let mut command = Command::new(programs.join("containerd"));
            let dump = command
                .arg("--config")
                .arg(file.path())
                .args(["config", "dump"])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&dump.stderr);
            let is_taken = dump.status.success() && !said.contains("Ignoring unknown key");
            let ours = told(&config, minor);
            assert_eq!(
                ours.is_empty(),
                is_taken,
                "{version}: {config}\n{ours}\n{said}"
            );
        }
    }
}

/// Every key that containerd prints of its defaults is one of the list.
#[test]
fn the_list_is_that_of_containerd() {
    for (version, programs) in judge::of_lab("containerd") {
        let minor: u64 = version.split('.').nth(1).unwrap().parse().unwrap();
        let mut command = Command::new(programs.join("containerd"));
        let dump = command.args(["config", "default"]).output().unwrap();
        let said = told(&String::from_utf8(dump.stdout).unwrap(), minor);
        assert_eq!(said, "", "{version}");
    }
}

/// What the names and the keys of a configuration have wrong.
fn told(config: &str, minor: u64) -> String {
    let table: Table = config.parse().unwrap();
    let mut problems = Problems::new(&[]);
    check::names(
        &table,
        minor,
        &mut check::Told {
            start: check::TABLE,
            problems: &mut problems,
        },
    );
    problems
        .done()
        .map_or_else(|error| format!("{error:#}"), |_| String::new())
}
