//! Writes the plan to disk, safe at any power cut.
//!
//! # Order
//! 1. the image's files that this instance will replace are copied aside, once;
//! 2. a note of all files concerned is written: those of the previous instance and of this one;
//! 3. the previous instance's files that this one does not have give way to what
//!    was there before it, or to nothing;
//! 4. each file: temporary file, sync, rename; then each directory is synced;
//! 5. what templates were rendered with; the stamp, and a copy of it; 6. the note is removed.
//!
//! [`fit`] tells before step 1 what would stop any of them, and step 3 passes over what
//! cannot be removed: a path that no run can do anything with must not stop all later ones.
//!
//! Copies are kept of files that are edited or that a seed asks for; first boot's own files are in
//! no image. A copy counts only for a path of the stamp or the note: before that, the file itself
//! is the original. So an edit (a line added to `/etc/passwd`) always starts from the image's file,
//! and a rerun does not do it twice.
//!
//! Wherever it stops, the note exists or the stamp does not, so that the next run does
//! all of it again and ends in the same state.
pub(crate) mod access;
pub(crate) mod aside;
pub(crate) mod fit;
pub(crate) mod merged;
mod state;
mod traces;

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nodeimg_seed::contract::rendered::{self, RENDERED_PATH, Rendered};
use nodeimg_seed::contract::stamp::{
    ORIGINALS, PENDING_PATH, Pending, RECORD_PATH, STAMP_PATH, STAMP_VERSION, Stamp, TakenSeed,
};
use nodeimg_seed::plan::{Before, Content, Image, Plan, PlannedFile};
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::text::secret::SecretBytes;
use serde::Serialize;

use crate::root::gate::Gate;
use crate::root::{Access, PathEntry, Root, is_absent};
pub(crate) use state::{State, UNKNOWN, missing, tell_files};

/// An original that is copied aside or edited. A table of accounts is far smaller.
const MAX_ORIGINAL: usize = 16 << 20;

/// What an earlier instance has left since it cannot be removed.
pub(crate) type Left = Vec<Failure>;

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

    /// As a warning of what stays.
    pub(crate) fn tell_left(&self, problems: &mut Problems) {
        let reason = format!(
            "is of an earlier instance, and {} failed: {}",
            self.doing, self.cause
        );
        problems.warn(&Place::file(&self.path), reason, "remove it by hand");
    }

    /// Whether the disk refuses any change, so that a later boot may succeed.
    fn is_of_disk(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(
            self.cause.kind(),
            ReadOnlyFilesystem | StorageFull | QuotaExceeded | PermissionDenied
        ) && self.cause.raw_os_error() != Some(Errno::EPERM as i32)
            || self.cause.raw_os_error() == Some(Errno::EIO as i32)
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

    fn is_directory(&self, path: &str) -> bool {
        self.root.is_directory(path)
    }
}

fn original(path: &str) -> String {
    format!("{ORIGINALS}{path}")
}

/// Whether a file is the image's one of which a copy was kept.
fn is_original(root: &Root, path: &str) -> bool {
    let read = |path: &str| root.entry(path, MAX_ORIGINAL).ok().flatten();
    match (read(&original(path)), read(path)) {
        (Some(PathEntry::File(kept, _)), Some(PathEntry::File(now, _))) => kept == now,
        (Some(PathEntry::Link(kept)), Some(PathEntry::Link(now))) => kept == now,
        _ => false,
    }
}

/// The instance that the plan is for.
pub(crate) struct Instance<'a> {
    pub(crate) id: &'a str,
    pub(crate) host_name: &'a str,
    pub(crate) seed: TakenSeed,
    /// Only what was lost is to come back: what grants access stays as it is, since somebody
    /// may have taken it away.
    pub(crate) repair: bool,
}

pub(crate) fn apply(
    root: &Root,
    plan: &Plan,
    instance: &Instance<'_>,
    state: &State,
    gate: &mut dyn Gate,
) -> Result<Left, Failure> {
    let planned: BTreeSet<String> = plan.paths().into_iter().collect();
    let before = state.files();
    keep_originals(root, plan, state, gate)?;
    let note = Pending {
        version: STAMP_VERSION,
        files: before.union(&planned).cloned().collect(),
        repair: instance.repair,
    };
    if let Err(failure) = write_state(root, PENDING_PATH, &note, gate) {
        // Nothing has changed yet, so nothing is pending.
        if state.pending.is_none() {
            let _best_effort = root.remove(PENDING_PATH, gate);
        }
        return Err(failure);
    }
    let mut touched: BTreeSet<&str> = BTreeSet::new();
    let mut left = Left::new();
    for path in before.difference(&planned) {
        match give_back(root, path, gate) {
            Ok(()) => {
                touched.insert(path);
            }
            Err(failure) if failure.is_of_disk() => return Err(failure),
            Err(failure) => left.push(failure),
        }
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
            _ if instance.repair && access::grants(path) => continue,
            Content::Absent => failing(root, "removing it", path, root.remove(path, gate))?,
            _ => failing(root, "writing it", path, write(root, file, gate))?,
        }
        touched.insert(path);
    }
    sync_directories(root, &touched, gate)?;
    if !plan.templates.is_empty() {
        write_rendered(root, &rendered_of(plan, instance.id), gate)?;
    }
    let stamp = Stamp {
        version: STAMP_VERSION,
        templates: plan.templates.clone(),
        instance_id: instance.id.to_owned(),
        host_name: instance.host_name.to_owned(),
        plan_digest: plan.digest(),
        files: paths_of(plan, true),
        extra_files: paths_of(plan, false),
        seed: Some(instance.seed.clone()),
        ..Stamp::default()
    };
    write_stamp(root, &stamp, gate)?;
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
    )?;
    Ok(left)
}

/// Writes the stamp and its copy.
pub(crate) fn write_stamp(root: &Root, stamp: &Stamp, gate: &mut dyn Gate) -> Result<(), Failure> {
    write_state(root, STAMP_PATH, stamp, gate)?;
    write_state(root, RECORD_PATH, stamp, gate)
}

/// Keeps what later images' templates are rendered with.
pub(crate) fn write_rendered(
    root: &Root,
    rendered: &Rendered,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let access = Access {
        mode: 0o600,
        ..Access::PUBLIC
    };
    write_json(root, RENDERED_PATH, rendered, access, gate)
}

fn rendered_of(plan: &Plan, instance_id: &str) -> Rendered {
    let of_template = |file: &&PlannedFile| plan.rendered.contains(&file.path);
    let files = plan.files.iter().filter(of_template);
    let files = files.filter_map(|file| match &file.content {
        Content::Bytes(bytes) => Some((file.path.clone(), rendered::of_file(bytes.expose()))),
        _ => None,
    });
    Rendered {
        version: STAMP_VERSION,
        instance_id: instance_id.to_owned(),
        values: plan.values.all(),
        files: files.collect(),
    }
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
    let is_written = matches!(file.content, Content::Bytes(_) | Content::Link(_));
    if is_written
        && root
            .stat(&file.path)?
            .is_some_and(|stat| stat.is_directory())
    {
        // Left over from the paths of the instance before; anything in it stops this.
        root.remove_empty(&file.path, gate)?;
    }
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

/// Puts the image's file in the place of one that is lost; false if there is none, or the path
/// is taken.
pub(crate) fn restore(root: &Root, path: &str, gate: &mut dyn Gate) -> Result<bool, Failure> {
    if root.exists(path) || !root.exists(&original(path)) {
        return Ok(false);
    }
    give_back(root, path, gate)?;
    failing(
        root,
        "syncing its directory",
        path,
        root.sync_parent(path, gate),
    )?;
    Ok(true)
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
        if !synced.insert(directory) {
            continue;
        }
        match root.sync_parent(path, gate) {
            Err(error) if is_absent(&error) => {}
            done => failing(root, "syncing its directory", path, done)?,
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
    write_json(root, path, value, Access::PUBLIC, gate)
}

fn write_json(
    root: &Root,
    path: &str,
    value: &impl Serialize,
    access: Access,
    gate: &mut dyn Gate,
) -> Result<(), Failure> {
    let written = serde_json::to_vec(value)
        .map_err(io::Error::other)
        .and_then(|bytes| root.replace(path, &bytes, access, gate))
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
