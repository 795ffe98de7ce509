//! Makes the container runtime and systemd take up the files that first boot has changed.
//!
//! The runtime starts in parallel with first boot, not after it, so that a node with bad
//! seed data still has a runtime, and a good one does not wait. Files that it reads only
//! at its start may then change: by a file of the seed, by `bootcmd`, by removing an
//! earlier instance. So these files are compared before and after, to decide whether the
//! runtime has to be restarted before the kubelet starts.
//!
//! To add a runtime: a file with a [`Runtime`], and its line in [`RUNTIMES`].
mod changes;
mod containerd;
mod crio;

use changes::{Look, environment_files};
use containerd::CONTAINERD;
use crio::CRIO;
use nodeimg_seed::contract::runtime;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::text::problem::{Place, Problems};

use crate::machine::Machine;
use crate::root::{PathEntry, Root};

const MAX_FILE: usize = 16 << 20;

/// What a container runtime reads only when it starts.
pub(crate) struct Runtime {
    shared: &'static runtime::Runtime,
    /// Files, and directories with everything below.
    read_at_start: &'static [&'static str],
    /// The files and directories below them that it reads whenever it needs them.
    read_later: &'static [&'static str],
}

/// Those that an image may have.
static RUNTIMES: [&Runtime; 2] = [&CONTAINERD, &CRIO];

/// The one that the image has.
pub(crate) fn of(settings: &ImageSettings) -> &'static Runtime {
    let found = RUNTIMES.iter().find(|one| one.shared == settings.runtime);
    found.copied().unwrap_or(&CONTAINERD)
}

impl Runtime {
    /// The current state of all watched files.
    pub(crate) fn look(&self, root: &Root) -> Look {
        let mut look = Look::default();
        // The image's own unit; those of a node are watched anyway.
        let unit = format!("/usr/lib/systemd/system/{}", self.shared.unit);
        let mut environment = of_unit(root, &unit);
        for path in self.watched() {
            self.note(root, path, &mut look, &mut environment);
        }
        for path in environment {
            self.note(root, &path, &mut look, &mut Vec::new());
        }
        look
    }

    /// Records a file, or everything below a directory. An unreadable file is recorded as
    /// its error.
    fn note(&self, root: &Root, path: &str, look: &mut Look, environment: &mut Vec<String>) {
        if self.is_left_out(path) {
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
                    self.note(root, &format!("{path}/{name}"), look, environment);
                }
                return;
            }
            Err(error) => look.note(path, error.to_string().as_bytes()),
        }
        if self.has_unit_in(path) {
            environment.extend(of_unit(root, path));
        }
    }

    /// Makes changed files take effect before first boot is done, and so before the kubelet
    /// starts; `None` if that failed.
    ///
    /// systemd is asked to restart the runtime if it runs or is about to, without waiting:
    /// from then on the kubelet, which is ordered after the runtime, waits for that restart.
    /// A runtime that has not started yet finds the new files.
    pub(crate) fn follow(
        &self,
        root: &Root,
        machine: Machine,
        before: &Look,
        problems: &mut Problems,
    ) -> Option<()> {
        let changes = before.changes(&self.look(root), self);
        if let Some(first) = changes.units.first() {
            println!("nodeimg-firstboot: systemd reloads its units: {first} has changed");
            let done = machine.systemctl(&["daemon-reload"]);
            told(done, "systemctl daemon-reload", first, problems)?;
        }
        if let Some(first) = changes.runtime.first() {
            let (name, unit) = (self.shared.name, self.shared.unit);
            println!("nodeimg-firstboot: {name} is restarted if it runs: {first} has changed");
            let done = machine.systemctl(&["--no-block", "try-restart", unit]);
            told(
                done,
                &format!("systemctl try-restart {unit}"),
                first,
                problems,
            )?;
        }
        Some(())
    }
}

fn of_unit(root: &Root, path: &str) -> Vec<String> {
    let bytes = root.read(path, MAX_FILE).ok().flatten();
    bytes.map_or_else(Vec::new, |bytes| {
        environment_files(&String::from_utf8_lossy(&bytes))
    })
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

    use nodeimg_seed::contract::runtime;

    use super::{CONTAINERD, RUNTIMES};
    use crate::root::Root;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn every_runtime_of_an_image_is_followed() {
        for shared in runtime::RUNTIMES {
            let of = RUNTIMES.iter().filter(|one| one.shared == *shared);
            assert_eq!(of.count(), 1, "{}", shared.name);
        }
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
        for (path, text, units, runtime) in [
            ("etc/containerd/certs.d/a/hosts.toml", "server", 0, 0),
            ("etc/cni/net.d/10-bridge.conf", "{}", 0, 0),
            ("etc/containerd/config.toml", "version = 3\n", 0, 1),
            ("etc/default/containerd", "HTTP_PROXY=a\n", 0, 1),
            ("srv/real.conf", "[Service]\nEnvironmentFile=/etc/b\n", 1, 1),
            ("etc/b", "A=b\n", 0, 1),
            ("etc/systemd/system/a.service", "[Unit]\n", 1, 0),
        ] {
            let before = CONTAINERD.look(&root);
            write(here, path, text);
            let changes = before.changes(&CONTAINERD.look(&root), &CONTAINERD);
            let found = (changes.units.len(), changes.runtime.len());
            assert_eq!(found, (units, runtime), "{path}: {changes:?}");
        }
    }
}
