//! Manifests and indexes of a repository, by digest and by tag.

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::artifact::{Artifact, List, fallback_tag};
use nodeimg_formats::oci::{ACCEPTED, Descriptor};
use nodeimg_values::digest::Digest;
use reqwest::Method;
use reqwest::header::{self, HeaderName};

use super::Repository;
use super::ask::Ask;
use super::source::Source;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Says that the registry keeps the list of what refers to something.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// How often a list is written again because somebody else wrote it too.
const RACES: usize = 8;

/// What a tag names.
#[derive(Clone, Debug)]
pub struct Document {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

/// By what a document is put: its tag, or its digest.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    Tag(&'a str),
    Digest,
}

impl Repository<'_> {
    /// What a tag names; `None` if there is no such tag.
    pub fn tagged(&self, tag: &str) -> Result<Option<Document>> {
        let url = self.name.tag_url(tag);
        let what = format!("reading the tag {tag}");
        let asked = || {
            let ask = Ask {
                accept: ACCEPTED,
                ..Ask::new(Method::GET, self.target(&url)?)
            };
            self.tries(&ask, &[200, 404], None)
        };
        let answer = asked().map_err(|failure| self.told(&what, &url, &failure))?;
        if answer.code == 404 {
            return Ok(None);
        }
        let digest = Digest::sha256(&answer.bytes);
        if let Some(said) = answer.header(&CONTENT_DIGEST)
            && said != digest.to_string()
            && said.starts_with("sha256:")
        {
            bail!(
                "{what}: {url}: the registry names {}, and sends {digest}",
                said.escape_debug()
            );
        }
        Ok(Some(Document {
            digest,
            bytes: answer.bytes,
        }))
    }

    /// The digest of what a tag names, at the cost of one question.
    pub fn digest_of(&self, tag: &str) -> Result<Option<Digest>> {
        let url = self.name.tag_url(tag);
        let asked = || {
            let ask = Ask {
                accept: ACCEPTED,
                ..Ask::new(Method::HEAD, self.target(&url)?)
            };
            self.tries(&ask, &[200, 404, 405, 501], None)
        };
        let what = format!("looking for the tag {tag}");
        let answer = asked().map_err(|failure| self.told(&what, &url, &failure))?;
        let said = answer.header(&CONTENT_DIGEST);
        match (answer.code.as_u16(), said.map(str::parse::<Digest>)) {
            (404, _) => Ok(None),
            (200, Some(Ok(digest))) => Ok(Some(digest)),
            // One that tells less is asked for all of it.
            _ => Ok(self.tagged(tag)?.map(|document| document.digest)),
        }
    }

    fn has_document(&self, digest: &Digest) -> Result<bool> {
        let url = self.name.document_url(digest);
        let asked = || {
            let ask = Ask {
                accept: ACCEPTED,
                ..Ask::new(Method::HEAD, self.target(&url)?)
            };
            self.tries(&ask, &[200, 400, 404, 405, 501], None)
        };
        let what = format!("looking for the manifest {digest}");
        let answer = asked().map_err(|failure| self.told(&what, &url, &failure))?;
        Ok(answer.code == 200)
    }

    /// Puts a document. Whether the registry says that it lists it at its subject.
    pub fn put(&self, by: By<'_>, media_type: &str, bytes: &[u8]) -> Result<bool> {
        let digest = Digest::sha256(bytes);
        let (url, what) = match by {
            By::Tag(tag) => (self.name.tag_url(tag), format!("writing the tag {tag}")),
            By::Digest => (
                self.name.document_url(&digest),
                format!("pushing the manifest {digest}"),
            ),
        };
        let source = Source::bytes(bytes.to_vec());
        let asked = || {
            let ask = Ask {
                headers: vec![(header::CONTENT_TYPE, media_type.to_owned())],
                body: Some(&source),
                ..Ask::new(Method::PUT, self.target(&url)?)
            };
            self.tries(&ask, &[200, 201, 202, 204], None)
        };
        let answer = asked().map_err(|failure| self.told(&what, &url, &failure))?;
        if let Some(said) = answer.header(&CONTENT_DIGEST)
            && said.starts_with("sha256:")
            && said != digest.to_string()
        {
            bail!(
                "{what}: {url}: the registry stored {} instead of {digest}: it, or something \
                 before it, changes documents",
                said.escape_debug()
            );
        }
        Ok(answer.header(&SUBJECT).is_some())
    }

    /// Puts a document by its digest, if it is not there. Whether it was sent.
    pub fn put_once(&self, media_type: &str, bytes: &[u8]) -> Result<bool> {
        let is_there = self.has_document(&Digest::sha256(bytes))?;
        if !is_there {
            self.put(By::Digest, media_type, bytes)?;
        }
        Ok(!is_there)
    }

    /// Puts a manifest that belongs to its subject, and sees that it can be found there.
    pub fn refer(&self, artifact: &Artifact) -> Result<()> {
        let bytes = artifact.bytes()?;
        let subject = artifact.subject.as_ref();
        let subject = subject.context("a manifest that refers to nothing")?;
        if self.put(By::Digest, &artifact.media_type, &bytes)? {
            return Ok(());
        }
        let mut own = Descriptor::of(&artifact.media_type, &bytes);
        own.artifact_type.clone_from(&artifact.artifact_type);
        if !artifact.annotations.is_empty() {
            own.annotations = Some(artifact.annotations.clone());
        }
        self.list(&fallback_tag(&subject.digest), &own)
    }

    /// Adds to the list that a tag names. Protocols of registries have no exchange that
    /// compares, so it is read again until it has what was written.
    fn list(&self, tag: &str, own: &Descriptor) -> Result<()> {
        for _ in 0..RACES {
            let mut list = match self.tagged(tag)? {
                Some(document) => {
                    List::parse(&document.bytes).with_context(|| format!("the tag {tag}"))?
                }
                None => List::new(Vec::new()),
            };
            if list.manifests.iter().any(|one| one.digest == own.digest) {
                return Ok(());
            }
            list.manifests.push(own.clone());
            list.manifests.sort_by(|a, b| {
                (&a.artifact_type, a.digest.hex()).cmp(&(&b.artifact_type, b.digest.hex()))
            });
            self.put(By::Tag(tag), &list.media_type, &list.bytes()?)?;
        }
        bail!(
            "{}:{tag}: others keep on writing this list; publish again when they are done",
            self.name()
        )
    }
}
