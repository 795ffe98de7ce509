//! Names of packages.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::input::recipe::value::text_value;

/// A Debian package's name
/// ([Debian Policy 5.6.1](https://www.debian.org/doc/debian-policy/ch-controlfields.html#source)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);

text_value!(
    PackageName,
    "^[a-z0-9][a-z0-9+.-]*$",
    "the name of a Debian package"
);

impl PackageName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PackageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<PackageName> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b);
        let first = text.as_bytes().first();
        if !first.is_some_and(u8::is_ascii_alphanumeric)
            || text.len() > 100
            || !text.bytes().all(inner)
        {
            bail!(
                "`{}` is not the name of a Debian package: use lowercase letters, digits, `+`, \
                 `.` and `-`",
                text.escape_debug()
            );
        }
        Ok(PackageName(text.to_owned()))
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
