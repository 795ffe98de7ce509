//! Extended attributes: sets of them, each set once.
//!
//! ```text
//! pairs   u16 kind (0 user, 1 trusted, 2 security) | u16 length | name without its prefix
//!         u32 length | value
//! sets    u64 place of the first pair | u32 pairs | u32 bytes of names and values
//! list    u64 position of the pairs | u32 sets | u32 0 | u64 position of each block of sets
//! ```

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::metadata::Table;

type Set = BTreeMap<String, Vec<u8>>;

/// What the kernel gives a program of one value (`XATTR_SIZE_MAX`).
const MAX_VALUE: usize = 65_536;
/// Likewise of a name (`XATTR_NAME_MAX`).
const MAX_NAME: usize = 255;

/// The sets of a tree, numbered as they come.
pub struct Sets<'a> {
    numbers: BTreeMap<&'a Set, u32>,
    pairs: Table,
    sets: Table,
}

impl<'a> Sets<'a> {
    pub fn new(level: i32) -> Result<Sets<'a>> {
        Ok(Sets {
            numbers: BTreeMap::new(),
            pairs: Table::new(level)?,
            sets: Table::new(level)?,
        })
    }

    /// The number of `set`, `None` for the empty one.
    pub fn number(&mut self, set: &'a Set) -> Result<Option<u32>> {
        if set.is_empty() {
            return Ok(None);
        }
        if let Some(number) = self.numbers.get(set) {
            return Ok(Some(*number));
        }
        let place = self.pairs.place()?;
        let mut size = 0;
        for (name, value) in set {
            let pair = pair(name, value)?;
            self.pairs.append(&pair)?;
            size += pair.len();
        }
        let size = u32::try_from(size).context("a file has 4 GiB of attributes")?;
        self.sets.append(&place.reference().to_le_bytes())?;
        self.sets.append(&(set.len() as u32).to_le_bytes())?;
        self.sets.append(&size.to_le_bytes())?;
        let number = self.numbers.len() as u32;
        self.numbers.insert(set, number);
        Ok(Some(number))
    }

    /// Appends the tables to `image`, which begins at `start` of the file
    /// system; returns the list's position, `None` without any set.
    pub fn finish(self, start: u64, image: &mut Vec<u8>) -> Result<Option<u64>> {
        if self.numbers.is_empty() {
            return Ok(None);
        }
        let pairs_at = start + image.len() as u64;
        image.extend_from_slice(&self.pairs.finish()?);
        let mut sets = Vec::new();
        let sets_at = start + image.len() as u64;
        let list = (self.sets.finish_indexed(sets_at, &mut sets)? - sets_at) as usize;
        image.extend_from_slice(&sets[..list]);
        let at = start + image.len() as u64;
        image.extend_from_slice(&pairs_at.to_le_bytes());
        image.extend_from_slice(&(self.numbers.len() as u32).to_le_bytes());
        image.extend_from_slice(&0_u32.to_le_bytes());
        image.extend_from_slice(&sets[list..]);
        Ok(Some(at))
    }
}

fn pair(name: &str, value: &[u8]) -> Result<Vec<u8>> {
    let (kind, rest) = match name.split_once('.') {
        Some(("user", rest)) => (0_u16, rest),
        Some(("trusted", rest)) => (1, rest),
        Some(("security", rest)) => (2, rest),
        _ => bail!(
            "SquashFS cannot hold the extended attribute `{}`, only user., trusted. and security. \
             ones",
            name.escape_debug()
        ),
    };
    ensure!(
        !rest.is_empty() && name.len() <= MAX_NAME && !name.contains('\0'),
        "`{}` is not a valid name of an extended attribute",
        name.escape_debug()
    );
    ensure!(
        value.len() <= MAX_VALUE,
        "the extended attribute `{name}` has {} bytes, more than {MAX_VALUE}",
        value.len()
    );
    let mut bytes = Vec::with_capacity(8 + rest.len() + value.len());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&(rest.len() as u16).to_le_bytes());
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    bytes.extend_from_slice(value);
    Ok(bytes)
}
