//! What a lock pins of artifacts.

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::{Algorithm, Digest, Expected};

use super::Publishers;
use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::checksum;
use crate::input::fetch::Request;
use crate::input::recipe::request::{ArtifactRequest, LockRequest};

impl Publishers<'_> {
    pub fn artifact(&self, request: &ArtifactRequest) -> Result<Expected> {
        if let Some(digest) = self.known.get(&request.url) {
            return Ok(Expected::of(digest, None));
        }
        let published = self.published(request)?;
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
        let (_, measured) =
            self.fetcher
                .download(&download)
                .with_context(|| match &request.checksum {
                    Some(url) => format!("checking {} against {url}", request.what()),
                    None => format!("resolving {}", request.what()),
                })?;
        let mut pinned = Expected::of(&measured.sha256, Some(measured.size));
        pinned.sha512 = published.filter(|digest| digest.algorithm() == Algorithm::Sha512);
        Ok(pinned)
    }

    /// What the publisher's checksum file says of the artifact.
    fn published(&self, request: &ArtifactRequest) -> Result<Option<Digest>> {
        let Some(url) = &request.checksum else {
            return Ok(None);
        };
        let what = format!("the checksum of {}", request.what());
        let Some(text) = self.fetcher.text(url, &what)? else {
            bail!(
                "{what} is not at {url}: there is no such version, or the artifact's `checksum` \
                 needs to be corrected or removed"
            );
        };
        let file = request.url.rsplit('/').next().unwrap_or_default();
        match checksum::find(&text, file).with_context(|| format!("reading {url}"))? {
            Some(digest) => Ok(Some(digest)),
            None => bail!(
                "{url} does not list `{file}`: correct the `checksum` of `{}`",
                request.name
            ),
        }
    }
}
