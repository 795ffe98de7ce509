//! Paths inside an image.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Directories that are links on every image (merged /usr, /var/run), resolved
/// here so that no two names of one place can be in a [`Tree`](super::Tree).
const MERGED: [(&str, &str); 6] = [
    ("/bin", "/usr/bin"),
    ("/sbin", "/usr/sbin"),
    ("/lib", "/usr/lib"),
    ("/lib64", "/usr/lib64"),
    ("/var/run", "/run"),
    ("/var/lock", "/run/lock"),
];

/// A place in an image.
///
/// # Invariants
/// Absolute, without `.`, `..`, empty parts, control characters or a slash at
/// the end (but for the root itself), with merged /usr resolved:
/// `/bin/containerd` is `/usr/bin/containerd`. The links that do so have paths
/// of their own, from [`ImagePath::merged_usr`] alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImagePath(String);

impl ImagePath {
    /// The image's root directory.
    pub fn root() -> ImagePath {
        ImagePath("/".to_owned())
    }

    /// A path as an archive or a directory walk names it: `usr/bin/runc`,
    /// `./bridge` and `bin/` are taken, what could leave the root is not.
    pub fn from_relative(member: &str) -> Result<ImagePath> {
        if member.starts_with('/') {
            bail!("`{}` is absolute", member.escape_debug());
        }
        let mut rest = member.trim_end_matches('/');
        while let Some(inner) = rest.strip_prefix("./") {
            rest = inner;
        }
        if rest.is_empty() || rest == "." {
            return Ok(ImagePath::root());
        }
        format!("/{rest}").parse()
    }

    /// The links of merged /usr themselves, as (place, text), `/lib64` if
    /// wanted: the only paths that are not resolved through them.
    pub fn merged_usr(lib64: bool) -> impl Iterator<Item = (ImagePath, &'static str)> {
        MERGED
            .into_iter()
            .filter_map(|(from, to)| Some((from, to.strip_prefix("/usr/").map(|_| &to[1..])?)))
            .filter(move |(from, _)| lib64 || *from != "/lib64")
            .map(|(from, to)| (ImagePath(from.to_owned()), to))
    }

    /// Whether `member`, as an archive names it, is one of the links that every
    /// image has: `bin`, `var/run`.
    pub fn is_merged(member: &str) -> bool {
        MERGED.iter().any(|(from, _)| from[1..] == *member)
    }

    /// Reads a path of a manifest: it lists the links of merged /usr themselves.
    ///
    /// # Errors
    /// It is not a path of an image.
    pub fn listed<'de, D: Deserializer<'de>>(from: D) -> Result<ImagePath, D::Error> {
        let text = String::deserialize(from)?;
        match MERGED.iter().any(|(from, _)| *from == text) {
            true => Ok(ImagePath(text)),
            false => text.parse().map_err(D::Error::custom),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the leading slash, as a tar member is named; empty for the root.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The directory that this is in; `None` for the root.
    pub fn parent(&self) -> Option<ImagePath> {
        match self.0.rsplit_once('/') {
            _ if self.0 == "/" => None,
            Some(("", _)) => Some(ImagePath::root()),
            Some((parent, _)) => Some(ImagePath(parent.to_owned())),
            None => None,
        }
    }

    /// `part` below this: one name or several with slashes.
    pub fn join(&self, part: &str) -> Result<ImagePath> {
        format!("{}/{part}", self.0.trim_end_matches('/')).parse()
    }

    /// Whether a symbolic link with the text `target`, lying at this path,
    /// goes above the root at any point of its way.
    pub fn link_leaves_root(&self, target: &str) -> bool {
        let depth = match target.starts_with('/') {
            true => 0,
            false => self.relative().matches('/').count(),
        };
        climbs_above(target, depth)
    }

    /// Whether this is `directory` or below it.
    pub fn is_within(&self, directory: &ImagePath) -> bool {
        self == directory
            || directory.0 == "/"
            || self
                .0
                .strip_prefix(&directory.0)
                .is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Whether a link's text goes above the root from a directory that is `depth`
/// levels below it, at any point of its way.
pub fn climbs_above(target: &str, mut depth: usize) -> bool {
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

impl FromStr for ImagePath {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<ImagePath> {
        let shown = text.escape_debug();
        let Some(rest) = text.strip_prefix('/') else {
            bail!("`{shown}` is not an absolute path");
        };
        if text.chars().any(char::is_control) {
            bail!("`{shown}` holds a control character");
        }
        if text.len() > 4095 {
            bail!("`{shown}` is longer than 4095 bytes");
        }
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() {
            return Ok(ImagePath::root());
        }
        for part in rest.split('/') {
            match part {
                "" => bail!("`{shown}` has an empty part (`//`)"),
                "." => bail!("`{shown}` has a part `.`"),
                ".." => bail!("`{shown}` has a part `..`, which could leave the image"),
                _ if part.len() > 255 => bail!("`{shown}` has a part longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(ImagePath(merge_usr(&format!("/{rest}"))))
    }
}

fn merge_usr(path: &str) -> String {
    for (from, to) in MERGED {
        if let Some(rest) = path.strip_prefix(from)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return format!("{to}{rest}");
        }
    }
    path.to_owned()
}

impl TryFrom<String> for ImagePath {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<ImagePath> {
        text.parse()
    }
}

impl From<ImagePath> for String {
    fn from(path: ImagePath) -> String {
        path.0
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn good_paths() {
        for (text, want) in [
            ("/", "/"),
            ("/etc/hosts", "/etc/hosts"),
            ("/etc/", "/etc"),
            ("/bin/containerd", "/usr/bin/containerd"),
            ("/bin", "/usr/bin"),
            ("/binary", "/binary"),
            ("/lib64/ld.so", "/usr/lib64/ld.so"),
            ("/var/run/kubernetes", "/run/kubernetes"),
        ] {
            assert_eq!(text.parse::<ImagePath>().unwrap().as_str(), want);
        }
    }

    #[test]
    fn the_links_of_merged_usr() {
        let links: Vec<_> = ImagePath::merged_usr(false)
            .map(|(path, target)| format!("{path} {target}"))
            .collect();
        assert_eq!(links, ["/bin usr/bin", "/sbin usr/sbin", "/lib usr/lib"]);
        assert_eq!(ImagePath::merged_usr(true).count(), 4);
    }

    #[test]
    fn odd_paths_are_refused() {
        for bad in [
            "", "etc", "/../etc", "/etc/..", "/a/./b", "/a//b", "/a\0b", "/a\nb",
        ] {
            assert!(bad.parse::<ImagePath>().is_err(), "{bad:?}");
        }
        assert!(
            format!("/{}", "x".repeat(256))
                .parse::<ImagePath>()
                .is_err()
        );
    }

    #[test]
    fn relative_members() {
        for (member, want) in [
            ("./bridge", "/bridge"),
            ("bin/", "/usr/bin"),
            (".", "/"),
            ("././a", "/a"),
        ] {
            assert_eq!(ImagePath::from_relative(member).unwrap().as_str(), want);
        }
        for bad in ["/etc", "../x", "a/../../b", "./../x"] {
            assert!(ImagePath::from_relative(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_that_leave_the_root() {
        let path: ImagePath = "/opt/cni/bin/x".parse().unwrap();
        for inside in ["y", "../../../etc/x", "/etc/x", "/a/../b", "./../y/"] {
            assert!(!path.link_leaves_root(inside), "{inside}");
        }
        for outside in ["../../../..", "/..", "/a/../../b", "a/../../../../../x"] {
            assert!(path.link_leaves_root(outside), "{outside}");
        }
    }

    #[test]
    fn family() {
        let path: ImagePath = "/etc/cni/net.d".parse().unwrap();
        assert_eq!(path.parent().unwrap().as_str(), "/etc/cni");
        assert_eq!(path.name(), "net.d");
        assert!(path.is_within(&"/etc".parse().unwrap()));
        assert!(!path.is_within(&"/et".parse().unwrap()));
        assert!(path.is_within(&ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
        assert!(path.join("../x").is_err());
    }
}
