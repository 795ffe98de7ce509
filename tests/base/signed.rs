//! A whole disk, signed: judged by sbverify, fsck.fat and qemu-img, and built again without the
//! key.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::disk::{MIB, place, sections};
use super::{ARCHS, HOST, images, recipe, store};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::image::sums_hold;
use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, host_program, nodeimg, tool};

pub const KEYS: &str = "[[secure_boot]]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n\
                    [root_hash]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n\
                    [checksums]\nkey = \"release.key\"\n\
                    [enroll]\npk = { key = \"pk.key\", certificate = \"pk.pem\" }\n\
                    kek = { key = \"pk.key\", certificate = \"pk.pem\" }\ndb = [\"db.pem\"]\n";

/// An image with every form of the disk, built once for a test.
pub fn built(arch: &str, out: &Path, more: &[&str]) -> Option<(Ran, PathBuf)> {
    let binary = real::firstboot(arch)?;
    let mut build = nodeimg();
    build.args(["build", "--quiet", "--offline", "--arch", arch]);
    for output in ["disk", "disk-qcow2", "disk-zst", "root", "uki", "update"] {
        build.args(["--output", output]);
    }
    build
        .arg("--recipe")
        .arg(recipe())
        .arg("--store")
        .arg(store());
    build
        .arg("--firstboot")
        .arg(format!("{arch}={}", binary.display()));
    let ran = Ran::of(build.args(more).arg("--out").arg(out));
    Some((ran, out.join(format!("container-host-13.0-{arch}"))))
}

/// A place, keys in it, and an image that was built there.
struct Made {
    place: PathBuf,
    keys: Keys,
    image: PathBuf,
}

impl Made {
    fn new(test: &str, arch: &str) -> Option<Made> {
        images()?;
        let place = place(test, arch);
        let keys = Keys::make(&place.join("keys"), &["pk", "db"])?;
        keys.file("keys.toml", KEYS);
        let (ran, image) = built(arch, &place.join("out"), &[])?;
        ran.good();
        Some(Made { place, keys, image })
    }
}

pub fn sign(directory: &Path, keys: &Keys) {
    let mut sign = nodeimg();
    sign.args(["sign", "--quiet"])
        .arg(directory)
        .arg("--keys")
        .arg(keys.path("keys.toml"));
    Ran::of(&mut sign).good();
}

fn digest(directory: &Path, name: &str) -> String {
    sha256(&fs::read(directory.join(name)).unwrap())
}

/// The files of its ESP, by mtools.
fn files_of_esp(disk: &Path, place: &Path) -> Option<PathBuf> {
    let disk = Disk::open(disk);
    let (start, size) = disk.partition("esp");
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    disk.file.read_exact_at(&mut bytes, start).unwrap();
    let esp = place.join("esp.img");
    fs::write(&esp, bytes).unwrap();
    tool(host_program("fsck.fat").arg("-n").arg(&esp))?.good();
    let to = place.join("esp");
    fs::create_dir(&to).unwrap();
    let mut copy = host_program("mcopy");
    copy.args(["-s", "-n", "-i"]).arg(&esp).arg("::/");
    tool(copy.arg(&to))?.good();
    Some(to)
}

/// By sbverify, if it is there.
fn verified(program: &Path, keys: &Keys) -> Option<()> {
    let mut verify = host_program("sbverify");
    verify.arg("--cert").arg(keys.path("db.pem")).arg(program);
    let ran = tool(&mut verify)?.good();
    assert!(format!("{}{}", ran.out, ran.err).contains("verification OK"));
    Some(())
}

/// The ESP is the first partition of both disks.
fn only_the_esp_differs(unsigned: &Path, signed: &Path) {
    let disks = [unsigned, signed].map(|path| File::open(path).unwrap());
    let [old, new] = disks.each_ref().map(|disk| disk.metadata().unwrap().len());
    assert_eq!(old, new);
    for (start, length) in [(0, MIB), (257 * MIB, old - 257 * MIB)] {
        let [old, new] = disks.each_ref().map(|disk| {
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            disk.read_exact_at(&mut bytes, start).unwrap();
            sha256(&bytes)
        });
        assert_eq!(old, new, "from {start}");
    }
}

#[test]
fn a_signed_disk_is_whole_and_others_verify_it() {
    for (arch, loader) in ARCHS.into_iter().zip(["BOOTX64.EFI", "BOOTAA64.EFI"]) {
        let Some(Made { place, keys, image }) = Made::new("signed", arch) else {
            return;
        };
        let unsigned = place.join("unsigned.raw");
        Disk::copy(&image.join("disk.raw"), &unsigned);
        sign(&image, &keys);
        sums_hold(&image);
        let Some(esp) = files_of_esp(&image.join("disk.raw"), &place) else {
            return;
        };
        let uki = fs::read(image.join("uki.efi")).unwrap();
        let mut ukis = fs::read_dir(esp.join("EFI/Linux")).unwrap();
        let inside = ukis.next().unwrap().unwrap().path();
        assert!(fs::read(&inside).unwrap() == uki);
        for program in [esp.join("EFI/BOOT").join(loader), inside] {
            if verified(&program, &keys).is_none() {
                return;
            }
        }
        // By which shim would revoke an old stub.
        let sbat = String::from_utf8(sections(&uki)[".sbat"].to_vec()).unwrap();
        assert!(
            sbat.starts_with("sbat,1,") && sbat.contains("systemd-stub,"),
            "{sbat}"
        );
        for name in ["PK", "KEK", "db"] {
            let name = format!("{name}.auth");
            let auth = fs::read(esp.join("loader/keys/auto").join(&name)).unwrap();
            assert!(auth == fs::read(image.join(&name)).unwrap());
        }
        let conf = fs::read_to_string(esp.join("loader/loader.conf")).unwrap();
        assert!(conf.ends_with("secure-boot-enroll if-safe\n"), "{conf}");
        only_the_esp_differs(&unsigned, &image.join("disk.raw"));
        let mut diff = nodeimg();
        diff.arg("diff").arg(&unsigned).arg(image.join("disk.raw"));
        let told = Ran::of(&mut diff).good().out;
        let changed = told.lines().filter(|line| line.ends_with(" bytes, signed"));
        let changed: Vec<_> = changed.collect();
        assert_eq!(changed.len(), 2, "{told}");
        assert!(
            changed[0].contains(&format!("ESP /EFI/BOOT/{loader}")),
            "{told}"
        );
        assert!(told.contains("+ ESP /loader/keys/auto/db.auth"), "{told}");
        let mut compare = host_program("qemu-img");
        compare.args(["compare", "-f", "raw", "-F", "qcow2"]);
        compare
            .arg(image.join("disk.raw"))
            .arg(image.join("disk.qcow2"));
        if let Some(ran) = tool(&mut compare) {
            ran.good();
        }
        let whole = zstd::decode_all(File::open(image.join("disk.raw.zst")).unwrap()).unwrap();
        assert_eq!(sha256(&whole), digest(&image, "disk.raw"));
        fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn whoever_has_no_key_builds_the_signed_disk() {
    let Some(Made { place, keys, image }) = Made::new("rebuilt", HOST) else {
        return;
    };
    sign(&image, &keys);
    fs::remove_dir_all(&keys.folder).unwrap();
    let published = image.to_str().unwrap();
    let more = ["--signatures-from", published];
    let Some((ran, again)) = built(HOST, &place.join("again"), &more) else {
        return;
    };
    ran.good();
    for entry in fs::read_dir(&image).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(digest(&image, &name), digest(&again, &name), "{name}");
    }
    // A disk with one other byte in it is not what was built.
    let disk = Disk::open(&image.join("disk.raw"));
    let (root, _) = disk.root();
    disk.flip(root + 5000);
    let Some((ran, _)) = built(HOST, &place.join("again"), &more) else {
        return;
    };
    ran.refused(
        1,
        &["is not what this recipe and lock build", "disk.raw differ"],
    );
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn one_form_of_the_disk_is_enough() {
    let Some(Made { place, keys, image }) = Made::new("forms-signed", HOST) else {
        return;
    };
    let forms = ["disk.qcow2", "disk.raw.zst"];
    let alone = forms.map(|form| {
        let directory = place.join(form);
        fs::create_dir(&directory).unwrap();
        let listed = fs::read_to_string(image.join("SHA256SUMS")).unwrap();
        let kept = [form, "manifest.json"];
        let lines = listed
            .lines()
            .filter(|line| kept.iter().any(|name| line.ends_with(&format!("  {name}"))));
        let lines: Vec<&str> = lines.collect();
        fs::write(directory.join("SHA256SUMS"), lines.join("\n") + "\n").unwrap();
        for name in kept {
            fs::copy(image.join(name), directory.join(name)).unwrap();
        }
        sign(&directory, &keys);
        directory
    });
    sign(&image, &keys);
    for (form, directory) in forms.into_iter().zip(alone) {
        sums_hold(&directory);
        assert!(!directory.join("disk.raw").exists());
        assert_eq!(digest(&directory, form), digest(&image, form), "{form}");
    }
    fs::remove_dir_all(&place).unwrap();
}
