//! What is on a device: file systems, partition tables, members of arrays and groups.
//!
//! [`nodeimg_seed::volume`] knows the file systems that people see, with their labels; the table
//! here has what else a program finds by itself, also at a device's end. Places and bytes are
//! those that libblkid probes for, whose `wipefs` judges this in tests.

use std::io;

use nodeimg_formats::blocks::{Blocks, Part};
use nodeimg_seed::volume::{self, ReadAt};

/// Something that a device or a partition holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Found {
    /// `ext4`, `a part of an LVM group`.
    pub what: String,
    pub label: Option<String>,
}

impl Found {
    /// `ext4 (data)`.
    pub fn told(&self) -> String {
        match &self.label {
            Some(label) => format!("{} `{label}`", self.what),
            None => self.what.clone(),
        }
    }
}

/// Where a magic number is.
#[derive(Clone, Copy)]
enum At {
    /// Bytes from the start.
    Start(u64),
    /// Bytes before the end.
    End(u64),
    /// Bytes before the end, which is cut to a multiple of the second number first.
    Cut(u64, u64),
}

struct Magic {
    what: &'static str,
    at: At,
    bytes: &'static [u8],
}

const fn start(what: &'static str, at: u64, bytes: &'static [u8]) -> Magic {
    Magic {
        what,
        at: At::Start(at),
        bytes,
    }
}

const fn end(what: &'static str, at: At, bytes: &'static [u8]) -> Magic {
    Magic { what, at, bytes }
}

const LVM: &str = "a part of an LVM group";
const LUKS: &str = "an encrypted volume (LUKS)";
const MD: &str = "a part of a RAID array (md)";
const SWAP: &str = "swap";
const GPT: &str = "a GPT";
const MD_MAGIC: &[u8] = &[0xfc, 0x4e, 0x2b, 0xa9];
const SWAP2: &[u8] = b"SWAPSPACE2";
const SUSPEND: &[u8] = b"S1SUSPEND\0";
const BCACHE: &[u8] = &[
    0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
];
const BCACHEFS: &[u8] = &[
    0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef,
];

/// What is found by some bytes at one place.
const KNOWN: &[Magic] = &[
    start("xfs", 0, b"XFSB"),
    start("btrfs", 0x1_0040, b"_BHRfS_M"),
    start("exfat", 3, b"EXFAT   "),
    start("ntfs", 3, b"NTFS    "),
    start("BitLocker", 3, b"-FVE-FS-"),
    start("squashfs", 0, b"hsqs"),
    start("squashfs", 0, b"sqsh"),
    start("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    start("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    start("reiserfs", 0x1_0034, b"ReIsEr"),
    start("jfs", 0x8000, b"JFS1"),
    start("nilfs2", 0x406, b"\x34\x34"),
    start("hfsplus", 1024, b"H+\0\x04"),
    start("hfsplus", 1024, b"HX\0\x05"),
    start("apfs", 32, b"NXSB"),
    start("cramfs", 0, b"\x45\x3d\xcd\x28"),
    start("gfs2", 0x1_0000, b"\x01\x16\x19\x70\0\0\0\x01"),
    start("ocfs2", 0x800, b"OCFSV2"),
    start("ocfs2", 0x1000, b"OCFSV2"),
    start("bcachefs", 4096 + 24, BCACHEFS),
    start("bcache", 4096 + 24, BCACHE),
    start(LUKS, 0, b"LUKS\xba\xbe"),
    start(LUKS, 0x4000, b"SKUL\xba\xbe"),
    start("dm-verity hashes", 0, b"verity\0\0"),
    start("dm-integrity", 0, b"integrt\0"),
    start("Stratis", 512, b"!Stra0tis\x86\xff\x02^\x41rh"),
    start("VDO", 0, b"dmvdo001"),
    start("Ceph BlueStore", 0, b"bluestore block device"),
    start("VMFS", 0x20_0000, b"\x5e\xf1\xab\x2f"),
    start("VMFS", 0x10_0000, b"\x0d\xd0\x01\xc0"),
    start(LVM, 0, b"LABELONE"),
    start(LVM, 512, b"LABELONE"),
    start(LVM, 1024, b"LABELONE"),
    start(LVM, 1536, b"LABELONE"),
    start(SWAP, 4086, SWAP2),
    start(SWAP, 8182, SWAP2),
    start(SWAP, 16_374, SWAP2),
    start(SWAP, 65_526, SWAP2),
    start(SWAP, 4086, b"SWAP-SPACE"),
    start(SWAP, 4086, SUSPEND),
    start(SWAP, 65_526, SUSPEND),
    start(MD, 0, MD_MAGIC),
    start(MD, 4096, MD_MAGIC),
    end(MD, At::Cut(8192, 4096), MD_MAGIC),
    end(MD, At::Cut(65_536, 65_536), MD_MAGIC),
    end(MD, At::Cut(65_536, 65_536), &[0xa9, 0x2b, 0x4e, 0xfc]),
    end(
        "a part of a RAID array (Intel)",
        At::End(1024),
        b"Intel Raid ISM Cfg Sig. ",
    ),
    end(
        "a part of a RAID array (DDF)",
        At::End(512),
        &[0xde, 0x11, 0xde, 0x11],
    ),
    start(GPT, 512, b"EFI PART"),
    start(GPT, 4096, b"EFI PART"),
    end(GPT, At::End(512), b"EFI PART"),
    end(GPT, At::End(4096), b"EFI PART"),
    start("an Apple partition map", 512, b"PM\0\0"),
    start("a BSD disklabel", 512, b"\x57\x45\x56\x82"),
    start("an SGI disklabel", 0, b"\x0b\xe5\xa9\x41"),
    start("a Sun disklabel", 508, b"\xda\xbe"),
];

/// Where plain text labels are, by what they are labels of: offset and length.
const LABELS: &[(&str, u64, usize)] = &[
    ("xfs", 108, 12),
    ("btrfs", 0x1_012b, 32),
    (SWAP, 1052, 16),
    (LUKS, 24, 48),
    ("erofs", 1024 + 64, 16),
    ("nilfs2", 0x400 + 152, 80),
    ("a part of a RAID array (md)", 4096 + 32, 32),
];

/// Of ZFS' four labels, two at each end, each with a ring of uberblocks behind 128 KiB.
const ZFS_LABEL: u64 = 256 << 10;
const ZFS_RING: u64 = 128 << 10;
/// In either order of bytes.
const UBERBLOCK: [[u8; 8]; 2] = [
    [0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0xba, 0xb1, 0x0c],
];

/// Everything that is found on `size` bytes of `blocks`, sorted, each once.
///
/// # Errors
/// The device cannot be read.
pub fn find(blocks: &dyn Blocks, size: u64) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let place = Place { blocks, size };
    if let Some(volume) = volume::identify(&mut Place { blocks, size })?
        && let volume::Kind::Seed(kind) = volume.kind
    {
        found.push(Found {
            what: kind.to_string(),
            label: volume.labels.first().cloned(),
        });
    } else if place.holds(At::Start(0x8001), b"BEA01")? {
        found.push(unlabelled("udf"));
    }
    for magic in KNOWN {
        if place.holds(magic.at, magic.bytes)? && found.iter().all(|one| one.what != magic.what) {
            found.push(Found {
                what: magic.what.to_owned(),
                label: place.label(magic.what)?,
            });
        }
    }
    if place.is_zfs()? {
        found.push(unlabelled("a part of a ZFS pool"));
    }
    if place.is_mbr(&found)? {
        found.push(unlabelled("an MBR partition table"));
    }
    found.sort();
    Ok(found)
}

/// The same of a part of a device, in bytes.
///
/// # Errors
/// Those of [`find`].
pub fn find_in(blocks: &dyn Blocks, start: u64, size: u64) -> io::Result<Vec<Found>> {
    let part = Part {
        of: blocks,
        start,
        size,
    };
    find(&part, size)
}

fn unlabelled(what: &str) -> Found {
    Found {
        what: what.to_owned(),
        label: None,
    }
}

struct Place<'a> {
    blocks: &'a dyn Blocks,
    size: u64,
}

impl ReadAt for Place<'_> {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.fill(offset, out)? {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Place<'_> {
    /// `false` if it ends before.
    fn fill(&self, at: u64, out: &mut [u8]) -> io::Result<bool> {
        let end = at.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Ok(false);
        }
        self.blocks.read(out, at)?;
        Ok(true)
    }

    fn holds(&self, at: At, bytes: &[u8]) -> io::Result<bool> {
        let place = match at {
            At::Start(at) => Some(at),
            At::End(before) => self.size.checked_sub(before),
            At::Cut(before, grain) => (self.size / grain * grain).checked_sub(before),
        };
        let mut there = vec![0; bytes.len()];
        match place {
            Some(place) => Ok(self.fill(place, &mut there)? && there == bytes),
            None => Ok(false),
        }
    }

    fn label(&self, what: &str) -> io::Result<Option<String>> {
        let Some((_, at, length)) = LABELS.iter().find(|(of, ..)| *of == what) else {
            return Ok(None);
        };
        let mut text = vec![0; *length];
        if !self.fill(*at, &mut text)? {
            return Ok(None);
        }
        let end = text.iter().position(|byte| *byte == 0);
        let text = String::from_utf8_lossy(&text[..end.unwrap_or(*length)]);
        let is_text = !text.is_empty() && text.chars().all(|c| !c.is_control() && c != '\u{fffd}');
        Ok(is_text.then(|| text.trim_end().to_owned()))
    }

    fn is_zfs(&self) -> io::Result<bool> {
        let end = self.size / ZFS_LABEL * ZFS_LABEL;
        let ends = [end.checked_sub(2 * ZFS_LABEL), end.checked_sub(ZFS_LABEL)];
        let mut ring = vec![0; ZFS_RING as usize];
        for label in [Some(0), Some(ZFS_LABEL)].into_iter().chain(ends).flatten() {
            if !self.fill(label + ZFS_RING, &mut ring)? {
                continue;
            }
            let mut blocks = ring.chunks_exact(1024);
            if blocks.any(|block| UBERBLOCK.iter().any(|magic| block.starts_with(magic))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The boot sectors of FAT, NTFS and exFAT end like an MBR; one of a GPT is part of it.
    fn is_mbr(&self, found: &[Found]) -> io::Result<bool> {
        let others = ["vfat", "ntfs", "exfat", "BitLocker", LUKS, GPT];
        if found.iter().any(|one| others.contains(&one.what.as_str())) {
            return Ok(false);
        }
        let mut sector = [0; 512];
        let is_one = self.fill(0, &mut sector)? && sector[510..] == [0x55, 0xaa];
        let mut entries = sector[446..510].chunks_exact(16);
        Ok(is_one && entries.all(|entry| [0, 0x80].contains(&entry[0])))
    }
}

#[cfg(test)]
mod tests;
