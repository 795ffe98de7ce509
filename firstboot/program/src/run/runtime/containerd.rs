//! The changes that require a restart of containerd.
//!
//! containerd starts in parallel with first boot, not after it, so that a node with bad
//! seed data still has a runtime, and a good one does not wait. Files that it reads
//! only at its start may then change: by a file of the seed, by `bootcmd`, by removing
//! an earlier instance. So these files are compared before and after, to decide whether
//! containerd has to be restarted before the kubelet starts.
//!
//! Not included: files that containerd reads whenever it needs them (`certs.d`, the CNI
//! configuration, which it watches, name servers and certificates), and files that a
//! `config.toml` imports from outside `/etc/containerd`.
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub const UNIT: &str = "containerd.service";

/// Files, and directories with everything below: those that containerd reads, and those
/// that systemd has read for its units and itself.
pub const WATCHED: [&str; 6] = [
    "/etc/containerd",
    "/etc/nri",
    "/etc/systemd/system",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d",
    "/run/systemd/system",
];

/// Read at each pull of an image.
const AT_EACH_PULL: &str = "/etc/containerd/certs.d";

const UNIT_DIRECTORIES: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

/// Whether the content of a watched path makes no difference.
pub fn is_left_out(path: &str) -> bool {
    is_at_or_below(path, AT_EACH_PULL)
}

fn is_at_or_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
    pub fn changes(&self, after: &Look) -> Changes {
        let all = self.0.keys().chain(after.0.keys());
        let mut changes = Changes::default();
        for path in all.filter(|path| self.0.get(*path) != after.0.get(*path)) {
            if is_of_systemd(path) {
                changes.units.push(path.clone());
            }
            if !is_of_systemd(path) || is_of_the_unit(path) {
                changes.containerd.push(path.clone());
            }
        }
        for paths in [&mut changes.units, &mut changes.containerd] {
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
    /// containerd has to be restarted, if it has started.
    pub containerd: Vec<String>,
}

fn is_of_systemd(path: &str) -> bool {
    is_at_or_below(path, "/etc/systemd") || is_at_or_below(path, "/run/systemd")
}

/// Whether a file of systemd affects how containerd runs: its unit, its drop-ins or
/// those of every service, the environment of all units.
pub fn is_of_the_unit(path: &str) -> bool {
    let below = UNIT_DIRECTORIES
        .into_iter()
        .find_map(|directory| path.strip_prefix(directory)?.strip_prefix('/'));
    let Some(below) = below else {
        return is_of_systemd(path);
    };
    let first = below.split('/').next().unwrap_or_default();
    [UNIT, "containerd.service.d", "service.d"].contains(&first)
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
    use super::{Changes, Look, environment_files, is_left_out};

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
        assert_eq!(base.changes(&look(&before)), Changes::default());
        for (path, units, containerd) in [
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
                containerd: listed(containerd),
            };
            assert_eq!(base.changes(&after), expected, "{path}");
        }
        // A removed file is a change as well.
        let gone = look(&before).changes(&look(&before[1..]));
        assert_eq!(gone.containerd, ["/etc/containerd/config.toml"]);
    }

    #[test]
    fn what_is_read_at_each_pull_is_left_out() {
        for (path, expected) in [
            ("/etc/containerd/certs.d", true),
            ("/etc/containerd/certs.d/docker.io/hosts.toml", true),
            ("/etc/containerd/certs.d.toml", false),
            ("/etc/containerd/config.toml", false),
        ] {
            assert_eq!(is_left_out(path), expected, "{path}");
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
