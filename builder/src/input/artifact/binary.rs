//! A single program, as kubelet, runc and kubectl are published, or packed by itself.
//!
//! A packed one is unpacked once ever; what is not a program leaves nothing behind.

use std::io::{self, Read};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_formats::elf::program;
use nodeimg_formats::packing::Packing;

use super::untar::Untar;
use super::{Candidate, Spec, archive, pointer};
use crate::store::{Store, VerifiedBlob};
use crate::tree::{Content, ImagePath, Node};

/// Name and version of the step from a packed program to itself.
const DERIVED: &str = "unpack-1";
const HEAD: usize = 512;

pub fn unpack(
    store: &Store,
    blob: Arc<VerifiedBlob>,
    spec: &Spec<'_>,
) -> Result<Vec<(ImagePath, Node)>> {
    let head = Content::whole(Arc::clone(&blob))
        .head(HEAD as u64)
        .context("reading it from the store")?;
    let content = match Packing::of(&head) {
        Some(packing) => Content::whole(unpacked(store, &blob, packing, spec)?),
        None => Content::whole(blob),
    };
    let head = content
        .head(HEAD as u64)
        .context("reading it from the store")?;
    check_program(&head)?;
    if program::is_cut(&head, content.len()) {
        bail!("it is cut short: its ELF header speaks of more bytes than it has");
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

fn check_program(head: &[u8]) -> Result<()> {
    if !program::is_elf(head) && !head.starts_with(b"#!") {
        bail!("it is not a program: {}", describe(head));
    }
    Ok(())
}

/// The program that is packed by itself.
fn unpacked(
    store: &Store,
    blob: &VerifiedBlob,
    packing: Packing,
    spec: &Spec<'_>,
) -> Result<Arc<VerifiedBlob>> {
    let untar = Untar {
        store,
        step: DERIVED,
        limit: archive::limit(spec),
    };
    let read = |program: &mut dyn Read| {
        let mut head = Vec::new();
        program.take(HEAD as u64).read_to_end(&mut head)?;
        check_program(&head).with_context(|| format!("in its {} data", packing.name()))?;
        io::copy(program, &mut io::sink())?;
        Ok(())
    };
    let (program, _) = untar.unpack(blob, packing, read)?;
    Ok(Arc::new(program))
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
        (b"PK\x03\x04", "a zip file (`kind = \"archive\"`?)"),
        (b"!<arch>\n", "an ar archive (a Debian package?)"),
        (b"BZh", "a bzip2 file"),
    ];
    if head.is_empty() {
        return "it is empty".to_owned();
    }
    if head.get(257..262) == Some(b"ustar") {
        return "it is a tar archive (`kind = \"archive\"`?)".to_owned();
    }
    if let Some((_, what)) = archives.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("it is {what}");
    }
    if let Some(what) = pointer::of(head) {
        return format!("it is {what}, not the file itself: {}", pointer::REMEDY);
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
