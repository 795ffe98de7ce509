//! Which mirrors of Debian's archive there are: those that the user names,
//! those of the recipe, and those of this system's apt
//! ([sources.list(5)](https://manpages.debian.org/sources.list), both styles).
//! Whatever a mirror says is checked, so a wrong guess here costs a request.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::stanza::stanzas;
use crate::input::fetch::Mirrors;
use crate::input::recipe::Base;
use crate::input::recipe::value::Name;

/// The environment variable with mirrors, separated by commas or white space.
pub const VARIABLE: &str = "NODEIMG_DEBIAN_MIRROR";

const MAIN: &str = "debian";
const SECURITY: &str = "debian-security";

/// Names that Debian's releases have and other publishers' suites have not.
const RELEASES: [&str; 13] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "stable",
    "oldstable",
    "oldoldstable",
    "testing",
    "unstable",
    "experimental",
    "rc-buggy",
];

/// Mirrors by the archive's name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Archives {
    mirrors: BTreeMap<String, Vec<String>>,
}

impl Archives {
    /// `named` by the user, then the recipe's, then those of the apt
    /// configuration in the directory `apt`.
    pub fn find(named: &[String], base: &Base, apt: &Path) -> Result<Archives> {
        let mut archives = Archives::default();
        let place = |url: &String| {
            Mirrors::check_archive(url)?;
            Mirrors::place(url)
        };
        let named = named.iter().map(place).collect::<Result<Vec<_>>>()?;
        for url in &named {
            if last_part(url).contains("security") {
                archives.add(SECURITY, url);
            } else {
                archives.add(MAIN, url);
            }
        }
        // Who names a mirror of the one archive often has the other beside it.
        for url in &named {
            if let Some(beside) = beside(url) {
                archives.add(SECURITY, &beside);
            }
        }
        for url in &base.mirrors {
            archives.add(MAIN, url);
        }
        for url in &base.security_mirrors {
            archives.add(SECURITY, url);
        }
        for file in apt_files(apt) {
            // A file that this user cannot read is apt's business.
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            let sources = file.extension().is_some_and(|e| e == "sources");
            let found = if sources {
                deb822(&text)
            } else {
                one_line(&text)
            };
            for (archive, url) in found {
                if Mirrors::check_archive(&url).is_ok() {
                    archives.add(archive, &url);
                }
            }
        }
        Ok(archives)
    }

    /// The words of [`VARIABLE`] or of the flag.
    pub fn words(text: &str) -> Vec<String> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub fn into_mirrors(self) -> BTreeMap<String, Vec<String>> {
        self.mirrors
    }

    fn add(&mut self, archive: &str, url: &str) {
        let list = self.mirrors.entry(archive.to_owned()).or_default();
        let url = url.trim_end_matches('/').to_owned();
        if !list.contains(&url) {
            list.push(url);
        }
    }
}

/// The archive that has `suite`.
pub fn archive_of(suite: &Name) -> &'static str {
    match suite.as_str().ends_with("-security") {
        true => SECURITY,
        false => MAIN,
    }
}

/// What makes up the release `suite`: itself, and its updates if it has such.
pub fn suites_of(suite: &Name) -> Result<Vec<Name>> {
    if ["sid", "unstable", "experimental", "rc-buggy"].contains(&suite.as_str()) {
        return Ok(vec![suite.clone()]);
    }
    if suite.as_str().contains("-security") || suite.as_str().contains("-updates") {
        bail!(
            "base.suite: `{suite}` is only a part of a release: name the release itself, as in \
             \"trixie\""
        );
    }
    ["", "-updates", "-security"]
        .into_iter()
        .map(|part| format!("{suite}{part}").parse())
        .collect()
}

fn last_part(url: &str) -> &str {
    url.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default()
}

/// The security archive beside a mirror, `…/debian-security` by `…/debian`.
fn beside(url: &str) -> Option<String> {
    let url = url.trim_end_matches('/');
    (last_part(url) == MAIN).then(|| format!("{url}-security"))
}

fn apt_files(apt: &Path) -> Vec<PathBuf> {
    let mut files = vec![apt.join("sources.list")];
    let parts = fs::read_dir(apt.join("sources.list.d"));
    let mut parts: Vec<PathBuf> = parts
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e == "list" || e == "sources")
        })
        .collect();
    parts.sort();
    files.append(&mut parts);
    files
}

/// `deb [options] URI SUITE COMPONENT...`
fn one_line(text: &str) -> Vec<(&'static str, String)> {
    let line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut rest = line
            .strip_prefix("deb")?
            .strip_prefix([' ', '\t'])?
            .trim_start();
        if rest.starts_with('[') {
            rest = rest.split_once(']')?.1;
        }
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let main = words.any(|component| component == "main");
        Some((archive_named(suite).filter(|_| main)?, uri.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn deb822(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for stanza in stanzas(text) {
        let words = |name: &str| stanza.field(name).unwrap_or_default().split_whitespace();
        let off = words("Enabled").any(|w| ["no", "false", "off", "0"].contains(&w));
        if off || !words("Types").any(|w| w == "deb") || !words("Components").any(|w| w == "main") {
            continue;
        }
        for archive in [MAIN, SECURITY] {
            if words("Suites").any(|suite| archive_named(suite) == Some(archive)) {
                found.extend(words("URIs").map(|uri| (archive, uri.to_owned())));
            }
        }
    }
    found
}

/// The archive that a suite named so is of, if it is Debian's.
fn archive_named(suite: &str) -> Option<&'static str> {
    let (release, part) = suite.split_once(['-', '/']).unwrap_or((suite, ""));
    match (RELEASES.contains(&release), part) {
        (true, "security") => Some(SECURITY),
        (true, "" | "updates" | "proposed-updates" | "backports") => Some(MAIN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::tests::recipe;

    fn base(more: &str) -> Base {
        let text = format!("[base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n{more}");
        recipe(&text).base.unwrap()
    }

    fn found(archives: Archives) -> Vec<String> {
        let all = archives.into_mirrors().into_iter();
        all.flat_map(|(name, urls)| urls.into_iter().map(move |url| format!("{name} {url}")))
            .collect()
    }

    #[test]
    fn apts_configuration_is_read_in_both_styles() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "sources.list",
            "# deb http://off.example/debian trixie main\n\
             deb [arch=amd64 signed-by=/x] http://one.example/debian/ bookworm main contrib # x\n\
             deb http://one.example/debian bookworm-updates main\n\
             deb\thttp://sec.example/ bookworm-security main\n\
             deb-src http://src.example/debian trixie main\n\
             deb http://pg.example/apt bookworm-pgdg main\n\
             deb https://docker.example/linux/debian bookworm stable\n\
             deb cdrom:[x]/ trixie main\n\
             deb mirror+file:/etc/apt/x trixie main\n",
        );
        write(
            "sources.list.d/b.sources",
            "Types: deb deb-src\n# a note\nURIs: http://two.example/debian https://three.example/debian\n\
             Suites: trixie\n trixie-updates\nComponents: main\n\n\
             Types: deb\nURIs: http://two.example/debian-security\nSuites: trixie-security\nComponents: main\n\n\
             Enabled: no\nTypes: deb\nURIs: http://four.example/debian\nSuites: trixie\nComponents: main\n",
        );
        write(
            "sources.list.d/a.list.disabled",
            "deb http://five.example/debian trixie main\n",
        );
        let got = found(Archives::find(&[], &base(""), dir.path()).unwrap());
        assert_eq!(
            got,
            [
                "debian http://one.example/debian",
                "debian http://two.example/debian",
                "debian https://three.example/debian",
                "debian-security http://sec.example",
                "debian-security http://two.example/debian-security",
            ]
        );
        let nothing = Archives::find(&[], &base(""), Path::new("/nonexistent")).unwrap();
        assert_eq!(nothing, Archives::default());
    }

    #[test]
    fn the_users_mirror_comes_first_and_then_the_recipes() {
        let base = base(
            "mirrors = [\"https://recipe.example/debian\"]\nsecurity_mirrors = [\"https://recipe.example/sec\"]\n",
        );
        let named = Archives::words("http://a.example/debian/, file:///srv/security");
        let got = found(Archives::find(&named, &base, Path::new("/nonexistent")).unwrap());
        assert_eq!(
            got,
            [
                "debian http://a.example/debian",
                "debian https://recipe.example/debian",
                "debian-security file:///srv/security",
                "debian-security http://a.example/debian-security",
                "debian-security https://recipe.example/sec",
            ]
        );
        let error = Archives::find(&["x".to_owned()], &base, Path::new("/")).unwrap_err();
        assert!(
            format!("{error:#}").contains("`x` is not a mirror"),
            "{error:#}"
        );
    }

    #[test]
    fn a_release_is_several_suites() {
        let suites = |name: &str| suites_of(&name.parse().unwrap()).map(|s| s.len()).ok();
        assert_eq!(suites("trixie"), Some(3));
        assert_eq!(suites("sid"), Some(1));
        assert_eq!(suites("trixie-security"), None);
        assert_eq!(archive_of(&"trixie-security".parse().unwrap()), SECURITY);
        assert_eq!(archive_of(&"trixie-updates".parse().unwrap()), MAIN);
    }
}
