//! What the image lacks of that which scripts make that somebody accepted by hand.

use std::collections::BTreeSet;

use anyhow::Result;

use super::base::setup::made_at_boot;
use super::units::text_at;
use crate::input::debian::scripts::makes::Makes;
use crate::tree::Tree;

/// Warnings, one for each package that lacks something.
pub fn lacking(by_hand: &[(String, Makes)], tree: &Tree) -> Result<Vec<String>> {
    if by_hand.is_empty() {
        return Ok(Vec::new());
    }
    let users = names(tree, "/etc/passwd")?;
    let groups = names(tree, "/etc/group")?;
    let made = made_at_boot(tree)?;
    let mut warnings = Vec::new();
    for (package, makes) in by_hand {
        let file = |path: &&String| {
            let place = path.trim_end_matches('/').parse();
            place.is_ok_and(|place| tree.get(&place).is_none() && !made.contains(&place))
        };
        let without = |there: &BTreeSet<String>, wanted: &BTreeSet<String>| -> Vec<String> {
            wanted.difference(there).cloned().collect()
        };
        let kinds = [
            ("the user", without(&users, &makes.users)),
            ("the group", without(&groups, &makes.groups)),
            (
                "the file",
                makes.files.iter().filter(file).cloned().collect(),
            ),
        ];
        let said: Vec<String> = kinds
            .into_iter()
            .flat_map(|(kind, names)| {
                names
                    .into_iter()
                    .map(move |name| format!("{kind} `{name}`"))
            })
            .collect();
        if !said.is_empty() {
            warnings.push(format!(
                "{package}: its maintainer scripts, which the recipe accepts, make what the image \
                 lacks: {}. Declare accounts in /usr/lib/sysusers.d/{package}.conf of an \
                 overlay, and put files there",
                said.join(", ")
            ));
        }
    }
    Ok(warnings)
}

fn names(tree: &Tree, path: &str) -> Result<BTreeSet<String>> {
    let text = text_at(tree, &path.parse()?)?.unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split(':').next());
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::{Content, Node, Origin};

    #[test]
    fn what_is_missing_is_told_by_name() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let makes = Makes {
            users: set(&["statd", "root"]),
            groups: set(&["adm"]),
            files: set(&["/etc/nfs.conf", "/etc/passwd"]),
        };
        let mut tree = Tree::default();
        for (path, text) in [
            ("/etc/passwd", "root:x:0:0::/:\n"),
            ("/etc/group", "root:x:0:\n"),
        ] {
            let content = Content::inline(text.as_bytes().to_vec());
            let node = Node::file(content, 0o644, Origin::FirstBoot);
            tree.insert(path.parse().unwrap(), node).unwrap();
        }
        let by_hand = [("nfs-common".to_owned(), makes)];
        let told = lacking(&by_hand, &tree).unwrap();
        assert_eq!(told.len(), 1);
        let want = "the user `statd`, the group `adm`, the file `/etc/nfs.conf`. ";
        assert!(
            told[0].starts_with("nfs-common: ") && told[0].contains(want),
            "{told:?}"
        );
        assert!(
            lacking(&[("x".to_owned(), Makes::default())], &tree)
                .unwrap()
                .is_empty()
        );
    }
}
