//! GUIDs of disks, partitions and hash trees: never random.
//!
//! Text as in [RFC 9562](https://www.rfc-editor.org/rfc/rfc9562); a GPT keeps
//! the first three fields in little-endian order
//! ([UEFI 2.10, appendix A](https://uefi.org/specs/UEFI/2.10/Apx_A_GUID_and_Time_Formats.html)).
//!
//! # Invariants
//! The same words give the same [`Guid::derived`] on every host, and no other
//! words give it: every word goes in with its length.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

/// 16 bytes in the order of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    pub const fn new(bytes: [u8; 16]) -> Guid {
        Guid(bytes)
    }

    /// A well-known GUID, its digits as one number.
    pub const fn known(digits: u128) -> Guid {
        Guid(digits.to_be_bytes())
    }

    /// Stands for these words: a version 8 UUID of their SHA-256.
    pub fn derived(words: &[&str]) -> Guid {
        let mut hasher = Sha256::new_with_prefix("nodeimg guid\0");
        for word in words {
            hasher.update((word.len() as u64).to_le_bytes());
            hasher.update(word);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Guid(bytes)
    }

    /// In the order of the text, as everything but a GPT keeps it.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// As a GPT keeps it.
    pub fn mixed_endian(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

impl Guid {
    /// From what a GPT keeps.
    pub fn from_mixed_endian(bytes: [u8; 16]) -> Guid {
        // The order is its own inverse.
        Guid(Guid(bytes).mixed_endian())
    }
}

impl FromStr for Guid {
    type Err = anyhow::Error;

    /// `c12a7328-f81f-11d2-ba4b-00a0c93ec93b`, in any case.
    fn from_str(text: &str) -> Result<Guid> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16).ok();
        let guid = number.map(Guid::known);
        match guid.filter(|guid| guid.to_string().eq_ignore_ascii_case(text)) {
            Some(guid) => Ok(guid),
            None => bail!("`{text}` is not a GUID (c12a7328-f81f-11d2-ba4b-00a0c93ec93b)"),
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if [4, 6, 8, 10].contains(&index) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders() {
        let guid = Guid::known(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
        assert_eq!(guid.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        let gpt = guid.mixed_endian();
        assert_eq!(gpt[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(gpt[8..], guid.bytes()[8..]);
    }

    #[test]
    fn derived_ones_are_pinned_and_tell_words_apart() {
        let guid = Guid::derived(&["a", "bc"]);
        assert_eq!(guid.to_string(), "a33c59a3-e261-8c48-9478-4fb9f5434931");
        assert_ne!(guid, Guid::derived(&["ab", "c"]));
        assert_ne!(guid, Guid::derived(&["a", "bc", ""]));
    }
}
