//! What a lock pins of artifacts.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::{Algorithm, Digest, Expected};

use super::Publishers;
use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::{self, checksum};
use crate::input::fetch::{Request, shown};
use crate::input::recipe::Artifact;
use crate::input::recipe::request::{ArtifactRequest, LockRequest};
use crate::store::VerifiedBlob;

impl Publishers<'_> {
    /// What the lock pins of `asked`, for the architecture of `request`.
    ///
    /// # Errors
    /// If the bytes are not what the recipe installs: a web page in the place of an archive
    /// is never pinned.
    pub fn artifact(&self, asked: &Artifact, request: &ArtifactRequest) -> Result<Expected> {
        if let Some(digest) = self.known.get(&request.url) {
            return Ok(Expected::of(digest, None));
        }
        let owner = format!("`{}`", request.name);
        let published = request.checksum.as_ref();
        let published = published
            .map(|checksum| self.published(&request.what(), &request.url, checksum, &owner))
            .transpose()?;
        let want = published
            .as_ref()
            .map(|digest| Expected::of(digest, None))
            .unwrap_or_default();
        let download = Request {
            what: request.what(),
            url: request.url.clone(),
            want,
            max_size: MAX_DOWNLOAD,
            accept: None,
        };
        let (blob, measured) = self
            .fetcher
            .download(&download)
            .with_context(|| match &request.checksum {
                Some(url) => format!("checking {} against {}", request.what(), shown(url)),
                None => format!("resolving {}", request.what()),
            })?;
        self.look(asked, request, blob)?;
        let mut pinned = Expected::of(&measured.sha256, Some(measured.size));
        pinned.sha512 = published.filter(|digest| digest.algorithm() == Algorithm::Sha512);
        Ok(pinned)
    }

    /// Takes what a build would take, so that what no build could use is told now.
    fn look(&self, asked: &Artifact, request: &ArtifactRequest, blob: VerifiedBlob) -> Result<()> {
        let rules = asked.rules_of(request.arch)?;
        let spec = asked.spec(request.arch, &rules);
        let looked = artifact::unpack(self.fetcher.store(), Arc::new(blob), &spec);
        looked.map(|_| ()).with_context(|| {
            format!(
                "{} is not pinned: what came from {} is not what the recipe installs",
                request.what(),
                request.url
            )
        })
    }

    /// What the publisher's checksum file at `checksum` says of the file at `url`; `owner` is
    /// the table of the recipe that names both.
    pub(super) fn published(
        &self,
        of: &str,
        url: &str,
        checksum: &str,
        owner: &str,
    ) -> Result<Digest> {
        let what = format!("the checksum of {of}");
        let Some(text) = self.fetcher.text(checksum, &what)? else {
            bail!(
                "{what} is not at {}: there is no such version, or `checksum` of {owner} needs to \
                 be corrected or removed",
                shown(checksum)
            );
        };
        let file = checksum::file_name(url);
        let found = checksum::find(&text, url);
        let found = found.with_context(|| format!("reading {}", shown(checksum)))?;
        found.with_context(|| {
            let shown = shown(checksum);
            format!("{shown} does not list `{file}`: correct the `checksum` of {owner}")
        })
    }
}
