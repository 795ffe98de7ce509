//! DER, as far as signatures need it
//! ([X.690](https://www.itu.int/rec/T-REC-X.690), 8.1).
//!
//! ```text
//! tag (1 byte) | length (1 byte, or 0x80+n and n bytes) | content
//! ```

pub const INTEGER: u8 = 0x02;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: &[u8] = &[5, 0];
pub const OID: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// `[0]`, constructed.
pub const CONTEXT_0: u8 = 0xa0;

/// An element of these parts, one after the other.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match bytes[zeros..] {
        [] => out.push(0),
        [short @ ..=0x7f] => out.push(short),
        ref long => {
            out.push(0x80 | long.len() as u8);
            out.extend_from_slice(long);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// An algorithm whose parameters are NULL.
pub fn algorithm(oid: &[u8]) -> Vec<u8> {
    sequence(&[&element(OID, &[oid]), NULL])
}

/// Takes the next element off `from`: its tag and content; `None` at the end and for
/// damaged input.
pub fn take<'a>(from: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = from.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some((tag, content))
}

/// The same of an element that must be of this kind.
pub fn expect<'a>(from: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(from)
        .filter(|(found, _)| *found == tag)
        .map(|(_, content)| content)
}

/// A positive number from its big-endian bytes.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros.min(bytes.len().saturating_sub(1))..];
    let sign: &[u8] = match bytes.first() {
        Some(first) if first & 0x80 != 0 => &[0],
        _ => &[],
    };
    element(INTEGER, &[sign, bytes])
}
