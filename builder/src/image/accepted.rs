//! What the image lacks of that which scripts make that somebody accepted by hand, or that
//! are another publisher's.

use std::collections::BTreeSet;

use anyhow::Result;

use super::base::setup::made_at_boot;
use super::units::text_at;
use crate::input::bring::Fetched;
use crate::input::debian::scripts::makes::Makes;
use crate::input::lock::PinnedPackage;
use crate::input::recipe::Base;
use crate::tree::{ImagePath, Tree};

/// Packages that are not Debian's: nobody has compared what they make with an image.
pub fn foreign<'a>(fetched: &'a Fetched<'_>, base: &Base) -> BTreeSet<&'a str> {
    let is_foreign = |pin: &PinnedPackage| match pin.suite() {
        Some(suite) => base.repositories.iter().any(|other| other.name == *suite),
        None => true,
    };
    let packages = fetched.packages.iter();
    let foreign = packages.filter(|(pin, _)| is_foreign(pin));
    foreign.map(|(pin, _)| pin.name.as_str()).collect()
}

/// Warnings of each package that lacks something.
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
        let idle = makes.units.iter().filter(|unit| is_idle(tree, unit));
        let idle: Vec<String> = idle.map(|unit| format!("`{unit}`")).collect();
        if !idle.is_empty() {
            warnings.push(format!(
                "{package}: its maintainer scripts enable {}, but the image does not: add it to \
                 `units.enable` of the recipe, or to `units.mask` if it should not run",
                idle.join(", ")
            ));
        }
    }
    Ok(warnings)
}

/// Whether the unit is there and nothing starts it, or keeps it from starting.
fn is_idle(tree: &Tree, unit: &str) -> bool {
    let is_at = |place: &str| {
        let path = format!("{place}/{unit}").parse();
        path.is_ok_and(|path| tree.get(&path).is_some())
    };
    let is_wanted = || {
        let mut paths = tree.iter().map(|(path, _)| path);
        paths.any(|path| {
            let parent = path.parent().unwrap_or_else(ImagePath::root);
            let holder = parent.name();
            path.name() == unit && (holder.ends_with(".wants") || holder.ends_with(".requires"))
        })
    };
    let (own, packaged) = ("/etc/systemd/system", "/usr/lib/systemd/system");
    is_at(packaged) && !is_at(own) && !is_wanted()
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
            units: set(&[
                "idle.service",
                "wanted.service",
                "masked.service",
                "absent.service",
            ]),
        };
        let mut tree = Tree::default();
        for (path, text) in [
            ("/etc/passwd", "root:x:0:0::/:\n"),
            ("/etc/group", "root:x:0:\n"),
            ("/usr/lib/systemd/system/idle.service", ""),
            ("/usr/lib/systemd/system/wanted.service", ""),
            (
                "/etc/systemd/system/multi-user.target.wants/wanted.service",
                "",
            ),
            ("/usr/lib/systemd/system/masked.service", ""),
            ("/etc/systemd/system/masked.service", ""),
        ] {
            let content = Content::inline(text.as_bytes().to_vec());
            let node = Node::file(content, 0o644, Origin::FirstBoot);
            tree.insert(path.parse().unwrap(), node).unwrap();
        }
        let by_hand = [("nfs-common".to_owned(), makes)];
        let told = lacking(&by_hand, &tree).unwrap();
        assert_eq!(told.len(), 2);
        assert!(
            told[1].contains("enable `idle.service`, but") && told[1].contains("`units.enable`"),
            "{told:?}"
        );
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
