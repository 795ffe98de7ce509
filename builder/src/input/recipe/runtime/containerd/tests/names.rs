//! Names and keys of another containerd, and those that are not a recipe's.
use std::fs;
use std::process::Command;

use nodeimg_test_support::judge;
use toml::Table;

use super::super::check;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::keys::tests::every_line_is_a_key;
use crate::input::recipe::tests::{recipe, refusal};

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

#[test]
fn what_containerd_would_ignore_or_stop_at_is_refused() {
    let old = "plugins.\"io.containerd.grpc.v1.cri\"";
    let (images, runtime) = (cri("images"), cri("runtime"));
    for (config, way, want) in [
        (
            format!("[containerd.config.{old}.containerd.runtimes.nvidia]\nruntime_type = \"a\""),
            "containerd",
            "`io.containerd.cri.v1.runtime`",
        ),
        (
            format!("[containerd.config.{old}.containerd]\nsnapshotter = \"a\""),
            "snapshotter",
            "`io.containerd.cri.v1.images`",
        ),
        (
            format!("[containerd.config.{old}]\nsandbox_image = \"a\""),
            "sandbox_image",
            "set `sandbox_image`",
        ),
        (
            format!("[containerd.config.{old}]\nmax_concurrent_downloads = 5"),
            "max_concurrent_downloads",
            "`io.containerd.cri.v1.images`",
        ),
        (
            format!(
                "[containerd.config.{old}.registry.mirrors.\"a.b\"]\nendpoint = [\"https://c\"]"
            ),
            "registry.mirrors",
            "[registries.NAME]",
        ),
        (
            "[containerd.config]\nversion = 2".to_owned(),
            "version",
            "nodeimg writes the version",
        ),
        (
            "[containerd.config]\nimports = [\"/x\"]".to_owned(),
            "imports",
            "conf.d",
        ),
        (
            "[containerd.config]\nroot = \"/x\"".to_owned(),
            "root",
            "state partition",
        ),
        (
            "[containerd.config]\noom_scores = 5".to_owned(),
            "oom_scores",
            "did you mean `oom_score`?",
        ),
        (
            "[containerd.config]\noom_score = \"5\"".to_owned(),
            "oom_score",
            "a whole number",
        ),
        (
            "[containerd.config]\ndisabled_plugins = [\"cri\"]".to_owned(),
            "disabled_plugins",
            "no container runtime",
        ),
        (
            "[containerd.config]\ndisabled_plugins = [\"btrfs\"]".to_owned(),
            "disabled_plugins",
            "not the name of a plugin",
        ),
        (
            "[containerd.config.grpc]\naddress = \"/x\"".to_owned(),
            "grpc.address",
            "the kubelet",
        ),
        (
            "[containerd.config.plugins.cri]\nx = 1".to_owned(),
            "plugins.cri",
            "io.containerd.cri.v1.runtime",
        ),
        (
            "[containerd.config.plugins.\"io.containerd.cri.v1.runtimes\"]\nx = 1".to_owned(),
            "runtimes",
            "did you mean `io.containerd.cri.v1.runtime`?",
        ),
        (
            "[containerd.config.plugins.\"io.containerd.internal.v1.restart\"]\nx = 1".to_owned(),
            "restart",
            "io.containerd.monitor.container.v1.restart",
        ),
        (
            format!("[containerd.config.{runtime}.cni]\nbin_dirz = [\"a\"]"),
            "bin_dirz",
            "did you mean `bin_dir`?",
        ),
        (
            format!("[containerd.config.{runtime}.cni]\nbin_dirs = \"a\""),
            "bin_dirs",
            "a list of strings",
        ),
        (
            format!("[containerd.config.{runtime}.containerd]\ndefault_runtime_name = \"nvidia\""),
            "default_runtime_name",
            "no runtime is called `nvidia`",
        ),
        (
            format!(
                "[containerd.config.{runtime}.containerd.runtimes.runc.options]\nSystemdCgroup = false"
            ),
            "SystemdCgroup",
            "cgroupDriver",
        ),
        (
            format!("[containerd.config.{runtime}.containerd.runtimes.x]\nruntime_typ = \"a\""),
            "runtime_typ",
            "did you mean `runtime_type`?",
        ),
        (
            format!("[containerd.config.{images}.registry]\nconfig_path = \"/x\""),
            "config_path",
            "certs.d",
        ),
        (
            format!(
                "[containerd.config.{images}.registry.mirrors.\"a.b\"]\nendpoint = [\"https://c\"]"
            ),
            "registry.mirrors",
            "[registries.NAME]",
        ),
        (
            format!("[containerd.config.{images}.pinned_images]\nsandbox = \"a\""),
            "sandbox",
            "set `sandbox_image`",
        ),
        (
            "[containerd.config.plugins.\"io.containerd.gc.v1.scheduler\"]\npause = 5".to_owned(),
            "pause",
            "no such key",
        ),
    ] {
        let said = refusal(&format!("{config}\n"));
        assert!(
            said.contains(way) && said.contains(want) && said.contains("mine.toml:"),
            "{config}: {said}"
        );
    }
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

/// The lab's containerd reads the same: it tells of keys that it ignores, and stops at
/// values of another type.
#[test]
fn containerd_says_the_same() {
    let (images, runtime) = (cri("images"), cri("runtime"));
    for (version, programs) in judge::of_lab("containerd") {
        let minor: u64 = version.split('.').nth(1).unwrap().parse().unwrap();
        for config in [
            "oom_score = 5".to_owned(),
            "oom_score = \"5\"".to_owned(),
            "oom_scor = 5".to_owned(),
            "[timeouts]\nx = 5".to_owned(),
            "[debug]\nlevel = \"debug\"".to_owned(),
            "[debug]\nlevels = \"debug\"".to_owned(),
            format!("[{runtime}.cni]\nbin_dirz = [\"a\"]"),
            format!("[{runtime}.cni]\nbin_dirs = \"a\""),
            format!("[{runtime}.cni]\nbin_dirs = [\"a\"]"),
            format!("[{runtime}]\nenable_selinux = \"yes\""),
            format!("[{runtime}]\nenable_cdi = true"),
            format!("[{runtime}]\nstats_collect_period = \"10s\""),
            format!("[{runtime}.containerd.runtimes.x]\nruntime_typ = \"a\""),
            format!("[{runtime}.containerd.runtimes.x]\npod_annotations = \"a\""),
            format!("[{runtime}.containerd.runtimes.x.options]\nAnything = 5"),
            format!("[{images}]\nmax_concurrent_downloads = \"5\""),
            format!("[{images}]\nenable_selinux = true"),
            format!("[{images}.registry.headers]\nX = [\"a\"]"),
            format!("[{images}.pinned_images]\na = \"b\""),
            "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"a\"".to_owned(),
            "[plugins.\"io.containerd.grpc.v1.cri\"]\nstream_server_port = 5".to_owned(),
            "[plugins.\"io.containerd.gc.v1.scheduler\"]\npause = 5".to_owned(),
            "[plugins.\"io.containerd.gc.v1.scheduler\"]\nschedule_delay = \"5s\"".to_owned(),
            "[plugins.\"io.containerd.metadata.v1.bolt\"]\ncontent_sharing_policy = 5".to_owned(),
        ] {
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
            problems: &mut problems,
        },
    );
    problems
        .done()
        .map_or_else(|error| format!("{error:#}"), |_| String::new())
}
