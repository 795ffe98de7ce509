//! The components of Debian's archive.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of Debian's archive, by licence
/// ([Debian Policy 2.2](https://www.debian.org/doc/debian-policy/ch-archive.html#archive-areas)).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    #[default]
    Main,
    Contrib,
    NonFree,
    NonFreeFirmware,
}

impl Component {
    pub const ALL: [Component; 4] = [
        Component::Main,
        Component::Contrib,
        Component::NonFree,
        Component::NonFreeFirmware,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Component::Main => "main",
            Component::Contrib => "contrib",
            Component::NonFree => "non-free",
            Component::NonFreeFirmware => "non-free-firmware",
        }
    }

    pub fn is_main(&self) -> bool {
        *self == Component::Main
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
