//! ar archives, as a Debian package is one
//! ([deb(5)](https://manpages.debian.org/deb.5), [ar(5)](https://man.freebsd.org/ar/5)).
//!
//! ```text
//!  0 "!<arch>\n"
//!    name 16 | mtime 12 | uid 6 | gid 6 | mode 8 | size 10 | "`\n"     60 bytes
//!    content, and one byte more if its length is odd
//!    ...
//! ```
//! Numbers are decimal text, padded with blanks. Long names (`/12`, `#1/12`)
//! are not of this format's common part and refused.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;
/// A package has three members, or a few more.
const MAX_MEMBERS: usize = 100;

/// One member and where its bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub name: String,
    pub offset: u64,
    pub size: u64,
}

/// The members of an archive of `len` bytes, in their order.
pub fn members(file: &File, len: u64) -> Result<Vec<Member>> {
    let mut magic = [0; MAGIC.len()];
    if !read(file, &mut magic, 0)? || magic != MAGIC {
        bail!("it is not an ar archive");
    }
    let mut members = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < len {
        let mut header = [0; HEADER];
        if !read(file, &mut header, at)? {
            bail!("it is cut short within a member's header");
        }
        let member = member(&header, at + HEADER as u64)?;
        // Of the last member, the odd byte may be missing.
        at = member.offset.saturating_add(member.size);
        if at > len {
            bail!(
                "it is cut short: its member `{}` extends past its end",
                member.name
            );
        }
        at += member.size % 2;
        members.push(member);
        if members.len() > MAX_MEMBERS {
            bail!("it has more than {MAX_MEMBERS} members");
        }
    }
    Ok(members)
}

fn member(header: &[u8; HEADER], offset: u64) -> Result<Member> {
    if &header[58..] != b"`\n" {
        bail!("it is damaged: a member's header does not end as it should");
    }
    let text = |from: usize, to: usize| std::str::from_utf8(&header[from..to]);
    // GNU ends a name with a slash.
    let name = text(0, 16)
        .context("a member's name is not text")?
        .trim_end();
    let name = name.strip_suffix('/').unwrap_or(name);
    let odd = |c: char| !c.is_ascii_graphic() || c == '/';
    if name.is_empty() || name.starts_with('#') || name.contains(odd) {
        bail!("`{}` is not a valid member name", name.escape_debug());
    }
    let size = text(48, 58).unwrap_or_default().trim_end();
    let digits = !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit());
    let number = size.parse().ok().filter(|_| digits);
    Ok(Member {
        name: name.to_owned(),
        offset,
        size: number.with_context(|| format!("the size of its member `{name}` cannot be read"))?,
    })
}

/// Whether the bytes are there.
fn read(file: &File, to: &mut [u8], at: u64) -> Result<bool> {
    match file.read_exact_at(to, at) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e).context("reading it"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use nodeimg_test_support::ar::archive;

    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Vec<Member>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        members(&file, bytes.len() as u64)
    }

    #[test]
    fn members_and_their_places() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("odd/", b"abc"), ("x", b"")]);
        let got: Vec<_> = read_bytes(&bytes).unwrap();
        let names: Vec<_> = got.iter().map(|m| (m.name.as_str(), m.size)).collect();
        assert_eq!(names, [("debian-binary", 4), ("odd", 3), ("x", 0)]);
        let odd = usize::try_from(got[1].offset).unwrap();
        assert_eq!(&bytes[odd..odd + 3], b"abc");
    }

    #[test]
    fn damaged_archives_are_refused() {
        let good = archive(&[("a", b"12345678")]);
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, want) in [
            (b"!<arch>".to_vec(), "not an ar archive"),
            (good[..40].to_vec(), "cut short"),
            (good[..good.len() - 1].to_vec(), "cut short"),
            (changed(66, b'x'), "damaged"),
            (changed(56, b'-'), "size"),
            (changed(8, b'/'), "name"),
            (changed(8, b'#'), "name"),
            (changed(8, 0), "name"),
        ] {
            let error = format!("{:#}", read_bytes(&bytes).unwrap_err());
            assert!(error.contains(want), "{error}");
        }
    }
}
