//! What lists the versions of something, and which of them is newer.

use std::cmp::Ordering;

use nodeimg_formats::oci::Reference;

/// Where Kubernetes' files are.
const KUBERNETES: [&str; 3] = [
    "https://dl.k8s.io/",
    "https://cdn.dl.k8s.io/",
    "https://storage.googleapis.com/kubernetes-release/",
];
/// Words that begin the part of a version behind its first `-` before it is final.
const BEFORE: [&str; 6] = ["alpha", "beta", "rc", "pre", "dev", "preview"];

/// What lists the versions of something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Index {
    /// One line, `v1.37.1`.
    Line(String),
    /// GitHub's feed of a repository's releases or tags, which needs no login and has no rate
    /// limit; it has the last ten.
    Feed(String),
    /// A registry's list of tags
    /// ([specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags)).
    Tags(String),
}

impl Index {
    pub fn url(&self) -> &str {
        match self {
            Index::Line(url) | Index::Feed(url) | Index::Tags(url) => url,
        }
    }

    /// Of an artifact of this version that comes from there; none if nobody is known who lists
    /// its versions. For Kubernetes two: its minor version's, and all of them.
    pub fn of_url(url: &str, version: &str) -> Vec<Index> {
        if KUBERNETES.iter().any(|place| url.starts_with(place)) {
            let line = |name: &str| Index::Line(format!("https://dl.k8s.io/release/{name}.txt"));
            let minor = minor(version).map(|minor| line(&format!("stable-{minor}")));
            return minor.into_iter().chain([line("stable")]).collect();
        }
        // CRI-O's files are not among its releases, but of the same versions.
        if url.starts_with("https://storage.googleapis.com/cri-o/") {
            return vec![Index::Feed(
                "https://github.com/cri-o/cri-o/releases.atom".to_owned(),
            )];
        }
        of_github(url).into_iter().collect()
    }

    pub fn of_image(image: &Reference) -> Index {
        let host = match image.host() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let repository = image.repository();
        let path = repository.split_once('/').map_or("", |(_, path)| path);
        Index::Tags(format!("https://{host}/v2/{path}/tags/list"))
    }

    /// All versions that were answered, as a recipe has them.
    fn versions(&self, answer: &str) -> Vec<String> {
        let bare = |word: &str| word.strip_prefix('v').unwrap_or(word).to_owned();
        match self {
            Index::Line(_) => vec![bare(answer.trim())],
            Index::Feed(_) => answer
                .split("/releases/tag/")
                .skip(1)
                .filter_map(|rest| rest.split(['"', '<', '&']).next())
                .map(bare)
                .collect(),
            // A tag is part of a name.
            Index::Tags(_) => tags(answer),
        }
    }

    /// The newest version in what was answered that is of the same kind as `pinned`.
    pub fn newest(&self, answer: &str, pinned: &str) -> Option<String> {
        let is_tag = matches!(self, Index::Tags(_));
        let pinned = match is_tag {
            true => pinned,
            false => pinned.strip_prefix('v').unwrap_or(pinned),
        };
        let all = self.versions(answer).into_iter();
        let fit = all.filter(|version| fits(version, pinned));
        fit.max_by(|a, b| compare(a, b))
    }
}

/// The tags of a registry's answer, in its order; none if it has none.
pub fn tags(answer: &str) -> Vec<String> {
    let list: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let tags = list["tags"].as_array().into_iter().flatten();
    tags.filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect()
}

fn of_github(url: &str) -> Option<Index> {
    let mut parts = url.strip_prefix("https://github.com/")?.split('/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let feed = match parts.next()? {
        "releases" => "releases",
        // What GitHub packs of a tag.
        "archive" => "tags",
        _ => return None,
    };
    let url = format!("https://github.com/{owner}/{name}/{feed}.atom");
    Some(Index::Feed(url))
}

/// `1.36` of `1.36.4`.
fn minor(version: &str) -> Option<String> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    parts.next()?;
    Some(format!("{major}.{minor}"))
}

/// The version that is final, and what it is called before that: `1.2.0`, `rc.1`.
fn parts(version: &str) -> (&str, Option<&str>) {
    match version.split_once('-') {
        Some((last, before)) if BEFORE.iter().any(|word| before.starts_with(word)) => {
            (last, Some(before))
        }
        _ => (version, None),
    }
}

/// Whether `version` may follow `pinned`: it is written alike, or is final and `pinned` is not.
fn fits(version: &str, pinned: &str) -> bool {
    let (last, before) = parts(pinned);
    shape(version) == shape(pinned) || before.is_some() && shape(version) == shape(last)
}

/// A version without its numbers: `1.2.3` and `1.10.0` have the same, `1.2.3-alpine` has not.
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

/// The order of two versions: by their numbers; a final one after those before it.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((a, before_a), (b, before_b)) = (parts(a), parts(b));
    let rank = |before: Option<&str>| match before {
        None => (1, String::new(), Vec::new()),
        Some(word) => (0, shape(word), numbers(word)),
    };
    numbers(a)
        .cmp(&numbers(b))
        .then_with(|| rank(before_a).cmp(&rank(before_b)))
}

fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_kind_of_source_has_its_index() {
        let line = |name: &str| Index::Line(format!("https://dl.k8s.io/release/{name}.txt"));
        let feed = |name: &str| Index::Feed(format!("https://github.com/{name}.atom"));
        for (url, indexes) in [
            (
                "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/kubelet",
                vec![line("stable-1.36"), line("stable")],
            ),
            (
                "https://cdn.dl.k8s.io/release/v{version}/kubernetes.tar.gz",
                vec![line("stable-1.36"), line("stable")],
            ),
            (
                "https://github.com/opencontainers/runc/releases/download/v{version}/runc.{arch}",
                vec![feed("opencontainers/runc/releases")],
            ),
            (
                "https://github.com/a/b/archive/refs/tags/v{version}.tar.gz",
                vec![feed("a/b/tags")],
            ),
            (
                "https://storage.googleapis.com/cri-o/artifacts/cri-o.{arch}.v{version}.tar.gz",
                vec![feed("cri-o/cri-o/releases")],
            ),
            ("https://example.com/{version}", vec![]),
            ("file:///srv/mirror/{version}", vec![]),
            ("https://github.com/a/b/raw/x", vec![]),
            ("https://github.com/a", vec![]),
        ] {
            assert_eq!(Index::of_url(url, "1.36.4"), indexes, "{url}");
        }
        let place = "https://dl.k8s.io/release/v{version}/kubelet";
        assert_eq!(Index::of_url(place, "2"), [line("stable")]);
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
            href="https://github.com/a/b/releases/tag/api/v7.0.0"/>"#;
        assert_eq!(feed.newest(text, "1.9.1").unwrap(), "1.9.9");
        assert_eq!(feed.newest(text, "1.10.0-rc.0").unwrap(), "1.10.0-rc.1");
        // The final one follows the one before it.
        let last = format!("{text}/releases/tag/v1.10.0\"");
        assert_eq!(feed.newest(&last, "1.10.0-rc.1").unwrap(), "1.10.0");
        assert_eq!(feed.newest(&last, "1.9.0-rc.3").unwrap(), "1.10.0");
        assert_eq!(feed.newest("", "1.9.1"), None);
        let tags = Index::Tags(String::new());
        let text = r#"{"name": "pause", "tags": ["latest", "3.9", "3.10.2", "3.10", "3.11.0",
            "v3.12.0", "3.13.0-alpine", "sha256-00.sig"]}"#;
        assert_eq!(tags.newest(text, "3.10.2").unwrap(), "3.11.0");
        assert_eq!(tags.newest(text, "v3.1.2").unwrap(), "v3.12.0");
        assert_eq!(tags.newest(text, "3.9.0-alpine").unwrap(), "3.13.0-alpine");
        assert_eq!(tags.newest(text, "latest").unwrap(), "latest");
        assert_eq!(tags.newest("<html>", "1"), None);
        let line = Index::Line(String::new());
        assert_eq!(line.newest("v1.38.0\n", "1.37.1").unwrap(), "1.38.0");
        assert_eq!(line.newest("v1.38.0\n", "1.38.0-rc.1").unwrap(), "1.38.0");
        assert_eq!(line.newest("<html>", "1.38.0"), None);
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let ordered = [
            "1.9.9",
            "1.10.0-alpha.2",
            "1.10.0-rc.1",
            "1.10.0-rc.10",
            "1.10.0",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
