//! Step 3: each file against its sum.

use std::fs::File;

use nodeimg_values::digest::Digest;

use crate::verify::known::Known;
use crate::verify::policy::Policy;
use crate::verify::step::{Judged, Verdict};

/// A file that was hashed, still open: another one in its place is not read.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    /// In bytes.
    pub size: u64,
    pub sha256: Digest,
    pub file: File,
}

pub fn check(_known: &mut Known, _policy: &Policy) -> Judged {
    Ok(Verdict::not_applicable("it is not written yet"))
}
