//! Package URLs: what a package is called wherever it is
//! ([ECMA-427](https://ecma-international.org/publications-and-standards/standards/ecma-427/)).
//!
//! ```text
//! pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13&upstream=glibc
//! pkg:golang/github.com/a/b@v1.2.3
//! pkg:github/containerd/containerd@v2.3.4
//! pkg:generic/kubelet@1.36.0?checksum=sha256:…&download_url=https:%2F%2F…
//! pkg:oci/pause@sha256:…?arch=amd64&repository_url=registry.k8s.io%2Fpause&tag=3.10
//! ```

use std::fmt::Write;

use nodeimg_formats::oci::Reference;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

/// Everything but what a URL may have as it is; a colon stays, by the specification.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            all.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

/// `path` is not encoded; qualifiers without a value are left out.
fn purl(path: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut text = format!("pkg:{path}");
    if !version.is_empty() {
        text += &format!("@{}", encoded(version));
    }
    let mut sorted: Vec<_> = qualifiers
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    sorted.sort();
    for (number, (name, value)) in sorted.into_iter().enumerate() {
        let mark = if number == 0 { '?' } else { '&' };
        text += &format!("{mark}{name}={}", encoded(value));
    }
    text
}

/// A Debian package's own words.
pub struct Deb<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// `all` too, `source`.
    pub arch: &'a str,
    /// `debian-13`.
    pub distro: &'a str,
    /// `glibc`, `bash@5.2-1`; empty if it is called as the package.
    pub upstream: &'a str,
}

pub fn deb(vendor: &str, deb: &Deb<'_>) -> String {
    let path = format!("deb/{}/{}", encoded(vendor), encoded(deb.name));
    let qualifiers = [
        ("arch", deb.arch),
        ("distro", deb.distro),
        ("upstream", deb.upstream),
    ];
    purl(&path, deb.version, &qualifiers)
}

/// Go's names have their case; a reader that asks a database needs it.
pub fn golang(module: &str, version: &str) -> String {
    let parts: Vec<String> = module.split('/').map(encoded).collect();
    // What was built from no release has no version.
    let version = if version == "(devel)" { "" } else { version };
    purl(&format!("golang/{}", parts.join("/")), version, &[])
}

/// By the place that it is published at.
pub fn artifact(name: &str, version: &str, url: &str, digest: Option<&Digest>) -> String {
    if let Some((owner, repository, tag)) = github_release(url) {
        let (owner, repository) = (owner.to_lowercase(), repository.to_lowercase());
        let path = format!("github/{}/{}", encoded(&owner), encoded(&repository));
        return purl(&path, tag, &[]);
    }
    let checksum = digest.map(ToString::to_string).unwrap_or_default();
    let qualifiers = [("download_url", url), ("checksum", checksum.as_str())];
    purl(&format!("generic/{}", encoded(name)), version, &qualifiers)
}

/// Owner, repository and tag of `https://github.com/O/R/releases/download/TAG/FILE`.
pub fn github_release(url: &str) -> Option<(&str, &str, &str)> {
    let rest = url.strip_prefix("https://github.com/")?;
    let mut parts = rest.split('/');
    let (owner, repository) = (parts.next()?, parts.next()?);
    let is_release = parts.next() == Some("releases") && parts.next() == Some("download");
    let tag = parts.next().filter(|_| is_release)?;
    parts.next()?;
    Some((owner, repository, tag))
}

pub fn oci(image: &Reference, digest: &Digest, arch: Arch) -> String {
    let path = format!("oci/{}", encoded(&image.base_name().to_lowercase()));
    let repository = image.repository();
    let qualifiers = [
        ("arch", arch.name()),
        ("repository_url", repository.as_str()),
        ("tag", image.tag().unwrap_or_default()),
    ];
    purl(&path, &digest.to_string(), &qualifiers)
}

pub fn firstboot(version: &str, digest: &Digest) -> String {
    let checksum = digest.to_string();
    purl(
        "generic/nodeimg-firstboot",
        version,
        &[("checksum", &checksum)],
    )
}
