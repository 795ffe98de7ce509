//! Debian packages of a root, and whose its files are.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;

use super::{Beside, Owner, OwnerKind, Package, SMALL};
use crate::root::{Kind, Root};

/// dpkg's database; the first one that is there.
const DATABASES: [&str; 2] = ["/usr/lib/sysimage/dpkg", "/var/lib/dpkg"];

/// Installed packages, by name; none if the root is not Debian's.
pub fn installed(root: &Root) -> Result<Vec<Package>> {
    let mut packages = Vec::new();
    for database in DATABASES {
        let Some(status) = root.small_text(&format!("{database}/status"), SMALL)? else {
            continue;
        };
        for stanza in status.split("\n\n") {
            let field = |name: &str| {
                let line = stanza.lines().find_map(|line| line.strip_prefix(name))?;
                line.strip_prefix(':').map(|value| value.trim().to_owned())
            };
            let installed = field("Status").is_some_and(|status| status.ends_with(" installed"));
            if let (true, Some(name), Some(version)) =
                (installed, field("Package"), field("Version"))
            {
                let architecture = field("Architecture").unwrap_or_default();
                packages.push(Package {
                    name,
                    version,
                    architecture,
                });
            }
        }
        break;
    }
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}

/// Whose files are: by the manifest, or else by dpkg's lists.
pub struct Owners<'a> {
    beside: &'a Beside,
    lists: HashMap<String, String>,
}

impl<'a> Owners<'a> {
    pub fn of(root: &Root, beside: &'a Beside) -> Result<Owners<'a>> {
        let mut lists = HashMap::new();
        if !beside.origins.is_empty() {
            return Ok(Owners { beside, lists });
        }
        let links = top_links(root);
        for database in DATABASES {
            let info = format!("{database}/info");
            let names: Vec<String> = root
                .list(&info)
                .filter_map(|(name, _)| name.strip_suffix(".list"))
                .map(str::to_owned)
                .collect();
            for name in &names {
                let text = root.small_text(&format!("{info}/{name}.list"), SMALL)?;
                let package = name.split(':').next().unwrap_or(name);
                for path in text.unwrap_or_default().lines() {
                    lists.insert(merged(path, &links), package.to_owned());
                }
            }
            if !names.is_empty() {
                break;
            }
        }
        Ok(Owners { beside, lists })
    }

    pub fn of_file(&self, path: &str) -> Owner {
        if let Some(owner) = self.beside.origins.get(path) {
            return owner.clone();
        }
        match self.lists.get(path) {
            Some(name) => Owner {
                kind: OwnerKind::Package,
                name: name.clone(),
            },
            None => Owner {
                kind: OwnerKind::Image,
                name: "the image's own".to_owned(),
            },
        }
    }
}

/// `/lib` -> `usr/lib` and its like: packages name files by both.
fn top_links(root: &Root) -> BTreeMap<String, String> {
    let link = |(name, node): (&str, &crate::root::Node)| match &node.kind {
        Kind::Symlink(target) => Some((name.to_owned(), target.trim_matches('/').to_owned())),
        _ => None,
    };
    root.list("/").filter_map(link).collect()
}

fn merged(path: &str, links: &BTreeMap<String, String>) -> String {
    let relative = path.trim_start_matches('/');
    let (top, rest) = relative.split_once('/').unwrap_or((relative, ""));
    match links.get(top) {
        Some(target) if !rest.is_empty() => format!("/{target}/{rest}"),
        _ => path.to_owned(),
    }
}
