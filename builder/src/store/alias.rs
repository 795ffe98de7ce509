//! Which blob has a SHA-512: what the store has seen of bytes with both digests.

use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nodeimg_values::digest::{Digest, Expected};

use super::Store;
use super::place::{self, Part, There};

impl Store {
    /// Whether this store has seen that both digests of `want` are of the same bytes:
    /// SHA-512 costs four times SHA-256, so it is not computed at every build.
    pub(super) fn belong_together(&self, want: &Expected) -> bool {
        let (Some(sha256), Some(sha512)) = (&want.sha256, &want.sha512) else {
            return false;
        };
        let seen = alias(&self.root, sha512).filter(|(_, meta)| place::is_ours(meta));
        seen.is_some_and(|(seen, _)| seen == *sha256)
    }

    /// The name in `blobs/` that stands for `want`, if any is known. Where it
    /// rests on an alias alone, the blob's SHA-512 is checked when it is used.
    pub(super) fn resolve(&self, want: &Expected) -> Result<Option<Digest>> {
        match (&want.sha256, &want.sha512) {
            (Some(sha256), _) => Ok(Some(sha256.clone())),
            (None, Some(sha512)) => Ok(self.alias(sha512)),
            (None, None) => bail!("a blob was requested without a digest"),
        }
    }

    /// The SHA-256 of the blob with this SHA-512, as seen when it was stored. A
    /// broken alias costs a download, nothing else.
    fn alias(&self, sha512: &Digest) -> Option<Digest> {
        let below = self.below.iter().map(|below| &below.root);
        let mut roots = std::iter::once(&self.root).chain(below);
        roots.find_map(|root| Some(alias(root, sha512)?.0))
    }
}

/// What an alias in the store at `root` says, with its file.
pub(super) fn alias(root: &Path, sha512: &Digest) -> Option<(Digest, Metadata)> {
    let There::File(file, meta) = place::look(&alias_path(root, sha512)).ok()? else {
        return None;
    };
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text).ok()?;
    Some((text.trim().parse().ok()?, meta))
}

pub(super) fn alias_path(root: &Path, sha512: &Digest) -> PathBuf {
    root.join(Part::Aliases.name()).join(sha512.hex())
}
