//! One index of several architectures, whoever publishes them, one after the other or at once.
//!
//! Registries have no exchange that compares before it writes. So each architecture has an
//! index under a tag of its own, which only its publisher writes, and the joint index is made
//! of all of these: who writes it reads them again afterwards, until both agree. Whoever is
//! last sees everybody's, so nothing is lost, at a registry that shows a tag as soon as it was
//! written. Two who publish the *same* architecture of one tag at once are not told apart: the
//! later one counts.

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::artifact::List;
use nodeimg_formats::oci::{Descriptor, INDEX};
use nodeimg_values::arch::Arch;

use crate::input::fetch::push::{By, Repository};

/// How often it is written again because others publish as well.
const RACES: usize = 16;

/// The tag of one architecture.
pub fn tag_of(tag: &str, arch: Arch) -> String {
    format!("{tag}-{arch}")
}

/// Brings the index `tag` to what its architectures' say. Whether anything was written.
pub fn join(repository: &Repository<'_>, tag: &str) -> Result<bool> {
    let read = |tag: &str| -> Result<Option<List>> {
        let found = repository.tagged(tag)?;
        found
            .map(|document| List::parse(&document.bytes))
            .transpose()
            .with_context(|| {
                format!(
                    "{}:{tag} is not an index of nodeimg's: publish under another tag",
                    repository.name()
                )
            })
    };
    for round in 0..RACES {
        let mut parts = Vec::new();
        for arch in Arch::ALL {
            parts.extend(read(&tag_of(tag, arch))?.map(|list| (arch, list)));
        }
        let old = read(tag)?;
        let new = merged(&parts, old.as_ref());
        if old.as_ref() == Some(&new) {
            return Ok(round > 0);
        }
        repository.put(By::Tag(tag), INDEX, &new.bytes()?)?;
    }
    bail!(
        "{}:{tag}: others keep on writing this index; publish again when they are done",
        repository.name()
    )
}

/// The manifests of all parts, and those of `old` for architectures that have no part.
fn merged(parts: &[(Arch, List)], old: Option<&List>) -> List {
    let has_part = |descriptor: &&Descriptor| {
        let platform = descriptor.platform.as_ref();
        let named = platform.map(|platform| platform.architecture.as_str());
        parts.iter().any(|(arch, _)| named == Some(arch.name()))
    };
    let kept = old.into_iter().flat_map(|old| &old.manifests);
    let kept = kept.filter(|descriptor| !has_part(descriptor));
    let own = parts.iter().flat_map(|(_, list)| &list.manifests);
    let mut list = List::new(own.chain(kept).cloned().collect());
    // What all of them say.
    if let Some((_, first)) = parts.first() {
        list.annotations = first.annotations.clone();
        list.annotations.retain(|key, value| {
            let same = |(_, part): &(Arch, List)| part.annotations.get(key) == Some(value);
            parts.iter().all(same)
        });
    }
    list
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::layout::platform;
    use super::*;

    fn list(arch: Arch, bytes: &[u8]) -> List {
        let mut descriptor = Descriptor::of("x", bytes);
        descriptor.platform = Some(platform(arch));
        List::new(vec![descriptor])
    }

    #[test]
    fn each_architecture_is_replaced_by_itself() {
        let [amd64, arm64] = Arch::ALL;
        let both = merged(
            &[(amd64, list(amd64, b"1")), (arm64, list(arm64, b"2"))],
            None,
        );
        assert_eq!(both.manifests.len(), 2);
        let newer = merged(&[(arm64, list(arm64, b"3"))], Some(&both));
        assert_eq!(newer.manifests.len(), 2);
        assert!(newer.manifests.contains(&list(arm64, b"3").manifests[0]));
        assert!(newer.manifests.contains(&list(amd64, b"1").manifests[0]));
        assert!(!newer.manifests.contains(&list(arm64, b"2").manifests[0]));
    }
}
