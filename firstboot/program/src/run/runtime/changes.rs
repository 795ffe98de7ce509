//! Which changed files require what: that systemd reloads its units, that the container
//! runtime restarts.
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Runtime;

/// What systemd has read for its units and itself.
const OF_SYSTEMD: [&str; 4] = [
    "/etc/systemd/system",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d",
    "/run/systemd/system",
];

const UNIT_DIRECTORIES: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

fn is_at_or_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Runtime {
    /// Files, and directories with everything below: those that the runtime reads when it
    /// starts, and those that systemd has read.
    pub fn watched(&self) -> impl Iterator<Item = &'static str> {
        self.read_at_start.iter().copied().chain(OF_SYSTEMD)
    }

    /// Whether the content of a watched path makes no difference.
    pub fn is_left_out(&self, path: &str) -> bool {
        let mut later = self.read_later.iter();
        later.any(|left_out| is_at_or_below(path, left_out))
    }

    /// Whether a file of systemd affects how the runtime runs: its unit, its drop-ins or
    /// those of every service, the environment of all units.
    pub fn has_unit_in(&self, path: &str) -> bool {
        let below = UNIT_DIRECTORIES
            .into_iter()
            .find_map(|directory| path.strip_prefix(directory)?.strip_prefix('/'));
        let Some(below) = below else {
            return is_of_systemd(path);
        };
        let first = below.split('/').next().unwrap_or_default();
        first == "service.d" || first.strip_suffix(".d").unwrap_or(first) == self.shared.unit
    }
}

/// Path and content of each file, as digests: a configuration may hold a password.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look(BTreeMap<String, [u8; 32]>);

impl Look {
    pub fn note(&mut self, path: &str, content: &[u8]) {
        self.0
            .insert(path.to_owned(), Sha256::digest(content).into());
    }

    /// What the files that differ require.
    pub fn changes(&self, after: &Look, runtime: &Runtime) -> Changes {
        let all = self.0.keys().chain(after.0.keys());
        let mut changes = Changes::default();
        for path in all.filter(|path| self.0.get(*path) != after.0.get(*path)) {
            if is_of_systemd(path) {
                changes.units.push(path.clone());
            }
            if !is_of_systemd(path) || runtime.has_unit_in(path) {
                changes.runtime.push(path.clone());
            }
        }
        for paths in [&mut changes.units, &mut changes.runtime] {
            paths.sort();
            paths.dedup();
        }
        changes
    }
}

/// Paths that differ, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// systemd has to reload its units.
    pub units: Vec<String>,
    /// The runtime has to be restarted, if it has started.
    pub runtime: Vec<String>,
}

fn is_of_systemd(path: &str) -> bool {
    is_at_or_below(path, "/etc/systemd") || is_at_or_below(path, "/run/systemd")
}

/// Files from which a unit or a drop-in takes environment variables; for a pattern, its
/// directory.
pub fn environment_files(text: &str) -> Vec<String> {
    let values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "EnvironmentFile").then(|| value.trim().trim_start_matches('-'))
    });
    let directory = |path: &str| path.rsplit_once('/').map(|(before, _)| before.to_owned());
    values
        .filter(|path| path.starts_with('/'))
        .filter_map(|path| match path.find(['*', '?', '[', '%']) {
            None => Some(path.to_owned()),
            Some(at) => directory(&path[..at]).filter(|before| !before.is_empty()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::containerd::CONTAINERD;
    use super::super::crio::CRIO;
    use super::{Changes, Look, environment_files};

    fn look(files: &[(&str, &str)]) -> Look {
        let mut look = Look::default();
        for (path, content) in files {
            look.note(path, content.as_bytes());
        }
        look
    }

    #[test]
    fn each_kind_of_file_asks_for_its_own() {
        let before = [
            ("/etc/containerd/config.toml", "version = 2"),
            ("/etc/systemd/system/containerd.service", "[Service]"),
        ];
        let base = look(&before);
        assert_eq!(
            base.changes(&look(&before), &CONTAINERD),
            Changes::default()
        );
        for (path, units, runtime) in [
            ("/etc/containerd/config.toml", false, true),
            ("/etc/containerd/conf.d/registry.toml", false, true),
            ("/etc/nri/conf.d/10-of-mine.conf", false, true),
            ("/etc/default/containerd", false, true),
            ("/etc/systemd/system/containerd.service", true, true),
            (
                "/etc/systemd/system/containerd.service.d/proxy.conf",
                true,
                true,
            ),
            (
                "/run/systemd/system/containerd.service.d/proxy.conf",
                true,
                true,
            ),
            ("/etc/systemd/system/service.d/proxy.conf", true, true),
            ("/etc/systemd/system.conf.d/proxy.conf", true, true),
            ("/etc/systemd/system.conf", true, true),
            (
                "/etc/systemd/system/kubelet.service.d/20-mine.conf",
                true,
                false,
            ),
            (
                "/etc/systemd/system/containerd.service.wants/a",
                true,
                false,
            ),
            ("/etc/systemd/system/mine.service", true, false),
        ] {
            let mut after = look(&before);
            after.note(path, b"another");
            let listed = |yes| {
                if yes { vec![path.to_owned()] } else { vec![] }
            };
            let expected = Changes {
                units: listed(units),
                runtime: listed(runtime),
            };
            assert_eq!(base.changes(&after, &CONTAINERD), expected, "{path}");
        }
        // A removed file is a change as well.
        let gone = look(&before).changes(&look(&before[1..]), &CONTAINERD);
        assert_eq!(gone.runtime, ["/etc/containerd/config.toml"]);
    }

    #[test]
    fn what_is_read_at_each_pull_is_left_out() {
        for (path, expected) in [
            ("/etc/containerd/certs.d", true),
            ("/etc/containerd/certs.d/docker.io/hosts.toml", true),
            ("/etc/containerd/certs.d.toml", false),
            ("/etc/containerd/config.toml", false),
        ] {
            assert_eq!(CONTAINERD.is_left_out(path), expected, "{path}");
        }
        for (path, expected) in [
            ("/etc/containers/policy.json", true),
            ("/etc/containers/certs.d/a/ca.crt", true),
            ("/etc/containers/registries.conf.d/a.conf", false),
            ("/etc/crio/crio.conf.d/50-node.conf", false),
        ] {
            assert_eq!(CRIO.is_left_out(path), expected, "{path}");
        }
    }

    #[test]
    fn environment_comes_from_files_and_patterns() {
        let text = "[Service]\nEnvironment=A=b\nEnvironmentFile=-/etc/default/containerd\n\
                    EnvironmentFile = /etc/proxy/*.env\nEnvironmentFile=\n\
                    EnvironmentFile=%t/x\n# EnvironmentFile=/etc/no\n";
        assert_eq!(
            environment_files(text),
            ["/etc/default/containerd", "/etc/proxy"]
        );
    }
}
