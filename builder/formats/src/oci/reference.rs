//! The name of an image in a registry.
//!
//! ```text
//! registry.k8s.io / pause : 3.10.2 @ sha256:f548...
//! HOST[:PORT]       PATH    TAG      DIGEST
//! ```
//! As Docker reads it, and containerd after it
//! ([grammar](https://pkg.go.dev/github.com/distribution/reference)): without a
//! host it is `docker.io`, there without a folder `library/`, without tag and
//! digest `latest`.
//!
//! # Invariants
//! A [`Reference`] is whole: host, path, and a tag or a digest. Its text is that
//! which containerd keeps an image by.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use nodeimg_values::digest::Digest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const DOCKER: &str = "docker.io";
/// Where that answers.
const DOCKER_REGISTRY: &str = "registry-1.docker.io";

/// An image's whole name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// What it is pinned to by itself.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// `registry.k8s.io/pause`, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Its registry, with the port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `team/pause`, without the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What has another tag in the same repository.
    ///
    /// # Errors
    /// `tag` cannot be one.
    pub fn tagged(&self, tag: &str) -> Result<Reference> {
        if !is_tag(tag) {
            bail!(
                "`{}` is not a valid tag: use at most 128 letters, digits, `_`, `.` and `-`",
                tag.escape_debug()
            );
        }
        Ok(Reference {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The URL at which an upload of a blob begins; or, with the path of another repository
    /// that has it, the one that takes it from there.
    pub fn upload_url(&self, mount: Option<(&Digest, &str)>) -> String {
        let url = format!("{}/blobs/uploads/", self.api());
        match mount {
            Some((digest, from)) => format!("{url}?mount={digest}&from={from}"),
            None => url,
        }
    }

    /// The last part of its path: `pause`.
    pub fn base_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether a node that has this image finds `wanted`.
    pub fn covers(&self, wanted: &Reference) -> bool {
        let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
        let digests = [self, wanted].map(|one| one.digest.as_ref().map(Digest::hex));
        self.repository() == wanted.repository()
            && match &wanted.digest {
                Some(_) => same(digests[0], digests[1]),
                None => same(self.tag(), wanted.tag()),
            }
    }

    /// Every name by which a node may ask for it: that with the tag, and that
    /// with the digest `of` what the registry has under the tag.
    pub fn names(&self, of: &Digest) -> Vec<String> {
        let repository = self.repository();
        let tagged = self.tag.iter().map(|tag| format!("{repository}:{tag}"));
        let digest = self.digest.as_ref().unwrap_or(of);
        let pinned = format!("{repository}@{digest}");
        tagged.chain([pinned]).collect()
    }

    /// The one name that a store keeps it under, and a runtime pins it by: with the tag if
    /// it has one, otherwise with the digest.
    pub fn kept_name(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}", self.repository()),
            None => self.to_string(),
        }
    }

    /// The URL of what it names.
    pub fn manifest_url(&self) -> String {
        let digest = self.digest.as_ref().map(Digest::to_string);
        let by = digest.or_else(|| self.tag.clone()).unwrap_or_default();
        format!("{}/manifests/{by}", self.api())
    }

    /// The URL of what another tag of the same image names.
    pub fn tag_url(&self, tag: &str) -> String {
        format!("{}/manifests/{tag}", self.api())
    }

    /// The URL of the list of what refers to one of its documents.
    pub fn referrers_url(&self, digest: &Digest) -> String {
        format!("{}/referrers/{digest}", self.api())
    }

    /// The URL of a document of the same image.
    pub fn document_url(&self, digest: &Digest) -> String {
        format!("{}/manifests/{digest}", self.api())
    }

    /// The URL of its configuration or one of its layers.
    pub fn blob_url(&self, digest: &Digest) -> String {
        format!("{}/blobs/{digest}", self.api())
    }

    /// [OCI distribution](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints);
    /// plain http for a registry on this very machine alone.
    fn api(&self) -> String {
        let host = match self.host.as_str() {
            DOCKER => DOCKER_REGISTRY,
            host => host,
        };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}", self.path)
    }
}

/// Of a host name, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl FromStr for Reference {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Reference> {
        if text.contains("://") {
            bail!(
                "`{text}` is a URL: write the image's name without it, `registry.k8s.io/pause:3.10`"
            );
        }
        // In one sentence: serde hands on the outermost alone.
        parse(text)
            .map_err(|e| anyhow!("`{}` is not a valid image name: {e:#}", text.escape_debug()))
    }
}

fn parse(text: &str) -> Result<Reference> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
        None => (text, None),
    };
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match name[last..].find(':') {
        Some(at) => (&name[..last + at], Some(&name[last + at + 1..])),
        None => (name, None),
    };
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => (DOCKER, name),
    };
    let host = if host == "index.docker.io" {
        DOCKER
    } else {
        host
    };
    let path = match (host, path.contains('/')) {
        (DOCKER, false) => format!("library/{path}"),
        _ => path.to_owned(),
    };
    if !is_host(host) {
        bail!("`{host}` is not a valid host");
    }
    if !path.split('/').all(is_component) || host.len() + path.len() > 254 {
        bail!(
            "`{path}`: each part must be lowercase letters and digits, with `.`, `_` or `-` \
             between them"
        );
    }
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        bail!("`{tag}` is not a valid tag: use at most 128 letters, digits, `_`, `.` and `-`");
    }
    let tag = tag.or_else(|| digest.is_none().then_some("latest"));
    Ok(Reference {
        host: host.to_owned(),
        path,
        tag: tag.map(str::to_owned),
        digest,
    })
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        // An IPv6 address.
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) if ip.parse::<IpAddr>().is_ok() => ("ip", port.strip_prefix(':')),
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+` parts, joined by one dot, one or two underscores or any hyphens.
fn is_component(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    for c in part.chars() {
        match c {
            '.' | '_' | '-' => separator.push(c),
            _ if u8::try_from(c).is_ok_and(word) => {
                let hyphens = separator.chars().all(|c| c == '-');
                if !hyphens && !["", ".", "_", "__"].contains(&separator.as_str()) {
                    return false;
                }
                separator.clear();
            }
            _ => return false,
        }
    }
    separator.is_empty() && part.bytes().next().is_some_and(word)
}

fn is_tag(tag: &str) -> bool {
    let first = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    tag.len() <= 128 && tag.as_bytes().first().is_some_and(first) && tag.bytes().all(inner)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Reference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1,
            "description": "an image's name: HOST/PATH:TAG, with or without @sha256:DIGEST"})
    }
}

#[cfg(test)]
mod tests;
