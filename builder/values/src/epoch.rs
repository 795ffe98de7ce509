//! The time that an image has; there is only one in it.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::date::Date;

/// The one time of everything in an image: seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// `SOURCE_DATE_EPOCH`, if it is set
    /// (<https://reproducible-builds.org/specs/source-date-epoch/>).
    pub fn given() -> Result<Option<Epoch>> {
        let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else {
            return Ok(None);
        };
        let seconds = text
            .parse()
            .with_context(|| format!("SOURCE_DATE_EPOCH=`{text}` is not a number of seconds"))?;
        Ok(Some(Epoch(seconds)))
    }

    /// The time of a build: [`Epoch::given`], or that of the clock.
    pub fn now() -> Result<Epoch> {
        match Epoch::given()? {
            Some(epoch) => Ok(epoch),
            None => Ok(Epoch(Date::now()?.0)),
        }
    }
}
