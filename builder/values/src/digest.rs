//! Digests: what a lock pins and what the store names its blobs by.
//!
//! Text form `sha256:<64 hex>` or `sha512:<128 hex>`, lower case, as in the
//! [OCI image specification](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests).
//!
//! # Invariants
//! A [`Digest`] always holds lowercase hex of its algorithm's exact length.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// How a digest was computed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// The name before the colon, also the `.sha256`/`.sha512` file suffix.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Length of the hex text, in characters.
    pub fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }

    /// The algorithm whose hex text is `len` characters long.
    pub fn by_hex_len(len: usize) -> Option<Algorithm> {
        [Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .find(|a| a.hex_len() == len)
    }
}

/// The digest of some bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// `hex` may be upper case (some publishers do that); the rest must fit.
    pub fn new(algorithm: Algorithm, hex: &str) -> Result<Digest> {
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!(
                "`{hex}` is not a {} digest: expected {} hex digits",
                algorithm.name(),
                algorithm.hex_len()
            );
        }
        Ok(Digest {
            algorithm,
            hex: hex.to_ascii_lowercase(),
        })
    }

    /// The SHA-256 of bytes in memory.
    pub fn sha256(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(&[]);
        hasher.update(bytes);
        hasher.finish().sha256
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Digest> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Digest::new(Algorithm::Sha256, hex),
            Some(("sha512", hex)) => Digest::new(Algorithm::Sha512, hex),
            _ => bail!("`{text}` is not a digest: expected `sha256:<hex>` or `sha512:<hex>`"),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Digest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// For serde: a SHA-256 as bare hex.
pub mod sha256_hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::digest::{Algorithm, Digest};

    pub fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(digest.hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let hex = String::deserialize(from)?;
        Digest::new(Algorithm::Sha256, &hex).map_err(D::Error::custom)
    }
}

/// What is known about bytes before they arrive: at least one digest. In a file, digests
/// are bare hex.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Expected {
    pub sha256: Option<Digest>,
    pub sha512: Option<Digest>,
    /// In bytes; `None` if no publisher said it.
    pub size: Option<u64>,
}

/// [`Expected`] in a file.
#[derive(Serialize, Deserialize)]
struct Written {
    sha256: Option<String>,
    sha512: Option<String>,
    size: Option<u64>,
}

impl TryFrom<Written> for Expected {
    type Error = anyhow::Error;

    fn try_from(written: Written) -> Result<Expected> {
        let digest = |algorithm, hex: Option<String>| {
            hex.map(|hex| Digest::new(algorithm, &hex)).transpose()
        };
        let expected = Expected {
            sha256: digest(Algorithm::Sha256, written.sha256)?,
            sha512: digest(Algorithm::Sha512, written.sha512)?,
            size: written.size,
        };
        if expected.digests().next().is_none() {
            bail!("there is neither a SHA-256 nor a SHA-512");
        }
        Ok(expected)
    }
}

impl From<Expected> for Written {
    fn from(expected: Expected) -> Written {
        Written {
            sha256: expected.sha256.map(|digest| digest.hex),
            sha512: expected.sha512.map(|digest| digest.hex),
            size: expected.size,
        }
    }
}

impl Expected {
    /// One digest of either kind; `size` in bytes.
    pub fn of(digest: &Digest, size: Option<u64>) -> Expected {
        let known = |algorithm| (digest.algorithm() == algorithm).then(|| digest.clone());
        Expected {
            sha256: known(Algorithm::Sha256),
            sha512: known(Algorithm::Sha512),
            size,
        }
    }

    /// The digests that are known, strongest last.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.sha256.iter().chain(self.sha512.iter())
    }

    /// The algorithms beside SHA-256 that a check of this needs.
    pub fn extra_algorithms(&self) -> Vec<Algorithm> {
        self.sha512.iter().map(Digest::algorithm).collect()
    }

    /// The first thing that does not fit, as (expected, got) for a message.
    pub fn mismatch(&self, got: &Measured) -> Option<(String, String)> {
        if let Some(size) = self.size.filter(|&size| size != got.size) {
            return Some((format!("{size} bytes"), format!("{} bytes", got.size)));
        }
        self.digests().find_map(|want| {
            let have = match want.algorithm {
                Algorithm::Sha256 => Some(&got.sha256),
                Algorithm::Sha512 => got.sha512.as_ref(),
            };
            (have != Some(want)).then(|| {
                let have = have.map_or_else(|| "not computed".to_owned(), Digest::to_string);
                (want.to_string(), have)
            })
        })
    }
}

/// The digests of some bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    pub sha256: Digest,
    /// Only if it was asked for: it costs twice as much as SHA-256.
    pub sha512: Option<Digest>,
    /// In bytes.
    pub size: u64,
}

/// Streaming digest: SHA-256 always, SHA-512 if asked for.
#[derive(Clone)]
pub struct Hasher {
    sha256: Sha256,
    sha512: Option<Sha512>,
    size: u64,
}

impl Hasher {
    pub fn new(extra: &[Algorithm]) -> Hasher {
        Hasher {
            sha256: Sha256::new(),
            sha512: extra.contains(&Algorithm::Sha512).then(Sha512::new),
            size: 0,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
        self.size += bytes.len() as u64;
    }

    pub fn finish(self) -> Measured {
        Measured {
            sha256: Digest {
                algorithm: Algorithm::Sha256,
                hex: hex(&self.sha256.finalize()),
            },
            sha512: self.sha512.map(|sha512| Digest {
                algorithm: Algorithm::Sha512,
                hex: hex(&sha512.finalize()),
            }),
            size: self.size,
        }
    }

    /// Everything that `reader` gives, in pieces of 256 KiB.
    pub fn measure(mut reader: impl Read, extra: &[Algorithm]) -> io::Result<Measured> {
        let mut hasher = Hasher::new(extra);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Hashes bytes on their way to another writer.
pub struct HashingWriter<W> {
    to: W,
    hasher: Hasher,
}

impl<W: Write> HashingWriter<W> {
    /// With SHA-256 alone.
    pub fn new(to: W) -> HashingWriter<W> {
        HashingWriter {
            to,
            hasher: Hasher::new(&[]),
        }
    }

    /// The writer, and what went through to it.
    pub fn finish(self) -> (W, Measured) {
        (self.to, self.hasher.finish())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_round_trip_and_refusals() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest, Digest::sha256(b""));
        assert_eq!(digest.to_string(), EMPTY);
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        assert_eq!(upper.parse::<Digest>().unwrap(), digest);
        for bad in [
            "",
            "e3b0",
            "md5:e3b0",
            "sha256:e3b0",
            "sha512:e3b0",
            "sha256:Hash:",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_kind_of_mismatch_is_told() {
        let got = Hasher::measure(&b"abc"[..], &[Algorithm::Sha512]).unwrap();
        let right = Expected {
            sha256: Some(got.sha256.clone()),
            sha512: got.sha512.clone(),
            size: Some(3),
        };
        assert_eq!(right.mismatch(&got), None);
        let size = Expected {
            size: Some(4),
            ..right.clone()
        };
        assert_eq!(
            size.mismatch(&got),
            Some(("4 bytes".into(), "3 bytes".into()))
        );
        let other = Expected {
            sha256: Some(Digest::sha256(b"")),
            ..right.clone()
        };
        assert_eq!(other.mismatch(&got).unwrap().0, EMPTY);
        let unmeasured = Measured {
            sha512: None,
            ..got
        };
        assert_eq!(right.mismatch(&unmeasured).unwrap().1, "not computed");
    }
}
