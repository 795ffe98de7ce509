//! What lies there, and what has been vouched for so far.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use nodeimg_values::digest::Digest;

use super::inside::Inside;
use super::statement::Statement;
use super::vouched::Vouched;
use super::vouched::files::Listed;
use crate::output::manifest::Manifest;

/// What is verified.
pub enum Subject {
    /// What a build wrote: a directory, or files at a URL.
    Outputs {
        /// For people.
        shown: String,
    },
    /// A disk or a device without the lists of its build: nothing of it is vouched for before
    /// step 6, by a certificate or a root hash that the user gave.
    Disk { path: PathBuf, file: File },
}

/// Digests by name.
pub type Sums = BTreeMap<String, Digest>;

/// All that the steps know. Each fills in its own part and reads those before.
pub struct Known {
    pub subject: Subject,
    /// Step 2: what the files must be. `None` for a lone disk.
    pub sums: Option<Vouched<Sums>>,
    /// Step 3: by name, open and hashed. Empty for a lone disk.
    pub files: BTreeMap<String, Vouched<Listed>>,
    /// Step 4, of `manifest.json` in `files`.
    pub manifest: Option<Vouched<Manifest>>,
    /// Step 4, of `provenance.json` in `files`.
    pub statement: Option<Vouched<Statement>>,
    /// Step 9: how well the inputs are vouched for, and by whom the least.
    pub upstream: Option<String>,
    /// Steps 5 to 8.
    pub inside: Inside,
}

impl Known {
    /// Nothing is known yet.
    pub fn of(subject: Subject) -> Known {
        Known {
            subject,
            sums: None,
            files: BTreeMap::new(),
            manifest: None,
            statement: None,
            upstream: None,
            inside: Inside::default(),
        }
    }

    /// How messages name what is verified.
    pub fn shown(&self) -> String {
        match &self.subject {
            Subject::Outputs { shown } => shown.clone(),
            Subject::Disk { path, .. } => path.display().to_string(),
        }
    }
}
