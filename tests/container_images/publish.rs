//! Images in a registry: published, found by those who look for them, and pulled again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::push_registry::{Fault, Kind, Location, Pushed};
use nodeimg_test_support::run::{self, Ran, listing};
use nodeimg_test_support::{archive, layout};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Output directories of images that are for two machines.
pub struct Images(TempDir);

const DISK: usize = 24 << 20;

impl Images {
    pub fn new() -> Images {
        let images = Images(tempfile::tempdir().unwrap());
        for arch in ["amd64", "arm64"] {
            images.write(arch, "1.0.0", &[]);
        }
        images
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// A directory as `nodeimg build` writes it, of files that nobody boots; `more` beside.
    pub fn write(&self, arch: &str, version: &str, more: &[(&str, &[u8])]) {
        let at = self.path(arch);
        let _ = fs::remove_dir_all(&at);
        fs::create_dir_all(&at).unwrap();
        let text = |what: &str| format!("{what} of {arch} {version}").into_bytes();
        // Mostly holes, and not a whole number of blocks.
        let disk = fs::File::create(at.join("disk.raw")).unwrap();
        disk.write_all_at(&text("boot"), 1 << 20).unwrap();
        disk.write_all_at(&text("root"), (DISK - (3 << 20)) as u64)
            .unwrap();
        disk.set_len(DISK as u64 + 512).unwrap();
        for (name, bytes) in [
            ("disk.qcow2", text("qcow2").repeat(40_000)),
            ("sbom.spdx.json", text("{}")),
            ("sbom.cdx.json", text("{}")),
            ("provenance.json", statement(arch, version)),
        ] {
            fs::write(at.join(name), bytes).unwrap();
        }
        for (name, bytes) in more {
            fs::write(at.join(name), bytes).unwrap();
        }
        let manifest = json!({ "image": {
            "name": "tiny", "version": version, "arch": arch, "epoch": 1_790_000_000,
        } });
        fs::write(at.join("manifest.json"), manifest.to_string()).unwrap();
        let mut sums = String::new();
        for name in listing(&at) {
            let bytes = fs::read(at.join(&name)).unwrap();
            let digest = layout::digest(&bytes);
            sums += &format!("{}  {name}\n", digest.strip_prefix("sha256:").unwrap());
        }
        fs::write(at.join("SHA256SUMS"), sums).unwrap();
        fs::write(at.join("SHA256SUMS.sig"), b"signature").unwrap();
    }

    pub fn nodeimg(&self, words: &[&str]) -> Command {
        let mut command = run::nodeimg();
        command
            .current_dir(self.0.path())
            .env("HOME", self.path("home"))
            .args(words);
        command
    }

    pub fn publish(&self, arch: &str, to: &str) -> Ran {
        Ran::of(
            self.nodeimg(&["publish", arch, to, "--retries", "2"])
                .env("TMPDIR", self.0.path()),
        )
    }

    pub fn pull(&self, from: &str, to: &str, more: &[&str]) -> Ran {
        let words = [&["pull", from, to, "--retries", "2"], more].concat();
        Ran::of(&mut self.nodeimg(&words))
    }
}

fn statement(arch: &str, version: &str) -> Vec<u8> {
    let key = &layout::digest(format!("{arch} {version}").as_bytes())[7..39];
    let statement = json!({ "predicate": { "buildDefinition": {
        "internalParameters": { "buildKey": key } } } });
    statement.to_string().into_bytes()
}

/// What is in a directory, by name.
pub fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = listing(directory).into_iter();
    names
        .map(|name| {
            let bytes = fs::read(directory.join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

fn name(registry: &Pushed) -> String {
    format!("oci://{}/team/tiny", registry.address())
}

fn manifests(index: &Value) -> Vec<Value> {
    index["manifests"].as_array().unwrap().clone()
}

/// How often it was asked for something other than to look.
fn writes(registry: &Pushed) -> usize {
    let asked = registry.asked();
    let looks = |method: &str| ["GET", "HEAD"].contains(&method);
    asked.iter().filter(|asked| !looks(&asked.method)).count()
}

#[test]
fn two_architectures_are_one_index_and_come_back_as_they_were() {
    for referrers in [false, true] {
        let registry = Pushed::start(Kind {
            referrers,
            location: Location::Query,
            ..Kind::default()
        });
        let (images, name) = (Images::new(), name(&registry));
        images.publish("arm64", &name).good();
        let ran = images.publish("amd64", &name).good();
        assert!(
            ran.err.contains("team/tiny:1.0.0-containerdisk"),
            "{}",
            ran.err
        );
        let index = registry.document("team/tiny", "1.0.0").unwrap();
        let found = manifests(&index);
        let of = |arch: &str| {
            let fits = |one: &&Value| one["platform"]["architecture"] == arch;
            found.iter().filter(fits).count()
        };
        assert_eq!(
            (of("amd64"), of("arm64"), found.len()),
            (3, 3, 6),
            "{index}"
        );
        for arch in ["amd64", "arm64"] {
            let to = format!("pulled/{arch}");
            images
                .pull(&format!("{name}:1.0.0"), &to, &["--arch", arch])
                .good();
            assert_eq!(contents(&images.path(&to)), contents(&images.path(arch)));
        }
        let left = fs::read_dir(images.path("pulled")).unwrap().count();
        assert_eq!(left, 2, "no store is left");
        // Again, and nothing is to be done.
        registry.forget();
        let ran = images.publish("amd64", &name).good();
        assert!(ran.err.contains("already"), "{}", ran.err);
        assert_eq!(writes(&registry), 0, "{:?}", registry.asked());
        assert!(registry.asked().len() < 16, "{:?}", registry.asked());
        // The key that the build has.
        let tags = registry.tags("team/tiny");
        let keys: Vec<&String> = tags.iter().filter(|tag| tag.starts_with("key-")).collect();
        assert_eq!(keys.len(), 2, "{tags:?}");
        let lists = tags.iter().filter(|tag| tag.starts_with("sha256-")).count();
        assert_eq!(lists, if referrers { 0 } else { 2 }, "{tags:?}");
    }
}

#[test]
fn two_who_publish_at_once_lose_nothing() {
    for _ in 0..5 {
        let registry = Pushed::start(Kind::default());
        let (images, name) = (Images::new(), format!("{}:1", name(&registry)));
        std::thread::scope(|scope| {
            for arch in ["amd64", "arm64"] {
                scope.spawn(|| images.publish(arch, &name).good());
            }
        });
        let index = registry.document("team/tiny", "1").unwrap();
        assert_eq!(manifests(&index).len(), 6, "{index}");
        let disks = registry.document("team/tiny", "1-containerdisk").unwrap();
        assert_eq!(manifests(&disks).len(), 2, "{disks}");
    }
}

#[test]
fn a_new_version_sends_only_what_is_new() {
    let registry = Pushed::start(Kind {
        mounts: true,
        ..Kind::default()
    });
    let (images, name) = (Images::new(), name(&registry));
    images.publish("amd64", &format!("{name}:1")).good();
    let before = registry.blobs("team/tiny");
    images.write("amd64", "1.0.0", &[("more.json", b"{}x")]);
    images.publish("amd64", &format!("{name}:2")).good();
    // The file, its checksums, and their list in manifests: no disk.
    assert_eq!(registry.blobs("team/tiny"), before + 2);
    // Elsewhere at the same registry nothing is sent at all.
    registry.forget();
    let other = format!("oci://{}/prod/tiny:2", registry.address());
    let words = ["publish", "amd64", &other, "--mount-from", &name];
    let ran = Ran::of(&mut images.nodeimg(&words)).good();
    assert!(ran.err.contains(": 0 files sent"), "{}", ran.err);
    images.pull(&other, "again", &[]).good();
    assert_eq!(
        contents(&images.path("again")),
        contents(&images.path("amd64"))
    );
}

#[test]
fn a_part_can_be_taken() {
    let registry = Pushed::start(Kind::default());
    let (images, name) = (Images::new(), name(&registry));
    images.publish("amd64", &name).good();
    let from = format!("{name}:1.0.0");
    let small = |with: &str| {
        let mut all: Vec<String> = contents(&images.path("amd64")).into_keys().collect();
        all.retain(|name| !name.starts_with("disk."));
        all.push(with.to_owned());
        all.sort();
        all
    };
    for disk in ["disk.qcow2", "disk.raw", "disk.raw.zst"] {
        let pulled = images.pull(&from, "part", &["--disk", disk]);
        if disk == "disk.raw.zst" {
            // It was packed on its way only: the directory has none.
            pulled.refused(1, &["has no disk.raw.zst", "disk.qcow2, disk.raw"]);
            continue;
        }
        pulled.good();
        assert_eq!(listing(&images.path("part")), small(disk));
    }
    images
        .pull(&from, "update", &["--update"])
        .refused(1, &["has no update"]);
    images
        .pull(&from, "arm", &["--arch", "arm64"])
        .refused(1, &["no image for arm64: it is for amd64"]);
    // Whoever wrote it, what is in the way stays.
    fs::create_dir_all(images.path("mine")).unwrap();
    fs::write(images.path("mine/letter"), b"dear").unwrap();
    images.pull(&from, "mine", &[]).refused(1, &["letter"]);
    assert_eq!(listing(&images.path("mine")), ["letter"]);
}

#[test]
fn a_changed_directory_is_not_published() {
    let registry = Pushed::start(Kind::default());
    let (images, name) = (Images::new(), name(&registry));
    fs::write(images.path("amd64/disk.qcow2"), b"another").unwrap();
    images.publish("amd64", &name).refused(
        1,
        &["amd64/disk.qcow2", "SHA256SUMS", "build the image again"],
    );
    assert_eq!(registry.asked(), []);
    images.write("amd64", "1.0.0", &[]);
    fs::write(images.path("amd64/notes.txt"), b"mine").unwrap();
    let ran = images.publish("amd64", &name).good();
    assert!(
        ran.err.contains("not published") && ran.err.contains("notes.txt"),
        "{}",
        ran.err
    );
    images.publish("home", &name).refused(1, &["home"]);
    for (address, wanted) in [
        ("oci://team/x", "does not name a registry"),
        ("docker://a.b/x", "write oci://"),
        ("oci://me:hunter2@a.b/x", "log in with"),
    ] {
        let ran = images.publish("amd64", address).refused(2, &[wanted]);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
}

#[test]
fn what_a_registry_makes_of_an_image_is_found_out() {
    let registry = Pushed::start(Kind::default());
    let (images, name) = (Images::new(), name(&registry));
    images.publish("amd64", &name).good();
    let from = format!("{name}:1.0.0");
    let index = registry.document("team/tiny", "1.0.0").unwrap();
    let digest = manifests(&index)[0]["digest"].as_str().unwrap().to_owned();
    let files = registry.document("team/tiny", &digest).unwrap();
    // Another manifest under a tag, with files that are called so.
    let with = |from: &str, to: &str| {
        let text = files.to_string().replace(from, to);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        registry.put_document("team/tiny", "bad", kind, text.as_bytes());
        images.pull(&format!("{name}:bad"), "bad", &[])
    };
    for title in ["../x", "/etc/x", ".", "..", "", "a/b", ".hidden"] {
        let to = format!("title\":\"{title}\"");
        with("title\":\"sbom.spdx.json\"", &to).refused(1, &["cannot be the name of a file"]);
    }
    with("title\":\"sbom.spdx.json\"", "title\":\"sbom.cdx.json\"").refused(1, &["sbom.cdx.json"]);
    with("title\":\"disk.qcow2\"", "title\":\"manifest.json\"").refused(1, &["manifest.json"]);
    with("vnd.nodeimg.files.v1", "vnd.other").refused(1, &["is not a directory that"]);
    with(
        "\"invalid.nodeimg.unpacked.size\":\"2",
        "\"invalid.nodeimg.unpacked.size\":\"1",
    )
    .refused(1, &["unpacks to"]);
    assert!(!images.path("bad").exists());
    // Bytes that are not those of the digest.
    let layer = files["layers"][0]["digest"].as_str().unwrap();
    registry.faults(&format!("GET /v2/team/tiny/blobs/{layer}"), [Fault::Lie]);
    images
        .pull(&from, "bad", &[])
        .refused(1, &["expected", layer, "do not trust the registry"]);
    assert!(!images.path("bad").exists());
}

/// Ironic's choice, as its code has it: sorted by the type of the disk, the first of the
/// architecture with one layer
/// (`OciImageService.identify_specific_image` of openstack/ironic,
/// `ironic/common/image_service.py`). Its file and how it is compressed.
pub fn as_ironic(
    index: &Value,
    arch: &str,
    local: bool,
    manifest: impl Fn(&str) -> Value,
) -> Option<(String, Option<&'static str>)> {
    let order = match local {
        true => ["qcow2", "qemu", "raw", "applehv"],
        false => ["raw", "applehv", "qcow2", "qemu"],
    };
    let kind = |one: &Value| one["annotations"]["disktype"].as_str().map(str::to_owned);
    let mut all = manifests(index);
    all.sort_by_key(|one| {
        order
            .iter()
            .position(|known| kind(one).as_deref() == Some(known))
            .unwrap_or(100)
    });
    let possible = match arch {
        "amd64" => ["amd64", "x86_64"],
        _ => ["arm64", "aarch64"],
    };
    for one in all {
        let own = one["platform"]["architecture"].as_str();
        if own.is_some_and(|own| !possible.contains(&own)) || kind(&one).is_none() {
            continue;
        }
        let found = manifest(one["digest"].as_str().unwrap());
        let [layer] = found["layers"].as_array().unwrap().as_slice() else {
            continue;
        };
        let media = layer["mediaType"].as_str().unwrap();
        let packed = ["zstd", "gzip"]
            .into_iter()
            .find(|end| media.ends_with(end));
        let title = layer["annotations"]["org.opencontainers.image.title"].as_str();
        return Some((title.unwrap().to_owned(), packed));
    }
    None
}

#[test]
fn ironic_finds_its_disk() {
    let registry = Pushed::start(Kind::default());
    let (images, name) = (Images::new(), name(&registry));
    for arch in ["amd64", "arm64"] {
        images.publish(arch, &name).good();
    }
    let index = registry.document("team/tiny", "1.0.0").unwrap();
    assert_eq!(index["mediaType"], layout::INDEX);
    let manifest = |digest: &str| registry.document("team/tiny", digest).unwrap();
    for arch in ["amd64", "arm64"] {
        let raw = ("disk.raw.zst".to_owned(), Some("zstd"));
        assert_eq!(as_ironic(&index, arch, false, manifest), Some(raw));
        let qcow2 = ("disk.qcow2".to_owned(), None);
        assert_eq!(as_ironic(&index, arch, true, manifest), Some(qcow2));
    }
}

/// KubeVirt takes the one file of /disk, which QEMU must be able to read as user 107
/// (`GetImage` of kubevirt/kubevirt, `pkg/container-disk/container-disk.go`:
/// "only one file expected in /disk"; <https://kubevirt.io/user-guide/storage/disks_and_volumes/#containerdisk>).
#[test]
fn kubevirt_finds_its_disk() {
    let registry = Pushed::start(Kind::default());
    let (images, name) = (Images::new(), name(&registry));
    images.publish("amd64", &name).good();
    let index = registry
        .document("team/tiny", "1.0.0-containerdisk")
        .unwrap();
    let [only] = manifests(&index).try_into().unwrap();
    assert_eq!(
        only["platform"],
        json!({"os": "linux", "architecture": "amd64"})
    );
    let image = registry
        .document("team/tiny", only["digest"].as_str().unwrap())
        .unwrap();
    let blob = |of: &Value| {
        registry
            .blob("team/tiny", of["digest"].as_str().unwrap())
            .unwrap()
    };
    let config: Value = serde_json::from_slice(&blob(&image["config"])).unwrap();
    assert_eq!(config["architecture"], "amd64");
    let layer = &image["layers"][0];
    let mut bytes = Vec::new();
    let packed = blob(layer);
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(packed.as_slice()),
        &mut bytes,
    )
    .unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], layout::digest(&bytes));
    let mut tar = tar::Archive::new(bytes.as_slice());
    let mut found = Vec::new();
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let head = entry.header();
        let ids = (head.uid().unwrap(), head.gid().unwrap());
        let path = entry.path().unwrap().display().to_string();
        found.push((path, head.mode().unwrap(), ids, head.size().unwrap()));
    }
    let size = fs::metadata(images.path("amd64/disk.qcow2")).unwrap().len();
    assert_eq!(
        found,
        [
            ("disk/".to_owned(), 0o555, (107, 107), 0),
            ("disk/disk.qcow2".to_owned(), 0o440, (107, 107), size)
        ]
    );
}

/// The files of an update, by name, for amd64.
fn update(version: &str) -> Vec<(String, Vec<u8>)> {
    let stem = format!("tiny_{version}_amd64");
    let file = |ending: &str| {
        (
            format!("{stem}.{ending}"),
            format!("{ending} {version}").into_bytes(),
        )
    };
    let (root, verity, uki) = (file("root.raw"), file("verity.raw"), file("efi.zst"));
    let described = |(name, bytes): &(String, Vec<u8>)| json!({ "file": name, "size": bytes.len(), "sha256": layout::digest(bytes)[7..] });
    let mut manifest = json!({
        "schema": 1, "id": "tiny", "version": version, "architecture": "amd64",
        "root": described(&root), "verity": described(&verity), "slot": 1 << 29,
        "uki": { "file": format!("{stem}.efi"), "size": 1, "sha256": "0".repeat(64),
                 "compressed": { "file": uki.0, "size": uki.1.len() } },
        "state": { "version": 1, "reads_from": 1 },
    });
    manifest["root"]["roothash"] = json!("1".repeat(64));
    manifest["root"]["salt"] = json!("2".repeat(64));
    manifest["root"]["data_block"] = json!(4096);
    let text = manifest.to_string().into_bytes();
    vec![root, verity, uki, (format!("{stem}.update.json"), text)]
}

#[test]
fn an_update_is_what_a_node_looks_for() {
    let registry = Pushed::start(Kind::default());
    let (images, name) = (Images::new(), name(&registry));
    let files = update("1.0.0-202611301200");
    let more: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    images.write("amd64", "1.0.0", &more);
    let signed = format!("{}.dsse", files[3].0);
    fs::write(images.path("amd64").join(&signed), b"envelope").unwrap();
    let program = archive::program("amd64", "nodeimg-update");
    fs::write(images.path("updater"), &program).unwrap();
    let publish = |updater: &str| {
        let words = ["publish", "amd64", &name, "--updater", updater];
        Ran::of(&mut images.nodeimg(&words))
    };
    fs::write(images.path("arm64-program"), archive::program("arm64", "x")).unwrap();
    publish("arm64-program").refused(1, &["arm64"]);
    publish("amd64/manifest.json").refused(1, &["not an ELF program"]);
    assert_eq!(writes(&registry), 0);
    // Without the option it is the one of nodeimg's own programs.
    let own = images.path("own");
    let mut bytes = archive::firstboot("amd64");
    bytes.extend_from_slice(nodeimg_formats::update::PROGRAM_MARKER.as_bytes());
    fs::write(&own, bytes).unwrap();
    let mut command = images.nodeimg(&["publish", "amd64", &name]);
    Ran::of(command.env("NODEIMG_UPDATE_AMD64", &own)).good();
    let tag = "1.0.0-202611301200-update";
    let before = registry.document("team/tiny", tag).unwrap();
    publish("updater").good();
    assert_ne!(registry.document("team/tiny", tag).unwrap(), before);
    // The version is that of the update.
    let index = registry
        .document("team/tiny", "1.0.0-202611301200")
        .unwrap();
    let kind = "application/vnd.nodeimg.image.v1";
    let found = manifests(&index);
    let entry = found
        .iter()
        .find(|one| one["artifactType"] == kind)
        .unwrap();
    let manifest = registry
        .document("team/tiny", entry["digest"].as_str().unwrap())
        .unwrap();
    assert_eq!(manifest["artifactType"], kind);
    assert_eq!(manifest["config"]["digest"], layout::digest(&files[3].1));
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.nodeimg.update.v1+json"
    );
    let layers = manifest["layers"].as_array().unwrap();
    let kinds: Vec<&str> = layers
        .iter()
        .map(|layer| layer["mediaType"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "application/vnd.nodeimg.uki.v1+zstd",
            "application/vnd.nodeimg.root.v1",
            "application/vnd.nodeimg.verity.v1",
            "application/vnd.dsse.envelope.v1+json"
        ]
    );
    // The same for a kubelet, with the program.
    let image = registry
        .document("team/tiny", "1.0.0-202611301200-update")
        .unwrap();
    let digest = manifests(&image)[0]["digest"].as_str().unwrap().to_owned();
    let image = registry.document("team/tiny", &digest).unwrap();
    let config = image["config"]["digest"].as_str().unwrap();
    let config = registry.blob("team/tiny", config).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    // What system-upgrade-controller runs, with the node's root below /host.
    assert_eq!(
        config["config"]["Entrypoint"],
        json!(["/usr/bin/nodeimg-update"])
    );
    let command = json!(["apply", "/update", "--root", "/host", "--reboot"]);
    assert_eq!(config["config"]["Cmd"], command);
    let layer = image["layers"][0]["digest"].as_str().unwrap();
    let packed = registry.blob("team/tiny", layer).unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    let names: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names.len(), 3 + 5 + 1, "{names:?}");
    assert_eq!(names.last().unwrap(), "usr/bin/nodeimg-update");
    // And only that of a directory.
    let from = format!("{name}:1.0.0-202611301200");
    images.pull(&from, "update", &["--update"]).good();
    let there = listing(&images.path("update"));
    assert!(files.iter().all(|(name, _)| there.contains(name)) && there.contains(&signed));
    assert!(
        !there.iter().any(|name| name.starts_with("disk.")),
        "{there:?}"
    );
    // One that names other files than it lies with is not published.
    fs::write(images.path("amd64").join(&files[0].0), b"another root").unwrap();
    images
        .publish("amd64", &name)
        .refused(1, &[&files[0].0, "SHA256SUMS"]);
}
