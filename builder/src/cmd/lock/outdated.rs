//! `nodeimg lock --outdated`: newer versions of what is pinned, and who says so. Nothing is
//! written, and what is said here is believed by nobody: `lock` verifies what it pins.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::Reference;
use nodeimg_values::digest::Expected;
use nodeimg_values::progress::{Mode, Progress};
use serde_json::json;

use super::{Session, new_lock};
use crate::cli::{LockArgs, NetworkArgs, SharedArgs};
use crate::cmd::help;
use crate::input::chosen::Chosen;
use crate::input::fetch::{Fetcher, Request, shown};
use crate::input::lock::{Lock, Update};
use crate::input::recipe::Recipe;
use crate::store::Store;

/// An index of releases has less.
const MAX_INDEX: u64 = 32 << 20;

/// What lists the versions of something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Index {
    /// One line, `v1.37.1`.
    Line(String),
    /// GitHub's feed of a repository's releases, which needs no login and has no rate limit.
    Feed(String),
    /// A registry's list of tags.
    Tags(String),
}

impl Index {
    fn url(&self) -> &str {
        match self {
            Index::Line(url) | Index::Feed(url) | Index::Tags(url) => url,
        }
    }

    /// Of an artifact that comes from there.
    fn of_url(url: &str) -> Option<Index> {
        if url.starts_with("https://dl.k8s.io/") {
            return Some(Index::Line(
                "https://dl.k8s.io/release/stable.txt".to_owned(),
            ));
        }
        // CRI-O's files are not among its releases, but of the same versions.
        if url.starts_with("https://storage.googleapis.com/cri-o/") {
            return Some(Index::Feed(
                "https://github.com/cri-o/cri-o/releases.atom".to_owned(),
            ));
        }
        let rest = url.strip_prefix("https://github.com/")?;
        let mut parts = rest.split('/');
        let (owner, name) = (parts.next()?, parts.next()?);
        (parts.next()? == "releases")
            .then(|| Index::Feed(format!("https://github.com/{owner}/{name}/releases.atom")))
    }

    fn of_image(image: &Reference) -> Index {
        let host = match image.host() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let repository = image.repository();
        let path = repository.split_once('/').map_or("", |(_, path)| path);
        Index::Tags(format!("https://{host}/v2/{path}/tags/list"))
    }

    /// The newest version in what was answered that is of the same kind as `pinned`.
    fn newest(&self, answer: &str, pinned: &str) -> Option<String> {
        let words: Vec<String> = match self {
            Index::Line(_) => vec![answer.trim().to_owned()],
            Index::Feed(_) => answer
                .split("/releases/tag/")
                .skip(1)
                .filter_map(|rest| rest.split(['"', '<', '&']).next())
                .map(str::to_owned)
                .collect(),
            Index::Tags(_) => {
                let list: serde_json::Value = serde_json::from_str(answer).ok()?;
                let tags = list["tags"].as_array()?.iter();
                tags.filter_map(|tag| tag.as_str().map(str::to_owned))
                    .collect()
            }
        };
        let all = words.iter().map(|word| word.trim_start_matches('v'));
        let same = all.filter(|word| shape(word) == shape(pinned.trim_start_matches('v')));
        same.max_by_key(|word| numbers(word)).map(str::to_owned)
    }
}

/// A version without its numbers: `1.2.3` and `1.10.0` have the same, `1.2.3-rc.1` has not.
fn shape(version: &str) -> String {
    let mut shape = String::new();
    for c in version.chars() {
        match c {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            c => shape.push(c),
        }
    }
    shape
}

fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// Something pinned that has versions somewhere.
struct Pinned {
    name: String,
    version: String,
    index: Index,
}

fn pinned(recipe: &Recipe) -> (Vec<Pinned>, Vec<String>) {
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for artifact in &recipe.artifacts {
        let urls = nodeimg_values::arch::Arch::ALL.into_iter();
        let url = urls.filter_map(|arch| artifact.url.get(arch)).next();
        let index = url.and_then(|url| Index::of_url(&url.to_string()));
        let (name, version) = (artifact.name.to_string(), artifact.version.to_string());
        match index {
            Some(index) => known.push(Pinned {
                name,
                version,
                index,
            }),
            None => unknown.push(name),
        }
    }
    for image in &recipe.images {
        match image.image.tag() {
            Some(tag) => known.push(Pinned {
                name: image.name.to_string(),
                version: tag.to_owned(),
                index: Index::of_image(&image.image),
            }),
            None => unknown.push(image.name.to_string()),
        }
    }
    (known, unknown)
}

/// Fails if a source did not answer.
pub fn run(session: &Session<'_>, args: &LockArgs, chosen: &Chosen) -> Result<()> {
    let (known, unknown) = pinned(&chosen.recipe);
    let network = NetworkArgs {
        offline: false,
        transfer: args.transfer.clone(),
        shared: SharedArgs::default(),
    };
    let options = session.fetch_options(&chosen.recipe, &network, "nodeimg fetch")?;
    let folder = tempfile::tempdir().context("making a temporary directory")?;
    let store = Store::open(&folder.path().join("store"))?;
    let quiet = Progress::new(Mode::Quiet);
    let fetcher = Fetcher::new(&store, options.clone(), &quiet);
    let mut answers: BTreeMap<Index, Result<String>> = BTreeMap::new();
    let mut newer = 0;
    for one in &known {
        let index = &one.index;
        let answer = answers
            .entry(index.clone())
            .or_insert_with(|| ask(&fetcher, index));
        let Ok(answer) = answer else { continue };
        let candidates = options.mirrors.candidates(index.url());
        let asked = candidates
            .first()
            .map_or_else(String::new, |place| shown(&place.url));
        let Some(newest) = index.newest(answer, &one.version) else {
            session
                .progress
                .warn(&format!("{}: {asked} lists no such version", one.name));
            continue;
        };
        if numbers(&newest) > numbers(&one.version) {
            newer += 1;
            tell(session, &one.name, &one.version, &newest, &asked)?;
        }
    }
    let mut failed: Vec<String> = answers
        .values()
        .filter_map(|answer| answer.as_ref().err())
        .map(|error| format!("{error:#}"))
        .collect();
    match packages(session, args, chosen) {
        Ok(count) => newer += count,
        Err(error) => failed.push(format!("{error:#}")),
    }
    for name in &unknown {
        let text = format!("{name}: nodeimg knows no list of its versions");
        session.progress.note(&text);
    }
    if !failed.is_empty() {
        bail!("not everybody answered:\n  {}", failed.join("\n  "));
    }
    if newer == 0 {
        session
            .progress
            .note("everything that is pinned is the newest");
    }
    Ok(())
}

fn tell(session: &Session<'_>, name: &str, pinned: &str, newest: &str, asked: &str) -> Result<()> {
    let event = json!({
        "event": "outdated", "name": name, "pinned": pinned, "newest": newest, "asked": asked,
    });
    match session.global.json {
        true => session.progress.event(&event),
        false => help::write(format!("{name:24} {pinned:16} {newest:16} {asked}\n").as_bytes())?,
    }
    Ok(())
}

fn ask(fetcher: &Fetcher<'_>, index: &Index) -> Result<String> {
    let request = Request {
        what: "the list of versions".to_owned(),
        url: index.url().to_owned(),
        want: Expected::default(),
        max_size: MAX_INDEX,
        accept: matches!(index, Index::Tags(_)).then_some("application/json"),
    };
    let (blob, _) = fetcher.download(&request)?;
    let path = blob.path();
    std::fs::read_to_string(path).with_context(|| format!("reading {}", index.url()))
}

/// How many packages Debian has newer, each told once. What is resolved is thrown away.
fn packages(session: &Session<'_>, args: &LockArgs, chosen: &Chosen) -> Result<usize> {
    let (Some(_), Some(text)) = (&chosen.recipe.base, &chosen.lock) else {
        return Ok(0);
    };
    let old = Lock::parse(text, &chosen.label)?;
    let args = LockArgs {
        update: vec![Update::One {
            name: crate::input::lock::BASE.parse()?,
            version: None,
        }],
        ..args.clone()
    };
    let (new, _) = new_lock(session, &args, chosen, Some(&old))?;
    let mut before = BTreeMap::new();
    for package in &old.pins.packages.packages {
        before.insert((&package.name, package.arch), &package.version);
    }
    let mut told = BTreeMap::new();
    for package in &new.pins.packages.packages {
        match before.get(&(&package.name, package.arch)) {
            Some(version) if **version != package.version => {
                told.insert(
                    package.name.to_string(),
                    ((*version).clone(), package.version.clone()),
                );
            }
            _ => {}
        }
    }
    for (name, (old, new)) in &told {
        tell(session, name, old, new, "the indexes of the base system")?;
    }
    Ok(told.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_kind_of_source_has_its_index() {
        for (url, index) in [
            (
                "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/kubelet",
                Some(Index::Line("https://dl.k8s.io/release/stable.txt".into())),
            ),
            (
                "https://github.com/opencontainers/runc/releases/download/v{version}/runc.{arch}",
                Some(Index::Feed(
                    "https://github.com/opencontainers/runc/releases.atom".into(),
                )),
            ),
            (
                "https://storage.googleapis.com/cri-o/artifacts/cri-o.{arch}.v{version}.tar.gz",
                Some(Index::Feed(
                    "https://github.com/cri-o/cri-o/releases.atom".into(),
                )),
            ),
            ("https://example.com/{version}", None),
            ("https://github.com/a/b/archive/x", None),
        ] {
            assert_eq!(Index::of_url(url), index, "{url}");
        }
        for (image, url) in [
            (
                "registry.k8s.io/pause:3.10",
                "https://registry.k8s.io/v2/pause/tags/list",
            ),
            (
                "docker.io/library/nginx:1",
                "https://registry-1.docker.io/v2/library/nginx/tags/list",
            ),
        ] {
            assert_eq!(Index::of_image(&image.parse().unwrap()).url(), url);
        }
    }

    #[test]
    fn the_newest_of_the_same_kind_is_found() {
        let feed = Index::Feed(String::new());
        let text = r#"<link href="https://github.com/a/b/releases/tag/v1.10.0-rc.1"/>
            <link href="https://github.com/a/b/releases/tag/v1.9.9"/><link
            href="https://github.com/a/b/releases/tag/v1.10.0"/>"#;
        assert_eq!(feed.newest(text, "1.9.1").unwrap(), "1.10.0");
        assert_eq!(feed.newest(text, "1.9.0-rc.3").unwrap(), "1.10.0-rc.1");
        let tags = Index::Tags(String::new());
        let text = r#"{"name": "pause", "tags": ["latest", "3.9", "3.10.2", "3.10", "3.11.0", "sha256-00.sig"]}"#;
        assert_eq!(tags.newest(text, "3.10.2").unwrap(), "3.11.0");
        assert_eq!(tags.newest("<html>", "1"), None);
        let line = Index::Line(String::new());
        assert_eq!(line.newest("v1.38.0\n", "1.37.1").unwrap(), "1.38.0");
    }
}
