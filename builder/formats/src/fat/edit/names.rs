//! Entries of a directory for a new name.

use anyhow::{Context, Result, bail};

use super::super::directory::{ENTRY, long_entries, short_entry};
use super::super::name;
use super::super::read::DELETED;
use super::{Editor, TIME};

impl Editor<'_> {
    /// Names a chain that is on the medium already.
    pub(super) fn enter(
        &mut self,
        path: &str,
        name: &str,
        (cluster, size): (u32, u64),
        attributes: u8,
    ) -> Result<()> {
        name::check(name)?;
        let directory = self.find(path)?;
        let there = self.entries(directory)?;
        let folded = name::fold(name);
        if there.iter().any(|found| name::fold(&found.name) == folded) {
            bail!("{path}/{name} already exists");
        }
        let taken = there.iter().map(|found| name::fold(&found.name));
        let taken = taken.chain(there.iter().map(|found| name::shown(&found.short)));
        let alias = name::alias(name, taken.collect())?;
        let mut entries = match name::needs_long(name) {
            true => long_entries(name, &alias),
            false => Vec::new(),
        };
        entries.extend(short_entry(
            &alias,
            attributes,
            TIME,
            (cluster, size as u32),
        ));
        let places = self.room(directory, entries.len() / ENTRY)?;
        // The parts of the long name mean nothing before the short entry is there.
        let split = entries.len() - ENTRY;
        let within_sector = places[0] / 512 == (places[places.len() - 1] + ENTRY as u64 - 1) / 512;
        let failed = || format!("writing the name {name}");
        if within_sector {
            self.blocks
                .write(&entries, places[0])
                .with_context(failed)?;
        } else {
            for (entry, place) in entries[..split].chunks_exact(ENTRY).zip(&places) {
                self.blocks.write(entry, *place).with_context(failed)?;
            }
            self.flush()?;
            let last = places[places.len() - 1];
            self.blocks
                .write(&entries[split..], last)
                .with_context(failed)?;
        }
        self.flush()?;
        self.tell_free()
    }

    /// Where `count` entries can be, in a row; the directory grows if it must.
    fn room(&mut self, directory: u32, count: usize) -> Result<Vec<u64>> {
        let (bytes, places) = self.directory(directory)?;
        let per_cluster = self.geometry.cluster as usize / ENTRY;
        let place =
            |index: usize| places[index / per_cluster] + ((index % per_cluster) * ENTRY) as u64;
        let entries: Vec<u8> = bytes.chunks_exact(ENTRY).map(|entry| entry[0]).collect();
        // Behind the first zero, entries may hold anything; the zero after ours must stay one.
        let end = entries
            .iter()
            .position(|first| *first == 0)
            .unwrap_or(entries.len());
        let is_free = |index: &usize| *index >= end || entries[*index] == DELETED;
        let mut start = 0;
        while start + count <= entries.len() {
            match (start..start + count).rev().find(|index| !is_free(index)) {
                Some(taken) => start = taken + 1,
                None => {
                    let next = start + count;
                    if next > end && next < entries.len() && entries[next] != 0 {
                        self.blocks
                            .write(&[0], place(next))
                            .context("writing a directory")?;
                        self.flush()?;
                    }
                    return Ok((start..start + count).map(place).collect());
                }
            }
        }
        if end < entries.len() {
            // Zeros that would stay before the new cluster would end the directory there.
            for index in end..entries.len() {
                self.blocks
                    .write(&[DELETED], place(index))
                    .context("writing a directory")?;
            }
        }
        self.grow(directory, count)
    }

    fn grow(&mut self, directory: u32, count: usize) -> Result<Vec<u64>> {
        let new = self
            .free_clusters()
            .next()
            .context("no free cluster for a name")?;
        if count * ENTRY > self.geometry.cluster as usize {
            bail!("a name is too long for the clusters of this file system");
        }
        let place = self.geometry.place(new);
        let zeros = vec![0; self.geometry.cluster as usize];
        self.blocks
            .write(&zeros, place)
            .context("writing a directory")?;
        self.link(&[new])?;
        self.flush()?;
        let last = self.chain(directory)?.last().copied().unwrap_or(directory);
        self.fat[last as usize] = new;
        self.write_fat(&[last])?;
        self.flush()?;
        Ok((0..count)
            .map(|index| place + (index * ENTRY) as u64)
            .collect())
    }
}
