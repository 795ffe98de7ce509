//! Tar headers: [ustar with pax records](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13).
//!
//! ```text
//!   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12
//! 148 checksum 8 | 156 type 1 | 157 link 100 | 257 "ustar\0" | 263 "00"
//! 265 user 32 | 297 group 32 | 329 major 8 | 337 minor 8 | 345 prefix 155
//!
//! [pax header, type x][records, padded to 512]  only if ustar cannot say it
//! [header][content, padded to 512]
//! ...
//! [1024 zeros]
//! ```
//!
//! Numbers are octal text. A pax record is `<length> <key>=<value>\n`, where the
//! length counts itself. Extended attributes are `SCHILY.xattr.<name>`, as
//! GNU tar, bsdtar and star know them.
//!
//! # Invariants
//! The bytes of an entry depend on its fields alone. User and group names are
//! empty, so that numbers are what counts. The `prefix` field is not used:
//! a long name is a pax record.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

pub const BLOCK: usize = 512;
/// What ends an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The largest number of an 11-digit octal field.
const MAX_11: u64 = 0o777_7777_7777;
/// The largest number of a 7-digit octal field.
const MAX_7: u64 = 0o777_7777;

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind<'a> {
    Directory,
    /// With the content's length in bytes.
    File(u64),
    Symlink(&'a str),
}

/// One entry's header fields.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Relative, without `./` before or `/` behind.
    pub name: &'a str,
    pub kind: EntryKind<'a>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: u64,
    pub xattrs: &'a BTreeMap<String, Vec<u8>>,
}

/// Zeros that follow `len` bytes of content.
pub fn padding(len: u64) -> usize {
    let over = (len % BLOCK as u64) as usize;
    (BLOCK - over) % BLOCK
}

impl Entry<'_> {
    /// The header blocks, with the pax blocks before it if they are needed.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let (type_flag, size, link) = match self.kind {
            EntryKind::File(size) => (b'0', size, ""),
            EntryKind::Symlink(target) => (b'2', 0, target),
            EntryKind::Directory => (b'5', 0, ""),
        };
        let slash = if type_flag == b'5' { "/" } else { "" };
        let name = format!("{}{slash}", self.name);
        let mut bytes = Vec::new();
        let records = self.records(&name, link, size)?;
        if !records.is_empty() {
            let last = self.name.rsplit('/').next().unwrap_or_default();
            bytes = Block {
                name: &format!("PaxHeaders/{last}"),
                link: "",
                type_flag: b'x',
                mode: 0o644,
                ids: [0, 0],
                size: records.len() as u64,
                mtime: self.mtime,
            }
            .encode();
            bytes.extend_from_slice(&records);
            bytes.resize(bytes.len() + padding(records.len() as u64), 0);
        }
        let block = Block {
            name: &name,
            link,
            type_flag,
            mode: self.mode & 0o7777,
            ids: [self.uid, self.gid],
            size,
            mtime: self.mtime,
        };
        bytes.extend_from_slice(&block.encode());
        Ok(bytes)
    }

    /// What ustar cannot say.
    fn records(&self, name: &str, link: &str, size: u64) -> Result<Vec<u8>> {
        let mut records = Vec::new();
        for (key, text) in [("path", name), ("linkpath", link)] {
            if text.len() > 100 || !text.is_ascii() {
                record(&mut records, key, text.as_bytes());
            }
        }
        let numbers = [
            ("size", size, MAX_11),
            ("uid", u64::from(self.uid), MAX_7),
            ("gid", u64::from(self.gid), MAX_7),
            ("mtime", self.mtime, MAX_11),
        ];
        for (key, number, max) in numbers {
            if number > max {
                record(&mut records, key, number.to_string().as_bytes());
            }
        }
        for (key, value) in self.xattrs {
            if key.is_empty() || key.contains('=') || key.chars().any(char::is_control) {
                bail!(
                    "`{}`: an extended attribute `{}` cannot be written to a tar",
                    self.name,
                    key.escape_debug()
                );
            }
            record(&mut records, &format!("SCHILY.xattr.{key}"), value);
        }
        Ok(records)
    }
}

fn record(to: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    to.extend_from_slice(format!("{len} {key}=").as_bytes());
    to.extend_from_slice(value);
    to.push(b'\n');
}

/// One header block. What does not fit is cut or 0: a pax record says it.
struct Block<'a> {
    name: &'a str,
    link: &'a str,
    type_flag: u8,
    mode: u32,
    ids: [u32; 2],
    size: u64,
    mtime: u64,
}

impl Block<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        put_text(&mut block[..100], self.name);
        put_octal(&mut block[100..108], u64::from(self.mode));
        put_octal(&mut block[108..116], u64::from(self.ids[0]));
        put_octal(&mut block[116..124], u64::from(self.ids[1]));
        put_octal(&mut block[124..136], self.size);
        put_octal(&mut block[136..148], self.mtime);
        block[156] = self.type_flag;
        put_text(&mut block[157..257], self.link);
        block[257..265].copy_from_slice(b"ustar\x0000");
        put_octal(&mut block[329..337], 0);
        put_octal(&mut block[337..345], 0);
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
        put_octal(&mut block[148..155], sum);
        block
    }
}

fn put_text(field: &mut [u8], text: &str) {
    let mut len = text.len().min(field.len());
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
}

/// Octal digits and a NUL; 0 if the number is too large.
fn put_octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    let text = if text.len() > digits {
        "0".repeat(digits)
    } else {
        text
    };
    field[..digits].copy_from_slice(text.as_bytes());
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read;

    use super::*;

    fn entry<'a>(
        name: &'a str,
        kind: EntryKind<'a>,
        xattrs: &'a BTreeMap<String, Vec<u8>>,
    ) -> Entry<'a> {
        Entry {
            name,
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 1_700_000_000,
            xattrs,
        }
    }

    #[test]
    fn a_plain_header_is_the_pinned_512_bytes() {
        let xattrs = BTreeMap::new();
        let bytes = entry("usr/bin/runc", EntryKind::File(5), &xattrs)
            .encode()
            .unwrap();
        let mut want = vec![0; 512];
        let fields: [(usize, &[u8]); 12] = [
            (0, b"usr/bin/runc"),
            (100, b"0000755"),
            (108, b"0000000"),
            (116, b"0000000"),
            (124, b"00000000005"),
            (136, b"14524770400"),
            (148, b"011520\0 "),
            (156, b"0"),
            (257, b"ustar"),
            (263, b"00"),
            (329, b"0000000"),
            (337, b"0000000"),
        ];
        for (at, text) in fields {
            want[at..at + text.len()].copy_from_slice(text);
        }
        assert_eq!(bytes, want);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for (value, want) in [
            ("x", "6 k=x\n".to_owned()),
            ("xxxx", "9 k=xxxx\n".to_owned()),
            ("xxxxx", "11 k=xxxxx\n".to_owned()),
            (&"x".repeat(93), format!("99 k={}\n", "x".repeat(93))),
            (&"x".repeat(94), format!("101 k={}\n", "x".repeat(94))),
        ] {
            let mut bytes = Vec::new();
            record(&mut bytes, "k", value.as_bytes());
            assert_eq!(String::from_utf8(bytes).unwrap(), want);
        }
    }

    #[test]
    fn what_ustar_cannot_say_is_read_back_by_another_reader() {
        let long = "d/".repeat(60) + "ende-\u{e4}";
        let target = "t".repeat(101);
        let xattrs = BTreeMap::from([
            ("security.capability".to_owned(), vec![0, b'=', 255]),
            ("user.a".to_owned(), vec![]),
        ]);
        let mut odd = entry(&long, EntryKind::Symlink(&target), &xattrs);
        odd.uid = 0o1000_0000;
        let mut bytes = odd.encode().unwrap();
        bytes.extend_from_slice(&END);
        let mut archive = ::tar::Archive::new(&bytes[..]);
        let mut read = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(read.path().unwrap().to_str(), Some(&*long));
        assert_eq!(read.link_name().unwrap().unwrap().to_str(), Some(&*target));
        assert_eq!(read.header().uid().unwrap(), 0o1000_0000);
        let records: Vec<(String, Vec<u8>)> = read
            .pax_extensions()
            .unwrap()
            .unwrap()
            .map(|r| r.unwrap())
            .map(|r| (r.key().unwrap().to_owned(), r.value_bytes().to_vec()))
            .filter(|(key, _)| key.starts_with("SCHILY"))
            .collect();
        assert_eq!(
            records[0],
            (
                "SCHILY.xattr.security.capability".to_owned(),
                vec![0, b'=', 255]
            )
        );
        assert_eq!(records[1], ("SCHILY.xattr.user.a".to_owned(), vec![]));
        let mut rest = Vec::new();
        read.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    }

    #[test]
    fn a_file_of_8_gib_has_a_size_record() {
        let xattrs = BTreeMap::new();
        for (size, blocks) in [(MAX_11, 1), (MAX_11 + 1, 3)] {
            let bytes = entry("x", EntryKind::File(size), &xattrs).encode().unwrap();
            assert_eq!(bytes.len(), blocks * BLOCK);
            let mut archive = ::tar::Archive::new(&bytes[..]);
            let read = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(read.size(), size);
        }
    }

    #[test]
    fn an_attribute_that_a_record_cannot_hold_is_refused() {
        for name in ["", "user.a=b", "user.\n"] {
            let xattrs = BTreeMap::from([(name.to_owned(), vec![])]);
            let error = entry("etc/x", EntryKind::Directory, &xattrs)
                .encode()
                .unwrap_err();
            assert!(error.to_string().contains("`etc/x`"), "{error}");
        }
    }
}
