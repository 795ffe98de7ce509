//! Where things are on a FAT32 volume of any writer.

use anyhow::{Context, Result, bail};

use super::volume::{FIRST_CLUSTER, SECTOR};
use crate::blocks::Blocks;

/// All in bytes but `root`.
pub struct Geometry {
    /// Of a cluster.
    pub cluster: u64,
    /// The root directory's first cluster.
    pub root: u32,
    /// Where the first cluster is.
    data: u64,
    /// Where each copy of the FAT is.
    fats: Vec<u64>,
    /// How many clusters there are, and the two numbers before them.
    numbers: u64,
    /// FSInfo, if there is one.
    info: Option<u64>,
}

impl Geometry {
    pub fn read(blocks: &dyn Blocks, size: u64) -> Result<Geometry> {
        let mut boot = [0; SECTOR as usize];
        blocks
            .read(&mut boot, 0)
            .context("reading a FAT32 file system")?;
        let word = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| word(at) | word(at + 2) << 16;
        let (per_cluster, reserved, fat) = (u64::from(boot[13]), word(14), long(36));
        let copies = u64::from(boot[16]);
        let data = (reserved + copies * fat) * SECTOR;
        let all = long(32) * SECTOR;
        let fits = boot[510..] == [0x55, 0xaa]
            && &boot[82..87] == b"FAT32"
            && word(11) == SECTOR
            && per_cluster.is_power_of_two()
            && copies > 0
            && fat > 0
            && all <= size
            && data < all;
        if !fits {
            bail!("is not a FAT32 file system of its partition's size");
        }
        let clusters = (all - data) / (per_cluster * SECTOR) + u64::from(FIRST_CLUSTER);
        let info = Some(word(48)).filter(|sector| (1..reserved).contains(sector));
        Ok(Geometry {
            cluster: per_cluster * SECTOR,
            root: long(44) as u32,
            data,
            fats: (0..copies)
                .map(|index| (reserved + index * fat) * SECTOR)
                .collect(),
            numbers: clusters.min(fat * SECTOR / 4),
            info: info.map(|sector| sector * SECTOR),
        })
    }

    /// What follows each cluster, by the first copy.
    pub fn fat(&self, blocks: &dyn Blocks) -> Result<Vec<u32>> {
        let mut bytes = vec![0; (self.numbers * 4) as usize];
        blocks
            .read(&mut bytes, self.fats[0])
            .context("reading a FAT32 file system")?;
        let next = |entry: &[u8]| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let entries = bytes.chunks_exact(4);
        Ok(entries.map(|entry| next(entry) & 0x0fff_ffff).collect())
    }

    /// Where a cluster is in the volume.
    pub fn place(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster - FIRST_CLUSTER) * self.cluster
    }

    /// Writes the numbers of these clusters to every copy, the sectors that have them whole.
    pub fn write_fat(&self, blocks: &dyn Blocks, fat: &[u32], clusters: &[u32]) -> Result<()> {
        let per_sector = (SECTOR / 4) as usize;
        let mut sectors: Vec<usize> = clusters
            .iter()
            .map(|it| *it as usize / per_sector)
            .collect();
        sectors.sort_unstable();
        sectors.dedup();
        for start in &self.fats {
            for run in sectors.chunk_by(|one, next| one + 1 == *next) {
                let first = run[0] * per_sector;
                let end = (first + run.len() * per_sector).min(fat.len());
                let numbers = fat[first..end].iter();
                let bytes: Vec<u8> = numbers.flat_map(|next| next.to_le_bytes()).collect();
                blocks
                    .write(&bytes, start + run[0] as u64 * SECTOR)
                    .context("writing a FAT")?;
            }
        }
        Ok(())
    }

    /// How many clusters are free: a hint that readers may take.
    pub fn tell_free(&self, blocks: &dyn Blocks, free: u32) -> Result<()> {
        let Some(info) = self.info else {
            return Ok(());
        };
        let mut sector = [0; SECTOR as usize];
        let context = "writing a FAT32 file system";
        blocks.read(&mut sector, info).context(context)?;
        if sector.starts_with(b"RRaA") && &sector[484..488] == b"rrAa" {
            sector[488..492].copy_from_slice(&free.to_le_bytes());
            sector[492..496].copy_from_slice(&u32::MAX.to_le_bytes());
            blocks.write(&sector, info).context(context)?;
        }
        blocks.flush().context(context)
    }
}
