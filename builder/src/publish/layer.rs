//! The layer of a container image: a tar as it grows, whose files stay where they are, and how
//! it is packed.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use nodeimg_formats::tar::{END, Entry as Member, EntryKind, padding};

use crate::input::fetch::push::Source;

/// A layer whose members have one time, and the owner that was set last.
pub struct Layer {
    epoch: u64,
    owner: u32,
    parts: Source,
}

impl Layer {
    /// `epoch` in seconds since 1970.
    pub fn new(epoch: u64, owner: u32) -> Layer {
        Layer {
            epoch,
            owner,
            parts: Source::default(),
        }
    }

    /// Of all that comes now: user and group.
    pub fn owner(&mut self, owner: u32) {
        self.owner = owner;
    }

    fn member(&mut self, name: &str, kind: EntryKind<'_>, mode: u32) -> Result<()> {
        let head = Member {
            name,
            kind,
            mode,
            uid: self.owner,
            gid: self.owner,
            mtime: self.epoch,
            xattrs: &BTreeMap::new(),
        };
        let parts = std::mem::take(&mut self.parts);
        self.parts = parts.then(Source::bytes(head.encode()?));
        Ok(())
    }

    pub fn directory(&mut self, name: &str, mode: u32) -> Result<()> {
        self.member(name, EntryKind::Directory, mode)
    }

    pub fn file(&mut self, name: &str, mode: u32, content: Source) -> Result<()> {
        let size = content.size();
        self.member(name, EntryKind::File(size), mode)?;
        let parts = std::mem::take(&mut self.parts).then(content);
        self.parts = parts.then(Source::bytes(vec![0; padding(size)]));
        Ok(())
    }

    pub fn end(self) -> Source {
        self.parts.then(Source::bytes(END.to_vec()))
    }
}

/// `tar` as gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)) of stored blocks
/// ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.4): what is in it is compressed
/// already, and some tools take nothing else.
pub fn stored(tar: &Source) -> Result<Source> {
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

/// `tar` compressed, without a time or a name, in memory.
pub fn packed(tar: &Source) -> Result<Source> {
    let context = "compressing a layer";
    let mut to = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::best());
    std::io::copy(&mut tar.reader(), &mut to).context(context)?;
    to.flush().context(context)?;
    Ok(Source::bytes(to.finish().context(context)?))
}
