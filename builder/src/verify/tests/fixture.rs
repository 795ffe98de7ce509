//! A small image with all that a signed build has, made by the builder's own writers.

mod parts;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::region::Region;
use nodeimg_formats::squashfs::Options;
use nodeimg_formats::verity::{self, Data, Params, RootHash};
use nodeimg_formats::{fat, qcow2};
use nodeimg_seed::contract::paths::BINARY_PATH;
use nodeimg_test_support::keys;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use serde_json::json;

use crate::image::boot::Parts;
use crate::output::manifest::{self, Manifest, Output};
use crate::output::sign::{self, Keys};
use crate::output::{discoverable, esp, provenance, sbom};
use crate::tree::{Content, ImagePath, Node, Origin, Tree, squashfs};

pub use parts::{efi_program, lock, uki};
use parts::{go_program, inputs, noise};

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
    qcow2::write(&file, 0, &mut image).unwrap();
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
