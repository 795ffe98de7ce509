//! Takes a published directory back out of a registry, or parts of it.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::artifact::{Artifact, List, TITLE};
use nodeimg_formats::oci::{ACCEPTED, Descriptor, MAX_DOCUMENT};
use nodeimg_formats::update;
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::{CHECKSUMS, OutDir};
use nodeimg_values::digest::{Digest, Expected, Hasher};

use super::address::Address;
use super::file::{MAX_FILE, choose};
use super::media;
use crate::input::fetch::{Fetcher, Gone, Request};
use crate::output::disk_files;
use crate::output::sign::sums;

/// More files no directory has.
const MAX_FILES: usize = 500;
const ANY: &str = "*/*";

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

/// The registry answers that it has no such thing.
#[derive(Debug)]
pub struct NotThere(String);

impl fmt::Display for NotThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not there: the registry answers that it has no such repository, tag or digest \
             (some say so to who is not logged in)",
            self.0
        )
    }
}

impl Error for NotThere {}

/// What was taken.
#[derive(Debug)]
pub struct Pulled {
    pub arch: String,
    /// Of the manifest of the files.
    pub digest: Digest,
    /// Their names.
    pub files: Vec<String>,
}

/// Takes the image for `arch`, or the only one that there is, into `directory`, if `accept`
/// agrees, which is given the place and the names of the files.
pub fn pull(
    fetcher: &Fetcher<'_>,
    address: &Address,
    arch: Option<Arch>,
    part: &Part,
    directory: &Path,
    accept: impl Fn(&Path, &[String]) -> Result<()>,
) -> Result<Pulled> {
    let (digest, artifact, arch) = manifest(fetcher, address, arch)?;
    let mut wanted = Vec::new();
    for layer in &artifact.layers {
        wanted.extend(choose(layer, |name| part.has(name)).with_context(|| address.to_string())?);
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
    accept(out.path(), &files)?;
    out.commit()?;
    Ok(Pulled {
        arch,
        digest,
        files,
    })
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
    let (blob, _) = fetcher
        .download(&request)
        .map_err(|error| match error.is::<Gone>() {
            true => NotThere(address.to_string()).into(),
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
