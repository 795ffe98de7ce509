//! The name servers that pods inherit: those of the file that the kubelet's `resolvConf` names,
//! for pods with `dnsPolicy: Default` and for those on the host's network.

use anyhow::Result;

use crate::image::config::kubelet::{CONFIGURATION, RESOLVED, RESOLVED_UNIT};
use crate::image::units::text_at;
use crate::input::recipe::Recipe;
use crate::tree::{ImagePath, Kind, Tree};

/// The name of the file with systemd-resolved's own address, which nobody answers in a pod:
/// a DNS server that asks it there asks itself.
const STUB: &str = "stub-resolv.conf";

/// What is wrong with that file. Of what is made at boot only systemd-resolved's is known.
pub fn warning(recipe: &Recipe, tree: &Tree) -> Result<Option<String>> {
    if !recipe.needs_base() {
        return Ok(None);
    }
    let text = text_at(tree, &CONFIGURATION.parse()?)?.unwrap_or_default();
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("resolvConf:"));
    let Some(named) = named.map(|path| path.trim().trim_matches(['"', '\''])) else {
        return Ok(None);
    };
    let Ok(path) = named.parse::<ImagePath>() else {
        return Ok(None);
    };
    let is_masked = recipe
        .mask
        .iter()
        .any(|unit| unit.as_str() == RESOLVED_UNIT);
    let leads_to = match tree.get(&path).map(|node| &node.kind) {
        Some(Kind::Symlink(target)) => target.as_str(),
        _ => named,
    };
    let is_stub = leads_to.ends_with(STUB);
    let is_here = tree.get(&path).is_some() || named.starts_with("/run/");
    Ok(if is_masked && (is_stub || named == RESOLVED) {
        Some(format!(
            "units.mask: without `{RESOLVED_UNIT}` there is no `{named}`, and no pod starts: bring a \
             file with name servers, and name it with kubelet.config.resolvConf"
        ))
    } else if is_stub {
        Some(format!(
            "kubelet.config.resolvConf: `{named}` has the address of systemd-resolved's stub, which \
             nobody answers in a pod: name `{RESOLVED}`, or leave the field out"
        ))
    } else if !is_here {
        Some(format!(
            "kubelet.config.resolvConf: `{named}` is not in this image, and no pod starts without \
             it: add the package `systemd-resolved` to `base.packages`, or bring the file"
        ))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::tests::recipe;
    use crate::tree::{Content, Node, Origin};

    const DISK: &str =
        "outputs = [\"rootfs-tar\"]\n[base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n";

    fn told(more: &str, named: &str, link: Option<&str>) -> String {
        let mut tree = Tree::default();
        let text = format!("kind: KubeletConfiguration\nresolvConf: {named}\n");
        let config = Node::file(Content::inline(text.into_bytes()), 0o644, Origin::Implied);
        tree.insert(CONFIGURATION.parse().unwrap(), config).unwrap();
        if let Some(target) = link {
            let link = Node::symlink(target, Origin::Implied);
            tree.insert("/etc/resolv.conf".parse().unwrap(), link)
                .unwrap();
        }
        let recipe = recipe(&format!("{DISK}{more}"));
        warning(&recipe, &tree).unwrap().unwrap_or_default()
    }

    #[test]
    fn a_file_that_no_pod_can_use_is_told() {
        let masked = "[units]\nmask = [\"systemd-resolved.service\"]\n";
        let stub = Some("../run/systemd/resolve/stub-resolv.conf");
        let static_one = Some("resolv.static");
        for (more, named, link, part) in [
            ("", RESOLVED, stub, ""),
            ("", "/etc/resolv.conf", static_one, ""),
            ("", "\"/etc/resolv.conf\"", stub, "systemd-resolved's stub"),
            (
                "",
                "/run/systemd/resolve/stub-resolv.conf",
                stub,
                "systemd-resolved's stub",
            ),
            ("", "/etc/resolv.conf", None, "is not in this image"),
            (masked, "/etc/resolv.conf", stub, "units.mask: without"),
            (masked, RESOLVED, stub, "units.mask: without"),
            (masked, "/etc/resolv.conf", static_one, ""),
        ] {
            let told = told(more, named, link);
            assert_eq!(told.is_empty(), part.is_empty(), "{named} {link:?}: {told}");
            assert!(told.contains(part), "{named} {link:?}: {told}");
        }
    }
}
