//! Checks data against a hash tree that [`super::write()`] or `veritysetup` wrote: all of both.
//!
//! The kernel checks what it reads when it reads it; here nothing is left out, not even what
//! nobody reads: the superblock's unused bytes and the ends of the tree's blocks.

use std::fs::File;

use super::*;

/// The largest hash tree that is read, in bytes: of 512 GiB of data.
const LARGEST_TREE: u64 = 4 << 30;

/// A hash tree in a file.
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    pub file: &'a File,
    pub start: u64,
    /// What it may take, in bytes; it may be smaller.
    pub room: u64,
}

impl<'a> Tree<'a> {
    /// The size of the data that the superblock names, in bytes.
    ///
    /// # Errors
    /// There is no superblock, or one of another kind.
    pub fn data_size(&self) -> Result<u64> {
        Ok(self.superblock()?.0 * BLOCK)
    }

    /// Names the tree; no hash is over it.
    ///
    /// # Errors
    /// Likewise.
    pub fn uuid(&self) -> Result<Guid> {
        Ok(self.superblock()?.1.uuid)
    }

    /// What a superblock says; nothing vouches for it but a root hash that follows from it.
    fn superblock(&self) -> Result<(u64, Params)> {
        let mut block = [0; BLOCK_LEN];
        if self.room < BLOCK {
            bail!("the hash tree is cut short: it has no superblock");
        }
        self.file
            .read_exact_at(&mut block, self.start)
            .context("reading the superblock of the hash tree")?;
        if !block.starts_with(b"verity\0\0") {
            bail!("the hash tree has no superblock of dm-verity");
        }
        // All else is as it must be, to the last zero.
        let written = Superblock::read(&block).ok().and_then(|found| {
            let salt = found.salt.try_into().ok()?;
            let uuid = found.uuid;
            Some((found.data_blocks, Params { salt, uuid }))
        });
        let written = written.filter(|(blocks, params)| block == superblock(*blocks, params));
        let Some((blocks, params)) = written else {
            bail!(
                "the superblock of the hash tree is damaged, or of a kind that nodeimg does not \
                 write (SHA-256, blocks of {BLOCK} bytes, a salt of 32 bytes, and zeros behind it)"
            );
        };
        match blocks.checked_mul(BLOCK) {
            Some(size) if size > 0 && size_for(size) <= self.room.min(LARGEST_TREE) => {
                Ok((blocks, params))
            }
            _ => bail!(
                "the superblock of the hash tree names {blocks} blocks of data, whose tree does \
                 not fit into its {} bytes",
                self.room
            ),
        }
    }
}

/// Hashes all of `data` and compares every byte of `tree`, which must lead to `root`. The result
/// is the size of the tree in bytes.
///
/// # Errors
/// A block of either is another one: the first is named, by its place in its own range.
pub fn check(data: Data<'_>, tree: Tree<'_>, root: RootHash) -> Result<u64> {
    let (blocks, params) = tree.superblock()?;
    if blocks * BLOCK != data.size {
        bail!(
            "the hash tree is of {} bytes of data, but there are {}",
            blocks * BLOCK,
            data.size
        );
    }
    let size = size_for(data.size);
    let mut stored = vec![0; (size - BLOCK) as usize];
    tree.file
        .read_exact_at(&mut stored, tree.start + BLOCK)
        .context("reading the hash tree")?;
    let salted = Sha256::new_with_prefix(params.salt);
    let (levels, found) = levels(data, &salted)?;
    // The top comes first.
    let computed: Vec<&Vec<u8>> = levels.iter().rev().collect();
    let mut rest = stored.as_slice();
    let mut pairs = Vec::new();
    for level in &computed {
        let (own, below) = rest.split_at(level.len());
        pairs.push(own);
        rest = below;
    }
    if found == root && computed.iter().zip(&pairs).all(|(one, other)| one == other) {
        return Ok(size);
    }
    Err(damage(&pairs, &computed, &salted, (found, root)))
}

/// The first block, from the top down, that is not what the block above it says.
fn damage(
    stored: &[&[u8]],
    computed: &[&Vec<u8>],
    salted: &Sha256,
    (found, root): (RootHash, RootHash),
) -> anyhow::Error {
    let mut above = root.0.to_vec();
    let mut at = BLOCK;
    for (number, level) in stored.iter().enumerate() {
        for (index, block) in level.chunks_exact(BLOCK_LEN).enumerate() {
            let wanted = above.get(index * HASH..(index + 1) * HASH);
            if wanted == Some(&hash(salted, block)) {
                continue;
            }
            let name = match (number, stored.len() - number - 1) {
                (0, _) => "the top block".to_owned(),
                (_, level) => format!("block {index} of level {level}"),
            };
            let place = at + (index * BLOCK_LEN) as u64;
            return anyhow::anyhow!(
                "{name} of the hash tree, at byte {place} of it, is not what {} says: {}",
                match number {
                    0 => format!("the root hash {root}"),
                    _ => "the block above it".to_owned(),
                },
                match found == root {
                    true => "the tree is damaged, the data is not".to_owned(),
                    false => format!("the data itself has the root hash {found}"),
                }
            );
        }
        at += level.len() as u64;
        above = level.to_vec();
    }
    let hashes = computed.last().map_or(&[][..], |level| level.as_slice());
    let differ: Vec<usize> = above
        .chunks_exact(HASH)
        .zip(hashes.chunks_exact(HASH))
        .enumerate()
        .filter(|(_, (one, other))| one != other)
        .map(|(index, _)| index)
        .collect();
    match differ.as_slice() {
        [] => anyhow::anyhow!("the data has the root hash {found}, not {root}"),
        [first, others @ ..] => anyhow::anyhow!(
            "block {first} of the data, at byte {} of it, is not what the hash tree says{}",
            *first as u64 * BLOCK,
            match others.len() {
                0 => String::new(),
                1 => ", nor is 1 other block".to_owned(),
                more => format!(", nor are {more} other blocks"),
            }
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    /// Data of so many blocks with its tree behind it.
    fn file(blocks: u64) -> (File, RootHash) {
        let mut file = tempfile::tempfile().unwrap();
        for number in 0..blocks {
            let mut block = [0; BLOCK_LEN];
            block[..8].copy_from_slice(&number.to_le_bytes());
            file.write_all(&block).unwrap();
        }
        let params = Params {
            salt: [7; 32],
            uuid: Guid::derived(&["test"]),
        };
        let data = Data {
            file: &file,
            start: 0,
            size: blocks * BLOCK,
        };
        let mut tree = Vec::new();
        let root = write(data, &params, &mut tree).unwrap();
        file.write_all_at(&tree, blocks * BLOCK).unwrap();
        (file, root)
    }

    fn checked(file: &File, blocks: u64, root: RootHash) -> Result<u64> {
        let size = blocks * BLOCK;
        let data = Data {
            file,
            start: 0,
            size,
        };
        let tree = Tree {
            file,
            start: size,
            room: size_for(size) + BLOCK,
        };
        check(data, tree, root)
    }

    #[test]
    fn what_was_written_is_good() {
        for blocks in [1, 2, 127, 128, 129, 128 * 128 + 1] {
            let (file, root) = file(blocks);
            let size = checked(&file, blocks, root).unwrap();
            assert_eq!(size, size_for(blocks * BLOCK), "{blocks}");
            let other = "0".repeat(64).parse().unwrap();
            assert!(checked(&file, blocks, other).is_err());
        }
    }

    /// Flips a bit; what is then said.
    fn flipped(at: u64) -> String {
        let blocks = 300;
        let (file, root) = file(blocks);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        format!("{:#}", checked(&file, blocks, root).unwrap_err())
    }

    #[test]
    fn the_damaged_block_is_named() {
        let tree = 300 * BLOCK;
        for (at, want) in [
            (5000, "block 1 of the data, at byte 4096 of it"),
            (299 * BLOCK, "block 299 of the data"),
            (tree, "no superblock"),
            (tree + 73, "does not fit"),
            (tree + 90, "the top block of the hash tree"),
            (tree + 4000, "superblock of the hash tree is damaged"),
            (tree + BLOCK, "the top block of the hash tree, at byte 4096"),
            (tree + 2 * BLOCK - 1, "the top block"),
            (
                tree + 2 * BLOCK,
                "block 0 of level 0 of the hash tree, at byte 8192",
            ),
            // Behind the last hash of level 0.
            (tree + 5 * BLOCK - 1, "block 2 of level 0"),
        ] {
            let said = flipped(at);
            assert!(said.contains(want), "{at}: {said}");
        }
    }

    #[test]
    fn every_byte_of_a_small_tree_counts() {
        let (file, root) = file(3);
        let tree = 3 * BLOCK;
        let all = 0..tree + size_for(3 * BLOCK);
        // Of the superblock every byte, of the rest some.
        let some = |at: &u64| (tree..tree + 512).contains(at) || at.is_multiple_of(13);
        for at in all.filter(some) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            // What a superblock says of itself is judged by what follows from it, but for the
            // UUID, which names the tree and nothing else.
            let is_uuid = (tree + 16..tree + 32).contains(&at);
            assert_eq!(checked(&file, 3, root).is_ok(), is_uuid, "{at}");
            file.write_all_at(&byte, at).unwrap();
        }
    }
}
