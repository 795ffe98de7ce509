//! A small image with all that a signed build has, made by the builder's own writers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::pe::{self, NewSection};
use nodeimg_formats::region::Region;
use nodeimg_formats::squashfs::Options;
use nodeimg_formats::verity::{self, Data, Params, RootHash};
use nodeimg_formats::{fat, qcow2};
use nodeimg_seed::contract::paths::BINARY_PATH;
use nodeimg_test_support::keys;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};
use nodeimg_values::epoch::Epoch;
use serde_json::json;

use crate::image::boot::Parts;
use crate::input::lock::{Lock, Packages, Pin, Pins, TopDigest, Vouch};
use crate::input::recipe::request::{ArtifactRequest, ImageRequest};
use crate::input::recipe::tests::recipe;
use crate::output::manifest::{self, Manifest, Output, PinnedInputs};
use crate::output::sign::{self, Keys};
use crate::output::{discoverable, esp, provenance, sbom};
use crate::tree::{Content, ImagePath, Node, Origin, Tree, squashfs};

pub const EPOCH: Epoch = Epoch(1_789_199_741);
pub const UKI: &str = "EFI/Linux/tiny_1.0.efi";
pub const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// What the recipe says in the end.
const KEYS: &str = "[[secure_boot]]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n\
                    [root_hash]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n\
                    [checksums]\nkey = \"release.key\"\n\
                    [enroll]\npk = { key = \"pk.key\", certificate = \"pk.pem\" }\n\
                    kek = { key = \"pk.key\", certificate = \"pk.pem\" }\ndb = [\"db.pem\"]\n";
const STATUS: &str = "Package: libx1\nStatus: install ok installed\nVersion: 2.0-1\n\
    Architecture: amd64\nMaintainer: X <x@lists.example>\n\nPackage: tool\n\
    Status: install ok installed\nVersion: 1.0~rc1\nArchitecture: all\n\
    Maintainer: Jane Doe <jane@example.org>\nDepends: libx1\n\n";

/// Keys and a signed image.
pub struct Fixture {
    pub place: tempfile::TempDir,
    pub keys: PathBuf,
    pub image: PathBuf,
}

impl Fixture {
    /// `None`, with a printed skip, without openssl. `words` are in a file of the image.
    pub fn new(words: &str) -> Option<Fixture> {
        let place = tempfile::tempdir().unwrap();
        let keys = keys::Keys::make(&place.path().join("keys"), &["pk", "db", "other"])?;
        let file = keys.file("keys.toml", KEYS);
        let image = place.path().join("image");
        fs::create_dir(&image).unwrap();
        build(&image, words);
        sign::sign(&image, &Keys::open(&file, None).unwrap(), None).unwrap();
        Some(Fixture {
            keys: keys.folder,
            image,
            place,
        })
    }

    /// A copy, to be changed.
    pub fn copy(&self, name: &str) -> PathBuf {
        let to = self.place.path().join(name);
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(&self.image).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

/// An ELF file as Go links it, with one module.
fn go_program() -> Vec<u8> {
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    let modules = "path\texample.org/tool\nmod\texample.org/tool\tv1.0.0\t\n\
                   dep\texample.org/a/b\tv1.2.3\th1:abc=\n";
    let marked = format!("{}{modules}{}", "m".repeat(16), "n".repeat(16));
    for text in ["go1.24.4", &marked] {
        let length = text.len();
        match length {
            0..=0x7f => info.push(length as u8),
            _ => info.extend([length as u8 | 0x80, (length >> 7) as u8]),
        }
        info.extend(text.as_bytes());
    }
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(0x200, 0);
    let (at, size) = (file.len() as u64, info.len() as u64);
    file.extend(info);
    let names = file.len() as u64;
    file.extend(b"\0.go.buildinfo\0.shstrtab\0");
    let table = file.len() as u64;
    for (name, offset, size) in [(0_u32, 0, 0), (1, at, size), (15, names, 25)] {
        let mut header = vec![0; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[24..32].copy_from_slice(&u64::to_le_bytes(offset));
        header[32..40].copy_from_slice(&u64::to_le_bytes(size));
        file.extend(header);
    }
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[58..64].copy_from_slice(&[64, 0, 3, 0, 2, 0]);
    file
}

/// An EFI program of one section, with room for more headers.
pub fn efi_program(content: u8) -> Vec<u8> {
    let mut image = vec![0; 0x600];
    image[..2].copy_from_slice(b"MZ");
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |number: u32| number.to_le_bytes();
    put(60, &number(0x80));
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664_u16.to_le_bytes());
    put(0x86, &1_u16.to_le_bytes());
    put(0x94, &240_u16.to_le_bytes());
    put(0x96, &0x22e_u16.to_le_bytes());
    let optional = 0x98;
    put(optional, &0x20b_u16.to_le_bytes());
    for (at, value) in [
        (16, 0x1000),
        (32, 0x1000),
        (36, 0x200),
        (56, 0x2000),
        (60, 0x400),
    ] {
        put(optional + at, &number(value));
    }
    put(optional + 68, &10_u16.to_le_bytes());
    put(optional + 108, &number(16));
    let table = optional + 240;
    put(table, b".text");
    for (at, value) in [
        (8, 0x200),
        (12, 0x1000),
        (16, 0x200),
        (20, 0x400),
        (36, 0x6000_0020),
    ] {
        put(table + at, &number(value));
    }
    image[0x400..].fill(content);
    image
}

/// systemd's stub with these sections.
pub fn uki(root: &str, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let line = format!("roothash={root} root=/dev/mapper/root ro");
    let mut all: Vec<(&str, &[u8])> = vec![
        (".osrel", b"ID=debian\n"),
        (".cmdline", line.as_bytes()),
        (".uname", b"6.12.1"),
        (".initrd", b"initrd"),
        (".linux", b"kernel"),
    ];
    for (name, bytes) in sections {
        match all.iter_mut().find(|(own, _)| own == name) {
            Some(own) => own.1 = bytes,
            None => all.push((name, bytes)),
        }
    }
    let all: Vec<NewSection<'_>> = all
        .into_iter()
        .map(|(name, bytes)| NewSection { name, bytes })
        .collect();
    pe::with_sections(&efi_program(1), &all).unwrap()
}

fn tree(words: &str) -> Tree {
    let mut tree = Tree::default();
    let names = format!("{}\nexample.org/pause:1\n", Digest::sha256(b"manifest"));
    let files: [(&str, u32, Vec<u8>); 9] = [
        ("/etc/debian_version", 0o644, b"13.8\n".to_vec()),
        ("/etc/motd", 0o640, words.as_bytes().to_vec()),
        ("/usr/bin/tool", 0o755, go_program()),
        (
            "/usr/lib/os-release",
            0o644,
            b"ID=debian\nVERSION_ID=\"13\"\n".to_vec(),
        ),
        (
            "/usr/lib/nodeimg/images/pause.names",
            0o644,
            names.into_bytes(),
        ),
        ("/usr/lib/nodeimg/images/pause.tar", 0o644, b"tar".to_vec()),
        (BINARY_PATH, 0o755, b"first boot".to_vec()),
        ("/usr/lib/sysimage/dpkg/status", 0o644, STATUS.into()),
        ("/usr/share/noise", 0o644, noise(700_000)),
    ];
    for (path, mode, bytes) in files {
        let node = Node::file(Content::inline(bytes), mode, Origin::Implied);
        tree.insert(path.parse().unwrap(), node).unwrap();
    }
    for (path, target) in ImagePath::merged_usr(true) {
        tree.insert(path, Node::symlink(target, Origin::Implied))
            .unwrap();
    }
    tree
}

/// What the image is made of.
pub fn lock() -> Lock {
    let artifact = ArtifactRequest {
        name: "tool".parse().unwrap(),
        arch: Arch::Amd64,
        version: "1".parse().unwrap(),
        url: "https://example.org/tool".into(),
        checksum: None,
    };
    let container = ImageRequest {
        name: "pause".parse().unwrap(),
        arch: Arch::Amd64,
        image: "example.org/pause:1".parse().unwrap(),
    };
    let pins = Pins {
        artifacts: vec![Pin {
            request: artifact,
            bytes: Expected::of(&Digest::sha256(b"artifact"), None),
            vouch: Vouch::default(),
        }],
        images: vec![Pin {
            request: container,
            bytes: TopDigest {
                digest: Digest::sha256(b"index"),
            },
            vouch: Vouch::default(),
        }],
        packages: Packages::default(),
    };
    Lock::new(&recipe(""), EPOCH, pins)
}

fn inputs() -> PinnedInputs {
    let artifact = manifest::Artifact {
        name: "tool".into(),
        version: "1".into(),
        url: "https://example.org/tool".into(),
        sha256: Some(Digest::sha256(b"artifact")),
        sha512: None,
        size: Some(8),
        vouch: Default::default(),
    };
    let container = manifest::ContainerImage {
        name: "pause".into(),
        image: "example.org/pause:1".into(),
        digest: Digest::sha256(b"index"),
        manifest: Digest::sha256(b"manifest"),
        names: vec!["example.org/pause:1".into()],
        size: 3,
        vouch: Default::default(),
    };
    PinnedInputs {
        artifacts: vec![artifact],
        images: vec![container],
        ..PinnedInputs::default()
    }
}

/// A disk under way.
struct Made {
    root: RootHash,
    hashes: Extent,
    data: Extent,
    uki: Vec<u8>,
    written: squashfs::Written,
}

fn disk(file: &File, tree: &Tree) -> Made {
    let place = Extent::first(fat::MIN_SIZE);
    let hashes = place.then(1 << 20);
    let start = hashes.then(0).start;
    let mut region = BufWriter::new(Region::new(file, start));
    let written = squashfs::write(tree, EPOCH, &Options::default(), &mut region).unwrap();
    region.flush().unwrap();
    drop(region);
    file.set_len(start + written.size).unwrap();
    let data = hashes.then(written.size);
    let range = Data {
        file,
        start: data.start,
        size: data.size,
    };
    let params = Params {
        salt: [3; 32],
        uuid: Guid::derived(&["tree"]),
    };
    let root = verity::write(range, &params, &mut Region::new(file, hashes.start)).unwrap();
    let uki = uki(&root.to_string(), &[]);
    let partitions = partitions(root, place, hashes, data);
    let guid = Guid::derived(&["disk", &root.to_string()]);
    gpt::write(file, gpt::disk_size(data), guid, &partitions).unwrap();
    let files = BTreeMap::from([
        (LOADER.to_owned(), efi_program(2)),
        (UKI.to_owned(), uki.clone()),
        ("loader/loader.conf".to_owned(), esp::LOADER.to_vec()),
    ]);
    write_esp(file, place, &files);
    Made {
        root,
        hashes,
        data,
        uki,
        written,
    }
}

fn partitions(
    root: RootHash,
    place: Extent,
    hashes: Extent,
    data: Extent,
) -> Vec<Partition<'static>> {
    let [data, hashes] = discoverable::verified_root(Arch::Amd64, root, data, hashes);
    let esp = Partition {
        kind: esp::KIND,
        unique: Guid::derived(&["esp"]),
        name: "esp",
        flags: 0,
        place,
    };
    vec![
        esp,
        Partition {
            name: "hashes-a",
            ..hashes
        },
        Partition {
            name: "root-a",
            ..data
        },
    ]
}

/// Writes these files as the ESP, which is empty or had others.
pub fn write_esp(file: &File, place: Extent, files: &BTreeMap<String, Vec<u8>>) {
    let piece = vec![0; 1 << 20];
    for at in (place.start..place.end()).step_by(1 << 20) {
        file.write_all_at(&piece, at).unwrap();
    }
    let options = fat::Options {
        size: place.size,
        label: esp::LABEL,
        volume_id: esp::volume_id(Guid::derived(&["esp"])),
        epoch: EPOCH,
    };
    let files: Vec<fat::File<'_>> = files
        .iter()
        .map(|(path, content)| fat::File {
            path: path.clone(),
            content,
        })
        .collect();
    let mut region = BufWriter::new(Region::new(file, place.start));
    fat::write(&files, &options, &mut region).unwrap();
    region.flush().unwrap();
}

fn build(directory: &Path, words: &str) {
    let mut tree = tree(words);
    let bill = sbom::tests::embedded(
        &mut tree,
        &Digest::sha256(b"artifact"),
        &Digest::sha256(b"index"),
    );
    let raw = directory.join("disk.raw");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&raw)
        .unwrap();
    let made = disk(&file, &tree);
    let part = |place: Extent, length: u64| {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, place.start).unwrap();
        bytes
    };
    fs::write(
        directory.join("root.squashfs"),
        part(made.data, made.data.size),
    )
    .unwrap();
    let tree_size = verity::size_for(made.data.size);
    fs::write(directory.join("root.verity"), part(made.hashes, tree_size)).unwrap();
    fs::write(directory.join("root.roothash"), format!("{}\n", made.root)).unwrap();
    fs::write(directory.join("uki.efi"), &made.uki).unwrap();
    let mut image = File::create(directory.join("disk.qcow2")).unwrap();
    qcow2::write(&file, &mut image).unwrap();
    drop(image);
    describe(directory, &tree, bill, &made, &file);
}

fn describe(directory: &Path, tree: &Tree, mut bill: sbom::Bill, made: &Made, disk: &File) {
    let measured = |name: &str| Output::of(name, &fs::read(directory.join(name)).unwrap());
    let names = [
        "disk.qcow2",
        "disk.raw",
        "root.squashfs",
        "root.verity",
        "root.roothash",
        "uki.efi",
    ];
    let mut outputs: Vec<Output> = names.into_iter().map(measured).collect();
    let parts = Parts {
        release: "6.12.1".into(),
        kernel: Content::inline(&b"kernel"[..]),
        stub: Content::inline(efi_program(1)),
        loader: Content::inline(efi_program(2)),
    };
    let boot = sbom::boot::Boot::of(&parts, &made.uki, made.root).unwrap();
    sbom::boot::add(&mut bill, &outputs, Some(&boot));
    outputs.extend(sbom::write(&bill, directory).unwrap());
    let image = manifest::Image {
        name: "tiny".into(),
        version: "1.0".into(),
        arch: Arch::Amd64,
        recipe: Digest::sha256(b"recipe"),
        epoch: EPOCH,
        writable: Vec::new(),
        mounts: Vec::new(),
        components: Vec::new(),
    };
    let digests = &made.written.digests;
    let mut manifest = Manifest::new(image, inputs(), tree, digests, outputs.clone()).unwrap();
    manifest.disk = Some(manifest::Disk::from(&gpt::read(disk).unwrap()));
    let text = manifest.to_json().unwrap();
    fs::write(directory.join("manifest.json"), &text).unwrap();
    outputs.push(Output::of("manifest.json", text.as_bytes()));
    let mut subject: Vec<_> = outputs
        .iter()
        .map(|one| json!({ "name": one.file, "digest": { "sha256": one.sha256.hex() } }))
        .collect();
    subject
        .push(json!({ "name": "dm-verity:root", "digest": { "sha256": made.root.to_string() } }));
    let dependency = |name: &str, bytes: &[u8]| json!({ "name": name, "digest": { "sha256": Digest::sha256(bytes).hex() } });
    let statement = json!({
        "_type": provenance::STATEMENT,
        "subject": subject,
        "predicateType": provenance::PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": provenance::build_type(),
                "externalParameters": {
                    "recipe": "tiny", "version": "1.0", "arch": "amd64", "outputs": ["disk"],
                },
                "resolvedDependencies": [
                    dependency("lock", lock().text().as_bytes()),
                    dependency("artifact/tool", b"artifact"),
                    dependency("image/pause", b"index"),
                ],
            },
            "runDetails": { "builder": { "id": "test" }, "byproducts": [] },
        },
    });
    let text = format!("{statement:#}\n");
    fs::write(directory.join(provenance::FILE), &text).unwrap();
    outputs.push(Output::of(provenance::FILE, text.as_bytes()));
    fs::write(directory.join("SHA256SUMS"), manifest::checksums(&outputs)).unwrap();
}
