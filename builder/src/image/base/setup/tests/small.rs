//! A small tree, as the steps find it and as they leave it.

use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use super::super::{BaseFacts, configure, seal};
use crate::image::units::text_at;
use crate::input::recipe::runtime::containerd::CONTAINERD;
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

pub const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

pub const GROUP: &str = "root:*:0:\nmail:*:8:\nshadow:*:42:\nutmp:*:43:\nnogroup:*:65534:\n";

pub const DAY: u64 = 20_000;

pub fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

pub fn node(text: &str) -> Node {
    Node::file(
        Content::inline(text.as_bytes().to_vec()),
        0o644,
        Origin::Package("a".into()),
    )
}

pub fn base_files() -> Tree {
    let mut tree = Tree::default();
    for (at, text) in [
        ("/usr/share/base-passwd/passwd.master", PASSWD),
        ("/usr/share/base-passwd/group.master", GROUP),
        ("/usr/lib/systemd/systemd", "x"),
    ] {
        tree.insert(path(at), node(text)).unwrap();
    }
    tree
}

pub fn with(files: &[(&str, &str)]) -> Tree {
    let mut tree = base_files();
    for (at, text) in files {
        tree.insert(path(at), node(text)).unwrap();
    }
    tree
}

pub fn facts() -> BaseFacts<'static> {
    BaseFacts {
        arch: Arch::Amd64,
        epoch: Epoch(DAY * 86_400 + 5),
        packages: &[],
        enable: &[],
        runtime: &CONTAINERD,
        build_directory: None,
    }
}

pub fn configured(files: &[(&str, &str)]) -> Tree {
    let mut tree = with(files);
    configure(&mut tree, facts())
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    tree
}

pub fn sealed(files: &[(&str, &str)]) -> Tree {
    let mut tree = configured(files);
    seal(&mut tree, facts())
        .map_err(|e| format!("{e:#}"))
        .unwrap();
    tree
}

/// Why sealing a configured tree with `files` put in last is refused.
pub fn refusal(files: &[(&str, &str)]) -> String {
    let mut tree = configured(&[]);
    for (at, text) in files {
        tree.replace(path(at), node(text)).unwrap();
    }
    format!("{:#}", seal(&mut tree, facts()).unwrap_err())
}

pub fn text(tree: &Tree, at: &str) -> String {
    text_at(tree, &path(at))
        .unwrap()
        .unwrap_or_else(|| panic!("no file {at}"))
}

pub fn target(tree: &Tree, at: &str) -> Option<String> {
    match &tree.get(&path(at))?.kind {
        Kind::Symlink(target) => Some(target.clone()),
        _ => None,
    }
}

pub fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_default()
}
