//! What a mirror that lacks a file may be named wrongly with, and who stands in for it.

use nodeimg_values::progress::Progress;

use super::failure::{Failure, shown};
use super::mirrors::{Candidate, is_snapshot};
use super::silent::Silent;
use super::slots::server;

/// What a person may have meant, if `candidate` for `url` failed by a slip in its path.
pub(super) fn of(candidate: &Candidate, url: &str, failure: &Failure) -> Option<String> {
    if !candidate.by_mirror || !failure.is_missing() {
        return None;
    }
    project(candidate, url).or_else(|| debian(candidate, url))
}

/// A registry's mirror that is a project of another registry.
fn project(candidate: &Candidate, url: &str) -> Option<String> {
    let (registry, image) = url.split_once("/v2/")?;
    let (registry, image) = (shown(registry), image.split('/').next()?);
    let registry = registry.trim_end_matches('/');
    let (server, path) = candidate.url.split_once("/v2/")?;
    let (scheme, rest) = server.split_once("://")?;
    // Behind /v2/ already, or the whole of it comes from a rule for every host.
    if !path.starts_with(image) {
        return None;
    }
    let (host, project) = rest.split_once('/').unwrap_or((rest, "PROJECT"));
    let to = shown(&format!("{scheme}://{host}"));
    let to = to.trim_end_matches('/');
    Some(format!(
        "if this mirror is a project of Harbor, Artifactory, Nexus or GitLab, the project stands \
         behind /v2/: --mirror {registry}/v2/={to}/v2/{project}/"
    ))
}

/// A mirror of Debian's archive without its folder.
fn debian(candidate: &Candidate, url: &str) -> Option<String> {
    if !is_snapshot(url) {
        return None;
    }
    let at = ["/dists/", "/pool/"]
        .iter()
        .find_map(|part| candidate.url.find(part))?;
    let mirror = &candidate.url[..at];
    let (_, rest) = mirror.split_once("://")?;
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    (!path.contains("debian")).then(|| {
        format!(
            "Debian's mirrors mostly have the archive in a folder: is {}/debian meant?",
            shown(mirror).trim_end_matches('/')
        )
    })
}

/// One candidate's failure with what to do.
pub(super) fn told(candidate: &Candidate, url: &str, failure: &Failure) -> String {
    match of(candidate, url, failure) {
        Some(hint) => format!("{} ({hint})", failure.reason()),
        None => failure.to_string(),
    }
}

/// Which servers others stood in for, each told once.
pub(super) struct StandIns<'a> {
    told: Silent,
    progress: &'a Progress,
}

impl<'a> StandIns<'a> {
    pub(super) fn new(progress: &'a Progress) -> StandIns<'a> {
        StandIns {
            told: Silent::default(),
            progress,
        }
    }

    /// Says that `by` gave what those of `failed` did not: their URLs and why.
    pub(super) fn tell(&self, failed: &[(String, String)], by: &Candidate) {
        for (url, failure) in failed {
            if self.told.add(server(url)) {
                let by = shown(&by.url);
                self.progress
                    .warn(&format!("{failure}; {by} stands in for it"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn hint(to: &str, url: &str, code: u16) -> Option<String> {
        let candidate = Candidate {
            url: to.to_owned(),
            by_mirror: true,
        };
        let failure = Failure::Status {
            code: StatusCode::from_u16(code).unwrap_or_default(),
            retry_after: None,
            note: None,
        };
        of(&candidate, url, &failure)
    }

    #[test]
    fn a_project_stands_behind_v2() {
        let url = "https://registry.k8s.io/v2/pause/manifests/3.10";
        for (to, wanted) in [
            (
                "https://me:s3cret@h:5000/k8s/v2/pause/manifests/3.10",
                Some("https://registry.k8s.io/v2/=https://***@h:5000/v2/k8s/"),
            ),
            (
                "http://h/a/b/v2/pause/manifests/3.10",
                Some("=http://h/v2/a/b/"),
            ),
            (
                "http://h/v2/pause/manifests/3.10",
                Some("=http://h/v2/PROJECT/"),
            ),
            ("http://h/v2/k8s/pause/manifests/3.10", None),
        ] {
            let got = hint(to, url, 404);
            assert_eq!(got.is_some(), wanted.is_some(), "{to}");
            let text = got.unwrap_or_default();
            assert!(text.contains(wanted.unwrap_or_default()), "{text}");
        }
        assert_eq!(hint("http://h/v2/pause/manifests/3.10", url, 500), None);
    }

    #[test]
    fn a_debian_mirror_mostly_has_a_folder() {
        let url =
            "https://snapshot.debian.org/archive/debian/20260912T075541Z/dists/trixie/InRelease";
        let told = hint("http://h/dists/trixie/InRelease", url, 404).unwrap_or_default();
        assert!(told.contains("http://h/debian meant"), "{told}");
        assert_eq!(
            hint("http://h/debian/dists/trixie/InRelease", url, 404),
            None
        );
        assert_eq!(
            hint(
                "http://h/dists/trixie/InRelease",
                "https://x/dists/InRelease",
                404
            ),
            None
        );
    }
}
