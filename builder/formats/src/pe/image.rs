//! An EFI program as its signature sees it
//! ([UEFI 2.10, 32.2.2](https://uefi.org/specs/UEFI/2.10/32_Secure_Boot_and_Driver_Signing.html)).

use anyhow::{Context, Result, bail};

use super::{CERTIFICATES, Headers};

/// Of the checksum, from the optional header on.
const CHECKSUM: usize = 64;

/// A program that was looked at: its parts are where its headers say.
pub struct Image<'a> {
    bytes: &'a [u8],
    optional: usize,
    /// Of all headers, in bytes.
    headers: usize,
    /// From where each section's bytes begin to where they end, in the file's order.
    sections: Vec<(usize, usize)>,
    /// Where the certificate table begins, and how long it is; at the end without one.
    table: (usize, usize),
}

impl<'a> Image<'a> {
    /// # Errors
    /// It is not an EFI program, its parts overlap or are cut short, or something follows its
    /// signatures.
    pub fn read(bytes: &'a [u8]) -> Result<Image<'a>> {
        let headers = Headers::read(bytes)?;
        let (place, size) = headers
            .certificates(bytes)
            .context("has no room for a signature in its header")?;
        let table = match size {
            0 => (bytes.len(), 0),
            _ => (place as usize, size as usize),
        };
        if table.0.checked_add(table.1) != Some(bytes.len()) {
            bail!("has a damaged certificate table: it does not end where the file ends");
        }
        let mut sections: Vec<(usize, usize)> = headers
            .sections(bytes)?
            .iter()
            .filter(|section| section.stored > 0)
            .map(|section| {
                let start = section.offset as usize;
                (start, start + section.stored as usize)
            })
            .collect();
        sections.sort_unstable();
        let mut end = headers.all as usize;
        if end < headers.optional + CERTIFICATES + 8 {
            bail!("is not an EFI program: its headers end too early");
        }
        for section in &sections {
            if section.0 != end {
                bail!(
                    "has {} between its sections: what is there would not be signed",
                    match section.0 > end {
                        true => "a gap",
                        false => "an overlap",
                    }
                );
            }
            end = section.1;
        }
        if end > table.0 {
            bail!("is cut short: its sections end behind its last byte");
        }
        Ok(Image {
            bytes,
            optional: headers.optional,
            headers: headers.all as usize,
            sections,
            table,
        })
    }

    /// All that a signature covers, in order.
    pub fn hashed(&self) -> Vec<&'a [u8]> {
        let (checksum, entry) = (self.optional + CHECKSUM, self.certificate_entry());
        let mut parts = vec![
            &self.bytes[..checksum],
            &self.bytes[checksum + 4..entry],
            &self.bytes[entry + 8..self.headers],
        ];
        parts.extend(
            self.sections
                .iter()
                .map(|(start, end)| &self.bytes[*start..*end]),
        );
        let end = self.sections.last().map_or(self.headers, |(_, end)| *end);
        parts.push(&self.bytes[end..self.table.0]);
        parts
    }

    /// The program up to its signatures.
    pub fn without_certificates(&self) -> &'a [u8] {
        &self.bytes[..self.table.0]
    }

    /// The certificate table; empty if it is not signed.
    pub fn certificates(&self) -> &'a [u8] {
        &self.bytes[self.table.0..]
    }

    /// Where the header says where that is: 4 bytes place, 4 bytes size.
    pub fn certificate_entry(&self) -> usize {
        self.optional + CERTIFICATES
    }
}
