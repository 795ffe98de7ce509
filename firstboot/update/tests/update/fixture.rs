//! A small image in several versions, a disk that runs one of them, and an update's files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use nodeimg_formats::blocks::{Blocks, Part};
use nodeimg_formats::fat;
use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::pe::{NewSection, with_sections};
use nodeimg_formats::update::{Compressed, Content, Manifest, Root, SCHEMA, State, Uki, stem};
use nodeimg_formats::verity::{self, Data, Params, RootHash};
use nodeimg_update::engine::{Job, Moved, Prepared};
use nodeimg_update::esp::Volume;
use nodeimg_update::slots::Slots;
use nodeimg_update::source::{Patience, Source};
use nodeimg_values::epoch::Epoch;
use sha2::{Digest, Sha256};

pub const BLOCK: usize = 4096;
const SLOT: u64 = 2 << 20;
const TREE: u64 = 1 << 20;
/// The kinds of a disk for amd64: ESP, root, its tree, state.
const KINDS: [u128; 4] = [
    0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b,
    0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
    0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5,
    0x0fc63daf_8483_4772_8e79_3d69d8477de4,
];

/// One version of the image `node`.
#[derive(Clone)]
pub struct Version {
    pub version: String,
    pub root: Vec<u8>,
    pub tree: Vec<u8>,
    pub hash: RootHash,
    pub uki: Vec<u8>,
    salt: [u8; 32],
}

/// A block that no other number gives.
pub fn block(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = (0..BLOCK / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

impl Version {
    /// Of blocks by their numbers.
    pub fn of(version: &str, blocks: impl IntoIterator<Item = u64>) -> Version {
        Version::salted(version, blocks, [7; 32])
    }

    pub fn salted(version: &str, blocks: impl IntoIterator<Item = u64>, salt: [u8; 32]) -> Version {
        let root: Vec<u8> = blocks.into_iter().flat_map(block).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&root).unwrap();
        let mut tree = Vec::new();
        let data = Data {
            file: &file,
            start: 0,
            size: root.len() as u64,
        };
        let params = Params {
            salt,
            uuid: Guid::derived(&["tree"]),
        };
        let hash = verity::write(data, &params, &mut tree).unwrap();
        Version {
            version: version.to_owned(),
            uki: uki(version, hash),
            root,
            tree,
            hash,
            salt,
        }
    }

    pub fn stem(&self) -> String {
        stem("node", &self.version, "amd64")
    }

    pub fn label(&self) -> String {
        format!("node_{}", self.version)
    }

    pub fn manifest(&self) -> Manifest {
        let content = |end: &str, bytes: &[u8]| Content {
            file: format!("{}{end}", self.stem()),
            size: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        };
        let packed = zstd::encode_all(&self.uki[..], 3).unwrap();
        Manifest {
            schema: SCHEMA,
            id: "node".to_owned(),
            version: self.version.clone(),
            architecture: "amd64".to_owned(),
            root: Root {
                content: content(".root.raw", &self.root),
                roothash: self.hash.to_string(),
                salt: hex(&self.salt),
                data_block: 4096,
            },
            verity: content(".verity.raw", &self.tree),
            uki: Uki {
                content: content(".efi", &self.uki),
                compressed: Some(Compressed {
                    file: format!("{}.efi.zst", self.stem()),
                    size: packed.len() as u64,
                }),
            },
            slot: SLOT,
            state: State {
                version: 1,
                reads_from: 1,
            },
            requires: None,
            hold: false,
            waves: Vec::new(),
        }
    }

    /// Writes the update's files, unsigned.
    pub fn publish(&self, to: &Path) -> Manifest {
        self.publish_as(to, self.manifest())
    }

    pub fn publish_as(&self, to: &Path, manifest: Manifest) -> Manifest {
        fs::create_dir_all(to).unwrap();
        let put = |end: &str, bytes: &[u8]| {
            fs::write(to.join(format!("{}{end}", self.stem())), bytes).unwrap();
        };
        put(".root.raw", &self.root);
        put(".verity.raw", &self.tree);
        put(".efi.zst", &zstd::encode_all(&self.uki[..], 3).unwrap());
        put(".update.json", &serde_json::to_vec(&manifest).unwrap());
        manifest
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A program with what nodeimg's UKIs have, and a kernel of some bytes.
fn uki(version: &str, hash: RootHash) -> Vec<u8> {
    let line = format!("roothash={hash} quiet");
    let release = format!("ID=debian\nIMAGE_ID=node\nIMAGE_VERSION={version}\n");
    let kernel: Vec<u8> = [block(1), version.as_bytes().to_vec()].concat();
    let section = |name, bytes| NewSection { name, bytes };
    with_sections(
        &program(),
        &[
            section(".osrel", release.as_bytes()),
            section(".cmdline", line.as_bytes()),
            section(".linux", &kernel),
        ],
    )
    .unwrap()
}

/// The smallest program that sections can be added to.
fn program() -> Vec<u8> {
    let mut image = vec![0; 0x600];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664u16.to_le_bytes());
    put(0x86, &1u16.to_le_bytes());
    put(0x94, &240u16.to_le_bytes());
    put(0x96, &0x22eu16.to_le_bytes());
    put(0x98, &0x20bu16.to_le_bytes());
    for (at, number) in [
        (16, 0x1000),
        (32, 0x1000),
        (36, 0x200),
        (56, 0x2000),
        (60, 0x400),
    ] {
        put(0x98 + at, &u32::to_le_bytes(number));
    }
    put(0x98 + 108, &16u32.to_le_bytes());
    let table = 0x98 + 240;
    put(table, b".text");
    for (at, number) in [
        (8, 16),
        (12, 0x1000),
        (16, 0x200),
        (20, 0x400),
        (36, 0x6000_0020),
    ] {
        put(table + at, &u32::to_le_bytes(number));
    }
    image
}

/// A disk in a file, as first boot has left it: slot A, an empty slot B, the state.
pub struct Machine {
    pub folder: tempfile::TempDir,
    pub disk: File,
    pub size: u64,
    pub running: RootHash,
}

fn places() -> ([Extent; 6], u64) {
    let esp = Extent::first(fat::MIN_SIZE);
    let tree = esp.then(TREE);
    let root = tree.then(SLOT);
    let tree_b = root.then(TREE);
    let root_b = tree_b.then(SLOT);
    let state = root_b.then(1 << 20);
    (
        [esp, tree, root, tree_b, root_b, state],
        gpt::disk_size(state),
    )
}

impl Machine {
    pub fn running(version: &Version) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let (places, size) = places();
        let disk = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.path().join("disk"))
            .unwrap();
        let (first, second) = version.hash.halves();
        let label = version.label();
        let names = ["esp", &label, &label, "_empty", "_empty", "state"];
        let kinds = [0, 2, 1, 2, 1, 3].map(|at| Guid::known(KINDS[at]));
        let unique = |at: usize| match at {
            1 => second,
            2 => first,
            at => Guid::derived(&["partition", &at.to_string()]),
        };
        let partitions: Vec<Partition<'_>> = (0..6)
            .map(|at| Partition {
                kind: kinds[at],
                unique: unique(at),
                name: names[at],
                flags: if (1..5).contains(&at) { 1 << 60 } else { 0 },
                place: places[at],
            })
            .collect();
        gpt::write(&disk, size, Guid::derived(&["disk"]), &partitions).unwrap();
        disk.write(&version.tree, places[1].start).unwrap();
        disk.write(&version.root, places[2].start).unwrap();
        let machine = Machine {
            folder,
            disk,
            size,
            running: version.hash,
        };
        machine.write_esp(version, places[0]);
        machine
    }

    fn write_esp(&self, version: &Version, place: Extent) {
        let loader = b"a boot loader".to_vec();
        let files = [
            ("EFI/BOOT/BOOTX64.EFI".to_owned(), &loader),
            (format!("EFI/Linux/{}.efi", version.label()), &version.uki),
            ("loader/loader.conf".to_owned(), &loader),
        ];
        let files: Vec<fat::File<'_>> = files
            .iter()
            .map(|(path, content)| fat::File {
                path: path.clone(),
                content: *content,
            })
            .collect();
        let options = fat::Options {
            size: place.size,
            label: "ESP",
            volume_id: 1,
            epoch: Epoch(1_700_000_000),
        };
        let mut volume = tempfile::tempfile().unwrap();
        fat::write(&files, &options, &mut volume).unwrap();
        volume.set_len(place.size).unwrap();
        let mut bytes = vec![0; place.size as usize];
        volume.read(&mut bytes, 0).unwrap();
        self.disk.write(&bytes, place.start).unwrap();
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// It boots the other slot now.
    pub fn boots(&mut self, version: &Version) {
        self.running = version.hash;
    }

    pub fn slots(&self) -> Slots {
        Slots::of(&self.disk, self.size, self.running).unwrap()
    }

    pub fn install(&self, manifest: &Manifest, source: &dyn Source) -> anyhow::Result<Moved> {
        install(&self.disk, self.size, self.running, manifest, source)
    }
}

pub const QUICK: Patience = Patience {
    attempts: 3,
    pause: std::time::Duration::from_millis(1),
    parallel: 4,
};

/// All steps on the disk `blocks`.
pub fn install(
    blocks: &dyn Blocks,
    size: u64,
    running: RootHash,
    manifest: &Manifest,
    source: &dyn Source,
) -> anyhow::Result<Moved> {
    let job = Job {
        manifest,
        source,
        disk: blocks,
        patience: QUICK,
        tell: &|_| {},
    };
    let prepared: Prepared = job.prepare()?;
    let mut slots = Slots::of(blocks, size, running)?;
    let part = Part {
        of: blocks,
        start: slots.esp.start,
        size: slots.esp.size,
    };
    let mut esp = Volume::open(&part, part.size)?;
    job.install(&prepared, &mut slots, &mut esp)
}
