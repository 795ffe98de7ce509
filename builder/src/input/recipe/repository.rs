//! `[[base.repository]]`: apt repositories of other publishers than Debian.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_values::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Name;
use crate::input::fetch::shown;

/// An apt repository of another publisher, with the keys that sign it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryPart {
    /// What the lock, messages and `pins` call it: `docker`.
    pub name: Name,
    /// `https://download.docker.com/linux/debian`.
    pub url: String,
    /// The suite, `trixie`; of a flat repository a directory with a slash at its end, as `/`.
    pub suite: String,
    /// The suite's components, `["stable"]`; a flat repository has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// A file with the OpenPGP keys that may sign its index, armored or not.
    pub signed_by: String,
}

/// The same, checked. The lock depends on all that is serialised.
#[derive(Clone, Debug, Serialize)]
pub struct Repository {
    pub name: Name,
    /// Without a slash at its end.
    pub url: String,
    pub suite: String,
    pub components: Vec<String>,
    /// Of the file of keys.
    pub keys: Digest,
    #[serde(skip)]
    pub key_file: Vec<u8>,
}

impl RepositoryPart {
    /// # Errors
    /// The key at fault, and why.
    pub fn checked(&self) -> Result<Repository, (&'static str, anyhow::Error)> {
        let at = |key| move |error| (key, error);
        self.check_url().map_err(at("url"))?;
        self.check_suite().map_err(at("suite"))?;
        self.check_components().map_err(at("components"))?;
        let keys = fs::read(&self.signed_by).with_context(|| format!("reading {}", self.signed_by));
        let keys = keys.map_err(at("signed_by"))?;
        if !holds_keys(&keys) {
            let error = anyhow!("{} does not hold OpenPGP keys", self.signed_by);
            return Err(("signed_by", error));
        }
        Ok(Repository {
            name: self.name.clone(),
            url: self.url.trim_end_matches('/').to_owned(),
            suite: self.suite.clone(),
            components: self.components.clone(),
            keys: Digest::sha256(&keys),
            key_file: keys,
        })
    }

    fn check_url(&self) -> Result<()> {
        let host = self.url.strip_prefix("https://");
        let host = host.map(|rest| rest.split('/').next().unwrap_or_default());
        let shown = shown(&self.url);
        if host.is_some_and(|host| host.contains('@')) {
            bail!(
                "`{shown}` has a login: the lock would hold it; logins are read from ~/.netrc and \
                 apt's auth.conf.d"
            );
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "?#".contains(c);
        if host.is_none_or(str::is_empty) || self.url.contains(odd) {
            bail!("`{shown}` is not an https URL of a directory");
        }
        Ok(())
    }

    fn check_suite(&self) -> Result<()> {
        let odd = self
            .suite
            .contains(|c: char| c.is_whitespace() || c.is_control());
        let up = self.suite.split('/').any(|part| part == "..");
        if self.suite.is_empty() || odd || up {
            bail!(
                "`{}` is neither a suite nor, for a flat repository, a directory with a slash at \
                 its end",
                self.suite.escape_debug()
            );
        }
        Ok(())
    }

    fn check_components(&self) -> Result<()> {
        match (self.suite.ends_with('/'), self.components.as_slice()) {
            (true, []) => Ok(()),
            (true, _) => bail!("a flat repository (its suite ends in a slash) has none"),
            (false, []) => bail!("name at least one, as in [\"stable\"]"),
            (false, list) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+/".contains(c);
                for name in list {
                    if name.is_empty() || name.contains("..") || !name.chars().all(plain) {
                        bail!("`{}` is not a component", name.escape_debug());
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whether a file begins as keys do, armored or not: a page that asks to sign in does not. What
/// they are is seen when the lock is made.
fn holds_keys(bytes: &[u8]) -> bool {
    let armored = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let binary = bytes.first().is_some_and(|first| first & 0x80 != 0);
    binary || bytes.windows(armored.len()).any(|window| window == armored)
}

impl Repository {
    /// Whether it has no suites.
    pub fn is_flat(&self) -> bool {
        self.suite.ends_with('/')
    }

    /// The directory of its index, below the URL, without a slash at either end.
    pub fn directory(&self) -> String {
        let suite = self.suite.trim_start_matches("./").trim_matches('/');
        match self.is_flat() {
            true => suite.to_owned(),
            false => format!("dists/{suite}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_repository_may_not_be_is_told_by_key() {
        let dir = tempfile::tempdir().unwrap();
        let (good, bad) = (dir.path().join("good.asc"), dir.path().join("bad.asc"));
        fs::write(&good, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n").unwrap();
        fs::write(&bad, "<html>sign in</html>").unwrap();
        let part = || RepositoryPart {
            name: "docker".parse().unwrap(),
            url: "https://download.docker.com/linux/debian/".to_owned(),
            suite: "trixie".to_owned(),
            components: vec!["stable".to_owned()],
            signed_by: good.to_str().unwrap().to_owned(),
        };
        let checked = part().checked().unwrap();
        assert_eq!(checked.url, "https://download.docker.com/linux/debian");
        assert_eq!(checked.directory(), "dists/trixie");
        let flat = RepositoryPart {
            suite: "./amd64/".to_owned(),
            components: Vec::new(),
            ..part()
        };
        assert_eq!(flat.checked().unwrap().directory(), "amd64");
        for (key, part) in [
            (
                "url",
                RepositoryPart {
                    url: "http://x.example".to_owned(),
                    ..part()
                },
            ),
            (
                "url",
                RepositoryPart {
                    url: "https://me:secret@x.example/deb".to_owned(),
                    ..part()
                },
            ),
            (
                "url",
                RepositoryPart {
                    url: "https://x.example/deb?token=secret".to_owned(),
                    ..part()
                },
            ),
            (
                "suite",
                RepositoryPart {
                    suite: "../x/".to_owned(),
                    components: Vec::new(),
                    ..part()
                },
            ),
            (
                "components",
                RepositoryPart {
                    components: Vec::new(),
                    ..part()
                },
            ),
            (
                "components",
                RepositoryPart {
                    suite: "/".to_owned(),
                    ..part()
                },
            ),
            (
                "signed_by",
                RepositoryPart {
                    signed_by: bad.to_str().unwrap().to_owned(),
                    ..part()
                },
            ),
            (
                "signed_by",
                RepositoryPart {
                    signed_by: "/nonexistent".to_owned(),
                    ..part()
                },
            ),
        ] {
            let (at, error) = part.checked().unwrap_err();
            assert_eq!(at, key, "{part:?}");
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
    }
}
