//! The programs inside this one; `build.rs` puts them there.

use std::io::Read;

use anyhow::{Result, bail};
use flate2::read::ZlibDecoder;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

/// One of them, for one architecture.
pub(super) struct Inside {
    pub(super) program: &'static str,
    pub(super) arch: &'static str,
    /// In bytes, unpacked.
    pub(super) size: u64,
    /// Of the program, in hex.
    pub(super) sha256: &'static str,
    /// As a zlib stream ([RFC 1950](https://www.rfc-editor.org/rfc/rfc1950)).
    pub(super) packed: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

impl Inside {
    pub(super) fn of(program: &str, arch: Arch) -> Option<&'static Inside> {
        INSIDE
            .iter()
            .find(|inside| inside.program == program && inside.arch == arch.name())
    }

    /// The program, checked against its digest.
    pub(super) fn unpack(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = ZlibDecoder::new(self.packed)
            .take(self.size + 1)
            .read_to_end(&mut bytes);
        if read.is_err() || Digest::sha256(&bytes).hex() != self.sha256 {
            bail!(
                "this nodeimg is damaged: the {} for {} inside it is not the one that was put \
                 there (SHA-256 {}). Download or build nodeimg again",
                self.program,
                self.arch,
                self.sha256
            );
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> &'static [u8] {
        let mut to = ZlibEncoder::new(Vec::new(), Compression::best());
        to.write_all(bytes).unwrap();
        Box::leak(to.finish().unwrap().into_boxed_slice())
    }

    fn of(size: u64, packed: &'static [u8]) -> Inside {
        let sha256 = Digest::sha256(b"a program").hex().to_owned();
        Inside {
            program: "nodeimg-x",
            arch: "amd64",
            size,
            sha256: Box::leak(sha256.into_boxed_str()),
            packed,
        }
    }

    #[test]
    fn what_is_taken_out_is_what_was_put_in() {
        assert_eq!(of(9, packed(b"a program")).unpack().unwrap(), b"a program");
        let whole = packed(b"a program");
        for damaged in [
            of(9, packed(b"a Program")),
            of(9, packed(b"a program, longer")),
            of(8, whole),
            of(9, &whole[..whole.len() / 2]),
            of(9, b""),
            of(9, b"no stream"),
        ] {
            let error = damaged.unpack().unwrap_err().to_string();
            assert!(error.contains("nodeimg-x for amd64"), "{error}");
            assert!(error.contains("damaged"), "{error}");
        }
    }

    /// All or none: half of them would be found out only by the other architecture's user.
    #[test]
    fn those_inside_are_whole() {
        let listed = super::super::listed().count();
        let archs = Arch::ALL.len();
        assert!(
            [0, listed * archs].contains(&INSIDE.len()),
            "{}",
            INSIDE.len()
        );
        for inside in INSIDE {
            assert_eq!(inside.unpack().unwrap().len() as u64, inside.size);
        }
    }
}
