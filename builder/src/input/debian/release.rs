//! Release files: what a suite's indexes are
//! ([format](https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files)).

use anyhow::{Context, Result, bail};
use nodeimg_values::date::Date;
use nodeimg_values::digest::{Algorithm, Digest};

use super::stanza::stanzas;

/// A Release file's facts; its signature was checked by whoever has the text.
#[derive(Debug)]
pub struct Release<'a> {
    pub date: Date,
    valid_until: Option<Date>,
    names: [Option<&'a str>; 2],
    by_hash: bool,
    files: &'a str,
}

/// One file of a suite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexFile {
    /// Below `dists/SUITE/`.
    pub path: String,
    pub sha256: Digest,
    pub size: u64,
}

impl<'a> Release<'a> {
    pub fn parse(text: &'a str) -> Result<Release<'a>> {
        let Some(stanza) = stanzas(text).next() else {
            bail!("it is empty");
        };
        let date = |name: &str| {
            let value = stanza.field(name).map(Date::from_release).transpose();
            value.with_context(|| format!("its field `{name}`"))
        };
        Ok(Release {
            date: date("Date")?.context("it has no field `Date`")?,
            valid_until: date("Valid-Until")?,
            names: [stanza.field("Codename"), stanza.field("Suite")],
            by_hash: stanza.field("Acquire-By-Hash") == Some("yes"),
            files: stanza.field("SHA256").context("it has no field `SHA256`")?,
        })
    }

    /// That this is `suite`, and as new as it says: a mirror must not hand out
    /// another suite, nor an old state for ever.
    pub fn check(&self, suite: &str, now: Date, allow_expired: bool) -> Result<()> {
        if !self.names.contains(&Some(suite)) {
            let names: Vec<_> = self.names.into_iter().flatten().collect();
            bail!("it belongs to the suite `{}`", names.join("`, `"));
        }
        self.check_time(suite, now, allow_expired)
    }

    /// Only the second; `suite` is the name for messages.
    pub fn check_time(&self, suite: &str, now: Date, allow_expired: bool) -> Result<()> {
        // A day for clocks and time zones that are set wrong.
        if self.date > now.plus_days(1) {
            bail!(
                "it is dated {}, which is in the future: this machine's clock says {now}; is the \
                 clock right?",
                self.date
            );
        }
        match self.valid_until {
            Some(until) if until < now && !allow_expired => bail!(
                "it was valid until {until}, and this machine's clock says {now}: if that is right, \
                 the mirror is out of date; to accept that, add `{suite}` to `base.allow_expired` \
                 in the recipe"
            ),
            _ => Ok(()),
        }
    }

    /// The entry of `name`, as in `main/binary-amd64/Packages.xz`.
    pub fn file(&self, name: &str) -> Result<IndexFile> {
        for line in self.files.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(hex), Some(size), Some(path)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if path != name {
                continue;
            }
            let sha256 = Digest::new(Algorithm::Sha256, hex)?;
            let size = size
                .parse()
                .with_context(|| format!("the size of `{name}` is `{size}`"))?;
            let path = match (self.by_hash, name.rsplit_once('/')) {
                (true, Some((directory, _))) => {
                    format!("{directory}/by-hash/SHA256/{}", sha256.hex())
                }
                _ => name.to_owned(),
            };
            return Ok(IndexFile { path, sha256, size });
        }
        bail!("it lists no `{name}`: the suite lacks this architecture or component")
    }
}

/// The signed text: a signature does not cover line ends and blanks before them
/// ([RFC 9580](https://www.rfc-editor.org/rfc/rfc9580), section 7.2), so whoever
/// sends the text must not choose its digest by them.
pub fn canonical(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        lines.push_str(line.trim_end_matches([' ', '\t', '\r']));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "Origin: Debian\nSuite: stable-security\nCodename: trixie-security\n\
        Date: Fri, 20 Nov 2026 00:12:42 UTC\nValid-Until: Fri, 27 Nov 2026 00:12:42 UTC\n\
        Acquire-By-Hash: yes\nSHA256:\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855   12 main/binary-arm64/Packages.xz\n";

    fn now(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn facts() {
        let release = Release::parse(TEXT).unwrap();
        assert_eq!(release.date.to_string(), "20261120T001242Z");
        let file = release.file("main/binary-arm64/Packages.xz").unwrap();
        assert_eq!(file.size, 12);
        assert_eq!(
            file.path,
            format!("main/binary-arm64/by-hash/SHA256/{}", file.sha256.hex())
        );
        let error = release.file("main/binary-mips/Packages.xz").unwrap_err();
        assert!(error.to_string().contains("mips"), "{error}");
        let plain = TEXT.replace("Acquire-By-Hash: yes\n", "");
        let file = Release::parse(&plain).unwrap();
        let file = file.file("main/binary-arm64/Packages.xz").unwrap();
        assert_eq!(file.path, "main/binary-arm64/Packages.xz");
    }

    #[test]
    fn stale_future_and_other_suites_are_refused() {
        let release = Release::parse(TEXT).unwrap();
        let check = |suite, when, allowed| {
            let result = release.check(suite, now(when), allowed);
            result.map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        assert_eq!(check("trixie-security", "20261127T001242Z", false), "");
        assert_eq!(check("stable-security", "20261121T000000Z", false), "");
        let expired = check("trixie-security", "20261127T001243Z", false);
        assert!(expired.contains("base.allow_expired"), "{expired}");
        assert_eq!(check("trixie-security", "20261127T001243Z", true), "");
        let early = check("trixie-security", "20261118T000000Z", true);
        assert!(early.contains("clock"), "{early}");
        let other = check("trixie", "20261121T000000Z", true);
        assert!(other.contains("`trixie-security`"), "{other}");
        for broken in ["", "Suite: x\n", "Date: soon\nSHA256: x\n"] {
            assert!(Release::parse(broken).is_err(), "{broken}");
        }
    }
}
