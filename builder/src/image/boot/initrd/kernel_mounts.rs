//! The kernel's own file systems that systemd of the root would start mount(8) for, once for
//! each of them: the initrd mounts them as their units say.

use anyhow::Result;
use nodeimg_seed::contract::initrd_plan::KernelMount;

use crate::image::units::{Unit, text_at};
use crate::tree::{ImagePath, Tree};

const PACKAGED: &str = "/usr/lib/systemd/system";
const ADMIN: &str = "/etc/systemd/system";
/// Who wants such a unit.
const TARGETS: [&str; 2] = ["local-fs.target", "sysinit.target"];
/// None of them needs a module, or a device, or another mount.
const UNITS: [&str; 6] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "run-lock.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "tmp.mount",
];

/// Options that are bits of mount(2):
/// [`linux/mount.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/mount.h).
const FLAGS: [(&str, u32); 4] = [
    ("nosuid", 1 << 1),
    ("nodev", 1 << 2),
    ("noexec", 1 << 3),
    ("strictatime", 1 << 24),
];

/// Those that the tree has, as they are in their packages; what a recipe has changed is left
/// to systemd.
pub fn of(tree: &Tree) -> Result<Vec<KernelMount>> {
    let mut found = Vec::new();
    for name in UNITS {
        if is_packaged(tree, name)?
            && let Some(text) = text_at(tree, &format!("{PACKAGED}/{name}").parse()?)?
            && let Some(mount) = mount(name, &Unit::parse(&text))
        {
            found.push(mount);
        }
    }
    Ok(found)
}

/// Whether it is wanted, and nothing but its package has a word on it.
fn is_packaged(tree: &Tree, name: &str) -> Result<bool> {
    let has = |path: String| -> Result<bool> {
        let path: ImagePath = path.parse()?;
        Ok(tree.get(&path).is_some())
    };
    for changed in [
        format!("{ADMIN}/{name}"),
        format!("{ADMIN}/{name}.d"),
        format!("{PACKAGED}/{name}.d"),
    ] {
        if has(changed)? {
            return Ok(false);
        }
    }
    for directory in [PACKAGED, ADMIN] {
        for target in TARGETS {
            if has(format!("{directory}/{target}.wants/{name}"))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// `None` if mount(2) alone could not do what the unit says.
fn mount(name: &str, unit: &Unit) -> Option<KernelMount> {
    let value = |key| unit.values("Mount", key).last();
    let (kind, path) = (value("Type")?, value("Where")?);
    let (mut flags, mut options) = (0, Vec::new());
    for word in value("Options").unwrap_or_default().split(',') {
        if let Some((_, flag)) = FLAGS.iter().find(|(known, _)| *known == word) {
            flags |= flag;
        } else if word.contains('=') && !word.starts_with("x-") {
            // Another specifier is systemd's to fill in.
            if word.replace("%%", "").contains('%') {
                return None;
            }
            options.push(word.replace("%%", "%"));
        } else if !word.is_empty() {
            return None;
        }
    }
    Some(KernelMount {
        unit: name.to_owned(),
        kind: kind.to_owned(),
        path: path.to_owned(),
        flags,
        options: options.join(","),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::{Content, Node, Origin};

    const TMP: &str = "[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\n\
        Options=mode=1777,strictatime,nosuid,nodev,size=50%%,nr_inodes=1m\n";

    fn put(tree: &mut Tree, path: &str, text: &str) {
        let content = Content::inline(text.as_bytes().to_vec());
        let node = Node::file(content, 0o644, Origin::Package("systemd".into()));
        tree.replace(path.parse().unwrap(), node).unwrap();
    }

    fn tree(text: &str) -> Tree {
        let mut tree = Tree::default();
        put(&mut tree, "/usr/lib/systemd/system/tmp.mount", text);
        let wants = "/usr/lib/systemd/system/local-fs.target.wants/tmp.mount";
        let link = Node::symlink("../tmp.mount", Origin::Package("systemd".into()));
        tree.insert(wants.parse().unwrap(), link).unwrap();
        tree
    }

    #[test]
    fn a_packaged_unit_becomes_arguments_of_mount() {
        let want = KernelMount {
            unit: "tmp.mount".to_owned(),
            kind: "tmpfs".to_owned(),
            path: "/tmp".to_owned(),
            flags: 0x100_0006,
            options: "mode=1777,size=50%,nr_inodes=1m".to_owned(),
        };
        assert_eq!(of(&tree(TMP)).unwrap(), [want]);
    }

    #[test]
    fn what_somebody_has_changed_is_left_to_systemd() {
        for path in [
            "/etc/systemd/system/tmp.mount",
            "/etc/systemd/system/tmp.mount.d/size.conf",
            "/usr/lib/systemd/system/tmp.mount.d/size.conf",
        ] {
            let mut tree = tree(TMP);
            put(&mut tree, path, "[Mount]\n");
            assert_eq!(of(&tree).unwrap(), [], "{path}");
        }
        let mut unwanted = Tree::default();
        put(&mut unwanted, "/usr/lib/systemd/system/tmp.mount", TMP);
        assert_eq!(of(&unwanted).unwrap(), []);
        for options in ["size=%H", "bind", "x-mount.mkdir=1", "defaults"] {
            let text = format!("[Mount]\nWhere=/tmp\nType=tmpfs\nOptions={options}\n");
            assert_eq!(of(&tree(&text)).unwrap(), [], "{options}");
        }
    }
}
