//! Container images of what was built: the disk, for KubeVirt and CDI, and the update, for Jobs
//! on nodes.
//!
//! Each has one layer, a tar that is made as it is sent. It is gzip in name only (blocks that
//! are stored): what is in it is compressed already, and some tools take nothing else. It has its own tag, because a
//! kubelet takes the first manifest of its platform from an index.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result};
use nodeimg_formats::oci::artifact::Artifact;
use nodeimg_formats::oci::{CONFIG, Descriptor, PACKED_LAYER};
use nodeimg_formats::tar::{END, Entry as Member, EntryKind, padding};
use nodeimg_formats::update;
use serde_json::json;

use super::directory::Directory;
use super::layout::{self, Entry};
use crate::input::fetch::push::{Blob, Source};
use crate::output::disk_files;

/// What QEMU runs as in KubeVirt's containers
/// ([docs](https://kubevirt.io/user-guide/storage/disks_and_volumes/#containerdisk)).
const QEMU: u32 = 107;
/// Where files of an update are in its image, and the program that takes them.
const UPDATE: &str = "update";
const PROGRAM: &str = "usr/bin/nodeimg-update";

/// A container image: what is to be sent, and its manifest.
#[derive(Debug)]
pub struct Image {
    /// Ends its tags.
    pub suffix: &'static str,
    pub blobs: Vec<Blob>,
    pub entry: Entry,
    pub index: Entry,
}

/// The disk, if there is a qcow2 of it: QEMU reads that in place.
pub fn of_disk(directory: &Directory) -> Result<Option<Image>> {
    let Some(disk) = directory.item(disk_files::QCOW2) else {
        return Ok(None);
    };
    let mut layer = Layer::new(directory, QEMU);
    layer.directory("disk", 0o555)?;
    let name = format!("disk/{}", disk.name);
    layer.file(&name, 0o440, disk.blob.source.clone())?;
    image(directory, "-containerdisk", layer, json!({})).map(Some)
}

/// The update with `program`, a static nodeimg-update for the same architecture.
pub fn of_update(directory: &Directory, program: Option<&Source>) -> Result<Option<Image>> {
    let (Some(update), Some(program)) = (&directory.update, program) else {
        return Ok(None);
    };
    let mut layer = Layer::new(directory, 0);
    layer.directory(UPDATE, 0o755)?;
    let stem = update.stem();
    for item in &directory.items {
        let plain = update.uki.compressed.is_some() && item.name == update.uki.content.file;
        if item.name.starts_with(&stem) && !plain {
            let name = format!("{UPDATE}/{}", item.name);
            layer.file(&name, 0o444, item.blob.source.clone())?;
        }
    }
    layer.directory("usr", 0o755)?;
    layer.directory("usr/bin", 0o755)?;
    layer.file(PROGRAM, 0o755, program.clone())?;
    let run = json!({
        "Entrypoint": [format!("/{PROGRAM}")],
        "Cmd": ["apply", format!("/{UPDATE}")],
        "Env": ["PATH=/usr/bin"],
    });
    let has = |name: &String| directory.item(name).is_some();
    if !has(&update.root.content.file) {
        return Err(anyhow::anyhow!(
            "the update has no root: build the image again"
        ));
    }
    image(directory, "-update", layer, run)
        .map(Some)
        .with_context(|| {
            format!(
                "the container image of {}",
                update::stem(&update.id, &update.version, &update.architecture)
            )
        })
}

fn image(
    directory: &Directory,
    suffix: &'static str,
    layer: Layer<'_>,
    run: serde_json::Value,
) -> Result<Image> {
    let kind = suffix.trim_start_matches('-');
    let tar = layer.end();
    let unpacked = tar.measure()?.sha256;
    let layer = Blob::of(&format!("the layer of {kind}"), stored(&tar)?)?;
    let config = json!({
        "created": directory.created,
        "architecture": directory.arch.name(),
        "os": "linux",
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": [unpacked.to_string()] },
        "history": [{ "created": directory.created, "created_by": "nodeimg publish" }],
    });
    let config = serde_json::to_vec(&config).context("writing a configuration")?;
    let config = Blob::of(
        &format!("the configuration of {kind}"),
        Source::bytes(config),
    )?;
    let described =
        |kind: &str, blob: &Blob| Descriptor::new(kind, blob.digest.clone(), blob.size());
    let artifact = Artifact::new(
        None,
        described(CONFIG, &config),
        vec![described(PACKED_LAYER, &layer)],
    );
    let title = format!("{}{suffix}", directory.name);
    let entry = layout::entry(directory, artifact, &title, &[])?;
    let index = layout::index(directory, std::slice::from_ref(&entry))?;
    Ok(Image {
        suffix,
        blobs: vec![config, layer],
        entry,
        index,
    })
}

/// `tar` as gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)) of stored blocks
/// ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.4).
fn stored(tar: &Source) -> Result<Source> {
    const BLOCK: u64 = 65_535;
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut crc = flate2::Crc::new();
    let mut reader = tar.reader();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader
            .read(&mut buffer)
            .context("reading what is to be published")?
        {
            0 => break,
            read => crc.update(&buffer[..read]),
        }
    }
    let size = tar.size();
    let mut out = Source::bytes(HEAD.to_vec());
    let mut at = 0;
    while at < size {
        let piece = tar.cut(at, BLOCK);
        at += piece.size();
        // As large as a block can be.
        let len = (piece.size() as u16).to_le_bytes();
        let last = u8::from(at == size);
        out = out
            .then(Source::bytes(vec![last, len[0], len[1], !len[0], !len[1]]))
            .then(piece);
    }
    let mut end = crc.sum().to_le_bytes().to_vec();
    // Modulo 2^32, as the format has it.
    end.extend((size as u32).to_le_bytes());
    Ok(out.then(Source::bytes(end)))
}

/// A tar as it grows; its files stay where they are.
struct Layer<'d> {
    directory: &'d Directory,
    owner: u32,
    parts: Source,
}

impl Layer<'_> {
    fn new(directory: &Directory, owner: u32) -> Layer<'_> {
        Layer {
            directory,
            owner,
            parts: Source::default(),
        }
    }

    fn member(&mut self, name: &str, kind: EntryKind<'_>, mode: u32) -> Result<()> {
        let head = Member {
            name,
            kind,
            mode,
            uid: self.owner,
            gid: self.owner,
            mtime: self.directory.epoch,
            xattrs: &BTreeMap::new(),
        };
        let parts = std::mem::take(&mut self.parts);
        self.parts = parts.then(Source::bytes(head.encode()?));
        Ok(())
    }

    fn directory(&mut self, name: &str, mode: u32) -> Result<()> {
        self.member(name, EntryKind::Directory, mode)
    }

    fn file(&mut self, name: &str, mode: u32, content: Source) -> Result<()> {
        let size = content.size();
        self.member(name, EntryKind::File(size), mode)?;
        let parts = std::mem::take(&mut self.parts).then(content);
        self.parts = parts.then(Source::bytes(vec![0; padding(size)]));
        Ok(())
    }

    fn end(self) -> Source {
        self.parts.then(Source::bytes(END.to_vec()))
    }
}
