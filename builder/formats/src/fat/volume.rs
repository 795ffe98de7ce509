//! The parts of a FAT32 volume, and the sectors that tell of them.

use super::{Head, MIN_SIZE};

/// In bytes.
pub const SECTOR: u64 = 512;
/// The numbers before it are not clusters: their entries say what FAT it is.
pub const FIRST_CLUSTER: u32 = 2;
/// Of the boot sector, which FSInfo follows.
pub const BACKUP_SECTOR: u64 = 6;
/// What stands for "no cluster follows".
pub const END_OF_CHAIN: u32 = 0x0fff_ffff;
/// The two entries before the first cluster's: a hard disk; unmounted in order
/// and without a read error.
pub const FAT_HEAD: [u8; 8] = [0xf8, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0x0f];
/// Sectors before the FAT.
const RESERVED: u64 = 32;
const FATS: u64 = 2;
/// Of a FAT, in bytes.
const ENTRY: u64 = 4;
/// Fewer are a FAT16; Microsoft's text asks for 16 between.
const FEWEST_CLUSTERS: u64 = 65_525 + 16;
/// The largest clusters that are taken, in sectors: a page.
const LARGE: u64 = 8;

/// Sizes that go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Volume {
    /// All of them.
    sectors: u64,
    /// Sectors per cluster.
    per_cluster: u64,
    /// Sectors of one FAT.
    fat: u64,
}

impl Volume {
    /// `size` in whole sectors, `per_cluster` a power of two.
    fn of(size: u64, per_cluster: u64) -> Volume {
        let sectors = size / SECTOR;
        // Some too many, since the FATs themselves have no clusters.
        let clusters = sectors.saturating_sub(RESERVED) / per_cluster + u64::from(FIRST_CLUSTER);
        // To a multiple of 4, so that both end at a page: flash likes it.
        let fat = (clusters * ENTRY).div_ceil(SECTOR).next_multiple_of(4);
        Volume {
            sectors,
            per_cluster,
            fat,
        }
    }

    /// Those of `size` bytes that are FAT32, largest clusters first; none if
    /// it is too small.
    pub fn candidates(size: u64) -> impl Iterator<Item = Volume> {
        let sizes = [LARGE, 4, 2, 1].into_iter();
        let volumes = sizes.map(move |per_cluster| Volume::of(size, per_cluster));
        volumes.filter(move |volume| size >= MIN_SIZE && volume.clusters() >= FEWEST_CLUSTERS)
    }

    /// With clusters of one sector.
    pub fn with_small_clusters(size: u64) -> Volume {
        Volume::of(size, 1)
    }

    /// How many there are.
    pub fn clusters(&self) -> u64 {
        let data = self.sectors.saturating_sub(self.data());
        data / self.per_cluster
    }

    pub fn holds(&self, clusters: u64) -> bool {
        clusters <= self.clusters()
    }

    /// In bytes.
    pub fn cluster_size(&self) -> u64 {
        self.per_cluster * SECTOR
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.sectors * SECTOR
    }

    /// The first sector of the first cluster.
    fn data(&self) -> u64 {
        RESERVED + FATS * self.fat
    }

    /// Where a cluster is, in bytes.
    pub fn position(&self, cluster: u32) -> u64 {
        self.data() * SECTOR + u64::from(cluster - FIRST_CLUSTER) * self.cluster_size()
    }

    /// Where the FATs are, in bytes.
    pub fn fats(&self) -> impl Iterator<Item = u64> {
        let fat = self.fat;
        (0..FATS).map(move |index| (RESERVED + index * fat) * SECTOR)
    }

    /// ```text
    ///   0  jump to 90          24  sectors, heads     64  drive 80h
    ///   3  who wrote it        28  hidden sectors     66  29h: these follow
    ///  11  bytes per sector    32  sectors            67  volume id
    ///  13  sectors per cluster 36  sectors of a FAT   71  label
    ///  14  reserved sectors    44  root's cluster     82  "FAT32   "
    ///  16  FATs                48  FSInfo's sector    90  code
    ///  21  F8h: a hard disk    50  the backup's      510  55h AAh
    /// ```
    pub fn boot_sector(&self, head: &Head) -> [u8; SECTOR as usize] {
        let mut sector = [0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0xeb, 0x58, 0x90]);
        put(3, b"NODEIMG ");
        put(11, &(SECTOR as u16).to_le_bytes());
        put(13, &[self.per_cluster as u8]);
        put(14, &(RESERVED as u16).to_le_bytes());
        put(16, &[FATS as u8]);
        put(21, &[0xf8]);
        // No geometry means anything today; readers want one all the same.
        put(24, &63u16.to_le_bytes());
        put(26, &255u16.to_le_bytes());
        put(32, &(self.sectors as u32).to_le_bytes());
        put(36, &(self.fat as u32).to_le_bytes());
        put(44, &FIRST_CLUSTER.to_le_bytes());
        put(48, &1u16.to_le_bytes());
        put(50, &(BACKUP_SECTOR as u16).to_le_bytes());
        put(64, &[0x80, 0, 0x29]);
        put(67, &head.volume_id.to_le_bytes());
        put(71, &head.label.unwrap_or(*b"NO NAME    "));
        put(82, b"FAT32   ");
        // For a BIOS that comes here: halt, for ever.
        put(90, &[0xf4, 0xeb, 0xfd]);
        put(510, &[0x55, 0xaa]);
        sector
    }

    /// ```text
    ///   0  "RRaA"   484  "rrAa"   488  free clusters   492  the first of them
    /// 508  00 00 55 AA
    /// ```
    pub fn info_sector(&self, free_from: u32) -> [u8; SECTOR as usize] {
        let mut sector = [0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        let end = self.clusters() as u32 + FIRST_CLUSTER;
        // FFFFFFFF: not known, if none is free.
        let hint = if free_from < end { free_from } else { u32::MAX };
        put(0, b"RRaA");
        put(484, b"rrAa");
        put(488, &(end - free_from).to_le_bytes());
        put(492, &hint.to_le_bytes());
        put(510, &[0x55, 0xaa]);
        sector
    }
}
