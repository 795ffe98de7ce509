//! The `files` entries of an artifact: what of it goes where.
//!
//! ```toml
//! files = [
//!     { from = "bin/containerd", to = "/usr/bin/containerd", mode = "0755" },
//!     { from = "bin/*", to = "/usr/bin/" },
//! ]
//! ```

use std::borrow::Cow;
use std::fmt;

use anyhow::{Error, Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::tree::ImagePath;

/// One `files` entry of an artifact in a recipe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallRule {
    /// The member of an archive, with `{version}` and `{arch}` as in `url`; absent for a single binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Selector>,
    /// The path in the image; a slash at the end keeps the member's name.
    pub to: Destination,
    /// Permission bits in octal; `0755` by default.
    #[serde(default)]
    pub mode: Mode,
}

/// Which members of an archive: one by name, or all files of a directory.
///
/// # Invariants
/// Names are relative, normalised and without `..`, as [`member_name`] makes them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Selector {
    One(String),
    /// Every file or link directly in the directory; empty for the archive's top.
    AllIn(String),
}

/// Where a rule's members go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Destination {
    As(ImagePath),
    /// Below this directory, under the member's own name.
    Into(ImagePath),
}

/// Permission bits, written in octal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Mode {
    /// Bits above `07777` are not permission bits and are refused.
    pub fn new(bits: u32) -> Result<Mode> {
        if bits > 0o7777 {
            bail!("mode {bits:o} is more than permission bits: the highest is 7777");
        }
        Ok(Mode(bits))
    }

    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for Mode {
    fn default() -> Mode {
        Mode(0o755)
    }
}

impl TryFrom<String> for Mode {
    type Error = Error;

    fn try_from(text: String) -> Result<Mode> {
        let octal =
            (3..=5).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        match u32::from_str_radix(&text, 8) {
            Ok(bits) if octal => Mode::new(bits),
            _ => bail!("`{text}` is not a mode: use octal digits, as in \"0755\""),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> String {
        mode.to_string()
    }
}

impl TryFrom<String> for Selector {
    type Error = Error;

    fn try_from(text: String) -> Result<Selector> {
        check_placeholders(&text)?;
        let (directory, all) = match text.strip_suffix('*') {
            Some("") => return Ok(Selector::AllIn(String::new())),
            Some(rest) if rest.ends_with('/') => (rest, true),
            _ => (text.as_str(), false),
        };
        let name = member_name(directory)?;
        if name.contains('*') {
            bail!(
                "`{text}`: `*` is allowed only at the end, after a slash, for every file in a \
                 directory"
            );
        }
        match all {
            true => Ok(Selector::AllIn(name)),
            false if name.is_empty() => bail!("`{text}` names no file of the archive"),
            false => Ok(Selector::One(name)),
        }
    }
}

/// What stands for an artifact's version and architecture in a member's name.
const PLACEHOLDERS: [&str; 2] = ["{version}", "{arch}"];

impl InstallRule {
    /// With a version and an architecture's name in the place of what stands for them.
    pub fn filled(&self, version: &str, arch: &str) -> Result<InstallRule> {
        let from = match &self.from {
            Some(from) => Some(from.filled(version, arch)?),
            None => None,
        };
        Ok(InstallRule {
            from,
            ..self.clone()
        })
    }
}

impl Selector {
    fn filled(&self, version: &str, arch: &str) -> Result<Selector> {
        let text = self.to_string();
        if !PLACEHOLDERS.iter().any(|name| text.contains(name)) {
            return Ok(self.clone());
        }
        let filled = text.replace("{version}", version).replace("{arch}", arch);
        Selector::try_from(filled)
    }
}

/// Refuses `{os}` and the like: a slip of the pen rather than a name with braces.
fn check_placeholders(text: &str) -> Result<()> {
    for (at, _) in text.match_indices('{') {
        let Some((name, _)) = text[at + 1..].split_once('}') else {
            continue;
        };
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
        let whole = format!("{{{name}}}");
        if is_name && !text[..at].ends_with('{') && !PLACEHOLDERS.contains(&whole.as_str()) {
            bail!("`{text}` has the placeholder `{whole}`: there are `{{version}}` and `{{arch}}`");
        }
    }
    Ok(())
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::One(name) => f.write_str(name),
            Selector::AllIn(directory) if directory.is_empty() => f.write_str("*"),
            Selector::AllIn(directory) => write!(f, "{directory}/*"),
        }
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.to_string()
    }
}

impl TryFrom<String> for Destination {
    type Error = Error;

    fn try_from(text: String) -> Result<Destination> {
        let path: ImagePath = text.parse()?;
        match text.ends_with('/') {
            true => Ok(Destination::Into(path)),
            false => Ok(Destination::As(path)),
        }
    }
}

impl Destination {
    /// The place of a member called `name` (its last part).
    pub fn place(&self, name: &str) -> Result<ImagePath> {
        match self {
            Destination::As(path) => Ok(path.clone()),
            Destination::Into(directory) => directory.join(name),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::As(path) => path.fmt(f),
            Destination::Into(path) => write!(f, "{}/", path.as_str().trim_end_matches('/')),
        }
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> String {
        destination.to_string()
    }
}

/// An archive member's name without `./` before and `/` behind, empty for the
/// archive's top. Checked as an [`ImagePath`], but kept as the archive has it:
/// `bin/x` and `usr/bin/x` are two members, though one place in an image.
pub fn member_name(raw: &str) -> Result<String> {
    ImagePath::from_relative(raw)?;
    let mut rest = raw.trim_end_matches('/');
    while let Some(inner) = rest.strip_prefix("./") {
        rest = inner;
    }
    Ok(if rest == "." { "" } else { rest }.to_owned())
}

impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1,
            "description": "a member of the archive, or `directory/*` for every file in a directory; `{version}` and `{arch}` are filled in as in `url`"})
    }
}

impl JsonSchema for Destination {
    fn schema_name() -> Cow<'static, str> {
        "Destination".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^/",
            "description": "a path in the image; with a slash at the end, the member keeps its name"})
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-7]{3,5}$",
            "description": "permission bits in octal, as in 0755"})
    }
}
