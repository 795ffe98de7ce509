//! gzip, bounded. Spec: <https://www.rfc-editor.org/rfc/rfc1952>.
use std::fmt;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use zeroize::Zeroizing;

pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why gzip data is not unpacked; shown as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Damaged,
    /// It has more bytes than this.
    TooLarge(usize),
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => out.write_str("is gzip data that is truncated or damaged"),
            Self::TooLarge(limit) => {
                write!(out, "is gzip data that unpacks to more than {limit} bytes")
            }
        }
    }
}

impl From<Refused> for String {
    fn from(refused: Refused) -> Self {
        refused.to_string()
    }
}

/// Unpacks at most `limit` bytes; the error says what is wrong with the input.
pub(crate) fn gunzip(bytes: &[u8], limit: usize) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut unpacked = Zeroizing::new(Vec::new());
    MultiGzDecoder::new(bytes)
        .take(most + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| Refused::Damaged)?;
    if unpacked.len() > limit {
        return Err(Refused::TooLarge(limit));
    }
    Ok(unpacked)
}
