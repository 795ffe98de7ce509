//! Adds, renames and removes files of a FAT32 volume that nobody has mounted.
//!
//! # Invariants
//! A power cut at any write leaves the files that were there whole:
//! - A new file's bytes and clusters are flushed before an entry names them.
//! - The entries of a file are deleted and flushed before its clusters are free.
//! - Clusters that no file has are free, whatever the FAT says: those of a file whose entry a
//!   power cut has prevented are found again.

mod names;

use anyhow::{Context, Result, bail};

use super::directory::{ARCHIVE, ENTRY, short_entry};
use super::geometry::Geometry;
use super::name::{self, Short};
use super::read::{DELETED, DIRECTORY, LABEL, LONG, name as name_of};
use super::volume::{END_OF_CHAIN, FIRST_CLUSTER};
use super::{MAX_FILE, Time};
use crate::blocks::Blocks;

/// A cluster that cannot be used.
const BAD: u32 = 0x0fff_fff7;
/// Folders in folders.
const DEEPEST: usize = 16;
/// What is written at a time, in bytes.
const PIECE: usize = 1 << 20;
/// 1980-01-01 00:00: no clock is asked.
const TIME: Time = Time {
    date: 0x21,
    time: 0,
    hundredths: 0,
};

/// A volume that is changed in place.
pub struct Editor<'a> {
    blocks: &'a dyn Blocks,
    geometry: Geometry,
    /// What follows each cluster.
    fat: Vec<u32>,
    /// Which clusters files and directories have.
    used: Vec<bool>,
}

/// A file or a directory.
#[derive(Clone, Debug)]
pub struct Found {
    pub name: String,
    /// In bytes.
    pub size: u64,
    pub is_directory: bool,
    cluster: u32,
    short: Short,
    /// Where its entries are in the volume: those of the long name, then the short one.
    entries: Vec<u64>,
}

impl<'a> Editor<'a> {
    /// The volume in `blocks`, of `size` bytes.
    ///
    /// # Errors
    /// It cannot be read, is not FAT32, or is damaged.
    pub fn open(blocks: &'a dyn Blocks, size: u64) -> Result<Editor<'a>> {
        let geometry = Geometry::read(blocks, size)?;
        let fat = geometry.fat(blocks)?;
        let mut editor = Editor {
            blocks,
            used: vec![false; fat.len()],
            fat,
            geometry,
        };
        editor.mark(editor.geometry.root, DEEPEST)?;
        Ok(editor)
    }

    /// Marks all that a directory leads to as used.
    fn mark(&mut self, directory: u32, depth: usize) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            bail!("is a FAT32 file system with folders more than {DEEPEST} deep");
        };
        for cluster in self.chain(directory)? {
            if std::mem::replace(&mut self.used[cluster as usize], true) {
                bail!("is a FAT32 file system in which two directories have the same cluster");
            }
        }
        for found in self.entries(directory)? {
            if found.is_directory {
                self.mark(found.cluster, depth)?;
            } else if found.cluster != 0 {
                for cluster in self.chain(found.cluster)? {
                    self.used[cluster as usize] = true;
                }
            }
        }
        Ok(())
    }

    /// The clusters of a chain.
    fn chain(&self, first: u32) -> Result<Vec<u32>> {
        let mut clusters = Vec::new();
        let mut at = first;
        while at < 0x0fff_fff8 {
            let next = self.fat.get(at as usize).copied();
            let Some(next) =
                next.filter(|_| at >= FIRST_CLUSTER && clusters.len() < self.fat.len())
            else {
                bail!("is a FAT32 file system with a damaged chain of clusters");
            };
            clusters.push(at);
            at = next;
        }
        Ok(clusters)
    }

    /// The bytes of a directory, and where each cluster of it is.
    fn directory(&self, first: u32) -> Result<(Vec<u8>, Vec<u64>)> {
        let size = self.geometry.cluster as usize;
        let clusters = self.chain(first)?;
        let places = clusters.iter().map(|cluster| self.geometry.place(*cluster));
        let places: Vec<u64> = places.collect();
        let mut bytes = vec![0; size * places.len()];
        for (piece, place) in bytes.chunks_exact_mut(size).zip(&places) {
            self.blocks
                .read(piece, *place)
                .context("reading a directory")?;
        }
        Ok((bytes, places))
    }

    fn entries(&self, first: u32) -> Result<Vec<Found>> {
        let (bytes, places) = self.directory(first)?;
        let per_cluster = self.geometry.cluster as usize / ENTRY;
        let mut found = Vec::new();
        let (mut long, mut at) = (Vec::new(), Vec::new());
        for (index, entry) in bytes.chunks_exact(ENTRY).enumerate() {
            let place = places[index / per_cluster] + ((index % per_cluster) * ENTRY) as u64;
            match (entry[0], entry[11]) {
                (0, _) => break,
                (_, LONG) if entry[0] != DELETED => {
                    let units = [1..11, 14..26, 28..32].map(|range| &entry[range]);
                    long.splice(0..0, units.concat());
                    at.push(place);
                    continue;
                }
                (first, kind) if first != DELETED && first != b'.' && kind & LABEL == 0 => {
                    at.push(place);
                    found.push(described(entry, &long, std::mem::take(&mut at)));
                }
                _ => {}
            }
            long.clear();
            at.clear();
        }
        Ok(found)
    }

    /// The directory at a path from the root on (`EFI/Linux`); an empty one is the root's.
    fn find(&self, path: &str) -> Result<u32> {
        let mut at = self.geometry.root;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let inside = self.entries(at)?;
            let wanted = name::fold(part);
            let found = inside
                .iter()
                .find(|found| found.is_directory && name::fold(&found.name) == wanted);
            at = found
                .with_context(|| format!("has no directory {path}"))?
                .cluster;
        }
        Ok(at)
    }

    /// What is in the directory at a path from the root on (`EFI/Linux`, or nothing for the root).
    ///
    /// # Errors
    /// There is none, or the volume is damaged.
    pub fn list(&self, path: &str) -> Result<Vec<Found>> {
        self.entries(self.find(path)?)
    }

    /// The bytes that new files can have.
    pub fn free(&self) -> u64 {
        self.free_clusters().count() as u64 * self.geometry.cluster
    }

    fn free_clusters(&self) -> impl Iterator<Item = u32> {
        let entries = self.used.iter().zip(&self.fat).enumerate();
        let entries = entries.skip(FIRST_CLUSTER as usize);
        entries.filter_map(|(index, (used, next))| (!used && *next != BAD).then_some(index as u32))
    }

    /// # Errors
    /// It cannot be read.
    pub fn read(&self, file: &Found) -> Result<Vec<u8>> {
        let mut bytes = vec![0; file.size as usize];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let clusters = self.chain(file.cluster)?;
        if (clusters.len() as u64) * self.geometry.cluster < file.size {
            bail!(
                "is a FAT32 file system with a file that is cut short: {}",
                file.name
            );
        }
        let pieces = bytes.chunks_mut(self.geometry.cluster as usize);
        for (piece, cluster) in pieces.zip(clusters) {
            let place = self.geometry.place(cluster);
            self.blocks
                .read(piece, place)
                .with_context(|| format!("reading {}", file.name))?;
        }
        Ok(bytes)
    }

    /// Removes a file; it is gone for good when this returns.
    ///
    /// # Errors
    /// The volume cannot be written, or is damaged.
    pub fn remove(&mut self, file: &Found) -> Result<()> {
        let clusters = match file.cluster {
            0 => Vec::new(),
            first => self.chain(first)?,
        };
        self.forget(file)?;
        for cluster in &clusters {
            self.fat[*cluster as usize] = 0;
            self.used[*cluster as usize] = false;
        }
        self.write_fat(&clusters)?;
        self.flush()?;
        self.tell_free()
    }

    /// Deletes the entries of a file, the short one first: without it there is no file.
    fn forget(&mut self, file: &Found) -> Result<()> {
        for place in file.entries.iter().rev() {
            self.blocks
                .write(&[DELETED], *place)
                .with_context(|| format!("removing {}", file.name))?;
            self.flush()?;
        }
        Ok(())
    }

    /// Gives a file another name in its directory. Whatever a power cut leaves, it has one of
    /// them, or both.
    ///
    /// # Errors
    /// The name is taken, or the volume cannot be written.
    pub fn rename(&mut self, path: &str, file: &Found, to: &str) -> Result<()> {
        self.enter(path, to, (file.cluster, file.size), ARCHIVE)?;
        self.forget(file)
    }

    /// Adds a file; it is there for good, and whole, when this returns.
    ///
    /// # Errors
    /// The name is taken, no clusters are free, or the volume cannot be written.
    pub fn create(&mut self, path: &str, name: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > MAX_FILE {
            bail!("{name} is larger than a file on FAT can be");
        }
        let count = (bytes.len() as u64).div_ceil(self.geometry.cluster) as usize;
        let clusters: Vec<u32> = self.free_clusters().take(count).collect();
        if clusters.len() < count {
            bail!(
                "no free clusters for {name}: it has {} bytes, {} are free",
                bytes.len(),
                self.free()
            );
        }
        let failed = || format!("writing {name}");
        let mut rest = bytes;
        for run in clusters.chunk_by(|one, next| one + 1 == *next) {
            let (now, later) =
                rest.split_at(rest.len().min(run.len() * self.geometry.cluster as usize));
            let start = self.geometry.place(run[0]);
            for (index, piece) in now.chunks(PIECE).enumerate() {
                self.blocks
                    .write(piece, start + (index * PIECE) as u64)
                    .with_context(failed)?;
            }
            rest = later;
        }
        self.link(&clusters)?;
        self.flush()?;
        let first = clusters.first().copied().unwrap_or(0);
        self.enter(path, name, (first, bytes.len() as u64), ARCHIVE)
    }

    /// Adds an empty directory; it is there for good when this returns.
    ///
    /// # Errors
    /// The name is taken, there is no room, or the volume cannot be written.
    pub fn create_directory(&mut self, path: &str, name: &str) -> Result<()> {
        let parent = match self.find(path)? {
            // Zero is the root's name here.
            root if root == self.geometry.root => 0,
            other => other,
        };
        let own = self.free_clusters().next();
        let own = own.with_context(|| format!("there is no room for the directory {name}"))?;
        let mut bytes = vec![0; self.geometry.cluster as usize];
        bytes[..ENTRY].copy_from_slice(&short_entry(b".          ", DIRECTORY, TIME, (own, 0)));
        let parents = short_entry(b"..         ", DIRECTORY, TIME, (parent, 0));
        bytes[ENTRY..2 * ENTRY].copy_from_slice(&parents);
        self.blocks
            .write(&bytes, self.geometry.place(own))
            .with_context(|| format!("writing the directory {name}"))?;
        self.link(&[own])?;
        self.flush()?;
        self.enter(path, name, (own, 0), DIRECTORY)
    }

    /// Makes a chain of clusters.
    fn link(&mut self, clusters: &[u32]) -> Result<()> {
        let following = clusters.iter().skip(1).copied().chain([END_OF_CHAIN]);
        for (cluster, next) in clusters.iter().zip(following) {
            self.fat[*cluster as usize] = next;
            self.used[*cluster as usize] = true;
        }
        self.write_fat(clusters)
    }

    fn tell_free(&self) -> Result<()> {
        let free = self.free_clusters().count();
        self.geometry.tell_free(self.blocks, free as u32)
    }

    fn write_fat(&self, clusters: &[u32]) -> Result<()> {
        self.geometry.write_fat(self.blocks, &self.fat, clusters)
    }

    fn flush(&self) -> Result<()> {
        self.blocks.flush().context("flushing a FAT32 file system")
    }
}

fn described(entry: &[u8], long: &[u8], entries: Vec<u64>) -> Found {
    let number = |at: usize| u32::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
    let mut short = [0; 11];
    short.copy_from_slice(&entry[..11]);
    Found {
        name: name_of(entry, long),
        size: u64::from(number(28) | number(30) << 16),
        is_directory: entry[11] & DIRECTORY != 0,
        cluster: number(26) | number(20) << 16,
        short,
        entries,
    }
}

#[cfg(test)]
mod tests;
