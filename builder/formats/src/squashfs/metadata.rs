//! Metadata: all that is not file content, in compressed blocks of 8 KiB.
//!
//! ```text
//! block   u16 bytes that follow, 0x8000 set if they are not compressed | bytes
//! table   block block ...        every one but the last holds 8192 bytes
//! ```
//!
//! What is in a table is named by the position of its block within the table
//! and by the offset within the block's plain bytes. It may go on in the next
//! block. An *indexed* table is followed by the position of every block in the
//! image, each a u64, and it is the position of that list that others know.

use anyhow::{Context, Result};
use zstd::bulk::Compressor;

/// The plain bytes of a block.
pub const BLOCK: usize = 8192;
const PLAIN: u16 = 0x8000;

/// Where something starts in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// The position of its block.
    pub block: u32,
    /// Into the block's plain bytes.
    pub offset: u16,
}

impl Position {
    /// Both in one number, as the superblock and the tables have it.
    pub fn reference(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }
}

/// A table that is being written.
pub struct Table {
    compressor: Compressor<'static>,
    /// The plain bytes of the open block: always fewer than 8192.
    open: Vec<u8>,
    blocks: Vec<u8>,
    starts: Vec<usize>,
}

impl Table {
    pub fn new(level: i32) -> Result<Table> {
        Ok(Table {
            compressor: Compressor::new(level).context("preparing zstd")?,
            open: Vec::with_capacity(BLOCK),
            blocks: Vec::new(),
            starts: Vec::new(),
        })
    }

    /// Where the next byte will be.
    pub fn place(&self) -> Result<Position> {
        Ok(Position {
            block: u32::try_from(self.blocks.len())
                .context("the image has more than 4 GiB of metadata")?,
            // Below 8192.
            offset: self.open.len() as u16,
        })
    }

    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let n = bytes.len().min(BLOCK - self.open.len());
            self.open.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.open.len() == BLOCK {
                self.close_block()?;
            }
        }
        Ok(())
    }

    /// The table's blocks.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.close_block()?;
        Ok(self.blocks)
    }

    /// Appends the blocks and their index to `image`, which begins at `start`
    /// of the file system; returns the index's position.
    pub fn finish_indexed(mut self, start: u64, image: &mut Vec<u8>) -> Result<u64> {
        self.close_block()?;
        let at = start + image.len() as u64;
        image.extend_from_slice(&self.blocks);
        for block in &self.starts {
            image.extend_from_slice(&(at + *block as u64).to_le_bytes());
        }
        Ok(at + self.blocks.len() as u64)
    }

    fn close_block(&mut self) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.starts.push(self.blocks.len());
        let packed = self
            .compressor
            .compress(&self.open)
            .context("compressing metadata")?;
        if packed.len() < self.open.len() {
            push_block(&mut self.blocks, &packed, 0);
        } else {
            push_block(&mut self.blocks, &self.open, PLAIN);
        }
        self.open.clear();
        Ok(())
    }
}

/// One block that is not compressed, as the compressor's options must be.
pub fn plain_block(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    push_block(&mut block, bytes, PLAIN);
    block
}

/// `bytes` are at most 8192.
fn push_block(to: &mut Vec<u8>, bytes: &[u8], flag: u16) {
    to.extend_from_slice(&(bytes.len() as u16 | flag).to_le_bytes());
    to.extend_from_slice(bytes);
}
