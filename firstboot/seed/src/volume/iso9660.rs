//! ISO 9660 (<https://ecma-international.org/publications-and-standards/standards/ecma-119/>).
//!
//! ```text
//! sector 16, 17, ... (2048 bytes each): volume descriptors
//! 0   type u8: 1 primary, 2 supplementary (Joliet), 255 the last
//! 1   "CD001"
//! 40  volume identifier, 32 bytes, padded with blanks; big-endian UCS-2 in Joliet's
//! 88  Joliet: the escape sequence %/@, %/C or %/E
//! 813 when it was created, 830 when it was last modified: 16 digits and an offset each
//! ```
//! A date is what such a volume has in place of a UUID; blkid takes the second, or the
//! first if the second is not set.
//!
//! A UDF volume has descriptors named "BEA01" and "NSR0x" in the same row.
use std::io;

use super::{ReadAt, Reader, label, printable};

const FIRST: u64 = 16;
const LAST: u64 = 48;

pub(super) enum Found {
    Iso9660(Vec<String>, Option<String>),
    Udf,
}

pub(super) fn read(reader: &mut Reader<'_, impl ReadAt>) -> io::Result<Option<Found>> {
    let mut labels = Vec::new();
    let mut uuid = None;
    let mut primary = false;
    let mut udf = false;
    for sector in FIRST..LAST {
        let Some(head) = reader.bytes::<128>(sector * 2048)? else {
            break;
        };
        match (&head[1..6], head[0]) {
            (b"CD001", 1) if !primary => {
                primary = true;
                labels.extend(label(&head[40..72]));
                uuid = dated(reader, sector * 2048)?;
            }
            (b"CD001", 2) if is_joliet(&head) => labels.extend(joliet(&head[40..72])),
            (b"CD001", 255) if primary => break,
            (b"NSR02" | b"NSR03", _) => udf = true,
            (b"CD001" | b"BEA01" | b"TEA01" | b"BOOT2", _) => {}
            _ => break,
        }
    }
    labels.dedup();
    Ok(match (primary, udf) {
        (true, _) => Some(Found::Iso9660(labels, uuid)),
        (false, true) => Some(Found::Udf),
        (false, false) => None,
    })
}

/// The date of a volume, as `2026-11-30-07-02-24-00`.
fn dated(reader: &mut Reader<'_, impl ReadAt>, descriptor: u64) -> io::Result<Option<String>> {
    let Some(dates) = reader.bytes::<34>(descriptor + 813)? else {
        return Ok(None);
    };
    let text = |date: &[u8]| {
        let digits = std::str::from_utf8(&date[..16]).ok()?;
        let is_set = digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.bytes().any(|byte| byte != b'0');
        let mut text = digits.get(..4)?.to_owned();
        for at in (4..16).step_by(2) {
            text.push('-');
            text.push_str(digits.get(at..at + 2)?);
        }
        is_set.then_some(text)
    };
    Ok(text(&dates[17..]).or_else(|| text(&dates[..17])))
}

fn is_joliet(head: &[u8]) -> bool {
    matches!(&head[88..91], b"%/@" | b"%/C" | b"%/E")
}

fn joliet(bytes: &[u8]) -> Option<String> {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0);
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    printable(&text)
}
