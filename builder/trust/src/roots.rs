//! Trusted roots: whose certificates, logs and time stamps count.

use anyhow::{Context, Result};
use nodeimg_values::digest::Digest;

pub use crate::demand::Instance;
use crate::sigstore::Root;

const PUBLIC_GOOD: &[u8] = include_bytes!("../roots/public-good.json");
const GITHUB: &[u8] = include_bytes!("../roots/github.json");

/// The trusted root of each instance.
#[derive(Clone, Debug)]
pub struct Roots {
    public_good: Root,
    github: Root,
    private: Option<Root>,
}

impl Roots {
    /// Those that the program has inside (`roots/README.md` says where they come from).
    pub fn built_in() -> Result<Roots> {
        Ok(Roots {
            public_good: Root::read(PUBLIC_GOOD).context("the root of sigstore.dev")?,
            github: Root::read(GITHUB).context("the root of GitHub's Sigstore")?,
            private: None,
        })
    }

    /// These and the root of a Sigstore of one's own (`trusted_root.json`): it counts for
    /// demands of [`Instance::Private`] only. Which checks it needs follows from what it
    /// lists: a log entry if it has logs, SCTs if it has logs of certificates.
    pub fn with_private(self, json: &[u8]) -> Result<Roots> {
        self.replaced(Instance::Private, json)
    }

    /// With another root of `instance` in place of the one inside
    /// (`nodeimg trust update`, or a whole Sigstore of a test's own).
    pub fn replaced(mut self, instance: Instance, json: &[u8]) -> Result<Roots> {
        let root = Root::read(json)?;
        match instance {
            Instance::PublicGood => self.public_good = root,
            Instance::GitHub => self.github = root,
            Instance::Private => self.private = Some(root),
        }
        Ok(self)
    }

    /// The digest of the root's file, which a lock records; `None` without one.
    pub fn digest(&self, instance: Instance) -> Option<&Digest> {
        self.of(instance).map(|root| &root.digest)
    }

    /// When the newest authority or log that the root lists became valid (RFC 3339): a root
    /// that is too old refuses what newer ones have signed.
    pub fn newest(&self, instance: Instance) -> Option<&str> {
        self.of(instance)?.newest.as_deref()
    }

    pub(crate) fn of(&self, instance: Instance) -> Option<&Root> {
        match instance {
            Instance::PublicGood => Some(&self.public_good),
            Instance::GitHub => Some(&self.github),
            Instance::Private => self.private.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_roots_inside_are_the_reviewed_ones() {
        let roots = Roots::built_in().unwrap();
        let readme = include_str!("../roots/README.md");
        for instance in [Instance::PublicGood, Instance::GitHub] {
            let digest = roots.digest(instance).unwrap().hex().to_string();
            assert!(readme.contains(&digest), "{instance:?}: {digest}");
        }
        assert_eq!(roots.digest(Instance::Private), None);
    }

    #[test]
    fn only_a_root_without_logs_does_without_them() {
        let roots = Roots::built_in().unwrap();
        let public = roots.of(Instance::PublicGood).unwrap();
        assert!(public.logs && public.certificate_logs);
        let github = roots.of(Instance::GitHub).unwrap();
        assert!(!github.logs && !github.certificate_logs);
    }

    #[test]
    fn a_damaged_root_is_refused() {
        let roots = Roots::built_in().unwrap();
        let cut = &PUBLIC_GOOD[..PUBLIC_GOOD.len() / 2];
        let empty = br#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
        let long = vec![b' '; 5 << 20];
        for bytes in [cut, b"", b"{}", empty, &long, b"\xff\xfe", b"null", b"[]"] {
            assert!(roots.clone().with_private(bytes).is_err());
        }
    }
}
