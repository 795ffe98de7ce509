//! An image beside the recipe: an OCI layout, as a directory or a tar of one, or
//! the tar that `docker save` writes.
//!
//! ```text
//! index.json, blobs/ALGORITHM/HEX     an OCI layout
//! manifest.json                       Docker's: configuration and layers by member name
//! ```
//! [OCI layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md),
//! [docker save](https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format).
//! Docker's has no manifest that a digest could name: one is made of what is
//! there, and is the same for the same files.
//!
//! # Invariants
//! What comes out of here is as little trusted as what a registry sends: it gets
//! into the store by its digest alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Take};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nodeimg_formats::oci::{CONFIG, Descriptor, LAYER, MANIFEST, MAX_DOCUMENT, Reference};
use nodeimg_formats::packing::Packing;
use nodeimg_values::digest::{Digest, Expected, Hasher};
use nodeimg_values::regular;
use serde::{Deserialize, Serialize};

use crate::input::artifact::members::{self, MemberKind};
use crate::input::artifact::untar::At;
use crate::store::{Store, VerifiedBlob};

/// Images in a file or directory of this machine.
#[derive(Debug)]
pub struct Local {
    path: PathBuf,
    place: Place,
    /// Documents that are not in a file of their own.
    made: BTreeMap<Digest, Vec<u8>>,
    /// Where blobs are that are not named by their digest.
    named: BTreeMap<Digest, String>,
    top: Digest,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    /// The tar, and each file's place in it.
    Tar(File, BTreeMap<String, (u64, u64)>),
}

#[derive(Deserialize)]
struct LayoutIndex {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeManifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Local {
    /// Looks for the image called `name` in what is at `path`; an image that is
    /// alone there may have any name.
    pub fn open(path: &Path, name: &Reference) -> Result<Local> {
        let context = || format!("reading the image {name} from {}", path.display());
        Local::opened(path, name).with_context(context)
    }

    fn opened(path: &Path, name: &Reference) -> Result<Local> {
        let place = Place::open(path)?;
        let mut local = Local {
            path: path.to_owned(),
            place,
            made: BTreeMap::new(),
            named: BTreeMap::new(),
            top: Digest::sha256(b""),
        };
        local.top = if let Some(index) = local.place.document("index.json")? {
            local.of_layout(index, name)?
        } else if let Some(manifest) = local.place.document("manifest.json")? {
            local.of_saved(&manifest, name)?
        } else {
            bail!(
                "it is neither an OCI layout (it has no index.json) nor a tar of `docker save` (it has no manifest.json)"
            );
        };
        Ok(local)
    }

    /// What the lock pins of it.
    pub fn digest(&self) -> &Digest {
        &self.top
    }

    /// Brings a blob into the store.
    pub fn bring(&self, store: &Store, want: &Expected) -> Result<VerifiedBlob> {
        let digest = want.digests().next().context("no digest is known")?;
        let context = || format!("reading {digest} from {}", self.path.display());
        let mut reader = self.reader(digest).with_context(context)?;
        let extra = want.extra_algorithms();
        let mut partial = store.partial(&digest.to_string(), &extra)?;
        partial
            .restart(&extra)
            .context("emptying a download file in the store")?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => partial.write(&buffer[..n])?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    partial.discard();
                    return Err(e).with_context(context);
                }
            }
        }
        match partial.commit(want)? {
            Ok(blob) => Ok(blob),
            Err(rejected) => Err(anyhow!(
                "expected {}, got {}",
                rejected.expected,
                rejected.got
            ))
            .with_context(context),
        }
    }

    fn reader(&self, digest: &Digest) -> Result<Box<dyn Read + '_>> {
        if let Some(bytes) = self.made.get(digest) {
            return Ok(Box::new(bytes.as_slice()));
        }
        let own = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        let member = self.named.get(digest).unwrap_or(&own);
        match self.place.file(member)? {
            Some(reader) => Ok(reader),
            None => bail!(
                "it is missing: the lock pins another image, or the file is incomplete; `nodeimg \
                 lock --update` pins the current image"
            ),
        }
    }

    /// An index of several platforms may be the layout's own.
    fn of_layout(&mut self, bytes: Vec<u8>, name: &Reference) -> Result<Digest> {
        let index: LayoutIndex = serde_json::from_slice(&bytes).context("its index.json")?;
        let [first, ..] = index.manifests.as_slice() else {
            bail!("its index.json names no image");
        };
        let mut digests: Vec<&Digest> = index.manifests.iter().map(|one| &one.digest).collect();
        digests.dedup();
        if digests.len() == 1 {
            return Ok(first.digest.clone());
        }
        let called: Vec<&Descriptor> = index
            .manifests
            .iter()
            .filter(|one| is_called(one, name))
            .collect();
        match called.as_slice() {
            [one, rest @ ..] if rest.iter().all(|other| other.digest == one.digest) => {
                Ok(one.digest.clone())
            }
            [] if index.manifests.iter().all(|one| one.platform.is_some()) => {
                let digest = Digest::sha256(&bytes);
                self.made.insert(digest.clone(), bytes);
                Ok(digest)
            }
            _ => bail!(
                "its index.json has {} images, and {name} does not match exactly one of them: {}",
                index.manifests.len(),
                all_names(&index.manifests)
            ),
        }
    }

    fn of_saved(&mut self, bytes: &[u8], name: &Reference) -> Result<Digest> {
        let all: Vec<Saved> = serde_json::from_slice(bytes).context("its manifest.json")?;
        let called = |one: &&Saved| {
            let tags = one.repo_tags.iter().flatten();
            tags.filter_map(|tag| tag.parse::<Reference>().ok())
                .any(|tag| tag == *name)
        };
        let found = match all.as_slice() {
            [one] => one,
            many => match many.iter().filter(called).collect::<Vec<_>>().as_slice() {
                [one] => *one,
                _ => bail!(
                    "its manifest.json has {} images, and {name} does not match exactly one of \
                     them",
                    many.len()
                ),
            },
        };
        let manifest = MadeManifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: self.member(&found.config, CONFIG)?,
            layers: found
                .layers
                .iter()
                .map(|layer| self.member(layer, LAYER))
                .collect::<Result<_>>()?,
        };
        let bytes = serde_json::to_vec(&manifest)?;
        let digest = Digest::sha256(&bytes);
        self.made.insert(digest.clone(), bytes);
        Ok(digest)
    }

    /// Hashes a member that is named by anything.
    fn member(&mut self, name: &str, media_type: &str) -> Result<Descriptor> {
        let context = || format!("its member `{name}`");
        let open = || -> Result<_> {
            let found = self.place.file(name).with_context(context)?;
            found.with_context(|| format!("its manifest.json names `{name}`, which does not exist"))
        };
        let mut head = Vec::new();
        open()?
            .take(512)
            .read_to_end(&mut head)
            .with_context(context)?;
        let packed = match (Packing::of(&head), media_type == LAYER) {
            (Some(Packing::Gzip), true) => "+gzip",
            (Some(Packing::Zstd), true) => "+zstd",
            _ => "",
        };
        let got = Hasher::measure(open()?, &[]).with_context(context)?;
        self.named.insert(got.sha256.clone(), name.to_owned());
        let media_type = format!("{media_type}{packed}");
        Ok(Descriptor::new(&media_type, got.sha256, got.size))
    }
}

/// Either annotation may have the whole name, the second the tag alone.
fn is_called(descriptor: &Descriptor, name: &Reference) -> bool {
    names_of(descriptor).any(|said| {
        let whole = said.parse::<Reference>();
        whole.is_ok_and(|whole| whole == *name) || name.tag() == Some(said)
    })
}

fn names_of(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = descriptor.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| {
            [
                "io.containerd.image.name",
                "org.opencontainers.image.ref.name",
            ]
            .contains(&key.as_str())
        })
        .map(|(_, name)| name.as_str())
}

fn all_names(descriptors: &[Descriptor]) -> String {
    let mut names: Vec<&str> = descriptors.iter().flat_map(names_of).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => "they have no names".to_owned(),
        _ => names.join(", "),
    }
}

impl Place {
    fn open(path: &Path) -> Result<Place> {
        let meta = std::fs::metadata(path)?;
        if meta.is_dir() {
            return Ok(Place::Directory(path.to_owned()));
        }
        let file = regular::open(path)?;
        let mut head = Vec::new();
        At { file: &file, at: 0 }.take(512).read_to_end(&mut head)?;
        if let Some(packing) = Packing::of(&head) {
            bail!("it is compressed with {}: unpack it", packing.name());
        }
        let listed = members::read_seeking(At { file: &file, at: 0 })
            .context("it is not a tar of an image")?;
        let mut files = BTreeMap::new();
        let mut links = Vec::new();
        for member in listed {
            match member.kind {
                MemberKind::File(body) => {
                    files.insert(member.name, (body.offset, body.size));
                }
                // Docker once wrote a layer that is there twice as a link.
                MemberKind::Symlink(target) => links.push((member.name, target)),
                MemberKind::Hardlink(target) => links.push((member.name, target)),
                MemberKind::Directory => {}
            }
        }
        for (name, target) in links {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let beside = target.strip_prefix("../").unwrap_or(&target);
            let found = [
                target.clone(),
                beside.to_owned(),
                format!("{folder}/{target}"),
            ]
            .iter()
            .find_map(|place| files.get(place).copied());
            if let Some(found) = found {
                files.insert(name, found);
            }
        }
        Ok(Place::Tar(file, files))
    }

    /// A small text at the layout's top.
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(reader) = self.file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        reader
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("its {name}"))?;
        ensure!(
            bytes.len() as u64 <= MAX_DOCUMENT,
            "its {name} is longer than {MAX_DOCUMENT} bytes"
        );
        Ok(Some(bytes))
    }

    fn file(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>> {
        let name = members_name(name)?;
        match self {
            Place::Directory(directory) => match regular::open(&directory.join(&name)) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e).with_context(|| format!("its {name}")),
            },
            Place::Tar(file, files) => Ok(files.get(&name).map(|&(at, size)| {
                let span: Take<At<'_>> = At { file, at }.take(size);
                Box::new(span) as Box<dyn Read + '_>
            })),
        }
    }
}

/// Relative, without `..`: a directory's other files are not an image's.
fn members_name(name: &str) -> Result<String> {
    crate::input::artifact::rule::member_name(name)
}
