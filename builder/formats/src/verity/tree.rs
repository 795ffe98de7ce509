//! Reads a tree that [`super::write()`] or veritysetup wrote.

use super::*;

/// What a tree is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Superblock {
    pub salt: Vec<u8>,
    /// Of [`BLOCK`] bytes each.
    pub data_blocks: u64,
    /// Names the tree; no hash is over it.
    pub uuid: Guid,
}

impl Superblock {
    /// # Errors
    /// It is of another kind than nodeimg writes.
    pub fn read(block: &[u8]) -> Result<Superblock> {
        let long = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&block[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        if block.len() < 512 || !block.starts_with(b"verity\0\0") {
            bail!("is not a dm-verity tree");
        }
        let is_ours = long(8) == 1 | 1 << 32
            && long(64) == BLOCK | BLOCK << 32
            && block[32..64].strip_prefix(b"sha256") == Some(&[0; 26]);
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&block[16..32]);
        let salt_size = usize::from(u16::from_le_bytes([block[80], block[81]]));
        if !is_ours || salt_size > 256 {
            bail!("is a dm-verity tree of another kind than nodeimg writes");
        }
        Ok(Superblock {
            salt: block[88..88 + salt_size].to_vec(),
            data_blocks: long(72),
            uuid: Guid::new(uuid),
        })
    }
}

/// The hash of every block of a file system, vouched for by its root hash.
pub struct Leaves {
    salt: Vec<u8>,
    salted: Sha256,
    hashes: Vec<u8>,
    count: usize,
}

impl Leaves {
    /// All of a tree: superblock and levels.
    ///
    /// # Errors
    /// It is damaged, or of another root hash.
    pub fn verified(tree: &[u8], root: RootHash) -> Result<Leaves> {
        let superblock = Superblock::read(tree)?;
        let data = superblock.data_blocks.checked_mul(BLOCK);
        if data.is_none_or(|data| data == 0 || size_for(data) != tree.len() as u64) {
            bail!("is a dm-verity tree of another size than its superblock says");
        }
        let count = usize::try_from(superblock.data_blocks)?;
        let salted = Sha256::new_with_prefix(&superblock.salt);
        // From the top: what the level below must be.
        let mut wanted = root.0.to_vec();
        let mut at = BLOCK_LEN;
        for blocks in levels(count).into_iter().rev() {
            let level = &tree[at..at + blocks * BLOCK_LEN];
            let hashes = wanted.chunks_exact(HASH);
            for (index, (block, want)) in level.chunks_exact(BLOCK_LEN).zip(hashes).enumerate() {
                if hash(&salted, block) != *want {
                    let block = at / BLOCK_LEN + index;
                    bail!("is not the tree of the root hash {root}: block {block} is another");
                }
            }
            wanted = level.to_vec();
            at += level.len();
        }
        wanted.truncate(count * HASH);
        Ok(Leaves {
            salt: superblock.salt,
            salted,
            hashes: wanted,
            count,
        })
    }

    /// Those of a tree that nobody vouches for, of which `read` gives bytes at places: hints.
    ///
    /// # Errors
    /// It is not a tree, or cannot be read.
    pub fn hints(read: impl Fn(&mut [u8], u64) -> io::Result<()>) -> Result<(Superblock, Vec<u8>)> {
        let mut block = vec![0; BLOCK_LEN];
        read(&mut block, 0)?;
        let superblock = Superblock::read(&block)?;
        let data = superblock.data_blocks.checked_mul(BLOCK);
        // 1 TiB of data have 8 GiB of hashes: such a number is damage.
        let Some(data) = data.filter(|data| (1..1 << 36).contains(data)) else {
            bail!("is a dm-verity tree of a size that no slot has");
        };
        let count = usize::try_from(superblock.data_blocks)?;
        let lowest = (count * HASH).next_multiple_of(BLOCK_LEN);
        let mut hashes = vec![0; lowest];
        if count > 1 {
            read(&mut hashes, size_for(data) - lowest as u64)?;
        }
        hashes.truncate(count * HASH);
        Ok((superblock, hashes))
    }

    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How many blocks there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What a block must hash to.
    pub fn of(&self, index: usize) -> &[u8] {
        &self.hashes[index * HASH..(index + 1) * HASH]
    }

    /// The hash of a block, with this tree's salt.
    pub fn hash(&self, block: &[u8]) -> [u8; HASH] {
        hash(&self.salted, block)
    }

    /// Whether a block is the one that belongs there.
    pub fn fits(&self, index: usize, block: &[u8]) -> bool {
        self.hash(block) == *self.of(index)
    }
}

/// Blocks of every level, the lowest first.
fn levels(count: usize) -> Vec<usize> {
    let mut levels = Vec::new();
    let mut blocks = count;
    while blocks > 1 {
        blocks = blocks.div_ceil(BLOCK_LEN / HASH);
        levels.push(blocks);
    }
    levels
}
