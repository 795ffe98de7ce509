//! gzip, bounded. Spec: <https://www.rfc-editor.org/rfc/rfc1952>.
use std::io::Read;

use flate2::read::MultiGzDecoder;
use zeroize::Zeroizing;

pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Unpacks at most `limit` bytes; the error says what is wrong with the input.
pub(crate) fn gunzip(bytes: &[u8], limit: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut unpacked = Zeroizing::new(Vec::new());
    MultiGzDecoder::new(bytes)
        .take(most + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| "is gzip data that is truncated or damaged".to_owned())?;
    if unpacked.len() > limit {
        return Err(format!(
            "is gzip data that unpacks to more than {limit} bytes"
        ));
    }
    Ok(unpacked)
}
