//! The time that an image has; there is only one in it.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::date::Date;

/// The one time of everything in an image: seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The time of a build: `SOURCE_DATE_EPOCH` if it is set
    /// (<https://reproducible-builds.org/specs/source-date-epoch/>).
    pub fn now() -> Result<Epoch> {
        if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
            let seconds = text.parse().with_context(|| {
                format!("SOURCE_DATE_EPOCH=`{text}` is not a number of seconds")
            })?;
            return Ok(Epoch(seconds));
        }
        Ok(Epoch(Date::now()?.0))
    }
}
