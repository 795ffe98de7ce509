//! Makes containerd and systemd take up the files that first boot has changed; see
//! [`containerd`].
mod containerd;

use containerd::{Look, UNIT, WATCHED, environment_files, is_left_out, is_of_the_unit};
use nodeimg_seed::text::problem::{Place, Problems};

use crate::machine::Machine;
use crate::root::{PathEntry, Root};

const MAX_FILE: usize = 16 << 20;

/// The places of the image's own unit; those of a node are watched anyway.
const OF_THE_IMAGE: &str = "/usr/lib/systemd/system/containerd.service";

/// The current state of all watched files.
pub(crate) fn look(root: &Root) -> Look {
    let mut look = Look::default();
    let mut environment = of_unit(root, OF_THE_IMAGE);
    for path in WATCHED {
        note(root, path, &mut look, &mut environment);
    }
    for path in environment {
        note(root, &path, &mut look, &mut Vec::new());
    }
    look
}

/// Records a file, or everything below a directory. An unreadable file is recorded as
/// its error.
fn note(root: &Root, path: &str, look: &mut Look, environment: &mut Vec<String>) {
    if is_left_out(path) {
        return;
    }
    match root.entry(path, MAX_FILE) {
        Ok(Some(PathEntry::File(bytes, _))) => look.note(path, &bytes),
        Ok(Some(PathEntry::Link(target))) => {
            let behind = root.read(path, MAX_FILE).ok().flatten();
            let behind = behind.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
            look.note(path, &[target.as_bytes(), b"\0", behind].concat());
        }
        Ok(None) => {
            for (name, _) in root.list(path).unwrap_or_default() {
                note(root, &format!("{path}/{name}"), look, environment);
            }
            return;
        }
        Err(error) => look.note(path, error.to_string().as_bytes()),
    }
    if is_of_the_unit(path) {
        environment.extend(of_unit(root, path));
    }
}

fn of_unit(root: &Root, path: &str) -> Vec<String> {
    let bytes = root.read(path, MAX_FILE).ok().flatten();
    bytes.map_or_else(Vec::new, |bytes| {
        environment_files(&String::from_utf8_lossy(&bytes))
    })
}

/// Makes changed files take effect before first boot is done, and so before the kubelet
/// starts; `None` if that failed.
///
/// systemd is asked to restart containerd if it runs or is about to, without waiting:
/// from then on the kubelet, which is ordered after containerd, waits for that restart.
/// A containerd that has not started yet finds the new files.
pub(crate) fn follow(
    root: &Root,
    machine: Machine,
    before: &Look,
    problems: &mut Problems,
) -> Option<()> {
    let changes = before.changes(&look(root));
    if let Some(first) = changes.units.first() {
        println!("nodeimg-firstboot: systemd reloads its units: {first} has changed");
        let done = machine.systemctl(&["daemon-reload"]);
        told(done, "systemctl daemon-reload", first, problems)?;
    }
    if let Some(first) = changes.containerd.first() {
        println!("nodeimg-firstboot: containerd is restarted if it runs: {first} has changed");
        let done = machine.systemctl(&["--no-block", "try-restart", UNIT]);
        told(
            done,
            &format!("systemctl try-restart {UNIT}"),
            first,
            problems,
        )?;
    }
    Some(())
}

fn told(
    done: std::io::Result<()>,
    command: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<()> {
    done.map_err(|error| {
        let reason = format!("has changed but is not in effect: {error}");
        let remedy = format!("run `{command}` by hand, or reboot");
        problems.error(&Place::file(path), reason, remedy);
    })
    .ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::look;
    use crate::root::Root;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_look_sees_all_that_containerd_reads_when_it_starts() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        write(
            here,
            "usr/lib/systemd/system/containerd.service",
            "[Service]\nEnvironmentFile=-/etc/default/containerd\n",
        );
        write(here, "etc/containerd/config.toml", "version = 2\n");
        write(here, "etc/containerd/certs.d/a/hosts.toml", "");
        write(here, "srv/real.conf", "[Service]\n");
        write(here, "etc/systemd/system/a.service", "");
        fs::create_dir_all(here.join("etc/systemd/system/containerd.service.d")).unwrap();
        symlink(
            "/srv/real.conf",
            here.join("etc/systemd/system/containerd.service.d/link.conf"),
        )
        .unwrap();
        let root = Root::open(here).unwrap();
        // The changed file, whether units are concerned, and whether containerd is; each case adds
        // to the one before.
        for (path, text, units, containerd) in [
            ("etc/containerd/certs.d/a/hosts.toml", "server", 0, 0),
            ("etc/cni/net.d/10-bridge.conf", "{}", 0, 0),
            ("etc/containerd/config.toml", "version = 3\n", 0, 1),
            ("etc/default/containerd", "HTTP_PROXY=a\n", 0, 1),
            ("srv/real.conf", "[Service]\nEnvironmentFile=/etc/b\n", 1, 1),
            ("etc/b", "A=b\n", 0, 1),
            ("etc/systemd/system/a.service", "[Unit]\n", 1, 0),
        ] {
            let before = look(&root);
            write(here, path, text);
            let changes = before.changes(&look(&root));
            let found = (changes.units.len(), changes.containerd.len());
            assert_eq!(found, (units, containerd), "{path}: {changes:?}");
        }
    }
}
