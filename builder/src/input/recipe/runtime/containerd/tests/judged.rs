//! The rendered containerd configuration judged by containerd itself: the lab's
//! versions (`ci/lab`) start with it as on a node, in a root and namespaces of
//! their own, and every value that we write is in force.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use toml::Table;

use super::config;
use crate::input::recipe::runtime::tests::in_force;
use crate::input::recipe::tests::recipe;

/// A root of its own with the programs and the configuration at a node's paths.
/// Its output goes to OUT; nothing on this machine is changed.
const SCRIPT: &str = r#"
set -eu
root=$1 programs=$2 out=$3
mount -t tmpfs none "$root"
cd "$root"
mkdir -p usr proc sys dev run var/lib opt tmp containerd out etc/containerd/conf.d etc/cni/net.d
mount --rbind /usr usr
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount --bind "$programs" containerd
mount --bind "$out" out
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
cp out/config.toml etc/containerd/config.toml
cp out/node.toml etc/containerd/conf.d/50-node.toml
echo '{"cniVersion": "1.0.0", "name": "b", "plugins": [{"type": "bridge"}]}' >etc/cni/net.d/10-bridge.conflist
exec chroot "$root" /bin/sh -euc '
export PATH=/containerd:/usr/sbin:/usr/bin
cd /out
containerd config dump >dump
containerd >log 2>&1 &
pid=$!
tries=0
until ctr version >version 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat log; exit 1; }
    sleep 0.1
done
ctr plugins ls >plugins
ctr deprecations list >deprecations
kill $pid
wait $pid || :
'
"#;

/// A drop-in of a node beside ours: both count.
const NODE: &str = "[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"123ms\"\n";

fn started(programs: &Path, config: &str, version: u64) -> Option<tempfile::TempDir> {
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(out.path().join("config.toml"), config).unwrap();
    fs::write(
        out.path().join("node.toml"),
        format!("version = {version}\n{NODE}"),
    )
    .unwrap();
    let namespaces = [
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let enter = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(program);
        command
    };
    if !enter(&["true"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        judge::missing("leave to make user namespaces with unshare (util-linux)");
        return None;
    }
    let output = enter(&["sh", "-c", SCRIPT, "sh"])
        .args([root.path(), programs, out.path()])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
    Some(out)
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

/// The judge does find a key that containerd does not know.
#[test]
fn a_key_of_another_version_is_not_in_force() {
    for (version, programs) in judge::of_lab("containerd") {
        let (plugin, name) = ("io.containerd.cri.v1.runtime", "bin_dirz");
        let more = format!("[containerd.config.plugins.\"{plugin}\".cni]\n{name} = [\"/x\"]\n");
        let text = config::generate(&recipe(&more), &version.parse().unwrap()).unwrap();
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
