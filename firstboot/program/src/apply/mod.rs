//! Writes the plan to disk, safe at any power cut.
//!
//! # Order
//! 1. the image's files that this instance will replace are copied aside, once;
//! 2. a note of all files concerned is written: those of the previous instance and of this one;
//! 3. the previous instance's files that this one does not have give way to what
//!    was there before it, or to nothing;
//! 4. each file: temporary file, sync, rename; then each directory is synced;
//! 5. the stamp; 6. the note is removed.
//!
//! Copies are kept of files that are edited or that a seed asks for; first boot's own files are in
//! no image. A copy counts only for a path of the stamp or the note: before that, the file itself
//! is the original. So an edit (a line added to `/etc/passwd`) always starts from the image's file,
//! and a rerun does not do it twice.
//!
//! Wherever it stops, the note exists or the stamp does not, so that the next run does
//! all of it again and ends in the same state.
use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nodeimg_seed::contract::stamp::{
    ORIGINALS, PENDING_PATH, Pending, STAMP_PATH, STAMP_VERSION, Stamp, TakenSeed,
};
use nodeimg_seed::plan::{Before, Content, Image, Plan, PlannedFile};
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::text::secret::SecretBytes;
use serde::Serialize;

use crate::root::gate::{Gate, Open};
use crate::root::{Access, PathEntry, Root};

const MAX_STATE_FILE: usize = 1 << 20;

/// An original that is copied aside or edited. A table of accounts is far smaller.
const MAX_ORIGINAL: usize = 16 << 20;

/// The failed step ("writing it"), the file, and the reason.
pub(crate) struct Failure {
    pub(crate) path: String,
    pub(crate) doing: &'static str,
    pub(crate) cause: io::Error,
}

impl Failure {
    /// As a problem. Whatever stopped a run, the next one does all of it again.
    pub(crate) fn tell(&self, problems: &mut Problems) {
        let reason = format!("{} failed: {}", self.doing, self.cause);
        let remedy = remedy_for(&self.cause);
        problems.error(&Place::file(&self.path), reason, remedy);
    }
}

pub(crate) fn remedy_for(error: &io::Error) -> &'static str {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        ReadOnlyFilesystem => {
            "add the directory to `writable` in the recipe; if it is already there, the kernel's \
             messages (dmesg) say why its disk is read-only"
        }
        StorageFull | QuotaExceeded => "free space on its file system; the next boot tries again",
        PermissionDenied => "run as root",
        _ if error.raw_os_error() == Some(Errno::EIO as i32) => {
            "its disk is failing (see the kernel's messages with dmesg): replace it; the next \
             boot tries again"
        }
        _ => "remove what is in the way; the next boot tries again",
    }
}

/// What earlier boots left behind.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) pending: Option<Pending>,
}

impl State {
    /// Unreadable state counts as none: then everything is done again.
    pub(crate) fn read(root: &Root) -> Self {
        let bytes = |path| root.read(path, MAX_STATE_FILE).ok().flatten();
        let pending = bytes(PENDING_PATH).map(|bytes| Pending::read(&bytes).unwrap_or_default());
        Self {
            stamp: bytes(STAMP_PATH).and_then(|bytes| Stamp::read(&bytes)),
            pending,
        }
    }

    /// The instance that is completely set up. Not one that a later run has begun to
    /// replace, and not one whose files are gone, as after the loss of a volatile
    /// `/etc`.
    pub(crate) fn finished(&self, root: &Root) -> Option<&Stamp> {
        let stamp = self.stamp.as_ref().filter(|_| self.pending.is_none())?;
        stamp
            .files
            .iter()
            .all(|path| root.exists(path))
            .then_some(stamp)
    }

    fn is_blank(&self) -> bool {
        self.stamp.is_none() && self.pending.is_none()
    }

    fn files(&self) -> BTreeSet<String> {
        let stamped = self.stamp.iter().flat_map(Stamp::all_files);
        let pending = self.pending.iter().flat_map(|pending| &pending.files);
        stamped.chain(pending).cloned().collect()
    }
}

/// The root without the files of earlier runs of first boot.
pub(crate) struct Original<'a> {
    root: &'a Root,
    ours: BTreeSet<String>,
    /// Nothing is known about earlier runs: then the copies decide.
    blank: bool,
}

impl<'a> Original<'a> {
    pub(crate) fn new(root: &'a Root, state: &State) -> Self {
        Self {
            root,
            ours: state.files(),
            blank: state.is_blank(),
        }
    }
}

impl Image for Original<'_> {
    fn file(&self, path: &str) -> Result<Option<Before>, String> {
        let kept = original(path);
        let ours = self.ours.contains(path) || (self.blank && self.root.exists(&kept));
        let place = if ours { &kept } else { path };
        match self.root.entry(place, MAX_ORIGINAL) {
            Ok(Some(PathEntry::File(bytes, access))) => Ok(Some(Before {
                bytes: SecretBytes::new(bytes.to_vec()),
                mode: access.mode,
                uid: access.uid,
                gid: access.gid,
            })),
            Ok(Some(PathEntry::Link(_))) => {
                Err("is a symbolic link, which is not followed".to_owned())
            }
            Ok(None) => Ok(None),
            Err(error) => Err(format!("cannot be read: {error}")),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.root.exists(path)
    }
}

fn original(path: &str) -> String {
    format!("{ORIGINALS}{path}")
}

/// Removes the files below a directory that an earlier instance left, before the new
/// one is fully known. The note says that the earlier instance is no longer complete.
pub(crate) fn retire(
    root: &Root,
    state: &State,
    directory: &str,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let files = state.files();
    let below = |path: &&String| {
        path.strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let old: BTreeSet<&str> = files.iter().filter(below).map(String::as_str).collect();
    if old.is_empty() {
        return Ok(());
    }
    let note = Pending {
        version: STAMP_VERSION,
        files: files.iter().cloned().collect(),
    };
    write_state(root, PENDING_PATH, &note, gate)?;
    for path in &old {
        failing(root, "removing it", path, root.remove(path, gate))?;
    }
    sync_directories(root, &old, gate)
}

/// Writes the stamp with something else in it than the run that set the instance up.
pub(crate) fn amend(root: &Root, stamp: &Stamp) -> Result<(), Failure> {
    write_state(root, STAMP_PATH, stamp, &mut Open)
}

/// The instance that the plan is for.
pub(crate) struct Instance<'a> {
    pub(crate) id: &'a str,
    pub(crate) host_name: &'a str,
    pub(crate) seed: TakenSeed,
}

pub(crate) fn apply(
    root: &Root,
    plan: &Plan,
    instance: &Instance<'_>,
    state: &State,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let planned: BTreeSet<String> = plan.paths().into_iter().collect();
    let before = state.files();
    keep_originals(root, plan, state, gate)?;
    let note = Pending {
        version: STAMP_VERSION,
        files: before.union(&planned).cloned().collect(),
    };
    write_state(root, PENDING_PATH, &note, gate)?;
    let mut touched: BTreeSet<&str> = BTreeSet::new();
    for path in before.difference(&planned) {
        give_back(root, path, gate)?;
        touched.insert(path);
    }
    // Files that programs have made for this very instance stay.
    let same = state
        .stamp
        .as_ref()
        .is_some_and(|stamp| stamp.instance_id == instance.id);
    for file in &plan.files {
        let path = &file.path;
        match file.content {
            Content::Absent if same => continue,
            Content::Absent => failing(root, "removing it", path, root.remove(path, gate))?,
            _ => failing(root, "writing it", path, write(root, file, gate))?,
        }
        touched.insert(path);
    }
    sync_directories(root, &touched, gate)?;
    let stamp = Stamp {
        version: STAMP_VERSION,
        instance_id: instance.id.to_owned(),
        host_name: instance.host_name.to_owned(),
        plan_digest: plan.digest(),
        files: paths_of(plan, true),
        extra_files: paths_of(plan, false),
        seed: Some(instance.seed.clone()),
    };
    write_state(root, STAMP_PATH, &stamp, gate)?;
    failing(
        root,
        "removing it",
        PENDING_PATH,
        root.remove(PENDING_PATH, gate),
    )?;
    failing(
        root,
        "syncing its directory",
        PENDING_PATH,
        root.sync_parent(PENDING_PATH, gate),
    )
}

/// Copies the image's files that this instance is the first to replace.
fn keep_originals(
    root: &Root,
    plan: &Plan,
    state: &State,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let ours = state.files();
    for file in plan.written().filter(|file| file.may_replace()) {
        // If the state is lost, an existing copy is more reliable than the file.
        let known = state.is_blank() && root.exists(&original(&file.path));
        if !ours.contains(&file.path) && !known {
            set_aside(root, &file.path, gate)?;
        }
    }
    Ok(())
}

fn paths_of(plan: &Plan, required: bool) -> Vec<String> {
    let files = plan.written().filter(|file| file.is_required() == required);
    files.map(|file| file.path.clone()).collect()
}

fn write(root: &Root, file: &PlannedFile, gate: &mut dyn Gate) -> io::Result<()> {
    let access = Access {
        mode: file.mode,
        uid: file.uid,
        gid: file.gid,
    };
    match &file.content {
        Content::Bytes(bytes) => root.replace(&file.path, bytes.expose(), access, gate),
        Content::Link(target) => root.replace_link(&file.path, target, gate),
        Content::Directory => root.make_directory(&file.path, access, gate),
        Content::Absent => Ok(()),
    }
}

/// Copies the image's file at a path, or removes an older copy if there is no such file.
fn set_aside(root: &Root, path: &str, gate: &mut dyn Gate) -> Result<(), Failure> {
    let copy = original(path);
    let kept = match root.entry(path, MAX_ORIGINAL) {
        Ok(Some(PathEntry::File(bytes, access))) => root.replace(&copy, &bytes, access, gate),
        Ok(Some(PathEntry::Link(target))) => root.replace_link(&copy, &target, gate),
        Ok(None) if root.exists(&copy) => root.remove(&copy, gate),
        Ok(None) => return Ok(()),
        Err(error) => Err(error),
    };
    let kept = kept.and_then(|()| root.sync_parent(&copy, gate));
    failing(root, "keeping a copy of it", path, kept)
}

/// The file as it was before this instance, if there was one.
fn give_back(root: &Root, path: &str, gate: &mut dyn Gate) -> Result<(), Failure> {
    let copy = original(path);
    let back = match root.entry(&copy, MAX_ORIGINAL) {
        Ok(Some(PathEntry::File(bytes, access))) => root.replace(path, &bytes, access, gate),
        Ok(Some(PathEntry::Link(target))) => root.replace_link(path, &target, gate),
        Ok(None) => return failing(root, "removing it", path, root.remove(path, gate)),
        Err(error) => Err(error),
    };
    failing(root, "putting it back", path, back)
}

/// Each directory once. The directory of a removed file may be gone as well.
fn sync_directories(
    root: &Root,
    paths: &BTreeSet<&str>,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let mut synced: BTreeSet<&str> = BTreeSet::new();
    for path in paths {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if synced.insert(directory) && (directory.is_empty() || root.exists(directory)) {
            failing(
                root,
                "syncing its directory",
                path,
                root.sync_parent(path, gate),
            )?;
        }
    }
    Ok(())
}

fn write_state(
    root: &Root,
    path: &str,
    value: &impl Serialize,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let written = serde_json::to_vec(value)
        .map_err(io::Error::other)
        .and_then(|bytes| root.replace(path, &bytes, Access::PUBLIC, gate))
        .and_then(|()| root.sync_parent(path, gate));
    failing(root, "writing it", path, written)
}

fn failing<T>(
    root: &Root,
    doing: &'static str,
    path: &str,
    result: io::Result<T>,
) -> Result<T, Failure> {
    result.map_err(|cause| Failure {
        path: root.shown(path),
        doing,
        cause,
    })
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
