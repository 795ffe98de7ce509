//! Independent sources of a digest.
//!
//! A source is independent of another if another party answers for it. Who that is follows
//! from the address and not from what a proof claims: a repository's files, releases and
//! API are one party, whatever host serves them.

use std::collections::BTreeMap;

use crate::demand::Artifact;
use crate::proof::Answer;
use crate::refusal::Why;

/// The party that answers at a URL: `github.com/OWNER/NAME`, else the host.
pub(crate) fn party(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme != "https" && scheme != "http" {
        return None;
    }
    let mut parts = rest.split(['/', '?', '#']);
    let authority = parts.next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() {
        return None;
    }
    let skip = match host.as_str() {
        "github.com" | "www.github.com" | "raw.githubusercontent.com" | "codeload.github.com" => 0,
        "api.github.com" => 1,
        // `OWNER.github.io/NAME`: the owner's, without saying of which repository.
        _ => return Some(host),
    };
    let mut parts = parts.skip(skip).filter(|part| !part.is_empty());
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    Some(format!("github.com/{owner}/{name}").to_ascii_lowercase())
}

/// The parties that name the artifact's digest, in order.
pub(crate) fn agreeing(
    artifact: &Artifact<'_>,
    answers: &[Answer],
) -> Result<Vec<String>, (Why, String)> {
    let mut parties = BTreeMap::new();
    for answer in answers {
        if !answer
            .says
            .to_ascii_lowercase()
            .contains(answer.sha256.hex())
        {
            let fault = format!("what {} said does not have its digest", answer.url);
            return Err((Why::Damaged, fault));
        }
        if answer.sha256 != *artifact.sha256 {
            let fault = format!(
                "{} says {}, the artifact has {}",
                answer.url, answer.sha256, artifact.sha256
            );
            return Err((Why::Sources, fault));
        }
        let Some(party) = party(&answer.url) else {
            let fault = format!("`{}` is not the URL of a source", answer.url);
            return Err((Why::Damaged, fault));
        };
        parties.insert(party, ());
    }
    Ok(parties.into_keys().collect())
}

/// Whether a list of sums gives the artifact's digest to its file; what it says instead.
pub(crate) fn listed(artifact: &Artifact<'_>, text: &str) -> Result<(), String> {
    let name = artifact.url.and_then(|url| url.rsplit('/').next());
    let want = artifact.sha256.hex();
    let found = match name {
        _ if text.lines().any(|line| line.starts_with("SPDXVersion:")) => {
            spdx(text, artifact.url.unwrap_or_default())
        }
        Some(name) => line(text, Some(name)).map(|(_, hex)| hex),
        None => text.lines().filter_map(digest).find(|hex| hex == want),
    };
    match found {
        Some(hex) if hex == want => Ok(()),
        Some(hex) => Err(format!(
            "the signed list says sha256:{hex}, it has sha256:{want}"
        )),
        None => Err(format!(
            "the signed list does not name {}",
            name.unwrap_or("its digest")
        )),
    }
}

/// The SHA-256 that an SPDX document in its form of tags and values
/// ([2.3](https://spdx.github.io/spdx-spec/v2.3/)) gives to the file that `url` ends with, as
/// `bin/linux/amd64/kubelet`; `None` if it names none, or gives it several.
fn spdx(text: &str, url: &str) -> Option<String> {
    let is_it = |name: &str| {
        let name = name.trim().trim_start_matches("./");
        let before = url.strip_suffix(name);
        !name.is_empty() && before.is_some_and(|before| before.ends_with('/'))
    };
    let (mut of_file, mut found) = (false, None);
    for line in text.lines() {
        let Some((tag, value)) = line.split_once(':') else {
            continue;
        };
        match tag.trim() {
            // Each begins another element.
            "PackageName" => of_file = is_it(value),
            "FileName" => of_file = is_it(value),
            "PackageFileName" => of_file |= is_it(value),
            "FileChecksum" | "PackageChecksum" if of_file => {
                let Some(hex) = value.trim().strip_prefix("SHA256:") else {
                    continue;
                };
                let hex = digest(hex)?;
                if found.get_or_insert_with(|| hex.clone()) != &hex {
                    return None;
                }
            }
            _ => {}
        }
    }
    found
}

/// Finds the line of `text` that gives the SHA-256 of `name`: `HEX  NAME`, `HEX *NAME`,
/// `SHA256 (NAME) = HEX`, or one digest alone. Without a name there must be one digest.
pub(crate) fn line<'t>(text: &'t str, name: Option<&str>) -> Option<(&'t str, String)> {
    let lines = text.lines().filter_map(|line| Some((line, digest(line)?)));
    let Some(name) = name else {
        let mut lines = lines;
        let first = lines.next()?;
        return lines.all(|(_, hex)| hex == first.1).then_some(first);
    };
    let mut lines: Vec<_> = lines.collect();
    // A digest alone, as a file `NAME.sha256` has it.
    if let [(line, hex)] = lines.as_slice()
        && line.trim().len() == 64
    {
        return Some((line, hex.clone()));
    }
    lines.retain(|(line, _)| names(line, name));
    let first = lines.first()?.clone();
    lines
        .iter()
        .all(|(_, hex)| *hex == first.1)
        .then_some(first)
}

/// The one run of 64 hex digits in a line.
fn digest(line: &str) -> Option<String> {
    let runs = line.split(|it: char| !it.is_ascii_alphanumeric());
    let mut hex =
        runs.filter(|run| run.len() == 64 && run.bytes().all(|it| it.is_ascii_hexdigit()));
    let first = hex.next()?.to_ascii_lowercase();
    hex.next().is_none().then_some(first)
}

/// Whether a line of a list is about a file: a whole word of it is its name.
fn names(line: &str, name: &str) -> bool {
    let words = line.split(|it: char| it.is_whitespace() || "()=\"',:".contains(it));
    words
        .map(|word| word.trim_start_matches('*').trim_start_matches("./"))
        .any(|word| word == name || word.rsplit('/').next() == Some(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_values::digest::Digest;

    use super::*;

    #[test]
    fn a_repository_is_one_party_whatever_host_serves_it() {
        let of = |url: &str| party(url).unwrap();
        let release = "https://github.com/kubernetes-sigs/cri-tools/releases/download/v1/a.tgz";
        for url in [
            "https://raw.githubusercontent.com/Kubernetes-SIGs/cri-tools/abc/sums.txt",
            "https://api.github.com/repos/kubernetes-sigs/cri-tools/releases/tags/v1",
            "https://user@github.com:443/kubernetes-sigs/cri-tools.git",
        ] {
            assert_eq!(of(url), of(release), "{url}");
        }
        let kubespray = "https://raw.githubusercontent.com/kubernetes-sigs/kubespray/abc/x.yml";
        assert_ne!(of(kubespray), of(release));
        assert_eq!(of("https://DL.k8s.io./v1/x"), "dl.k8s.io");
        for url in [
            "",
            "x",
            "file:///etc/passwd",
            "https://",
            "https://github.com/only",
        ] {
            assert_eq!(party(url), None, "{url}");
        }
    }

    #[test]
    fn the_line_of_a_file_is_found_in_every_usual_list() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        for text in [
            format!("{b}  x.tgz.asc\n{a}  x.tgz\n"),
            format!("{b} *y.tgz\n{a} *x.tgz\n"),
            format!("SHA256 (y) = {b}\nSHA256 (x.tgz) = {}\n", a.to_uppercase()),
            format!("{a}\n"),
            format!("{a}  ./out/x.tgz"),
        ] {
            assert_eq!(line(&text, Some("x.tgz")).unwrap().1, a, "{text}");
        }
        assert_eq!(
            line(&format!("{a}  x.tgz\n{b}  x.tgz\n"), Some("x.tgz")),
            None
        );
        assert_eq!(line(&format!("{a}  y.tgz\n"), Some("x.tgz")), None);
        assert_eq!(line(&format!("{a}  y.tgz\n{b}  z\n"), None), None);
        assert_eq!(line(&format!("{a}{b}  x.tgz\n"), Some("x.tgz")), None);
        assert_eq!(line("", None), None);
    }

    #[test]
    fn an_spdx_document_gives_a_file_its_sum() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "SPDXVersion: SPDX-2.3\nPackageName: v1.36.0\n\nFileName: bin/linux/arm64/kubelet\n\
             FileChecksum: SHA256: {b}\n\nFileName: ./bin/linux/amd64/kubelet\nFileChecksum: \
             SHA1: {}\nFileChecksum: SHA256: {a}\n\nPackageName: x\nPackageFileName: x.tgz\n\
             PackageChecksum: SHA256: {b}\n",
            "c".repeat(40)
        );
        let of = |url: &str| spdx(&text, url);
        assert_eq!(of("https://dl.test/v1/bin/linux/amd64/kubelet"), Some(a));
        assert_eq!(
            of("https://dl.test/v1/bin/linux/arm64/kubelet"),
            Some(b.clone())
        );
        assert_eq!(of("https://dl.test/v1/x.tgz"), Some(b));
        for other in ["https://dl.test/kubelet", "https://dl.test/ax.tgz", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn sources_must_agree() {
        let digest = Digest::sha256(b"x");
        let artifact = Artifact {
            name: "x",
            sha256: &digest,
            url: None,
            content: None,
        };
        let answer = |url: &str, sha256: &Digest| Answer {
            url: url.to_string(),
            says: sha256.hex().to_string(),
            sha256: sha256.clone(),
        };
        let one = answer("https://a.example/x", &digest);
        let same = answer("https://a.example/y", &digest);
        let two = answer("https://b.example/x", &digest);
        let got = agreeing(&artifact, &[one.clone(), same, two]).unwrap();
        assert_eq!(got, ["a.example", "b.example"]);
        let other = answer("https://c.example/x", &Digest::sha256(b"y"));
        let (why, fault) = agreeing(&artifact, &[one.clone(), other]).unwrap_err();
        assert_eq!(why, Why::Sources);
        assert!(fault.contains("c.example"), "{fault}");
        let liar = Answer {
            says: "nothing".to_string(),
            ..one
        };
        assert_eq!(agreeing(&artifact, &[liar]).unwrap_err().0, Why::Damaged);
    }
}
