//! Where a text of somebody else's states the digest of an artifact.

use anyhow::{Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};

use crate::input::artifact::checksum;

/// What is looked for.
pub struct About<'a> {
    /// Of the artifact.
    pub url: &'a str,
    /// `runc 1.4.3 (amd64)`.
    pub what: &'a str,
    pub sha256: &'a Digest,
}

impl About<'_> {
    fn version(&self) -> &str {
        self.what.split(' ').nth(1).unwrap_or_default()
    }
}

/// The line of `text` that states the digest of this artifact: a line with its file name or
/// its version, or one just below its version, or the only word of the text.
///
/// # Errors
/// The text states another digest for that very file.
pub fn line<'t>(text: &'t str, about: &About<'_>) -> Result<Option<&'t str>> {
    let name = checksum::file_name(about.url);
    let named: String = text
        .lines()
        .filter(|line| line.contains(name.as_str()))
        .map(|line| format!("{line}\n"))
        .collect();
    if let Ok(Some(stated)) = checksum::find(&named, about.url)
        && stated.algorithm() == Algorithm::Sha256
        && stated != *about.sha256
    {
        bail!(
            "it states {stated} for {}, but the bytes have {}",
            about.what,
            about.sha256
        );
    }
    let hex = about.sha256.hex();
    let lines: Vec<&str> = text.lines().collect();
    let has = |line: &str| line.to_ascii_lowercase().contains(hex);
    let is_alone = text.split_whitespace().count() <= 2;
    let found = lines.iter().enumerate().find(|(at, line)| {
        let before = at.checked_sub(1).map_or("", |at| lines[at]);
        let versioned = names(line, about.version()) || names(before, about.version());
        has(line) && (is_alone || line.contains(name.as_str()) || versioned)
    });
    Ok(found.map(|(_, line)| *line))
}

/// Whether `line` has `version`, and not as a part of another one.
fn names(line: &str, version: &str) -> bool {
    if version.is_empty() {
        return false;
    }
    line.match_indices(version).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + version.len()..];
        let inner = |c: char| c.is_ascii_digit() || c == '.';
        let more = after.starts_with(|c: char| c.is_ascii_digit())
            || after
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        !before.is_some_and(inner) && !more
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn find(text: &str) -> Result<Option<String>> {
        let sha256 = Digest::sha256(b"x");
        let about = About {
            url: "https://a.b/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz",
            what: "crictl 1.36.0 (amd64)",
            sha256: &sha256,
        };
        Ok(line(text, &about)?.map(str::to_owned))
    }

    #[test]
    fn a_digest_counts_where_it_is_said_of_this_version_of_this_file() {
        let hex = Digest::sha256(b"x").hex().to_owned();
        for good in [
            hex.clone(),
            format!("{hex}\n"),
            format!("{hex}  crictl-v1.36.0-linux-amd64.tar.gz\n"),
            format!("crictl_checksums:\n  amd64:\n    1.36.0: sha256:{hex}\n    1.35.0: x\n"),
            format!("- name: v1.36.0/crictl\n  sha256: {}\n", hex.to_uppercase()),
        ] {
            let found = find(&good).unwrap();
            assert!(found.is_some(), "{good}");
        }
        for other in [
            format!("crictl_checksums:\n  amd64:\n    1.36.01: sha256:{hex}\n"),
            format!("crictl_checksums:\n  amd64:\n    11.36.0: sha256:{hex}\n"),
            format!("crictl_checksums:\n  amd64:\n    1.36.0.1: sha256:{hex}\n"),
            format!("something else: {hex} and more\n"),
            "1.36.0: sha256:00\n".to_owned(),
        ] {
            assert_eq!(find(&other).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn a_text_with_another_digest_for_the_file_disagrees() {
        let other = Digest::sha256(b"y");
        let text = format!("{}  crictl-v1.36.0-linux-amd64.tar.gz\n", other.hex());
        let error = find(&text).unwrap_err().to_string();
        assert!(error.contains("but the bytes have"), "{error}");
    }
}
