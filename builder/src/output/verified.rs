//! A root file system with its hash tree, written right into their places in
//! an image: nothing is written twice, nothing is held.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, Result};
use nodeimg_formats::gpt::Extent;
use nodeimg_formats::guid::Guid;
use nodeimg_formats::region::Region;
use nodeimg_formats::squashfs::Options;
use nodeimg_formats::verity::{self, Data, Params, RootHash};
use nodeimg_values::trace;
use sha2::{Digest as _, Sha256};

use super::Built;
use crate::tree::Tree;
use crate::tree::squashfs::{self, Written};

const BUFFER: usize = 1 << 20;

/// What a hash tree is for; it tells one image's from another's.
pub struct Purpose<'a> {
    /// `sysext`, `disk`.
    pub kind: &'a str,
    /// The image's name.
    pub name: &'a str,
}

/// Writes `tree` as SquashFS from `start` of `file` on.
pub fn file_system(file: &File, start: u64, tree: &Tree, built: &Built<'_>) -> Result<Written> {
    let options = Options {
        cache: Some(built.store),
        ..Options::default()
    };
    let _span = trace::stage("writing the root");
    let mut region = BufWriter::with_capacity(BUFFER, Region::new(file, start));
    let written = squashfs::write(tree, built.locked.epoch(), &options, &mut region)?;
    region.flush().context("writing the file system")?;
    // Its end may be a hole, which is not there to be read yet.
    file.set_len(start + written.size)
        .context("making room for the file system")?;
    Ok(written)
}

/// Writes the hash tree of the file system at `data` from `start` on.
pub fn hash_tree(file: &File, data: Extent, start: u64, params: &Params) -> Result<RootHash> {
    let _span = trace::stage("making the hash tree");
    let mut region = BufWriter::with_capacity(BUFFER, Region::new(file, start));
    let range = Data {
        file,
        start: data.start,
        size: data.size,
    };
    let root = verity::write(range, params, &mut region)?;
    region.flush().context("writing the hash tree")?;
    Ok(root)
}

/// The salt keeps a block of one image from being of use against another's. It is that of all
/// versions of an image, so that a block which two of them share has one hash in both trees:
/// the trees tell an update which blocks are on the node already.
pub fn params(built: &Built<'_>, purpose: &Purpose<'_>) -> Params {
    let Purpose { kind, name } = purpose;
    let lock = built.locked.digest().to_string();
    Params {
        salt: salt(built.recipe.name.as_str()),
        uuid: Guid::derived(&[&format!("{kind} verity"), name, &lock]),
    }
}

fn salt(image: &str) -> [u8; 32] {
    Sha256::new_with_prefix("nodeimg verity salt\0")
        .chain_update(image)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::salt;

    #[test]
    fn the_salt_is_of_the_name_alone() {
        // sha256 of `nodeimg verity salt`, a zero byte and `mine`: no version and no lock is in it.
        let want = "f777fc37974cf9eded9c7af37b405085a884b31e5141f2418c6eccefd65dd4b0";
        let hex: String = salt("mine")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, want);
        assert_ne!(salt("mine"), salt("other"));
    }
}
