//! Mirrors: rules `FROM=TO` that rewrite the beginning of a URL.
//!
//! ```text
//! https://dl.k8s.io/=https://mirror.example/k8s/   one host
//! https://=http://127.0.0.1:8080/                  every host: .../dl.k8s.io/v1.36.0/...
//! https://=file:///srv/mirror/                     the same, from a directory
//! https://=./mirror                                the same, named as in a shell
//! ```
//!
//! The first source that has a fitting rule decides: flag, then environment,
//! then recipe. In one source the longest FROM wins; more rules with this same
//! FROM are tried in their order. A flag's or the environment's mirror stands
//! in for the URL (who sets one may have no other way out); a recipe's mirror
//! is tried first and the URL itself after it.
//!
//! Debian's archive has mirrors of another kind. Its files are named here by
//! where they stay for good, `https://snapshot.debian.org/archive/NAME/TIME/…`;
//! the mirrors of archive NAME are asked first, whatever the rules say, since
//! they were named for just that, and then the rest as for any URL.
//!
//! # Invariants
//! FROM matches at a `/` only: `https://dl.k8s.io` is not a prefix of
//! `https://dl.k8s.io.evil.example/`. The bytes are checked against the same
//! digest whichever way they came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use reqwest::Url;

use super::failure::{hidden, shown};

/// The environment variable with rules, separated by commas or white space.
pub const VARIABLE: &str = "NODEIMG_MIRROR";

/// Where every state of Debian's archive stays.
const SNAPSHOTS: &str = "https://snapshot.debian.org/archive/";

/// Whether `url` names a file of Debian's archive.
pub(super) fn is_snapshot(url: &str) -> bool {
    url.starts_with(SNAPSHOTS)
}

/// One place to ask for some bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    pub url: String,
    /// Whether a rule made this URL: what it may be is the user's choice then.
    pub by_mirror: bool,
}

impl Candidate {
    /// Whether no network is needed for it.
    pub fn is_file(&self) -> bool {
        self.url.starts_with("file:")
    }

    /// The local file that a mirror rule leads to.
    pub fn path(&self) -> Option<PathBuf> {
        let url = Url::parse(&self.url).ok()?;
        let is_local = self.by_mirror && url.scheme() == "file";
        is_local.then(|| url.to_file_path().ok()).flatten()
    }
}

#[derive(Clone, Debug)]
struct Rule {
    from: String,
    to: String,
}

/// Every rule that holds for a run.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    flag: Vec<Rule>,
    environment: Vec<Rule>,
    recipe: Vec<Rule>,
    /// By the archive's name: `debian`, `debian-security`.
    archives: BTreeMap<String, Vec<String>>,
}

impl Mirrors {
    /// From `--mirror` flags, the value of [`VARIABLE`], and the recipe's list.
    pub fn new(flag: &[String], environment: Option<&str>, recipe: &[String]) -> Result<Mirrors> {
        let words: Vec<&str> = environment
            .unwrap_or_default()
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty())
            .collect();
        Ok(Mirrors {
            flag: rules(flag).context("reading --mirror")?,
            environment: rules(&words).with_context(|| format!("reading {VARIABLE}"))?,
            recipe: rules(recipe).context("reading the recipe's mirrors")?,
            archives: BTreeMap::new(),
        })
    }

    /// With mirrors of Debian's archives, in the order in which they are asked.
    pub fn with_archives(self, archives: BTreeMap<String, Vec<String>>) -> Result<Mirrors> {
        let mut places = BTreeMap::new();
        for (name, urls) in archives {
            for url in &urls {
                Mirrors::check_archive(url)?;
            }
            let urls = urls.iter().map(|url| Mirrors::place(url));
            places.insert(name, urls.collect::<Result<Vec<_>>>()?);
        }
        Ok(Mirrors {
            archives: places,
            ..self
        })
    }

    /// Whether `url` can be a mirror of one of Debian's archives.
    pub fn check_archive(url: &str) -> Result<()> {
        Mirrors::place(url)
            .and_then(|url| target(&url))
            .with_context(|| format!("`{}` is not a mirror of Debian's archive", shown(url)))
    }

    /// `to` as a URL: a path becomes one of a file.
    ///
    /// # Errors
    /// A path that leads nowhere.
    pub fn place(to: &str) -> Result<String> {
        let Some(path) = local(to) else {
            return Ok(to.to_owned());
        };
        let path = match path
            .strip_prefix("~/")
            .map(|rest| (rest, std::env::home_dir()))
        {
            Some((rest, Some(home))) => home.join(rest),
            _ => PathBuf::from(path),
        };
        let whole = path
            .canonicalize()
            .with_context(|| format!("is the path {}", path.display()))?;
        match Url::from_file_path(&whole) {
            Ok(url) => Ok(url.into()),
            Err(()) => bail!("is not a path that a URL can name"),
        }
    }

    /// The same path from anywhere, if `to` is one that starts in `folder`.
    pub fn beside(to: &str, folder: &Path) -> String {
        match local(to).filter(|path| !path.starts_with(['/', '~'])) {
            Some(path) => folder.join(path).display().to_string(),
            None => to.to_owned(),
        }
    }

    /// Whether `to` is a path on this machine instead of a URL.
    pub fn is_path(to: &str) -> bool {
        local(to).is_some()
    }

    /// Where `path` of Debian's archive `name`, as it was at `time`, stays.
    pub fn snapshot(name: &str, time: impl std::fmt::Display, path: &str) -> String {
        format!("{SNAPSHOTS}{name}/{time}/{path}")
    }

    /// Where to ask for `url`, in this order.
    pub fn candidates(&self, url: &str) -> Vec<Candidate> {
        let mut found = self.of_archive(url);
        for more in self.by_rules(url) {
            if !found.contains(&more) {
                found.push(more);
            }
        }
        found
    }

    fn of_archive(&self, url: &str) -> Vec<Candidate> {
        let parts = || {
            let (name, rest) = url.strip_prefix(SNAPSHOTS)?.split_once('/')?;
            Some((self.archives.get(name)?, rest.split_once('/')?.1))
        };
        let Some((mirrors, path)) = parts() else {
            return Vec::new();
        };
        let candidate = |mirror: &String| Candidate {
            url: join(mirror, path),
            by_mirror: true,
        };
        mirrors.iter().map(candidate).collect()
    }

    fn by_rules(&self, url: &str) -> Vec<Candidate> {
        for (source, instead) in [
            (&self.flag, true),
            (&self.environment, true),
            (&self.recipe, false),
        ] {
            let mut found = rewritten(source, url);
            if found.is_empty() {
                continue;
            }
            if !instead {
                found.push(original(url));
            }
            return found;
        }
        vec![original(url)]
    }

    /// Whether a redirect may lead to `url` although it is not https: to the
    /// scheme, host and port of a mirror only.
    pub fn allow(&self, url: &Url) -> bool {
        let rules = [&self.flag, &self.environment, &self.recipe];
        let rules = rules.into_iter().flatten().map(|rule| &rule.to);
        rules
            .chain(self.archives.values().flatten())
            .filter_map(|to| Url::parse(to).ok())
            .any(|to| {
                to.scheme() == "http" && url.scheme() == "http" && to.origin() == url.origin()
            })
    }
}

/// The path that `to` is: of a folder, or a `file:` that is not a whole URL. A name without a
/// slash before it may be a host's, and is a path only if there is such a folder.
fn local(to: &str) -> Option<&str> {
    let path = match to.strip_prefix("file:") {
        Some(rest) => {
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            let whole = rest.starts_with('/') || rest.starts_with("localhost/");
            (!whole).then_some(rest)?
        }
        None => to,
    };
    let is_named = path == "."
        || path == ".."
        || ["/", "./", "../", "~/"]
            .iter()
            .any(|way| path.starts_with(way));
    let is_there = !path.contains(':') && !path.is_empty() && Path::new(path).exists();
    (is_named || is_there || to.starts_with("file:")).then_some(path)
}

fn original(url: &str) -> Candidate {
    Candidate {
        url: url.to_owned(),
        by_mirror: false,
    }
}

fn rules<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Rule>> {
    texts.iter().map(|text| rule(text.as_ref())).collect()
}

fn rule(text: &str) -> Result<Rule> {
    let Some((from, to)) = text.trim().split_once('=') else {
        bail!(
            "`{}` is not a mirror rule: use FROM=TO, as in \
             https://dl.k8s.io/=https://mirror.example/k8s/",
            hidden(text)
        );
    };
    // A refused TO is not shown at all: nobody knows what of it is a password.
    let from_shown = hidden(from);
    if !from.starts_with("https://") && !from.starts_with("http://") {
        bail!("`{from_shown}=...`: FROM must begin with https:// (or http://)");
    }
    if from.contains('@') {
        bail!("`{from_shown}=...`: FROM holds a login, but no URL of a recipe does: leave it out");
    }
    if [",https://", ",http://"]
        .iter()
        .any(|next| to.contains(next))
    {
        bail!("`{from_shown}=...`: these are several rules: give each an option of its own");
    }
    let whose = || format!("`{from_shown}=...`: TO");
    let to = Mirrors::place(to).with_context(whose)?;
    target(&to).with_context(whose)?;
    Ok(Rule {
        from: from.to_owned(),
        to,
    })
}

/// Checks the beginning of a mirror's URLs.
fn target(text: &str) -> Result<()> {
    let url = Url::parse(text).context(
        "is not a URL: begin with https://, or with ./ if it is a folder on this machine",
    )?;
    match url.scheme() {
        "https" | "http" => {}
        "file" if url.to_file_path().is_ok() => {}
        _ => bail!("must be a URL with https://, http:// or file:///"),
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("is the beginning of URLs, so it cannot have a `?` or `#` part");
    }
    Ok(())
}

fn rewritten(rules: &[Rule], url: &str) -> Vec<Candidate> {
    let matches: Vec<(&Rule, &str)> = rules
        .iter()
        .filter_map(|rule| Some((rule, rest(&rule.from, url)?)))
        .collect();
    let longest = matches.iter().map(|(rule, _)| rule.from.len()).max();
    matches
        .into_iter()
        .filter(|(rule, _)| Some(rule.from.len()) == longest)
        .map(|(rule, rest)| Candidate {
            url: join(&rule.to, rest),
            by_mirror: true,
        })
        .collect()
}

/// What follows `from` in `url`, if `from` ends at the end of one of its parts.
fn rest<'a>(from: &str, url: &'a str) -> Option<&'a str> {
    let rest = url.strip_prefix(from)?;
    let whole = from.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?']);
    whole.then_some(rest)
}

fn join(to: &str, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with('?') {
        return format!("{to}{rest}");
    }
    format!(
        "{}/{}",
        to.trim_end_matches('/'),
        rest.trim_start_matches('/')
    )
}

#[cfg(test)]
mod tests;
