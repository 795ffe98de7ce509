//! Takes a published directory back out of a registry, or parts of it.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::oci::artifact::{Artifact, List, TITLE};
use nodeimg_formats::oci::{ACCEPTED, Descriptor, MAX_DOCUMENT};
use nodeimg_formats::packing::Packing;
use nodeimg_formats::update;
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::{self, CHECKSUMS, OutDir};
use nodeimg_values::digest::{Digest, Expected, Hasher};

use super::address::Address;
use super::media;
use crate::input::fetch::{Fetcher, Gone, Request};
use crate::output::disk_files;
use crate::output::sign::sums;
use crate::store::VerifiedBlob;

/// No file of an image is longer, in bytes.
const MAX_FILE: u64 = 1 << 40;
/// More files no directory has.
const MAX_FILES: usize = 500;
const ANY: &str = "*/*";
const BLOCK: usize = 1 << 20;

/// Which files are taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    All,
    /// One disk, by the name of its file, and what says what it is.
    Disk(String),
    /// The files of the update, likewise.
    Update,
}

impl Part {
    /// Whether a file of that name is taken. Lists, signatures and bills of materials are
    /// small, and whoever verifies needs them.
    fn has(&self, name: &str) -> bool {
        let is_large = [disk_files::RAW, disk_files::ZST, disk_files::QCOW2].contains(&name)
            || [".squashfs", ".verity", ".raw", ".efi", ".zst"]
                .iter()
                .any(|ending| name.ends_with(ending));
        let is_of_update = [".root.raw", ".verity.raw", ".efi.zst"]
            .iter()
            .any(|ending| name.ends_with(ending));
        match self {
            Part::All => true,
            Part::Disk(disk) => name == disk || !is_large,
            Part::Update => is_of_update || !is_large,
        }
    }
}

/// What was taken.
#[derive(Debug)]
pub struct Pulled {
    pub arch: String,
    /// Of the manifest of the files.
    pub digest: Digest,
    /// Their names.
    pub files: Vec<String>,
}

/// Takes the image for `arch`, or the only one that there is, into `directory`.
pub fn pull(
    fetcher: &Fetcher<'_>,
    address: &Address,
    arch: Option<Arch>,
    part: &Part,
    directory: &Path,
) -> Result<Pulled> {
    let (digest, artifact, arch) = manifest(fetcher, address, arch)?;
    let mut wanted = Vec::new();
    for layer in &artifact.layers {
        wanted.extend(choose(layer, part).with_context(|| address.to_string())?);
    }
    if let Part::Disk(name) = part
        && !wanted.iter().any(|file| file.is_called(name))
    {
        bail!("{address} has no {name}: {}", disks(&artifact));
    }
    if *part == Part::Update
        && !wanted
            .iter()
            .any(|file| file.name.ends_with(update::SUFFIX))
    {
        bail!("{address} has no update: its recipe does not list the output `update`");
    }
    let requests: Vec<Request> = wanted
        .iter()
        .map(|file| Request {
            what: file.name.clone(),
            url: address.reference.blob_url(&file.layer.digest),
            want: Expected::of(&file.layer.digest, Some(file.layer.size)),
            max_size: MAX_FILE,
            accept: Some(ANY),
        })
        .collect();
    let blobs = fetcher.fetch(&requests)?;
    let out = OutDir::stage(directory)?;
    let mut files = Vec::new();
    for (file, blob) in wanted.iter().zip(&blobs) {
        files.extend(file.place(blob, out.path())?);
    }
    files.sort();
    check(out.path(), &files).with_context(|| address.to_string())?;
    out.commit()?;
    Ok(Pulled {
        arch,
        digest,
        files,
    })
}

/// A file that is to be there in the end, or two.
struct Wanted<'a> {
    layer: &'a Descriptor,
    name: String,
    /// As it is.
    keep: bool,
    unpack: Option<Unpack>,
}

struct Unpack {
    name: String,
    digest: Digest,
    size: u64,
}

/// What is wanted of a layer.
fn choose<'a>(layer: &'a Descriptor, part: &Part) -> Result<Option<Wanted<'a>>> {
    let name = layer.annotation(TITLE);
    let name = file_name(name.context("it has a file without a name")?)?;
    if layer.size > MAX_FILE {
        bail!("{name} is longer than {MAX_FILE} bytes");
    }
    let mut unpack = None;
    if let Some(inner) = layer.annotation(media::UNPACKS) {
        let inner = file_name(inner)?;
        let text = |key| layer.annotation(key).unwrap_or_default();
        let context = || format!("what {name} unpacks to");
        unpack = Some(Unpack {
            digest: text(media::UNPACKED_DIGEST).parse().with_context(context)?,
            size: text(media::UNPACKED_SIZE).parse().with_context(context)?,
            name: inner,
        });
    }
    let only = layer.annotation(media::UNPACKED_ONLY).is_some() && unpack.is_some();
    let unpack = unpack.filter(|unpack| part.has(&unpack.name));
    let keep = part.has(&name) && !only;
    Ok((keep || unpack.is_some()).then_some(Wanted {
        layer,
        name,
        keep,
        unpack,
    }))
}

/// What a registry says a file is called must be a name and nothing more.
fn file_name(name: &str) -> Result<String> {
    let bad = name.is_empty()
        || name.starts_with('.')
        || name.len() > 255
        || name.contains(['/', '\\'])
        || name.chars().any(char::is_control);
    if bad {
        bail!("`{}` cannot be the name of a file", name.escape_debug());
    }
    Ok(name.to_owned())
}

impl Wanted<'_> {
    fn is_called(&self, name: &str) -> bool {
        let unpacked = self.unpack.as_ref().map(|unpack| unpack.name.as_str());
        (self.keep && self.name == name) || unpacked == Some(name)
    }

    /// Puts it into `directory`; the names of what is there then.
    fn place(&self, blob: &VerifiedBlob, directory: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        if let Some(unpack) = &self.unpack {
            unpack
                .run(blob, &directory.join(&unpack.name))
                .with_context(|| format!("unpacking {}", self.name))?;
            names.push(unpack.name.clone());
        }
        if self.keep {
            let to = directory.join(&self.name);
            let context = || format!("writing {}", to.display());
            if to.exists() {
                bail!("two of its files are called {}", self.name);
            }
            // The store of a pull is on the same file system, and is its own.
            let moved = fs::rename(blob.path(), &to)
                .and_then(|()| fs::set_permissions(&to, Permissions::from_mode(0o644)));
            if moved.is_err() {
                copy(blob, &to).with_context(context)?;
            }
            names.push(self.name.clone());
        }
        Ok(names)
    }
}

/// The same bytes under a second name, or across file systems.
fn copy(blob: &VerifiedBlob, to: &Path) -> Result<()> {
    let mut file = atomic::AtomicFile::create(to)?;
    let mut buffer = vec![0; BLOCK];
    let mut at = 0;
    while at < blob.size() {
        let read = blob.file().read_at(&mut buffer, at)?;
        if read == 0 {
            bail!("it became shorter");
        }
        file.write_all(&buffer[..read])?;
        at += read as u64;
    }
    file.commit()
}

impl Unpack {
    /// Zeros are left out, as in the disk that was built.
    fn run(&self, blob: &VerifiedBlob, to: &Path) -> Result<()> {
        let from = File::open(blob.path())?;
        let mut from = Packing::Zstd.decoder(from)?.take(self.size + 1);
        let file = atomic::AtomicFile::create(to)?;
        let mut hasher = Hasher::new(&[]);
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        loop {
            let mut filled = 0;
            while filled < BLOCK {
                match from.read(&mut block[filled..])? {
                    0 => break,
                    read => filled += read,
                }
            }
            let piece = &block[..filled];
            hasher.update(piece);
            if piece.iter().any(|byte| *byte != 0) {
                file.file().write_all_at(piece, at)?;
            }
            at += filled as u64;
            if filled < BLOCK {
                break;
            }
        }
        let got = hasher.finish();
        if at != self.size || got.sha256 != self.digest {
            bail!(
                "it unpacks to {} and {at} bytes, not to {} and {} bytes",
                got.sha256,
                self.digest,
                self.size
            );
        }
        file.file().set_len(self.size)?;
        file.commit()
    }
}

/// The manifest of the files for `arch`.
fn manifest(
    fetcher: &Fetcher<'_>,
    address: &Address,
    arch: Option<Arch>,
) -> Result<(Digest, Artifact, String)> {
    let reference = &address.reference;
    let want = reference.digest().map(|digest| Expected::of(digest, None));
    let top = document(fetcher, address, &reference.manifest_url(), want)?;
    if let Ok(list) = List::parse(&top.1) {
        let own = Arch::of_machine(std::env::consts::ARCH);
        let found = select(&list, arch, own).with_context(|| address.to_string())?;
        let want = Expected::of(&found.digest, Some(found.size));
        let url = reference.document_url(&found.digest);
        let (digest, bytes) = document(fetcher, address, &url, Some(want))?;
        let named = found.platform.as_ref().map(|p| p.architecture.clone());
        return Ok((
            digest,
            of_files(&bytes, address)?,
            named.unwrap_or_default(),
        ));
    }
    Ok((top.0, of_files(&top.1, address)?, String::new()))
}

fn document(
    fetcher: &Fetcher<'_>,
    address: &Address,
    url: &str,
    want: Option<Expected>,
) -> Result<(Digest, Vec<u8>)> {
    let request = Request {
        what: format!("{address}: its manifest"),
        url: url.to_owned(),
        want: want.unwrap_or_default(),
        max_size: MAX_DOCUMENT,
        accept: Some(ACCEPTED),
    };
    let (blob, _) = fetcher.download(&request).map_err(|error| match error.is::<Gone>() {
        true => anyhow!(
            "{address} is not there: the registry answers that it has no such repository, tag or \
             digest (some say so to who is not logged in)"
        ),
        false => error,
    })?;
    let bytes =
        fs::read(blob.path()).with_context(|| format!("reading {}", blob.path().display()))?;
    if Digest::sha256(&bytes) != *blob.sha256() {
        bail!("{} changed while it was read", blob.path().display());
    }
    Ok((blob.sha256().clone(), bytes))
}

fn select(list: &List, arch: Option<Arch>, own: Option<Arch>) -> Result<&Descriptor> {
    let of_files = |one: &&Descriptor| {
        let kinds = [one.artifact_type.as_deref(), one.annotation(media::KIND)];
        kinds.contains(&Some(media::FILES))
    };
    let found: Vec<&Descriptor> = list.manifests.iter().filter(of_files).collect();
    let name = |one: &Descriptor| {
        let platform = one.platform.as_ref();
        platform
            .map(|platform| platform.architecture.clone())
            .unwrap_or_default()
    };
    let names: Vec<String> = found.iter().map(|one| name(one)).collect();
    let of = |arch: Arch| found.iter().find(|one| name(one) == arch.name()).copied();
    match (found.as_slice(), arch) {
        ([], _) => bail!(
            "nodeimg did not publish this: it has no manifest of {}",
            media::FILES
        ),
        (_, Some(arch)) => of(arch)
            .with_context(|| format!("it has no image for {arch}: it is for {}", names.join(", "))),
        ([one], None) => Ok(one),
        (_, None) => own
            .and_then(of)
            .with_context(|| format!("it is for {}: choose one with --arch", names.join(" and "))),
    }
}

fn of_files(bytes: &[u8], address: &Address) -> Result<Artifact> {
    let artifact = Artifact::parse(bytes).with_context(|| address.to_string())?;
    if artifact.artifact_type.as_deref() != Some(media::FILES) {
        bail!(
            "{address} is not a directory that `nodeimg publish` wrote, but {}",
            artifact
                .artifact_type
                .as_deref()
                .unwrap_or("a container image")
                .escape_debug()
        );
    }
    if artifact.layers.len() > MAX_FILES {
        bail!("{address} has more than {MAX_FILES} files");
    }
    Ok(artifact)
}

fn disks(artifact: &Artifact) -> String {
    let titles = artifact
        .layers
        .iter()
        .flat_map(|layer| [layer.annotation(TITLE), layer.annotation(media::UNPACKS)]);
    let is_disk = |name: &&str| name.starts_with("disk.");
    let found: Vec<&str> = titles.flatten().filter(is_disk).collect();
    match found.is_empty() {
        true => "it has no disk at all".to_owned(),
        false => format!("it has {}", found.join(", ")),
    }
}

/// That every file is the one that the directory's own list says.
fn check(directory: &Path, files: &[String]) -> Result<()> {
    let path: PathBuf = directory.join(CHECKSUMS);
    let text = fs::read_to_string(&path).with_context(|| format!("it has no {CHECKSUMS}"))?;
    let sums = sums(&text).with_context(|| CHECKSUMS.to_owned())?;
    for name in files {
        let Some(sum) = sums.get(name) else { continue };
        let file = File::open(directory.join(name)).with_context(|| name.clone())?;
        let got = Hasher::measure(file, &[]).with_context(|| format!("reading {name}"))?;
        if got.sha256.hex() != sum {
            bail!("{name} is not the file that its {CHECKSUMS} lists");
        }
    }
    Ok(())
}

/// A store of a pull's own, beside the directory: what came before a cut stays there.
pub fn store_of(directory: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(directory)
        .with_context(|| format!("finding {}", directory.display()))?;
    let name = absolute.file_name();
    let name = name.with_context(|| format!("{} has no name", directory.display()))?;
    let hidden = format!(".{}.pull", name.to_string_lossy());
    Ok(absolute.with_file_name(hidden))
}
