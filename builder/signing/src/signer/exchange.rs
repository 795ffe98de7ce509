//! Keys on a machine without a network: what is to be signed is written to files, which are
//! carried there, and the answers back.
//!
//! ```text
//! uki.efi-0123456789abcdef.message   what to sign, all of it
//! uki.efi-0123456789abcdef.sig       the raw signature
//! ```
//!
//! # Invariants
//! An answer is found by the digest of the message: it never goes with another one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nodeimg_values::atomic;
use nodeimg_values::digest::Digest;
use nodeimg_values::regular;

/// No signature is longer, in bytes.
const LONGEST: u64 = 4096;

/// A folder of messages and answers.
pub struct Exchange {
    folder: PathBuf,
    wanted: RefCell<BTreeSet<String>>,
}

impl Exchange {
    /// In `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> Result<Exchange> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Exchange {
            folder: folder.to_owned(),
            wanted: RefCell::default(),
        })
    }

    /// The messages that are yet to be signed, as `FILE (KEY)`.
    pub fn wanted(&self) -> Vec<String> {
        self.wanted.borrow().iter().cloned().collect()
    }

    /// The answer to `message`; without one the message is written down, and `None`.
    pub(super) fn answer(&self, what: &str, key: &str, message: &[u8]) -> Result<Option<Vec<u8>>> {
        let digest = Digest::sha256(message);
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let what: String = what
            .chars()
            .map(|c| if plain(c) { c } else { '-' })
            .collect();
        let name = format!("{what}-{}", &digest.hex()[..16]);
        let answer = self.folder.join(format!("{name}.sig"));
        if answer.exists() {
            let context = || format!("reading {}", answer.display());
            return regular::read(&answer, LONGEST)
                .map(Some)
                .with_context(context);
        }
        let file = format!("{name}.message");
        atomic::write_file(&self.folder.join(&file), message)?;
        self.wanted.borrow_mut().insert(format!("{file} ({key})"));
        Ok(None)
    }
}
