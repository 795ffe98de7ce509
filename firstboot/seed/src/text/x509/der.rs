//! DER, as far as certificates and keys need it. Spec: ITU-T X.690.
//!
//! ```text
//! tag (1 byte) | length (1 byte, or 0x80+n and n bytes) | content
//! ```
//!
//! # Invariants
//! Nothing is read beyond the input; lengths above 4 bytes and multi-byte tags
//! are refused, since no certificate has them.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

/// Elements one after another.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element; `None` at the end and for damaged input.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (tag, rest) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Element {
            tag: *tag,
            content,
            whole,
        })
    }

    /// The next element, which must be of this kind.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element if it is of this kind; else nothing is taken.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = *self;
        let found = ahead.expect(tag)?;
        *self = ahead;
        Some(found)
    }
}

impl<'a> Element<'a> {
    pub(super) fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }

    /// A bit string of whole bytes.
    pub(super) fn bits(&self) -> Option<&'a [u8]> {
        self.content.strip_prefix(&[0])
    }

    /// A whole number without its sign byte.
    pub(super) fn number(&self) -> &'a [u8] {
        let zeros = self.content.iter().take_while(|byte| **byte == 0).count();
        &self.content[zeros..]
    }
}
