//! What lies there, and what has been vouched for so far.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use super::inside::Inside;
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

/// All that the steps know. Each fills in its own part and reads those before.
pub struct Known {
    pub subject: Subject,
    /// Step 3: by name, open and hashed. Empty for a lone disk.
    pub files: BTreeMap<String, Vouched<Listed>>,
    /// Step 4, of `manifest.json` in `files`.
    pub manifest: Option<Vouched<Manifest>>,
    /// Steps 5 to 8.
    pub inside: Inside,
}
