//! The rendered containerd configuration judged by containerd itself: the lab's
//! versions (`ci/lab`) start with it as on a node, in a root and namespaces of
//! their own, and every value that we write is in force.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use toml::Table;

use super::{config, node};
use crate::input::recipe::handler::tests::all;
use crate::input::recipe::runtime::tests::in_force;
use crate::input::recipe::tests::recipe;

/// Starts containerd and asks it what it is.
const SCRIPT: &str = "\
containerd config dump >dump
. /out/start
ctr plugins ls >plugins
ctr deprecations list >deprecations
";

/// A drop-in of a node beside ours: both count.
const NODE: &str = "[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"123ms\"\n";

fn started(programs: &Path, config: &str, version: u64) -> Option<tempfile::TempDir> {
    let node = format!("version = {version}\n{NODE}");
    let files = [
        ("etc/containerd/config.toml", config),
        ("etc/containerd/conf.d/50-node.toml", &node),
    ];
    node::run(&[programs], &files, SCRIPT)
}

#[test]
fn containerd_takes_every_value_that_is_rendered_for_it() {
    for (version, programs) in judge::of_lab("containerd") {
        let text = config::generate(&recipe(""), &version.parse().unwrap()).unwrap();
        let mut ours: Table = text.parse().unwrap();
        // containerd resolves it to files.
        ours.remove("imports").unwrap();
        let format = u64::try_from(ours["version"].as_integer().unwrap()).unwrap();
        let Some(out) = started(&programs, &text, format) else {
            return;
        };
        let said = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
        let theirs: Table = said("dump").parse().unwrap();
        let mut missing = Vec::new();
        in_force(&ours, &theirs, "", &mut missing);
        assert_eq!(missing, [""; 0], "containerd {version}:\n{}", said("dump"));
        // A node's drop-in is read, too.
        assert!(
            said("dump").contains("123ms"),
            "{version}: {}",
            said("dump")
        );
        assert!(
            said("version").contains(&version.to_string()),
            "{}",
            said("version")
        );
        for line in said("plugins")
            .lines()
            .filter(|line| line.contains("cri") || line.contains("overlayfs"))
        {
            assert!(
                line.trim_end().ends_with(" ok"),
                "containerd {version}: {line}"
            );
        }
        // Of the machine that runs the test, not of the configuration.
        let said_of_us = said("deprecations");
        let said_of_us = said_of_us
            .lines()
            .filter(|line| !line.starts_with("ID ") && !line.contains("deprecation/cgroup-v1"));
        assert_eq!(
            said_of_us.collect::<Vec<_>>(),
            [""; 0],
            "containerd {version}"
        );
        // What the running plugin was given, not only what a dump says.
        let log: String = said("log").replace(['\\', '"'], "");
        assert!(
            log.contains("SystemdCgroup:true")
                && !log.contains("level=error")
                && !log.contains("Configuration migrated"),
            "{version}: {log}"
        );
    }
}

/// Every key of a handler's table is one that containerd knows.
#[test]
fn containerd_takes_every_value_of_a_handler() {
    for (version, programs) in judge::of_lab("containerd") {
        let text = config::generate(&recipe(&all()), &version.parse().unwrap()).unwrap();
        let dump = Command::new(programs.join("containerd"))
            .arg("--config")
            .arg(write(&text).path())
            .args(["config", "dump"])
            .output()
            .unwrap();
        let theirs: Table = String::from_utf8(dump.stdout).unwrap().parse().unwrap();
        let mut missing = Vec::new();
        in_force(&text.parse().unwrap(), &theirs, "", &mut missing);
        assert_eq!(missing, [""; 0], "containerd {version}");
    }
}

/// The judge does find a key that containerd does not know.
#[test]
fn a_key_of_another_version_is_not_in_force() {
    for (version, programs) in judge::of_lab("containerd") {
        let (plugin, name) = ("io.containerd.cri.v1.runtime", "bin_dirz");
        let text = config::generate(&recipe(""), &version.parse().unwrap()).unwrap();
        let table = format!("[plugins.\"{plugin}\".cni]\n");
        // TOML's writer puts quotes of its own around the name.
        let table = text
            .lines()
            .find(|line| line.ends_with(".cni]"))
            .map_or(table, |line| format!("{line}\n"));
        let text = text.replace(&table, &format!("{table}{name} = [\"/x\"]\n"));
        let mut ours: Table = text.parse().unwrap();
        ours.remove("imports").unwrap();
        let dump = Command::new(programs.join("containerd"))
            .arg("--config")
            .arg(write(&text).path())
            .args(["config", "dump"])
            .output()
            .unwrap();
        let mut missing = Vec::new();
        if let Ok(theirs) = String::from_utf8(dump.stdout).unwrap().parse() {
            in_force(&ours, &theirs, "", &mut missing);
        }
        let told = missing.iter().any(|line| line.contains(name));
        assert!(told || !dump.status.success(), "{version}: {missing:?}");
    }
}

fn write(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}
