//! Where a seed's secrets are, byte by byte, on a disk that a node has written
//! to: in their own files, mode 0600, and nowhere else. A deleted file counts,
//! and so does a block that no file owns any more.
//!
//! debugfs (of e2fsprogs) says which file of the state partition a byte belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use nix::unistd::{Whence, lseek};

use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::run::{Ran, clean, tool};

/// What ext4 has on a partition of this size.
const BLOCK: u64 = 4096;
/// Read at a time, with what may stand on the border.
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 1 << 10;
/// Characters in a line of PEM ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)).
const PEM_LINE: usize = 64;
/// Of a piece of base64 that is not found by chance.
const SHORTEST: usize = 12;

/// Something that no one else may know, in every form that it could be written in.
pub struct Secret {
    name: &'static str,
    needles: Vec<Vec<u8>>,
}

impl Secret {
    /// Text that stands in a seed.
    pub fn text(name: &'static str, text: &str) -> Secret {
        let mut secret = Secret {
            name,
            needles: Vec::new(),
        };
        secret.add(text.as_bytes());
        secret
    }

    /// The private part of a key on P-256: in PKCS #8
    /// ([RFC 5208](https://www.rfc-editor.org/rfc/rfc5208), [RFC 5915](https://www.rfc-editor.org/rfc/rfc5915))
    /// 32 bytes behind the two that say so.
    pub fn key(name: &'static str, pem: &str) -> Secret {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(&body).unwrap();
        let at = memmem::find(&der, &[0x04, 0x20]).unwrap() + 2;
        let mut secret = Secret {
            name,
            needles: Vec::new(),
        };
        secret.add(&der[at..at + 32]);
        // Of the PEM the characters that are of those bytes alone, line by line.
        let (first, last) = (at.div_ceil(3) * 4, (at + 32) / 3 * 4);
        for line in (0..body.len()).step_by(PEM_LINE) {
            let (from, to) = (first.max(line), last.min(line + PEM_LINE));
            if to >= from + SHORTEST {
                secret.add(&body.as_bytes()[from..to]);
            }
        }
        secret
    }

    /// The bytes, and what becomes of them in hexadecimal and in base64, of which
    /// there are three: it depends on what stands before.
    fn add(&mut self, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.needles.push(bytes.to_vec());
        self.needles.push(hex.into_bytes());
        for skipped in 0..3 {
            let whole = (bytes.len() - skipped) / 3 * 3;
            let encoded = STANDARD.encode(&bytes[skipped..skipped + whole]);
            self.needles.push(encoded.into_bytes());
        }
    }

    /// Its place.
    fn find(&self, bytes: &[u8]) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .needles
            .iter()
            .flat_map(|needle| memmem::find_iter(bytes, needle))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    #[track_caller]
    pub fn expect_not_in(&self, what: &str, bytes: &[u8]) {
        let found = self.find(bytes);
        assert!(found.is_empty(), "{} is in {what} at {found:?}", self.name);
    }
}

/// Every place on a disk that has one of `secrets`, one a line: the secret, the path on
/// the state partition, its mode. `None`, with a printed skip, if debugfs or qemu-img
/// is missing (an error in CI).
pub fn places(overlay: &Path, secrets: &[Secret]) -> Option<BTreeSet<String>> {
    let raw = overlay.with_extension("whole");
    let mut convert = Command::new("qemu-img");
    convert
        .args(["convert", "-O", "raw"])
        .arg(overlay)
        .arg(&raw);
    tool(&mut clean(convert))?.good();
    let disk = Disk::open(&raw);
    let (start, length) = disk.partition("state");
    let mut found = BTreeSet::new();
    let mut blocks: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for (at, name) in hits(&disk.file, secrets) {
        if (start..start + length).contains(&at) {
            blocks.entry((at - start) / BLOCK).or_default().insert(name);
        } else {
            found.insert(format!("{name} outside of the state partition"));
        }
    }
    let owners = owners(&raw, start, &blocks.keys().copied().collect::<Vec<_>>())?;
    for (block, names) in &blocks {
        let owner = owners.get(block).map_or("in no file", String::as_str);
        found.extend(names.iter().map(|name| format!("{name} {owner}")));
    }
    std::fs::remove_file(raw).unwrap();
    Some(found)
}

/// Offsets of data that is not a hole.
fn hits<'a>(file: &File, secrets: &'a [Secret]) -> Vec<(u64, &'a str)> {
    let mut found = Vec::new();
    let mut at = 0;
    // ENXIO: no more data.
    while let Ok(data) = lseek(file, at, Whence::SeekData) {
        let end = lseek(file, data, Whence::SeekHole).unwrap();
        let (mut from, end) = (data as u64, end as u64);
        while from < end {
            let length = usize::try_from(end - from).unwrap().min(PIECE + OVERLAP);
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, from).unwrap();
            for secret in secrets {
                let places = secret.find(&piece);
                found.extend(places.iter().map(|at| (from + *at as u64, secret.name)));
            }
            from += PIECE as u64;
        }
        at = end as i64;
    }
    found
}

/// "PATH MODE" of the file that each block belongs to.
fn owners(raw: &Path, start: u64, blocks: &[u64]) -> Option<BTreeMap<u64, String>> {
    let debugfs = |request: String| -> Option<Ran> {
        let mut command = clean(Command::new("debugfs"));
        command.args(["-R", &request]);
        let ran = tool(command.arg(format!("{}?offset={start}", raw.display())))?;
        Some(ran.good())
    };
    let pairs = |text: &str| -> Vec<(u64, String)> {
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        let numbered =
            lines.filter_map(|(left, right)| Some((left.parse().ok()?, right.to_owned())));
        numbered.collect()
    };
    let mut owners = BTreeMap::new();
    for block in blocks {
        let Some((_, inode)) = pairs(&debugfs(format!("icheck {block}"))?.out).pop() else {
            continue;
        };
        let Ok(inode) = inode.parse::<u64>() else {
            continue; // <block not found>
        };
        let path = pairs(&debugfs(format!("ncheck {inode}"))?.out).pop();
        let path = path.map_or_else(|| format!("inode {inode} without a name"), |(_, path)| path);
        let about = debugfs(format!("stat <{inode}>"))?.out;
        let mode = about.split("Mode:").nth(1).unwrap_or_default();
        let mode = mode.split_whitespace().next().unwrap_or_default();
        owners.insert(*block, format!("{path} {mode}"));
    }
    Some(owners)
}
