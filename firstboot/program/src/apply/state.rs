//! What earlier boots left behind: the stamp, its copy, the note, and what can be
//! recognised without them.
use std::collections::BTreeSet;

use nodeimg_seed::contract::paths::{
    BOOTCMD, CHRONY_SOURCES, HOSTNAME, HOSTS, KUBE_PROXY_KUBECONFIG, KUBEADM_CONFIG,
    KUBELET_BOOTSTRAP, KUBELET_CA, KUBELET_CERT, KUBELET_KEY, KUBELET_KUBECONFIG, SCRIPTS,
    SSH_CONFIG, SSH_KEYS, SUDO_RULES, TIME_SERVERS, is_below,
};
use nodeimg_seed::contract::stamp::{
    MAX_STATE, ORIGINALS, PENDING_PATH, Pending, RECORD_PATH, STAMP_PATH, STAMP_VERSION, Stamp,
    later_reader,
};
use nodeimg_seed::read::network;
use nodeimg_seed::text::problem::{Place, Problems};

use super::{aside, traces};
use crate::root::Root;

/// Under these names there are only files of first boot.
pub(super) const NAMED: [&str; 6] = [
    SUDO_RULES,
    SSH_CONFIG,
    TIME_SERVERS,
    CHRONY_SOURCES,
    BOOTCMD,
    KUBEADM_CONFIG,
];

/// First boot's as well, if it is known to have run: an image could have them.
const CREDENTIALS: [&str; 6] = [
    KUBELET_CA,
    KUBELET_CERT,
    KUBELET_KEY,
    KUBELET_BOOTSTRAP,
    KUBELET_KUBECONFIG,
    KUBE_PROXY_KUBECONFIG,
];

/// The instance of a node whose records are lost, as long as no seed tells it.
pub(crate) const UNKNOWN: &str = "unknown";

/// Files listed in one warning.
const LISTED: usize = 5;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) pending: Option<Pending>,
    /// First boot's own files, as far as they can be recognised; looked for only if what
    /// should list them is lost.
    recognised: Vec<String>,
    /// The file that should be the stamp or the note and is neither, and why.
    damaged: Option<(&'static str, String)>,
    /// Whether the stamp and its copy differ, or one of them is lost.
    differ: bool,
    /// What is left of a node that was set up and whose stamp and copy are lost.
    traces: Vec<String>,
    /// The record that only a later version of this program reads, and which.
    later: Option<(&'static str, u32)>,
}

impl State {
    pub(crate) fn read(root: &Root) -> Self {
        let mut damaged = None;
        let mut read = |path: &'static str| match root.read(path, MAX_STATE) {
            Ok(bytes) => bytes,
            Err(error) => {
                damaged = Some((path, format!("cannot be read: {error}")));
                None
            }
        };
        let record = read(RECORD_PATH);
        let (first, note) = (read(STAMP_PATH), read(PENDING_PATH));
        let stamp = first.as_ref().and_then(|bytes| Stamp::read(bytes));
        let later = [
            (STAMP_PATH, &first),
            (RECORD_PATH, &record),
            (PENDING_PATH, &note),
        ];
        let later = later.into_iter().find_map(|(path, bytes)| {
            let reader = later_reader(bytes.as_ref()?)?;
            Some((path, reader))
        });
        let record = record.and_then(|bytes| Stamp::read(&bytes));
        let pending = note.as_ref().map(|bytes| Pending::read(bytes));
        if stamp.is_none() && first.is_some() {
            damaged = Some((STAMP_PATH, "is damaged".to_owned()));
        } else if stamp.is_none() && record.is_some() && damaged.is_none() {
            damaged = Some((STAMP_PATH, "is missing".to_owned()));
        } else if pending == Some(None) {
            damaged = Some((PENDING_PATH, "is damaged".to_owned()));
        }
        let lost = pending == Some(None) || (stamp.is_none() && record.is_none());
        let traces = match stamp.is_none() && record.is_none() && pending.is_none() {
            true => traces::find(root),
            false => Vec::new(),
        };
        let recognised = if lost { recognised(root) } else { Vec::new() };
        if damaged.is_none() && !(recognised.is_empty() && traces.is_empty()) {
            damaged = Some((STAMP_PATH, "is missing".to_owned()));
        }
        Self {
            differ: stamp != record,
            stamp: stamp.or(record),
            pending: pending.map(Option::unwrap_or_default),
            recognised,
            damaged,
            traces,
            later,
        }
    }

    /// Tells of a record that only a later version of this program reads; `None` if there is
    /// one. Then nothing may be changed: a run that took this node for a new one would overwrite
    /// the secrets of its seed.
    pub(crate) fn check_reader(&self, problems: &mut Problems) -> Option<()> {
        let Some((path, reader)) = self.later else {
            return Some(());
        };
        let reason = format!(
            "was written by the first boot of a later image: version {reader} of it reads this, \
             and the first boot of this image is version {STAMP_VERSION}. Nothing was changed"
        );
        let remedy = "boot the later image, or give the node an empty state";
        problems.error(&Place::file(path), reason, remedy);
        None
    }

    /// The instance that is set up. Not one that a later run has begun to replace, but one to
    /// which it has begun to bring back what was lost.
    pub(crate) fn finished(&self) -> Option<&Stamp> {
        self.stamp.as_ref().filter(|_| !self.is_half_done())
    }

    /// Whether a run has begun to replace what was there, and has not come to its end.
    pub(crate) fn is_half_done(&self) -> bool {
        self.pending.as_ref().is_some_and(|note| !note.repair)
    }

    /// What this node is, as far as that is known; `None` if it is not set up, or is being set
    /// up.
    pub(crate) fn known(&self, root: &Root) -> Option<Stamp> {
        let stamp = self.stamp.clone();
        stamp.or_else(|| self.recovered(root, UNKNOWN))
    }

    /// The finished instance, if its files in `/etc` are not all gone, as after the loss of
    /// a volatile `/etc`: then the seed is needed, and worth a wait. Files of the image that it
    /// has replaced are gone if they are the image's again.
    pub(crate) fn whole(&self, root: &Root) -> Option<&Stamp> {
        let stamp = self.finished()?;
        let inside = |path: &&String| is_below(path, "/etc");
        let mut below = stamp.files.iter().filter(inside).peekable();
        let kept = |path: &String| match path.as_str() {
            // Every image has one, and first boot keeps no copy of it.
            HOSTS => traces::is_named(root, HOSTS, &stamp.host_name),
            path => root.exists(path) && !super::is_original(root, path),
        };
        let any = below.peek().is_none() || below.any(kept);
        any.then_some(stamp)
    }

    /// Whether the node is what it is to be without a seed.
    pub(crate) fn needs_no_seed(&self, root: &Root) -> bool {
        self.is_lost() || self.whole(root).is_some()
    }

    /// Whether this node was set up, although neither stamp nor copy tells what it is.
    pub(crate) fn is_lost(&self) -> bool {
        !self.traces.is_empty()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.stamp.is_none() && self.pending.is_none()
    }

    /// Every file that an earlier run has written, or may have.
    pub(super) fn files(&self) -> BTreeSet<String> {
        let stamped = self.stamp.iter().flat_map(Stamp::all_files);
        let pending = self.pending.iter().flat_map(|pending| &pending.files);
        let known = stamped.chain(pending).chain(&self.recognised);
        known.cloned().collect()
    }

    /// Whether stamp and copy should be written again.
    pub(crate) fn wants_repair(&self) -> bool {
        self.differ
    }

    /// Warns of a stamp or a note that cannot be read.
    pub(crate) fn tell(&self, problems: &mut Problems) {
        let Some((path, what)) = &self.damaged else {
            return;
        };
        let mut remedy = "check the state's disk and file system (dmesg)";
        let reason = match (&self.stamp, self.recognised.len(), self.traces.first()) {
            (Some(_), 0, _) => format!("{what}; its copy tells what this node is"),
            (None, count, Some(trace)) => {
                remedy = "attach the node's seed, run `nodeimg-firstboot reprovision` and reboot, or \
                          boot once with `nodeimg.reprovision=1` on the kernel command line";
                format!(
                    "{what}, and there is no copy of it. This node was set up (it has `{trace}`), so it \
                     takes no seed by itself; {count} files of its instance are known by their names"
                )
            }
            (_, count, _) => {
                format!("{what}: what an earlier instance left is told by its names, {count} files")
            }
        };
        problems.warn(&Place::file(*path), reason, remedy);
    }

    /// The stamp of a node whose records are lost, as far as it can be known again; `None` if
    /// no run of first boot has ended here.
    pub(crate) fn recovered(&self, root: &Root, instance_id: &str) -> Option<Stamp> {
        if !self.is_lost() {
            return None;
        }
        let name = root.read(HOSTNAME, 4096).ok().flatten().unwrap_or_default();
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        Some(Stamp {
            version: STAMP_VERSION,
            instance_id: instance_id.to_owned(),
            host_name: name,
            files: vec![HOSTNAME.to_owned()],
            extra_files: self.recognised.clone(),
            ..Stamp::default()
        })
    }
}

/// The files that an instance needs and that are gone.
pub(crate) fn missing<'s>(root: &Root, stamp: &'s Stamp) -> Vec<&'s str> {
    let gone = |path: &&str| !root.exists(path) && !root.exists(&aside::name_of(path));
    let files = stamp.files.iter().map(String::as_str);
    files.filter(gone).collect()
}

/// One warning for all files of a kind.
pub(crate) fn tell_files(
    root: &Root,
    paths: &[&str],
    what: &str,
    remedy: &str,
    problems: &mut Problems,
) {
    let Some(first) = paths.first() else { return };
    let mut more: Vec<String> = paths[1..]
        .iter()
        .take(LISTED)
        .map(|path| format!("`{path}`"))
        .collect();
    if paths.len() > LISTED + 1 {
        more.push(format!("{} more", paths.len() - 1 - LISTED));
    }
    let reason = match more.is_empty() {
        true => what.to_owned(),
        false => format!("{what}; and so is or are {}", more.join(", ")),
    };
    problems.warn(&Place::file(root.shown(first)), reason, remedy);
}

/// Whether first boot has changed anything here, at least begun to.
fn was_here(root: &Root) -> bool {
    root.exists(ORIGINALS) || !traces::find(root).is_empty()
}

/// First boot's own files and those that it has replaced, found without any list.
fn recognised(root: &Root) -> Vec<String> {
    let mut found = Vec::new();
    files_below(root, ORIGINALS, "", &mut found);
    found.extend(NAMED.map(str::to_owned));
    files_below(root, SCRIPTS, SCRIPTS, &mut found);
    if was_here(root) {
        files_below(root, SSH_KEYS, SSH_KEYS, &mut found);
        found.extend(CREDENTIALS.map(str::to_owned));
    }
    let mut networks = Vec::new();
    files_below(root, network::DIRECTORY, network::DIRECTORY, &mut networks);
    networks.retain(|path| path.contains("-nodeimg-"));
    found.extend(networks);
    found.retain(|path| {
        let copy = super::original(path);
        matches!(root.stat(path), Ok(Some(_))) || root.exists(&copy)
    });
    found
}

/// Files at any depth of a directory, each with `prefix` in front of its path inside.
pub(super) fn files_below(root: &Root, directory: &str, prefix: &str, found: &mut Vec<String>) {
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        let names = root.list(&format!("{directory}{inside}"));
        for (name, is_directory) in names.unwrap_or_default() {
            let path = format!("{inside}/{name}");
            match is_directory {
                true => open.push(path),
                false => found.push(format!("{prefix}{path}")),
            }
        }
    }
}
