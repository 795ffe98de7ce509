//! Other contents of disks, by magic number, so that a person can recognise each device
//! in the list.
use std::io;

use super::{Kind, ReadAt, Reader, Volume, label};

struct Magic {
    name: &'static str,
    offset: u64,
    bytes: &'static [u8],
    /// Offset and length of the label, if it is plain text in a fixed place.
    label: Option<(u64, usize)>,
}

const fn magic(name: &'static str, offset: u64, bytes: &'static [u8]) -> Magic {
    Magic {
        name,
        offset,
        bytes,
        label: None,
    }
}

const fn labelled(magic: Magic, offset: u64, length: usize) -> Magic {
    Magic {
        label: Some((offset, length)),
        ..magic
    }
}

/// A partition table comes last: a file system may be inside it.
const KNOWN: &[Magic] = &[
    labelled(magic("xfs", 0, b"XFSB"), 108, 12),
    labelled(magic("btrfs", 0x1_0040, b"_BHRfS_M"), 0x1_012b, 32),
    magic("exfat", 3, b"EXFAT   "),
    magic("ntfs", 3, b"NTFS    "),
    magic("squashfs", 0, b"hsqs"),
    magic("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    magic("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    magic("dm-verity hashes", 0, b"verity\0\0"),
    magic("encrypted (LUKS)", 0, b"LUKS\xba\xbe"),
    magic("part of an LVM group", 512, b"LABELONE"),
    magic("swap", 4086, b"SWAPSPACE2"),
    magic("GPT partition table", 512, b"EFI PART"),
    magic("GPT partition table", 4096, b"EFI PART"),
    magic("MBR partition table", 510, b"\x55\xaa"),
];

pub(super) fn read(reader: &mut Reader<'_, impl ReadAt>) -> io::Result<Option<Volume>> {
    for known in KNOWN {
        let mut found = vec![0; known.bytes.len()];
        if !reader.fill(known.offset, &mut found)? || found != known.bytes {
            continue;
        }
        let mut labels = Vec::new();
        if let Some((offset, length)) = known.label {
            let mut text = vec![0; length];
            if reader.fill(offset, &mut text)? {
                labels.extend(label(&text));
            }
        }
        return Ok(Some(Volume {
            kind: Kind::Other(known.name),
            labels,
            uuid: None,
        }));
    }
    Ok(None)
}
