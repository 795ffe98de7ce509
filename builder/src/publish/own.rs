//! The container image of nodeimg itself: the static program and nothing else that runs.
//!
//! ```text
//! /usr/bin/nodeimg       with first boot, updater and CA certificates inside
//! /etc/passwd, group     root and the user `nodeimg`, 65532, who runs it
//! /work                  the user's home and working directory: store, recipes, output
//! /tmp                   for everybody
//! ```
//! As an archive of an OCI image layout
//! ([layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)), or in a
//! repository under `VERSION`, joined from `VERSION-ARCH` as images of nodes are.
//!
//! # Invariants
//! The same programs make the same bytes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::elf::{HEADER_LEN, program};
use nodeimg_formats::oci::artifact::{Annotations, List};
use nodeimg_formats::oci::{Descriptor, INDEX};
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::AtomicFile;
use nodeimg_values::date::Date;
use nodeimg_values::regular;
use serde_json::json;

use super::container::What;
use super::join;
use super::layer::{Layer, packed};
use super::layout::{self, Entry};
use super::media;
use super::send::{Published, send_all};
use crate::input::fetch::push::{Blob, By, Repository, Source};

/// In every nodeimg of this version.
const MARKER: &str = concat!("nodeimg-program-", env!("CARGO_PKG_VERSION"));
/// No program is longer, in bytes.
const MAX_PROGRAM: u64 = 256 << 20;

/// Who runs it: a number, so that Kubernetes sees that it is not root.
const USER: u32 = 65_532;
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\n\
                      nodeimg:x:65532:65532:nodeimg:/work:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnodeimg:x:65532:\n";
const WORK: &str = "/work";

/// The name of an image of a layout, as skopeo and containerd look for it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The version of the image.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The image for one architecture.
#[derive(Debug)]
pub struct Own {
    pub arch: Arch,
    blobs: Vec<Blob>,
    entry: Entry,
}

impl Own {
    /// Of a static nodeimg of this version; `epoch` is the time of everything in it, in seconds
    /// since 1970.
    ///
    /// # Errors
    /// The file is another program, of another version, or needs libraries.
    pub fn of(path: &Path, epoch: Option<u64>) -> Result<Own> {
        let context = || format!("the program {}", path.display());
        let bytes = regular::read(path, MAX_PROGRAM).with_context(context)?;
        let arch = arch_of(&bytes).with_context(context)?;
        let created = epoch.map(|epoch| Date(epoch).rfc3339());
        let tar = layer(bytes, epoch.unwrap_or_default())?;
        let what = What {
            name: "nodeimg",
            arch,
            created: created.as_deref(),
            run: json!({
                "User": format!("{USER}:{USER}"),
                "Entrypoint": ["/usr/bin/nodeimg"],
                "Env": ["PATH=/usr/bin", format!("HOME={WORK}")],
                "WorkingDir": WORK,
                "Labels": labels(),
            }),
        };
        let (blobs, mut artifact) = what.of(&tar, packed(&tar)?)?;
        artifact.annotations = labels();
        if let Some(created) = created {
            artifact
                .annotations
                .insert(media::CREATED.to_owned(), created);
        }
        let bytes = artifact.bytes()?;
        let mut descriptor = Descriptor::of(&artifact.media_type, &bytes);
        descriptor.platform = Some(layout::platform(arch));
        let entry = Entry { bytes, descriptor };
        Ok(Own { arch, blobs, entry })
    }
}

fn labels() -> Annotations {
    let all = [
        ("title", "nodeimg"),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("version", VERSION),
        ("licenses", env!("CARGO_PKG_LICENSE")),
    ];
    all.into_iter()
        .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned()))
        .collect()
}

/// The architecture of a static nodeimg of this version.
fn arch_of(bytes: &[u8]) -> Result<Arch> {
    let head = bytes.get(..HEADER_LEN).unwrap_or(bytes);
    ensure!(program::is_elf(head), "is not an ELF program");
    let fits = |arch: &Arch| program::check_arch(head, *arch).is_ok();
    let arch = Arch::ALL.into_iter().find(fits);
    let arch = arch.context("is neither for amd64 nor for arm64")?;
    ensure!(
        program::is_static(&bytes)?,
        "is dynamically linked: the image has no libraries. `ci/static {arch}` builds a static one"
    );
    ensure!(
        memchr::memmem::find(bytes, MARKER.as_bytes()).is_some(),
        "is not nodeimg {VERSION}: the image is made of the version that makes it"
    );
    Ok(arch)
}

fn layer(program: Vec<u8>, epoch: u64) -> Result<Source> {
    let mut layer = Layer::new(epoch, 0);
    layer.directory("etc", 0o755)?;
    layer.file("etc/group", 0o644, Source::bytes(GROUP))?;
    layer.file("etc/passwd", 0o644, Source::bytes(PASSWD))?;
    layer.directory("tmp", 0o1777)?;
    layer.directory("usr", 0o755)?;
    layer.directory("usr/bin", 0o755)?;
    layer.file("usr/bin/nodeimg", 0o755, Source::bytes(program))?;
    layer.owner(USER);
    layer.directory(WORK.trim_start_matches('/'), 0o755)?;
    Ok(layer.end())
}

fn index(images: &[Own]) -> Result<Entry> {
    let manifests = images.iter().map(|own| own.entry.descriptor.clone());
    let mut list = List::new(manifests.collect());
    list.annotations = labels();
    let bytes = list.bytes()?;
    let descriptor = Descriptor::of(INDEX, &bytes);
    Ok(Entry { bytes, descriptor })
}

/// Writes `images` to the file `to`; `sha256:…` of their index.
pub fn archive(images: &[Own], to: &Path) -> Result<String> {
    let index = index(images)?;
    let named = index.descriptor.clone().annotated(REF_NAME, VERSION);
    let mut tar = Layer::new(0, 0);
    let mut blobs: Vec<(String, Source)> = Vec::new();
    for own in images {
        let of_blobs = own.blobs.iter();
        blobs.extend(of_blobs.map(|blob| (blob.digest.hex().to_owned(), blob.source.clone())));
    }
    let documents = images.iter().map(|own| &own.entry).chain([&index]);
    blobs.extend(documents.map(|entry| {
        let hex = entry.descriptor.digest.hex().to_owned();
        (hex, Source::bytes(entry.bytes.clone()))
    }));
    blobs.sort_by(|a, b| a.0.cmp(&b.0));
    let layout = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
    tar.file("oci-layout", 0o644, Source::bytes(layout))?;
    let top = List::new(vec![named]).bytes()?;
    tar.file("index.json", 0o644, Source::bytes(top))?;
    tar.directory("blobs", 0o755)?;
    tar.directory("blobs/sha256", 0o755)?;
    for (hex, source) in blobs {
        tar.file(&format!("blobs/sha256/{hex}"), 0o644, source)?;
    }
    let context = || format!("writing {}", to.display());
    let mut file = AtomicFile::create(to)?;
    io::copy(&mut tar.end().reader(), &mut file).with_context(context)?;
    file.flush().with_context(context)?;
    file.commit()?;
    Ok(index.descriptor.digest.to_string())
}

/// Brings `images` into a repository as `tag`.
pub fn publish(repository: &Repository<'_>, images: &[Own], tag: &str) -> Result<Published> {
    let mut told = Published {
        unchanged: true,
        tags: vec![tag.to_owned()],
        ..Published::default()
    };
    for own in images {
        let index = index(std::slice::from_ref(own))?;
        let tag = join::tag_of(tag, own.arch);
        if repository.digest_of(&tag)?.as_ref() == Some(&index.descriptor.digest) {
            continue;
        }
        told.unchanged = false;
        send_all(repository, &own.blobs, &mut told)?;
        repository.put_once(&own.entry.descriptor.media_type, &own.entry.bytes)?;
        repository.put(By::Tag(&tag), INDEX, &index.bytes)?;
    }
    told.unchanged &= !join::join(repository, tag)?;
    let joined = repository.digest_of(tag)?;
    told.digest = joined.map(|digest| digest.to_string()).unwrap_or_default();
    Ok(told)
}

/// The image of each of `programs`, or of this very one.
///
/// # Errors
/// Two are for one architecture; those of [`Own::of`].
pub fn all(programs: &[PathBuf], epoch: Option<u64>) -> Result<Vec<Own>> {
    let mut images: Vec<Own> = Vec::new();
    let running = [PathBuf::from("/proc/self/exe")];
    let programs = match programs.is_empty() {
        true => running.as_slice(),
        false => programs,
    };
    for path in programs {
        let own = Own::of(path, epoch)?;
        if images.iter().any(|other| other.arch == own.arch) {
            bail!("two programs are for {}: name one of each", own.arch);
        }
        images.push(own);
    }
    images.sort_by_key(|own| own.arch.name());
    Ok(images)
}
