//! Microcode of processors, for the kernel to load before anything else
//! ([x86/microcode](https://docs.kernel.org/arch/x86/microcode.html)).
//!
//! The kernel looks for it in an archive that is not compressed, at the very beginning of the
//! initrd: one file for each maker, of all its updates one after the other.

use std::io::Read;

use anyhow::{Context, Result};
use nodeimg_formats::cpio::{self, Owner};
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use crate::tree::{Content, Kind, Tree};

/// Where packages have a maker's updates, and which file the kernel looks for.
const MAKERS: [(&str, &str); 2] = [
    ("/usr/lib/firmware/amd-ucode", "AuthenticAMD.bin"),
    ("/usr/lib/firmware/intel-ucode", "GenuineIntel.bin"),
];
const PLACE: [&str; 3] = ["kernel", "kernel/x86", "kernel/x86/microcode"];

/// The archive; nothing if the root has no microcode.
pub fn archive(tree: &Tree, arch: Arch, epoch: Epoch) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    if arch == Arch::Amd64 {
        for (directory, name) in MAKERS {
            let bytes = updates(tree, directory)?;
            if !bytes.is_empty() {
                files.push((format!("{}/{name}", PLACE[2]), bytes));
            }
        }
    }
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let owner = |mode| Owner {
        mode,
        uid: 0,
        gid: 0,
    };
    let mut archive = cpio::Writer::new(Vec::new(), epoch.0)?;
    for directory in PLACE {
        archive.directory(directory, owner(0o755))?;
    }
    for (name, bytes) in files {
        archive.file(&name, owner(0o644), bytes.len() as u64, bytes.as_slice())?;
    }
    archive.finish()
}

/// All updates of a maker, in the order of their files' names. Intel's are named after
/// processors, the others end in `.bin`: signatures and texts lie beside them.
fn updates(tree: &Tree, directory: &str) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for (path, node) in tree.iter() {
        let below = path.as_str().strip_prefix(directory);
        let name = below.and_then(|rest| rest.strip_prefix('/'));
        let is_update = name.is_some_and(|name| {
            name.ends_with(".bin") || name.starts_with(|c: char| c.is_ascii_hexdigit())
        });
        if let (true, Kind::File(content)) = (is_update, &node.kind) {
            read(content, &mut all).with_context(|| format!("reading {path}"))?;
        }
    }
    Ok(all)
}

fn read(content: &Content, to: &mut Vec<u8>) -> Result<()> {
    content.reader().read_to_end(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::{Node, Origin};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            let content = Content::inline(text.as_bytes().to_vec());
            let node = Node::file(content, 0o644, Origin::Package("a".into()));
            tree.insert(path.parse().unwrap(), node).unwrap();
        }
        tree
    }

    #[test]
    fn each_maker_has_one_file_of_all_its_updates() {
        let tree = tree(&[
            ("/usr/lib/firmware/intel-ucode/06-55-04", "two"),
            ("/usr/lib/firmware/intel-ucode/06-4f-01.initramfs", "one"),
            ("/usr/lib/firmware/amd-ucode/microcode_amd.bin", "amd"),
            ("/usr/lib/firmware/amd-ucode/microcode_amd.bin.asc", "no"),
            ("/usr/lib/firmware/amd-ucode/README", "no"),
        ]);
        let bytes = archive(&tree, Arch::Amd64, Epoch(5)).unwrap();
        assert!(bytes.starts_with(b"070701"));
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
        let amd = at("kernel/x86/microcode/AuthenticAMD.bin");
        let intel = at("kernel/x86/microcode/GenuineIntel.bin");
        assert!(amd < intel && at("onetwo") > intel && at("TRAILER!!!") > intel);
        assert!(!text.contains("no\0"));
        assert!(archive(&tree, Arch::Arm64, Epoch(5)).unwrap().is_empty());
    }

    #[test]
    fn without_microcode_nothing_comes_before_the_initrd() {
        let none = tree(&[("/usr/lib/firmware/bnx2/x.fw", "x")]);
        assert!(archive(&none, Arch::Amd64, Epoch(5)).unwrap().is_empty());
    }
}
