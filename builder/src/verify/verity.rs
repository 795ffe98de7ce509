//! Step 7: the whole tree of dm-verity.

use super::known::Known;
use super::policy::Policy;
use super::step::{Judged, Verdict};

pub fn check(_known: &mut Known, _policy: &Policy) -> Judged {
    Ok(Verdict::not_applicable("it is not written yet"))
}
