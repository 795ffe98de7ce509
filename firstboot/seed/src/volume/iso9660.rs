//! ISO 9660 (<https://ecma-international.org/publications-and-standards/standards/ecma-119/>).
//!
//! ```text
//! sector 16, 17, ... (2048 bytes each): volume descriptors
//! 0   type u8: 1 primary, 2 supplementary (Joliet), 255 the last
//! 1   "CD001"
//! 40  volume identifier, 32 bytes, padded with blanks; big-endian UCS-2 in Joliet's
//! 88  Joliet: the escape sequence %/@, %/C or %/E
//! ```
//! A UDF volume has descriptors named "BEA01" and "NSR0x" in the same row.
use std::io;

use super::{ReadAt, Reader, label, printable};

const FIRST: u64 = 16;
const LAST: u64 = 48;

pub(super) enum Found {
    Iso9660(Vec<String>),
    Udf,
}

pub(super) fn read(reader: &mut Reader<'_, impl ReadAt>) -> io::Result<Option<Found>> {
    let mut labels = Vec::new();
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
        (true, _) => Some(Found::Iso9660(labels)),
        (false, true) => Some(Found::Udf),
        (false, false) => None,
    })
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
