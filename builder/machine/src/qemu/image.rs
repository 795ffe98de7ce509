//! The disk to boot: one of an output directory, or any other.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use serde::Deserialize;

use super::Format;

/// In the order in which they are looked for.
const DISKS: [&str; 2] = ["disk.raw", "disk.qcow2"];
const MANIFEST: &str = "manifest.json";
const SECTOR: u64 = 512;

/// A disk image.
#[derive(Debug)]
pub struct Image {
    /// Absolute.
    pub path: PathBuf,
    pub format: Format,
    pub arch: Arch,
    /// What the file holds, in bytes.
    pub size: u64,
    /// What its recipe wants the guest to see, in bytes, if a manifest tells.
    pub machine_size: Option<u64>,
    /// Another one after every change of the file.
    pub identity: String,
    /// The name of its recipe, if a manifest tells.
    pub recipe: Option<String>,
}

/// The fields of `manifest.json` that are read.
#[derive(Deserialize)]
pub struct Manifest {
    pub image: ManifestImage,
    outputs: Vec<Output>,
    #[serde(default)]
    disk: Option<ManifestDisk>,
}

#[derive(Deserialize)]
struct ManifestDisk {
    #[serde(default)]
    machine_size: Option<u64>,
}

#[derive(Deserialize)]
pub struct ManifestImage {
    pub arch: Arch,
    /// Its recipe's.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    file: String,
    sha256: Digest,
}

impl Image {
    /// `path` is a directory that a build wrote, or a disk image; `arch` is
    /// for an image that no manifest tells of.
    pub fn find(path: &Path, arch: Option<Arch>) -> Result<Image> {
        let shown = path.display();
        let meta = fs::metadata(path).with_context(|| format!("looking for the disk {shown}"))?;
        let (disk, manifest) = if meta.is_dir() {
            let Some(manifest) = Manifest::read(path)? else {
                bail!(
                    "{shown} has no {MANIFEST}: name an output directory of `nodeimg build`, or a disk image"
                );
            };
            (in_directory(path)?, Some(manifest))
        } else {
            let directory = path.parent().filter(|parent| *parent != Path::new(""));
            let manifest = Manifest::read(directory.unwrap_or(Path::new(".")))?;
            // A manifest of other files does not describe this one.
            let manifest = manifest.filter(|manifest| manifest.output(path).is_some());
            (path.to_owned(), manifest)
        };
        Image::open(&disk, manifest.as_ref(), arch)
            .with_context(|| format!("the disk {}", disk.display()))
    }

    fn open(path: &Path, manifest: Option<&Manifest>, arch: Option<Arch>) -> Result<Image> {
        let path = fs::canonicalize(path)?;
        let file = File::open(&path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            bail!("is not a regular file: name the image that was written to the device");
        }
        let (format, size) = layout(&file, meta.len())?;
        let said = manifest.map(|manifest| manifest.image.arch);
        let arch = match (said, arch) {
            (Some(said), Some(asked)) if said != asked => {
                bail!("is for {said} according to its {MANIFEST}, not for {asked}")
            }
            (Some(arch), _) | (None, Some(arch)) => arch,
            (None, None) => {
                bail!("no {MANIFEST} beside it describes it: add --arch amd64 or --arch arm64")
            }
        };
        let digest = manifest.and_then(|manifest| manifest.output(&path));
        let identity = digest.map_or_else(
            || {
                format!(
                    "{} bytes of {}.{:09}",
                    meta.len(),
                    meta.mtime(),
                    meta.mtime_nsec()
                )
            },
            Digest::to_string,
        );
        Ok(Image {
            path,
            format,
            arch,
            size,
            machine_size: manifest
                .and_then(|manifest| manifest.disk.as_ref())
                .and_then(|disk| disk.machine_size),
            identity,
            recipe: manifest.and_then(|manifest| manifest.image.name.clone()),
        })
    }
}

impl Manifest {
    /// That of a directory; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is not a manifest.
    pub fn read(directory: &Path) -> Result<Option<Manifest>> {
        let path = directory.join(MANIFEST);
        let context = || format!("reading {}", path.display());
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(context),
        };
        serde_json::from_slice(&text)
            .with_context(context)
            .map(Some)
    }

    /// The digest of the output whose name `path` has.
    pub fn output(&self, path: &Path) -> Option<&Digest> {
        let listed = |output: &&Output| path.file_name() == Some(output.file.as_ref());
        Some(&self.outputs.iter().find(listed)?.sha256)
    }
}

fn in_directory(directory: &Path) -> Result<PathBuf> {
    let mut disks = DISKS.into_iter().map(|name| directory.join(name));
    if let Some(found) = disks.find(|path| path.exists()) {
        return Ok(found);
    }
    let shown = directory.display();
    let packed = directory.join("disk.raw.zst");
    if packed.exists() {
        let packed = packed.display();
        bail!("{shown} has its disk in compressed form only: `zstd -d {packed}` unpacks it");
    }
    bail!("{shown} has no disk: `nodeimg build --output disk` writes one");
}

/// How the file holds a disk, and the disk's size.
fn layout(mut file: &File, len: u64) -> Result<(Format, u64)> {
    let mut head = [0; 32];
    let head = match file.read_exact(&mut head) {
        Ok(()) => head,
        Err(_) => bail!("is too short to be one"),
    };
    if head.starts_with(b"QFI\xfb") {
        // Offset 24 of the header: the size of the disk, big-endian
        // (https://www.qemu.org/docs/master/interop/qcow2.html).
        let size: [u8; 8] = head[24..32].try_into()?;
        return Ok((Format::Qcow2, u64::from_be_bytes(size)));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        bail!("is compressed with zstd: unpack it first (`zstd -d`)");
    }
    let mut signature = [0; 8];
    let is_gpt = file.read_exact_at(&mut signature, SECTOR).is_ok() && &signature == b"EFI PART";
    if !is_gpt {
        bail!("has no GUID partition table, so UEFI cannot boot it");
    }
    if !len.is_multiple_of(SECTOR) {
        bail!("is incomplete: {len} bytes are not a whole number of sectors");
    }
    Ok((Format::Raw, len))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tempfile::TempDir;

    use super::*;

    fn gpt() -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[512..520].copy_from_slice(b"EFI PART");
        bytes
    }

    fn manifest(directory: &TempDir, outputs: &str) {
        let text = format!(r#"{{"image": {{"arch": "arm64"}}, "outputs": [{outputs}]}}"#);
        fs::write(directory.path().join(MANIFEST), text).unwrap();
    }

    fn error(path: &Path, arch: Option<Arch>) -> String {
        format!("{:#}", Image::find(path, arch).unwrap_err())
    }

    #[test]
    fn an_output_directory_says_all_itself() {
        let directory = TempDir::new().unwrap();
        assert!(error(directory.path(), None).contains("no manifest.json"));
        let digest = Digest::sha256(b"x");
        manifest(
            &directory,
            &format!(r#"{{"file": "disk.raw", "size": 1, "sha256": "{digest}"}}"#),
        );
        let say = error(directory.path(), None);
        assert!(say.contains("--output disk"), "{say}");
        fs::write(directory.path().join("disk.raw.zst"), "").unwrap();
        assert!(error(directory.path(), None).contains("zstd -d"));
        fs::write(directory.path().join("disk.raw"), gpt()).unwrap();
        let image = Image::find(directory.path(), None).unwrap();
        assert_eq!((image.arch, image.size), (Arch::Arm64, 4096));
        assert_eq!(image.identity, digest.to_string());
        assert!(image.path.is_absolute());
        assert_eq!(image.machine_size, None);
        let say = error(directory.path(), Some(Arch::Amd64));
        assert!(say.contains("is for arm64"), "{say}");
        // The file by itself is the same disk.
        let named = Image::find(&directory.path().join("disk.raw"), None).unwrap();
        assert_eq!(named.identity, image.identity);
    }

    #[test]
    fn a_disk_of_elsewhere_needs_the_architecture() {
        let directory = TempDir::new().unwrap();
        manifest(&directory, "");
        let path = directory.path().join("other.img");
        fs::write(&path, gpt()).unwrap();
        assert!(error(&path, None).contains("--arch amd64"));
        let image = Image::find(&path, Some(Arch::Amd64)).unwrap();
        assert_eq!((image.arch, image.format), (Arch::Amd64, Format::Raw));
    }

    #[test]
    fn the_size_of_a_qcow2_is_the_disks() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a.qcow2");
        let mut bytes = vec![0; 104];
        bytes[..4].copy_from_slice(b"QFI\xfb");
        bytes[24..32].copy_from_slice(&(5_u64 << 30).to_be_bytes());
        fs::write(&path, bytes).unwrap();
        let image = Image::find(&path, Some(Arch::Amd64)).unwrap();
        assert_eq!((image.size, image.format), (5 << 30, Format::Qcow2));
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("x");
        assert!(error(&path, None).contains("looking for the disk"));
        for (bytes, want) in [
            (vec![1; 3], "too short"),
            (vec![1; 4096], "no GUID partition table"),
            ([vec![0x28, 0xb5, 0x2f, 0xfd], vec![0; 99]].concat(), "zstd"),
            ([gpt(), vec![0]].concat(), "is incomplete"),
        ] {
            fs::write(&path, bytes).unwrap();
            let say = error(&path, Some(Arch::Amd64));
            assert!(say.contains(want), "{want}: {say}");
        }
        assert!(error(Path::new("/dev/null"), Some(Arch::Amd64)).contains("not a regular file"));
    }
}
