//! A container registry: one tag a version, one manifest an architecture, one layer a file.
//!
//! ```text
//! REPOSITORY:VERSION ──▶ index ──artifact type, architecture──▶ manifest
//!     manifest ──configuration──▶ NAME_VERSION_ARCH.update.json
//!              ──layers, by media type──▶ envelope, root, hash tree, UKI
//! ```

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::oci::{ACCEPTED, Reference};
use nodeimg_formats::update::{
    ARTIFACT_TYPE, ENVELOPE_LAYER, Manifest, ROOT_LAYER, UKI_LAYER, VERITY_LAYER, compare,
    is_version,
};
use serde::Deserialize;

use super::login::{Login, Logins};
use super::net::{self, Client, Request};
use super::{
    Delivered, Document, Failure, Image, MAX_DOCUMENT, Patience, Piece, Sink, Source, check_digest,
};

/// Ends tags of the same version for something else: container images, one architecture.
const OTHER_KINDS: [&str; 4] = ["-containerdisk", "-update", "-amd64", "-arm64"];
/// Tags that are looked at.
const NEWEST: usize = 10;
/// Pages of a list of tags that are read.
const MOST_PAGES: usize = 100;

pub struct Registry {
    client: Client,
    /// `HOST/REPOSITORY[:TAG]`.
    name: Reference,
    /// Without one, the newest of all is looked for.
    has_tag: bool,
    login: Login,
    patience: Patience,
    /// Manifests by version, once they were read.
    known: Mutex<HashMap<String, Arc<Artifact>>>,
}

/// Index or manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    artifact_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
    artifact_type: Option<String>,
    platform: Option<Platform>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// The manifest of an update, and its layers.
struct Artifact {
    plain: Vec<u8>,
    envelope: Option<String>,
    layers: Vec<Descriptor>,
}

impl Registry {
    /// `name` follows `oci://`.
    ///
    /// # Errors
    /// It is not the name of a repository.
    pub fn open(
        name: &str,
        authorities: &[u8],
        logins: Logins,
        patience: Patience,
    ) -> Result<Registry> {
        let reference: Reference = name
            .parse()
            .with_context(|| format!("the source oci://{name}"))?;
        if reference.digest().is_some() {
            bail!("the source oci://{name} is pinned to a digest: name a tag, or none");
        }
        let is_secure = reference.manifest_url().starts_with("https://");
        Ok(Registry {
            client: Client::new(is_secure, authorities)?,
            login: Login::new(logins, &reference.repository()),
            name: reference,
            has_tag: name
                .rsplit('/')
                .next()
                .is_some_and(|last| last.contains([':', '@'])),
            patience,
            known: Mutex::default(),
        })
    }

    /// An answer, after a login if one is asked for.
    fn ask(
        &self,
        url: &str,
        accept: &str,
        range: Option<&Range<u64>>,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let authorization = self.login.current();
        let request = Request {
            url,
            accept,
            authorization: authorization.as_deref(),
        };
        let answer = self.client.send(request, range)?;
        if answer.status().as_u16() != 401 {
            return Ok(answer);
        }
        let values = answer.headers().get_all("www-authenticate").iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let authorization =
            self.login
                .answer(&self.client, url, &values, authorization.as_deref())?;
        let request = Request {
            authorization: Some(&authorization),
            ..request
        };
        self.client.send(request, range)
    }

    /// A document by its URL; none if there is none.
    fn document(&self, url: &str, accept: &str) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        let attempt = || {
            let mut answer = self.ask(url, accept, None)?;
            found = match answer.status().as_u16() {
                200 => Some(net::body(&mut answer)?),
                404 => None,
                status => return Err(net::refused(status, &net::from(&answer))),
            };
            Ok(())
        };
        self.patience.run(attempt, || 0)?;
        Ok(found)
    }

    /// A document that the one above it names.
    fn named(&self, url: &str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let bytes = self.document(url, ACCEPTED)?;
        let bytes = bytes.with_context(|| format!("{} does not have {url}", net::host(url)))?;
        let digest = descriptor.digest.strip_prefix("sha256:");
        let digest = digest.context("a digest is not SHA-256")?;
        check_digest(&bytes, digest, url)?;
        Ok(bytes)
    }

    /// The update that a tag names for this architecture.
    fn artifact(&self, tag: &str, image: Image<'_>) -> Result<Arc<Artifact>> {
        let update = self.update(tag, image)?;
        update.with_context(|| {
            format!(
                "{}:{tag} is not an update of {} nodes: `nodeimg publish` makes those",
                self.name.repository(),
                image.architecture
            )
        })
    }

    /// The same; none if the tag is not there, or names something else.
    fn update(&self, tag: &str, image: Image<'_>) -> Result<Option<Arc<Artifact>>> {
        let url = self.name.tag_url(tag);
        let Some(bytes) = self.document(&url, ACCEPTED)? else {
            return Ok(None);
        };
        let mut node = parse(&bytes, &url)?;
        if let Some(manifests) = &node.manifests {
            let fits = |it: &&Descriptor| {
                it.artifact_type.as_deref() == Some(ARTIFACT_TYPE)
                    && it.platform.as_ref().map(|it| it.architecture.as_str())
                        == Some(image.architecture)
            };
            let Some(found) = manifests.iter().find(fits).cloned() else {
                return Ok(None);
            };
            let digest = found.digest.parse().context("a digest in an index")?;
            let url = self.name.document_url(&digest);
            node = parse(&self.named(&url, &found)?, &url)?;
        }
        if node.artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
            return Ok(None);
        }
        let config = node.config.context("the manifest has no configuration")?;
        let plain = self.small_blob(&config)?;
        let envelope = node
            .layers
            .iter()
            .find(|it| it.media_type == ENVELOPE_LAYER);
        let envelope = envelope.map(|it| self.small_blob(it)).transpose()?;
        let envelope = envelope.map(String::from_utf8).transpose();
        Ok(Some(Arc::new(Artifact {
            plain,
            envelope: envelope.context("the envelope of the manifest is not text")?,
            layers: node.layers,
        })))
    }

    fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size > MAX_DOCUMENT {
            bail!(
                "a manifest of {} bytes is longer than one can be",
                descriptor.size
            );
        }
        let digest = descriptor
            .digest
            .parse()
            .context("a digest in a manifest")?;
        self.named(&self.name.blob_url(&digest), descriptor)
    }

    fn tag(&self) -> Option<&str> {
        self.name.tag().filter(|_| self.has_tag)
    }

    /// Every tag of the repository.
    fn tags(&self) -> Result<Vec<String>> {
        let url = self.name.tag_url("x");
        let base = url.strip_suffix("/manifests/x").unwrap_or(&url).to_owned();
        let mut tags: Vec<String> = Vec::new();
        for _ in 0..MOST_PAGES {
            // Pages by the last tag: what `Link` says too, in every registry.
            let after = tags.last().map(|last| format!("&last={last}"));
            let url = format!("{base}/tags/list?n=1000{}", after.unwrap_or_default());
            let bytes = self.document(&url, "application/json")?;
            let Some(bytes) = bytes else {
                bail!("{} has no such repository", net::host(&url));
            };
            let page: Tags = serde_json::from_slice(&bytes).context("a list of tags")?;
            let new: Vec<String> = page.tags.unwrap_or_default();
            let is_last = new.len() < 1000 || new.last() == tags.last();
            tags.extend(new);
            if is_last {
                break;
            }
        }
        Ok(tags)
    }

    /// The version that a manifest says, which is kept for later.
    fn remember(&self, artifact: Arc<Artifact>) -> Result<String> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let found: Version =
            serde_json::from_slice(&artifact.plain).context("the manifest of the update")?;
        if let Ok(mut known) = self.known.lock() {
            known.insert(found.version.clone(), artifact);
        }
        Ok(found.version)
    }

    fn known(&self, version: &str) -> Option<Arc<Artifact>> {
        self.known.lock().ok()?.get(version).cloned()
    }
}

fn parse(bytes: &[u8], url: &str) -> Result<Node> {
    serde_json::from_slice(bytes).with_context(|| format!("{url} is not an OCI manifest"))
}

impl Source for Registry {
    fn name(&self) -> String {
        match self.tag() {
            Some(tag) => format!("oci://{}:{tag}", self.name.repository()),
            None => format!("oci://{}", self.name.repository()),
        }
    }

    fn versions(&self, image: Image<'_>) -> Result<Vec<String>> {
        if let Some(tag) = self.tag() {
            return Ok(vec![self.remember(self.artifact(tag, image)?)?]);
        }
        let is_ours = |tag: &String| {
            is_version(tag)
                && tag.starts_with(|c: char| c.is_ascii_digit())
                && !OTHER_KINDS.iter().any(|end| tag.ends_with(end))
        };
        let mut tags: Vec<String> = self.tags()?.into_iter().filter(is_ours).collect();
        tags.sort_by(|one, other| compare(other, one));
        // A tag may say less than a version, so each is read; the newest ones are enough.
        let mut versions = Vec::new();
        for tag in tags.iter().take(NEWEST) {
            if let Some(artifact) = self.update(tag, image)? {
                versions.push(self.remember(artifact)?);
            }
        }
        Ok(versions)
    }

    fn manifest(&self, image: Image<'_>, version: &str) -> Result<Document> {
        let artifact = match self.known(version) {
            Some(known) => known,
            None => {
                let found = self.artifact(version, image)?;
                self.remember(Arc::clone(&found))?;
                found
            }
        };
        Ok(Document {
            plain: Some(artifact.plain.clone()),
            envelope: artifact.envelope.clone(),
        })
    }

    fn read(
        &self,
        manifest: &Manifest,
        piece: Piece,
        range: Range<u64>,
        to: &mut Sink<'_>,
    ) -> Result<Delivered, Failure> {
        let artifact = self
            .known(&manifest.version)
            .with_context(|| format!("{} has no {}", self.name(), manifest.version))?;
        let kind = match piece {
            Piece::Root => ROOT_LAYER,
            Piece::Verity => VERITY_LAYER,
            Piece::Uki => UKI_LAYER,
        };
        let layer = artifact.layers.iter().find(|it| it.media_type == kind);
        let layer = layer.with_context(|| format!("the update has no layer {kind}"))?;
        if layer.size != piece.size(manifest) {
            return Err(Failure::Final(anyhow!(
                "the layer {kind} has another size than the manifest says"
            )));
        }
        let digest = layer.digest.parse().context("a digest in a manifest")?;
        let url = self.name.blob_url(&digest);
        let answer = self.ask(&url, "", Some(&range))?;
        net::deliver(answer, &range, to)
    }
}
