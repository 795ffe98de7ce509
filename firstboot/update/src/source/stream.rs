//! A tar of an update's files, on standard input.
//!
//! What comes before the root goes to a file without a name, beside what is kept in /var; the
//! root itself is not kept if manifest and hash tree came before it, but passes by once. So
//! `tar -cf - NAME.update.json* NAME.verity.raw NAME.efi.zst NAME.root.raw` needs the least room.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::update::{self, Manifest};

use super::{Delivered, Document, Failure, Image, MAX_DOCUMENT, Piece, Sink, Source, pass_on};

/// Of one file that is kept, in bytes.
const MAX_KEPT: u64 = 16 << 30;

/// The files of a stream, read as far as they were asked for.
pub struct Stream {
    kept: HashMap<String, (File, u64)>,
    /// The root, whose bytes come next.
    passing: Mutex<Option<Passing>>,
}

struct Passing {
    name: String,
    size: u64,
    rest: Box<dyn Read + Send>,
}

impl Stream {
    /// Reads up to the root, or to the end; what is kept is kept in `room`.
    ///
    /// # Errors
    /// It is not a tar, or `room` has no space.
    pub fn open(from: impl Read + Send + 'static, room: &Path) -> Result<Stream> {
        let mut from: Box<dyn Read + Send> = Box::new(from);
        let mut kept = HashMap::new();
        loop {
            let Some((name, size)) = head(&mut from)? else {
                break;
            };
            let ends_with = |end: &str| kept.keys().any(|name: &String| name.ends_with(end));
            let is_known = ends_with(update::SUFFIX) || ends_with(update::SIGNED_SUFFIX);
            let is_root = name.ends_with(".root.raw");
            // Entries and the tree must be here before blocks can be verified.
            if is_root && is_known && ends_with(".verity.raw") && ends_with_uki(&kept) {
                return Ok(Stream {
                    kept,
                    passing: Mutex::new(Some(Passing {
                        name,
                        size,
                        rest: from,
                    })),
                });
            }
            if size > MAX_KEPT {
                bail!("{name} on standard input is larger than an update can be");
            }
            let file = keep(&mut from, size, room).with_context(|| format!("keeping {name}"))?;
            let padding = size.next_multiple_of(512) - size;
            io::copy(&mut (&mut from).take(padding), &mut io::sink()).context("standard input")?;
            kept.insert(name, (file, size));
        }
        if kept.is_empty() {
            bail!("standard input has no files: pipe a tar of an update's files into it");
        }
        Ok(Stream {
            kept,
            passing: Mutex::new(None),
        })
    }

    fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.kept.get(name) else {
            return Ok(None);
        };
        if *size > MAX_DOCUMENT {
            bail!("{name} is longer than a manifest can be");
        }
        let mut bytes = vec![0; *size as usize];
        file.read_exact_at(&mut bytes, 0)
            .with_context(|| format!("reading {name}"))?;
        Ok(Some(bytes))
    }
}

fn ends_with_uki(kept: &HashMap<String, (File, u64)>) -> bool {
    kept.keys()
        .any(|name| name.ends_with(".efi.zst") || name.ends_with(".efi"))
}

/// Name and size of the next file; none at the end.
fn head(from: &mut dyn Read) -> Result<Option<(String, u64)>> {
    loop {
        let mut block = [0; 512];
        match from.read_exact(&mut block) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error).context("reading standard input"),
        }
        if block == [0; 512] {
            return Ok(None);
        }
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        let sum: u32 = block.iter().enumerate().fold(0, |sum, (at, byte)| {
            sum + u32::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        });
        if header.cksum().ok() != Some(sum) {
            bail!("standard input is not a tar (a compressed one has to be unpacked first)");
        }
        let size = header
            .entry_size()
            .context("standard input is a damaged tar")?;
        if header.entry_type().is_file() {
            let path = header.path().context("a name on standard input")?;
            let name = path.file_name().context("a name on standard input")?;
            return Ok(Some((name.to_string_lossy().into_owned(), size)));
        }
        // Directories, and what GNU and POSIX say beside a file.
        let skipped = io::copy(&mut from.take(size.next_multiple_of(512)), &mut io::sink());
        skipped.context("reading standard input")?;
    }
}

fn keep(from: &mut Box<dyn Read + Send>, size: u64, room: &Path) -> Result<File> {
    let mut file = tempfile::tempfile_in(room)
        .with_context(|| format!("making a file in {}", room.display()))?;
    let copied = io::copy(&mut from.take(size), &mut file)?;
    if copied != size {
        bail!("standard input ended within it");
    }
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

impl Source for Stream {
    fn name(&self) -> String {
        "standard input".to_owned()
    }

    fn versions(&self, image: Image<'_>) -> Result<Vec<String>> {
        Ok(image.versions_in(self.kept.keys()))
    }

    fn manifest(&self, image: Image<'_>, version: &str) -> Result<Document> {
        Document::of_files(image, version, |name| self.document(name))
    }

    fn read(
        &self,
        manifest: &Manifest,
        piece: Piece,
        range: Range<u64>,
        to: &mut Sink<'_>,
    ) -> Result<Delivered, Failure> {
        let name = piece.file(manifest);
        if let Some((file, size)) = self.kept.get(name) {
            let failed = |error: io::Error| {
                Failure::Final(anyhow!(error).context(format!("reading {name}")))
            };
            let here = range.start..range.end.min(*size);
            let at = pass_on(here, |bytes, at| file.read_at(bytes, at), failed, to)?;
            if at < range.end {
                return Err(Failure::Final(anyhow!(
                    "{name} on standard input is shorter than its manifest says"
                )));
            }
            return Ok(Delivered::Range);
        }
        let passing = self.passing.lock().ok().and_then(|mut it| it.take());
        let Some(mut passing) = passing.filter(|passing| passing.name == name) else {
            return Err(Failure::Final(anyhow!("standard input has no {name}")));
        };
        let failed =
            |error: io::Error| Failure::Final(anyhow!(error).context("reading standard input"));
        let mut read = |bytes: &mut [u8], _| passing.rest.read(bytes);
        match pass_on(0..passing.size, &mut read, failed, to)? {
            at if at == passing.size => Ok(Delivered::All),
            _ => Err(Failure::Final(anyhow!(
                "standard input ended within {name}"
            ))),
        }
    }

    fn is_remote(&self) -> bool {
        false
    }
}
