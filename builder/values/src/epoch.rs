//! The time that an image has; there is only one in it.

use serde::{Deserialize, Serialize};

/// The one time of everything in an image: seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);
