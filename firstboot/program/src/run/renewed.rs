//! A node whose image has other templates than the one that set it up: what is still as first
//! boot wrote it is rendered again, with the values that were kept.
//!
//! # Invariants
//! A file that somebody has changed or removed stays as it is.
use std::collections::BTreeSet;

use nodeimg_seed::contract::rendered::{self, RENDERED_PATH, Rendered};
use nodeimg_seed::contract::stamp::{MAX_STATE, Stamp};
use nodeimg_seed::plan::{self, Content, PlannedFile, TemplateFile};
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::text::template::Values;

use super::here::read_templates;
use crate::apply::{self, Failure, remedy_for, tell_files};
use crate::root::gate::Open;
use crate::root::{Access, Root};

/// What a rendered file is compared with; no template gives more.
const MAX_FILE: usize = 16 << 20;

/// Renders again what an update has changed. The stamp is written last: until then the next
/// boot does all of it again.
pub(super) fn settle(root: &Root, stamp: &Stamp, problems: &mut Problems) {
    // Earlier versions have kept nothing.
    if stamp.templates.is_empty() {
        return;
    }
    let Some(templates) = read_templates(root, problems) else {
        return;
    };
    let digest = rendered::digest(&templates);
    if digest == stamp.templates {
        return;
    }
    let kept = root.read(RENDERED_PATH, MAX_STATE).ok().flatten();
    let kept = kept.and_then(|bytes| Rendered::read(&bytes, &stamp.instance_id));
    let Some(kept) = kept else {
        let reason = "is missing or damaged, so that this image's templates are not rendered: the \
                      files of the earlier image's stay";
        let remedy = "set this node up again: run `nodeimg-firstboot reprovision` and reboot with \
                      its seed attached";
        problems.warn(&Place::file(RENDERED_PATH), reason, remedy);
        return;
    };
    let mut renewal = Renewal {
        root,
        stamp: stamp.clone(),
        kept,
        changed: Vec::new(),
        written: BTreeSet::new(),
    };
    if let Err(failure) = renewal.run(&templates, digest, problems) {
        let place = Place::file(&failure.path);
        let reason = format!("{} failed: {}", failure.doing, failure.cause);
        problems.warn(&place, reason, remedy_for(&failure.cause));
    }
    renewal.tell(problems);
}

struct Renewal<'a> {
    root: &'a Root,
    stamp: Stamp,
    kept: Rendered,
    /// Files that are no longer as first boot wrote them.
    changed: Vec<String>,
    written: BTreeSet<String>,
}

/// What is at the path of a rendered file.
enum Now {
    Gone,
    /// First boot's, or just what the template gives.
    Ours,
    Changed,
}

impl Renewal<'_> {
    fn run(
        &mut self,
        templates: &[TemplateFile],
        digest: String,
        problems: &mut Problems,
    ) -> Result<(), Failure> {
        let values = Values::of(&self.kept.values);
        for template in templates {
            match plan::render(template, &values) {
                Ok(file) => self.renew(&file)?,
                Err((place, reason)) => {
                    let remedy = "set this node up again: run `nodeimg-firstboot reprovision` and \
                                  reboot with its seed attached";
                    problems.warn(&place, reason, remedy);
                }
            }
        }
        let known = self.kept.files.keys().cloned();
        let gone = known.filter(|path| !templates.iter().any(|file| file.path == *path));
        for path in gone.collect::<Vec<_>>() {
            self.retire(&path)?;
        }
        apply::write_rendered(self.root, &self.kept, &mut Open)?;
        self.stamp.templates = digest;
        apply::write_stamp(self.root, &self.stamp, &mut Open)
    }

    fn renew(&mut self, file: &PlannedFile) -> Result<(), Failure> {
        let Content::Bytes(bytes) = &file.content else {
            return Ok(());
        };
        let (path, bytes) = (&file.path, bytes.expose());
        let digest = rendered::of_file(bytes);
        let is_new = !self.kept.files.contains_key(path);
        match self.now(path, &digest)? {
            // Somebody has removed it, which `mend` tells.
            Now::Gone if !is_new => return Ok(()),
            Now::Changed => {
                self.changed.push(path.clone());
                return Ok(());
            }
            Now::Gone | Now::Ours => {}
        }
        if self.digest_of(path)?.as_ref() != Some(&digest) {
            let access = Access {
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
            };
            let root = self.root;
            let put = root.replace(path, bytes, access, &mut Open);
            let put = put.and_then(|()| root.sync_parent(path, &mut Open));
            put.map_err(|cause| self.failed(path, "rendering it again", cause))?;
            self.written.insert(path.clone());
        }
        if !self.stamp.files.contains(path) {
            self.stamp.files.push(path.clone());
            self.stamp.files.sort();
        }
        self.kept.files.insert(path.clone(), digest);
        Ok(())
    }

    /// The file of a template that this image does not have.
    fn retire(&mut self, path: &str) -> Result<(), Failure> {
        match self.now(path, "")? {
            Now::Changed => {
                self.changed.push(path.to_owned());
                return Ok(());
            }
            Now::Gone => {}
            Now::Ours => {
                let removed = self.root.remove(path, &mut Open);
                removed.map_err(|cause| self.failed(path, "removing it", cause))?;
                self.written.insert(path.to_owned());
            }
        }
        self.stamp.files.retain(|file| file != path);
        self.kept.files.remove(path);
        Ok(())
    }

    fn now(&self, path: &str, wanted: &str) -> Result<Now, Failure> {
        let was = self.kept.files.get(path);
        Ok(match self.digest_of(path)? {
            None => Now::Gone,
            Some(now) if Some(&now) == was || now == wanted => Now::Ours,
            Some(_) => Now::Changed,
        })
    }

    fn digest_of(&self, path: &str) -> Result<Option<String>, Failure> {
        let read = self.root.read(path, MAX_FILE);
        let read = read.map_err(|cause| self.failed(path, "reading it", cause))?;
        Ok(read.map(|bytes| rendered::of_file(&bytes)))
    }

    fn failed(&self, path: &str, doing: &'static str, cause: std::io::Error) -> Failure {
        Failure {
            path: self.root.shown(path),
            doing,
            cause,
        }
    }

    fn tell(&self, problems: &mut Problems) {
        for path in &self.written {
            println!("nodeimg-firstboot: {path}: is as this image's template has it");
        }
        let changed: Vec<&str> = self.changed.iter().map(String::as_str).collect();
        let what = "was changed on this node, so it stays as it is, though this image has another \
                    template for it";
        let remedy = "compare it with the template below /usr/lib/nodeimg, and take over what you \
                      want";
        tell_files(self.root, &changed, what, remedy, problems);
    }
}
