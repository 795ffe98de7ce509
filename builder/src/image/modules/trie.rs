//! The index that kmod looks names up in: a radix tree of keys with their
//! values ([libkmod-index.c](https://github.com/kmod-project/kmod/blob/v34/libkmod/libkmod-index.c)).
//!
//! ```text
//! file    magic b0 07 f4 57 | version 00 02 00 01 | reference to the root
//! node    prefix NUL                          if flagged: what all keys here go on with
//!         first u8, last u8, (reference)*     if flagged: children by next byte, 0 = none
//!         count, (priority, value NUL)*       if flagged: values of the key that ends here
//! reference   offset in the file | 8 prefix, 4 values, 2 children in the top four bits
//! ```
//!
//! Numbers are 32 bits, big-endian. A node is followed by its children, each
//! with all its own. Values are in order of priority; of one priority the
//! last that was added comes first.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

const MAGIC: u32 = 0xb007_f457;
const VERSION: u32 = 0x0002_0001;
const PREFIX: u32 = 0x8000_0000;
const VALUES: u32 = 0x4000_0000;
const CHILDREN: u32 = 0x2000_0000;
const MAX_LEN: usize = 0x0fff_ffff;
/// Nothing longer is a key: kmod's own buffers end at 4096, and a node may
/// have a child for every byte.
const MAX_KEY: usize = 1024;

/// Keys with their values.
#[derive(Default)]
pub struct Trie {
    keys: BTreeMap<String, Vec<(u32, String)>>,
}

impl Trie {
    /// Values of one key are found in order of `priority`, which is a module's
    /// place in modules.order. Both texts are ASCII without NUL.
    pub fn add(&mut self, key: &str, value: &str, priority: usize) -> Result<()> {
        let ascii = |text: &str| text.is_ascii() && !text.contains('\0');
        if !ascii(key) || !ascii(value) || key.len() > MAX_KEY {
            bail!(
                "the module index cannot hold `{}`: only ASCII goes in, keys of up to {MAX_KEY} bytes",
                key.escape_debug()
            );
        }
        let priority = u32::try_from(priority)?;
        let values = self.keys.entry(key.to_owned()).or_default();
        let at = values.partition_point(|(there, _)| *there < priority);
        values.insert(at, (priority, value.to_owned()));
        Ok(())
    }

    /// The file.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let entries: Vec<TrieEntry<'_>> = self
            .keys
            .iter()
            .map(|(key, values)| TrieEntry {
                key: key.as_bytes(),
                values,
            })
            .collect();
        let mut out = Vec::new();
        for word in [MAGIC, VERSION, 0] {
            put(&mut out, word);
        }
        // All keys begin at the root, which has no prefix.
        let root = write(&entries, 0, 0, &mut out);
        out[8..12].copy_from_slice(&root.to_be_bytes());
        if out.len() > MAX_LEN {
            bail!("the module index is larger than 256 MiB, more than kmod can read");
        }
        Ok(out)
    }
}

struct TrieEntry<'a> {
    key: &'a [u8],
    values: &'a [(u32, String)],
}

/// Writes the node of `entries`, which agree up to `end`; its prefix is what
/// they have from `start` on. Its reference comes back.
fn write(entries: &[TrieEntry<'_>], start: usize, end: usize, out: &mut Vec<u8>) -> u32 {
    // Offsets too large for their bits: the file is refused when it is done.
    let mut reference = (out.len() & MAX_LEN) as u32;
    let (here, below) = match entries.split_first() {
        Some((first, rest)) if first.key.len() == end => (Some(first), rest),
        _ => (None, entries),
    };
    if let Some(first) = entries.first()
        && end > start
    {
        reference |= PREFIX;
        out.extend_from_slice(&first.key[start..end]);
        out.push(0);
    }
    let children: Vec<&[TrieEntry<'_>]> = below.chunk_by(|a, b| a.key[end] == b.key[end]).collect();
    let table = child_table(&children, end, out);
    if !children.is_empty() {
        reference |= CHILDREN;
    }
    if let Some(entry) = here {
        reference |= VALUES;
        put(out, entry.values.len() as u32);
        for (priority, value) in entry.values {
            put(out, *priority);
            out.extend_from_slice(value.as_bytes());
            out.push(0);
        }
    }
    for (slot, child) in table.into_iter().zip(children) {
        let child_end = end + 1 + agreed(child, end + 1);
        let child = write(child, end + 1, child_end, out);
        out[slot..slot + 4].copy_from_slice(&child.to_be_bytes());
    }
    reference
}

/// First and last byte, and room for the references; where that of each child is.
fn child_table(children: &[&[TrieEntry<'_>]], end: usize, out: &mut Vec<u8>) -> Vec<usize> {
    let bytes: Vec<u8> = children.iter().map(|child| child[0].key[end]).collect();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return Vec::new();
    };
    out.extend([first, last]);
    let table = out.len();
    out.resize(table + 4 * (usize::from(last - first) + 1), 0);
    let slots = bytes
        .iter()
        .map(|byte| table + 4 * usize::from(byte - first));
    slots.collect()
}

/// How many bytes from `start` on are the same in all entries, which are in order.
fn agreed(entries: &[TrieEntry<'_>], start: usize) -> usize {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return 0;
    };
    let pairs = first.key[start..].iter().zip(&last.key[start..]);
    pairs.take_while(|(a, b)| a == b).count()
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}
