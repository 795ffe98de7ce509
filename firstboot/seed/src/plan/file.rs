//! A file that is to be written, and the plan that it is a part of.
use sha2::{Digest, Sha256};

use crate::contract::paths::{SCRIPTS, is_volatile};
use crate::text::problem::Place;
use crate::text::secret::{Secret, SecretBytes};
use crate::text::template::Values;

/// A file to write. No `Debug`: the content may be a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct PlannedFile {
    pub path: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub content: Content,
    pub role: Role,
    /// Where the seed asks for it; none for what follows from other values.
    pub place: Option<Place>,
}

/// The owner of a file, which decides what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// First boot's own: the instance is not complete without it, and it is removed with the
    /// instance.
    Own,
    /// First boot's own as well, and removed when it is no longer needed.
    Passing,
    /// One of the image's with something added: the original comes back.
    Edited,
    /// Asked for by the seed. It may be removed again, since commands remove files and
    /// some are in memory only; the original comes back.
    Asked,
}

impl PlannedFile {
    /// Whether it may replace a file that is not first boot's.
    pub fn may_replace(&self) -> bool {
        matches!(self.role, Role::Edited | Role::Asked)
    }

    /// Whether the instance counts as set up only while the file is there.
    pub fn is_required(&self) -> bool {
        !matches!(self.role, Role::Asked | Role::Passing) && !is_volatile(&self.path)
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(SecretBytes),
    /// A symbolic link to this.
    Link(String),
    /// Created if it does not exist; never removed.
    Directory,
    /// Removed when an instance begins: files that programs made for the previous one.
    Absent,
}

impl PlannedFile {
    pub(super) fn new(path: &str, mode: u32, content: SecretBytes) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            uid: 0,
            gid: 0,
            content: Content::Bytes(content),
            role: Role::Own,
            place: None,
        }
    }

    pub(super) fn public(path: &str, content: &str) -> Self {
        Self::new(path, 0o644, Secret::new(content.to_owned()).into())
    }

    pub(super) fn private(path: &str, text: Secret) -> Self {
        Self::new(path, 0o600, text.into())
    }

    /// One of the image's, or of no one, for as long as the instance lasts.
    pub(super) fn over_image(mut self) -> Self {
        self.role = Role::Edited;
        self
    }

    /// To be run once, and removed when all have succeeded.
    pub(super) fn script(name: &str, text: SecretBytes) -> Self {
        Self {
            role: Role::Passing,
            ..Self::new(&format!("{SCRIPTS}/{name}"), 0o700, text)
        }
    }
}

#[derive(Default)]
pub struct Plan {
    pub files: Vec<PlannedFile>,
    /// [`rendered::digest`](crate::contract::rendered::digest) of the templates.
    pub templates: String,
    /// The files that templates were rendered to.
    pub rendered: Vec<String>,
    /// What they were rendered with.
    pub values: Values,
}

impl Plan {
    /// SHA-256 over paths, modes, owners and contents.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            let head = format!("{}\0{:o} {} {} ", file.path, file.mode, file.uid, file.gid);
            hash.update(head.as_bytes());
            let (kind, bytes): (u8, &[u8]) = match &file.content {
                Content::Bytes(bytes) => (b'f', bytes.expose()),
                Content::Link(target) => (b'l', target.as_bytes()),
                Content::Directory => (b'd', &[]),
                Content::Absent => (b'a', &[]),
            };
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Paths of files and links, in order.
    pub fn paths(&self) -> Vec<String> {
        self.written().map(|file| file.path.clone()).collect()
    }

    /// The text of a planned file, for tests and for showing a plan.
    pub fn text(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == path)?;
        match &file.content {
            Content::Bytes(bytes) => std::str::from_utf8(bytes.expose()).ok(),
            Content::Link(target) => Some(target),
            Content::Directory | Content::Absent => None,
        }
    }

    /// Files and links; directories stay when an instance goes.
    pub fn written(&self) -> impl Iterator<Item = &PlannedFile> {
        let written =
            |file: &&PlannedFile| matches!(file.content, Content::Bytes(_) | Content::Link(_));
        self.files.iter().filter(written)
    }
}
