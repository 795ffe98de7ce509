//! A single program, as kubelet, runc and kubectl are published.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_formats::elf::program;

use super::{Candidate, Spec};
use crate::store::VerifiedBlob;
use crate::tree::{Content, ImagePath, Node};

pub fn unpack(blob: Arc<VerifiedBlob>, spec: &Spec<'_>) -> Result<Vec<(ImagePath, Node)>> {
    let content = Content::whole(blob);
    let head = content.head(512).context("reading it from the store")?;
    if !program::is_elf(&head) && !head.starts_with(b"#!") {
        bail!("it is not a program: {}", describe(&head));
    }
    let candidate = Candidate {
        mode: 0,
        size: content.len(),
        head: &head,
    };
    if spec.rules.is_empty() {
        bail!("its `files` are empty: nothing would be installed");
    }
    let mut nodes = Vec::new();
    for rule in spec.rules {
        if let Some(from) = &rule.from {
            bail!("`from = \"{from}\"` is for archives: a binary has no members");
        }
        spec.check_file(rule, &candidate).context("the file")?;
        let path = rule.to.place(spec.name)?;
        nodes.push((
            path,
            Node::file(content.clone(), rule.mode.bits(), spec.origin()),
        ));
    }
    Ok(nodes)
}

/// The kind of an unexpected file, by its first bytes.
pub fn describe(head: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(head)
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_lowercase();
    let archives: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "a gzip file"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"PK\x03\x04", "a zip file"),
        (b"!<arch>\n", "an ar archive (a Debian package?)"),
        (b"BZh", "a bzip2 file"),
    ];
    if head.is_empty() {
        return "it is empty".to_owned();
    }
    if let Some((_, what)) = archives.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("it is {what}");
    }
    if program::is_elf(head) {
        return "it is an ELF program (`kind = \"binary\"`?)".to_owned();
    }
    if ["<!doctype", "<html", "<head", "<?xml", "<!--"]
        .iter()
        .any(|tag| text.starts_with(tag))
    {
        return "it looks like a web page or an error document: check the artifact's URL"
            .to_owned();
    }
    format!(
        "it begins with \"{}\"",
        head[..head.len().min(16)].escape_ascii()
    )
}
