//! FAT12, FAT16 and FAT32, as in Microsoft's specification
//! (<https://download.microsoft.com/download/1/6/1/161ba512-40e2-4cc9-843a-923143f3456c/fatgen103.doc>).
//!
//! ```text
//! 0    jump     3 bytes          | boot sector: the parameter block
//! 11   bytes per sector  u16     |
//! 13   sectors per cluster u8    | 16 number of FATs u8
//! 14   reserved sectors  u16     | 17 root entries   u16 (0 on FAT32)
//! 21   media             u8      | 22 FAT size       u16 (0 on FAT32)
//! 36   FAT32: FAT size   u32     | 44 FAT32: root directory's cluster u32
//! 43   label of FAT12/16, 71 of FAT32, 11 bytes, behind a 0x29 and the volume id u32
//! 510  55 aa
//! ```
//! The label that counts is an entry of the root directory; the one in the boot
//! sector is a copy that few programs keep up to date.
use std::io;

use super::{ReadAt, Reader, grouped, label, le16, le32};

/// The part of a directory that is searched: 64 KiB, which is 2048 entries.
const MAX_DIRECTORY: u64 = 64 << 10;
const ENTRY: usize = 32;

const ATTRIBUTE: usize = 11;
const VOLUME_ID: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;

/// Numbers of the parameter block, each checked.
struct Block {
    sector: u64,
    cluster: u64,
    reserved: u64,
    fats: u64,
    fat_sectors: u64,
    root_entries: u64,
    /// FAT32 only.
    root_cluster: Option<u32>,
}

/// The labels and the volume id of a FAT volume; `None` if there is none.
pub(super) fn read(
    reader: &mut Reader<'_, impl ReadAt>,
) -> io::Result<Option<(Vec<String>, Option<String>)>> {
    let Some(boot) = reader.bytes::<512>(0)? else {
        return Ok(None);
    };
    let Some(block) = parameters(&boot) else {
        return Ok(None);
    };
    let found = match block.root_cluster {
        Some(first) => in_chain(reader, &block, first)?,
        None => {
            let start = (block.reserved + block.fats * block.fat_sectors) * block.sector;
            let length = (block.root_entries * ENTRY as u64).min(MAX_DIRECTORY);
            match in_entries(reader, start, length)? {
                Searched::Label(label) => Some(label),
                Searched::End | Searched::Further => None,
            }
        }
    };
    let copy = if block.root_cluster.is_some() { 71 } else { 43 };
    let copied = || {
        let bytes = (boot[copy - 5] == 0x29).then(|| &boot[copy..copy + 11])?;
        label(bytes).filter(|label| label != "NO NAME")
    };
    // Written backwards, as every tool shows it: `1A2B-3C4D`.
    let id = [
        boot[copy - 1],
        boot[copy - 2],
        boot[copy - 3],
        boot[copy - 4],
    ];
    let uuid = matches!(boot[copy - 5], 0x28 | 0x29)
        .then(|| grouped(&id, &[2, 2]))
        .flatten();
    let labels = found.or_else(copied).into_iter().collect();
    Ok(Some((labels, uuid.map(|id| id.to_ascii_uppercase()))))
}

fn parameters(boot: &[u8; 512]) -> Option<Block> {
    let sector = u64::from(le16(boot, 11));
    let clusters = boot[13];
    let fats = boot[16];
    let media = boot[21];
    let sound = boot[510..] == [0x55, 0xaa]
        && matches!(boot[0], 0xeb | 0xe9)
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && clusters.is_power_of_two()
        && (1..=4).contains(&fats)
        && (media == 0xf0 || media >= 0xf8);
    let small = u64::from(le16(boot, 22));
    let fat32 = small == 0;
    let block = Block {
        sector,
        cluster: sector * u64::from(clusters),
        reserved: u64::from(le16(boot, 14)),
        fats: u64::from(fats),
        fat_sectors: if fat32 {
            u64::from(le32(boot, 36))
        } else {
            small
        },
        root_entries: u64::from(le16(boot, 17)),
        root_cluster: fat32.then(|| le32(boot, 44)),
    };
    (sound && block.reserved > 0 && block.fat_sectors > 0).then_some(block)
}

enum Searched {
    Label(String),
    /// The directory ends here.
    End,
    /// It may go on in the next cluster.
    Further,
}

/// Follows the root directory of FAT32 through the file allocation table.
fn in_chain(
    reader: &mut Reader<'_, impl ReadAt>,
    block: &Block,
    first: u32,
) -> io::Result<Option<String>> {
    let data = (block.reserved + block.fats * block.fat_sectors) * block.sector;
    let mut cluster = u64::from(first);
    let mut left = MAX_DIRECTORY;
    while left > 0 && (2..0x0fff_fff7).contains(&cluster) {
        let start = data + (cluster - 2) * block.cluster;
        let length = block.cluster.min(left);
        match in_entries(reader, start, length)? {
            Searched::Label(label) => return Ok(Some(label)),
            Searched::End => return Ok(None),
            Searched::Further => left -= length,
        }
        let link = reader.bytes::<4>(block.reserved * block.sector + cluster * 4)?;
        let Some(link) = link else { return Ok(None) };
        cluster = u64::from(u32::from_le_bytes(link) & 0x0fff_ffff);
    }
    Ok(None)
}

fn in_entries(
    reader: &mut Reader<'_, impl ReadAt>,
    start: u64,
    length: u64,
) -> io::Result<Searched> {
    for at in (0..length).step_by(512) {
        let Some(sector) = reader.bytes::<512>(start + at)? else {
            return Ok(Searched::End);
        };
        for entry in sector.chunks_exact(ENTRY) {
            let attribute = entry[ATTRIBUTE];
            let plain = attribute & LONG_NAME != LONG_NAME && entry[0] != 0xe5;
            if entry[0] == 0 {
                return Ok(Searched::End);
            }
            if plain
                && attribute & (VOLUME_ID | DIRECTORY) == VOLUME_ID
                && let Some(label) = label(&entry[..11])
            {
                return Ok(Searched::Label(label));
            }
        }
    }
    Ok(Searched::Further)
}
