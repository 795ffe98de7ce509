//! The base system: Debian packages laid into one tree, without dpkg and
//! without their maintainer scripts.
//!
//! # Invariants
//! A file has one owner: two packages that bring the same path are an error,
//! two directories of one path are one directory.

mod excludes;
pub mod setup;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::parallel::{decoders, in_parallel};
use nodeimg_values::trace;

use crate::input::artifact::deb::{self, Identity, Package};
use crate::input::bring::FetchedPackage;
use crate::store::Store;
use crate::tree::{ImagePath, Kind, Node, Stat, Tree};

/// Lays `packages` into `tree`; what they say of themselves comes back.
pub fn lay_in(packages: Vec<Package>, tree: &mut Tree) -> Result<Vec<setup::Package>> {
    let described = packages.iter().map(described).collect();
    for (path, node) in merged(packages)? {
        tree.insert(path, node)?;
    }
    Ok(described)
}

fn described(package: &Package) -> setup::Package {
    let text = |name: &str| {
        let bytes = package.control.get(name).map(Vec::as_slice);
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    setup::Package {
        name: package.name.clone(),
        control: text("control"),
        md5sums: text("md5sums"),
    }
}

/// Every package, by name: decompressing is work for all cores.
pub fn unpack(store: &Store, arch: Arch, inputs: &[FetchedPackage<'_>]) -> Result<Vec<Package>> {
    // The largest first, so that none is left for one core in the end.
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(inputs[i].0.size));
    let unpacked = in_parallel(decoders(), order.len(), |at| {
        let (pinned, blob) = &inputs[order[at]];
        let _span = trace::span("package", || format!("unpack {}", pinned.name));
        let identity = Identity {
            name: pinned.name.as_str(),
            version: &pinned.version,
            arch,
        };
        deb::unpack(store, blob, identity)
            .with_context(|| format!("unpacking the package {}", pinned.what()))
    });
    let mut packages = unpacked.into_iter().collect::<Result<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn merged(packages: Vec<Package>) -> Result<BTreeMap<ImagePath, Node>> {
    let mut all = BTreeMap::new();
    for package in packages {
        for (path, node) in package.nodes {
            if excludes::excluded(&path) {
                continue;
            }
            match all.entry(path) {
                Entry::Vacant(slot) => {
                    slot.insert(node);
                }
                Entry::Occupied(mut slot) => {
                    if takes_its_place(slot.key(), slot.get(), &node)? {
                        slot.insert(node);
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Whether `node` wins over `there`, of two at one path.
/// dpkg leaves a directory as its first package made it; here a special owner
/// or mode wins, whatever the order.
fn takes_its_place(path: &ImagePath, there: &Node, node: &Node) -> Result<bool> {
    let plain = Stat::root(0o755);
    match (&there.kind, &node.kind) {
        (Kind::Directory, Kind::Directory) if there.stat == node.stat || node.stat == plain => {
            Ok(false)
        }
        (Kind::Directory, Kind::Directory) if there.stat == plain => Ok(true),
        (Kind::Symlink(a), Kind::Symlink(b)) if a == b => Ok(false),
        _ => bail!(
            "`{path}` comes from {} and from {}: leave one of them out (`base.exclude`)",
            there.origin,
            node.origin
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::{Content, Origin};

    fn package(name: &str, nodes: &[(&str, u32, &str)]) -> Package {
        let origin = || Origin::Package(name.to_owned());
        let node = |mode, what: &str| match what {
            "/" => Node::directory(mode, origin()),
            text => match text.strip_prefix("->") {
                Some(target) => Node::symlink(target, origin()),
                None => Node::file(Content::inline(text.as_bytes().to_vec()), mode, origin()),
            },
        };
        Package {
            name: name.to_owned(),
            nodes: nodes
                .iter()
                .map(|(path, mode, what)| (path.parse().unwrap(), node(*mode, what)))
                .collect(),
            control: BTreeMap::new(),
        }
    }

    #[test]
    fn directories_are_shared_and_a_special_one_wins() {
        let one = || {
            package(
                "one",
                &[
                    ("/a", 0o755, "/"),
                    ("/b", 0o1777, "/"),
                    ("/l", 0o777, "->x"),
                ],
            )
        };
        let two = || {
            package(
                "two",
                &[("/a", 0o700, "/"), ("/b", 0o755, "/"), ("/l", 0o777, "->x")],
            )
        };
        for packages in [vec![one(), two()], vec![two(), one()]] {
            let all = merged(packages).unwrap();
            let mode = |path: &str| all[&path.parse::<ImagePath>().unwrap()].stat.mode;
            assert_eq!((mode("/a"), mode("/b"), mode("/l")), (0o700, 0o1777, 0o777));
        }
    }

    #[test]
    fn what_two_packages_bring_is_an_error_unless_nobody_wants_it() {
        for (a, b) in [
            (("/a", 0o644, "x"), ("/a", 0o644, "x")),
            (("/a", 0o755, "/"), ("/a", 0o644, "x")),
            (("/a", 0o777, "->x"), ("/a", 0o777, "->y")),
            (("/a", 0o700, "/"), ("/a", 0o750, "/")),
        ] {
            let error = merged(vec![package("one", &[a]), package("two", &[b])]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("`one`") && text.contains("`two`"), "{text}");
        }
        let manual = ("/usr/share/man/man1/x.1.gz", 0o644, "x");
        let both = vec![package("one", &[manual]), package("two", &[manual])];
        assert!(merged(both).unwrap().is_empty());
    }
}
