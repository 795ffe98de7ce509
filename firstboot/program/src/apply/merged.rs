//! Files of `/etc` that the image and the node both write: the tables of accounts and the bundle
//! of certificates. The node's, in the overlay, hides the image's: without this, an update's
//! accounts and certificates would never be seen.
//!
//! Done in the initrd, before the overlay over `/etc` is mounted: there the image's file is at
//! its own path, the node's in the overlay's directory, and no program has read either.
//!
//! # Invariants
//! - What somebody has added, changed or removed stays so; see [`merge`].
//! - The copy of the image's file, by which the next update is compared, is written last: until
//!   then the next boot does all of it again, with the same result.
use std::io;

use nodeimg_seed::contract::initrd_plan::OVERLAYS;
use nodeimg_seed::contract::paths::CA_BUNDLE;
use nodeimg_seed::text::merge::{self, Three};
use zeroize::Zeroizing;

use super::access::TABLES;
use super::{MAX_ORIGINAL, original};
use crate::root::gate::Gate;
use crate::root::{Access, PathEntry, Root};

/// Below this, files of the image that ran last.
const LAST: &str = "/var/lib/nodeimg/image";

/// Of everybody who may read a copy of shadow(5).
const PRIVATE: Access = Access {
    mode: 0o600,
    ..Access::PUBLIC
};

/// Merges what this image has otherwise than the last one; `tell` hears what was done, and what
/// could not be. A node that boots with an old table is better than one that does not boot.
pub(crate) fn settle(root: &Root, gate: &mut dyn Gate, tell: &mut dyn FnMut(String)) {
    for path in TABLES.into_iter().chain([CA_BUNDLE]) {
        match settle_one(root, path, gate, tell) {
            Ok(false) => {}
            Ok(true) => tell(format!(
                "{path}: merged what this image has with what is this node's own"
            )),
            Err(error) => tell(format!(
                "{path}: merging it with this image's failed, so that it stays as it is: {error}"
            )),
        }
    }
}

fn settle_one(
    root: &Root,
    path: &str,
    gate: &mut dyn Gate,
    tell: &mut dyn FnMut(String),
) -> io::Result<bool> {
    let last = format!("{LAST}{path}");
    let Some(now) = root.read(path, MAX_ORIGINAL)? else {
        return Ok(false);
    };
    let was = root.read(&last, MAX_ORIGINAL)?;
    if was.as_ref() == Some(&now) {
        return Ok(false);
    }
    let own = own_place(path);
    let mut is_merged = false;
    if let Some(PathEntry::File(mine, access)) = root.entry(&own, MAX_ORIGINAL)? {
        let copy = original(path);
        let first = root.entry(&copy, MAX_ORIGINAL)?;
        // Earlier versions have kept only what first boot has edited.
        let was = was.or_else(|| match &first {
            Some(PathEntry::File(bytes, _)) => Some(bytes.clone()),
            _ => None,
        });
        let merged = merged(path, was.as_deref().map(Vec::as_slice), &mine, &now)?;
        if *merged != *mine {
            root.replace(&own, &merged, access, gate)?;
            root.sync_parent(&own, gate)?;
            is_merged = true;
        }
        for (own, image, id) in ids(path, &merged, &now) {
            tell(format!(
                "{path}: `{own}` of this node and `{image}` of this image have the same id, {id}: \
                 give `{own}` another one"
            ));
        }
        // What an instance that goes puts back, and the next one begins from.
        if let Some(PathEntry::File(_, access)) = first {
            root.replace(&copy, &now, access, gate)?;
            root.sync_parent(&copy, gate)?;
        }
    }
    root.replace(&last, &now, PRIVATE, gate)?;
    root.sync_parent(&last, gate)?;
    Ok(is_merged)
}

/// Where the overlay over `/etc` has the node's own file.
fn own_place(path: &str) -> String {
    let inside = path.strip_prefix("/etc").unwrap_or(path);
    format!("{OVERLAYS}/etc/upper{inside}")
}

fn merged(
    path: &str,
    was: Option<&[u8]>,
    mine: &[u8],
    now: &[u8],
) -> io::Result<Zeroizing<Vec<u8>>> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(io::Error::other);
    let texts = Three {
        was: was.map(text).transpose()?,
        mine: text(mine)?,
        now: text(now)?,
    };
    let merged = match path {
        CA_BUNDLE => merge::bundle(texts),
        path => merge::tables(texts, path.ends_with("group") || path.ends_with("gshadow")),
    };
    Ok(Zeroizing::new(merged.into_bytes()))
}

/// Ids are in the tables of users and of groups alone.
fn ids(path: &str, merged: &[u8], now: &[u8]) -> Vec<(String, String, String)> {
    if !["/etc/passwd", "/etc/group"].contains(&path) {
        return Vec::new();
    }
    let [merged, now] = [merged, now].map(String::from_utf8_lossy);
    let found = merge::shared_ids(&merged, &now).into_iter();
    found
        .map(|(own, image, id)| (own.to_owned(), image.to_owned(), id.to_owned()))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::settle;
    use crate::root::Root;
    use crate::root::gate::Open;

    struct Node(tempfile::TempDir);

    impl Node {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn text(&self, path: &str) -> Option<String> {
            fs::read_to_string(self.0.path().join(path)).ok()
        }

        /// One boot; what was told.
        fn boot(&self) -> Vec<String> {
            let root = Root::open(Path::new(self.0.path())).unwrap();
            let mut told = Vec::new();
            settle(&root, &mut Open, &mut |text| told.push(text));
            told
        }
    }

    const OWN: &str = "var/lib/nodeimg/overlay/etc/upper";
    const OLD: &str = "root:x:0:0::/root:/bin/bash\nold:x:101:101::/:/bin/false\n";
    const NEW: &str = "root:x:0:0::/root:/bin/bash\nnew:x:101:101::/:/bin/false\n";
    const ADA: &str = "ada:x:1000:1000::/home/ada:/bin/bash\n";

    #[test]
    fn an_update_brings_its_accounts_and_a_rollback_its_own() {
        let node = Node::new();
        node.put("etc/passwd", OLD);
        assert!(node.boot().is_empty());
        // First boot adds a user, and keeps the image's file.
        let own = format!("{OWN}/passwd");
        node.put(&own, &format!("{OLD}{ADA}"));
        node.put("var/lib/nodeimg/original/etc/passwd", OLD);
        assert!(node.boot().is_empty());
        node.put("etc/passwd", NEW);
        let told = node.boot();
        assert!(
            told.len() == 1 && told[0].contains("/etc/passwd: merged"),
            "{told:?}"
        );
        assert_eq!(node.text(&own), Some(format!("{NEW}{ADA}")));
        let original = "var/lib/nodeimg/original/etc/passwd";
        assert_eq!(node.text(original).as_deref(), Some(NEW));
        assert!(node.boot().is_empty());
        node.put("etc/passwd", OLD);
        assert_eq!(node.boot().len(), 1);
        assert_eq!(node.text(&own), Some(format!("{OLD}{ADA}")));
    }

    #[test]
    fn a_node_of_an_earlier_version_is_compared_with_what_first_boot_kept() {
        let node = Node::new();
        let own = format!("{OWN}/passwd");
        node.put(&own, &format!("{OLD}{ADA}"));
        node.put("var/lib/nodeimg/original/etc/passwd", OLD);
        node.put("etc/passwd", NEW);
        node.boot();
        assert_eq!(node.text(&own), Some(format!("{NEW}{ADA}")));
    }

    #[test]
    fn what_the_node_has_not_is_not_made() {
        let node = Node::new();
        node.put("etc/passwd", OLD);
        node.put("etc/shadow", "root:*:1::::::\n");
        node.boot();
        node.put("etc/passwd", NEW);
        assert!(node.boot().is_empty());
        assert_eq!(node.text(&format!("{OWN}/passwd")), None);
        let copy = node.0.path().join("var/lib/nodeimg/image/etc/shadow");
        let mode = fs::metadata(copy).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_merged_stays_and_is_told() {
        let node = Node::new();
        let own = format!("{OWN}/group");
        node.put("etc/group", "root:x:0:\n");
        let path = node.0.path().join(&own);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"root:x:0:\n\xff\n").unwrap();
        let told = node.boot();
        assert!(told.len() == 1 && told[0].contains("failed"), "{told:?}");
        assert_eq!(fs::read(&path).unwrap(), b"root:x:0:\n\xff\n");
    }

    #[test]
    fn accounts_with_one_id_are_told() {
        let node = Node::new();
        node.put("etc/passwd", OLD);
        node.boot();
        node.put(
            &format!("{OWN}/passwd"),
            &format!("{OLD}mine:x:985:985::/:/bin/sh\n"),
        );
        node.put("etc/passwd", &format!("{OLD}new:x:985:985::/:/bin/false\n"));
        let told = node.boot().join("\n");
        assert!(
            told.contains("`mine` of this node and `new` of this image"),
            "{told}"
        );
    }
}
