//! The EFI system partition: its files are the expected ones, and every other byte of it is what
//! the builder writes for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use anyhow::Result;
use nodeimg_formats::fat::{self, Contents};
use nodeimg_formats::gpt::{Entry, Extent};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;

use crate::image::boot::efi_name;
use crate::input::recipe::build_name;
use crate::output::esp as builder;
use crate::output::sign::esp::ENROLL;
use crate::output::sign::signatures::{ENROLL_LINE, LOADER};
use crate::verify::inside::{Disk, not_zero};
use crate::verify::known::Known;
use crate::verify::step::Fault;

const UKIS: &str = "EFI/Linux/";
/// What systemd-boot takes from there.
const ENROLLED: [&str; 4] = ["PK.auth", "KEK.auth", "db.auth", "dbx.auth"];

/// # Errors
/// A file is missing, is another one or is not expected; another byte is not what is written.
pub fn check(known: &Known, disk: &Disk, notes: &mut Vec<String>) -> Result<(), Fault> {
    let (Some(contents), Some(entry)) = (&disk.esp, disk.esp_place()) else {
        return Ok(());
    };
    let place = format!("{}, EFI system partition", disk.name);
    if disk.partitions(builder::KIND).count() > 1 {
        return Err(Fault::new("there are two EFI system partitions").at(disk.name.clone()));
    }
    files(known, contents, &place)?;
    let Some(manifest) = &known.manifest else {
        notes.push(
            "no manifest is there, whose time every file on the EFI system partition has: what \
             is in its free space was not looked into"
                .to_owned(),
        );
        return Ok(());
    };
    layout(disk, entry, contents, manifest.image.epoch, &place)
}

fn files(known: &Known, contents: &Contents, place: &str) -> Result<(), Fault> {
    let fault = |what: String| Err(Fault::new(what).at(place));
    let arch = known.manifest.as_ref().map(|manifest| manifest.image.arch);
    let archs = Arch::ALL.into_iter();
    let loaders: Vec<String> = archs
        .filter(|one| arch.is_none_or(|arch| arch == *one))
        .map(|arch| format!("EFI/BOOT/BOOT{}.EFI", efi_name(arch).to_uppercase()))
        .collect();
    let mut ukis = Vec::new();
    for (path, bytes) in &contents.files {
        let shown = path.escape_debug();
        if loaders.contains(path) {
            continue;
        }
        if path == LOADER {
            loader(contents, bytes, place)?;
        } else if let Some(name) = path
            .strip_prefix(ENROLL)
            .filter(|name| ENROLLED.contains(name))
        {
            enrolled(known, name, bytes, place)?;
        } else if path
            .strip_prefix(UKIS)
            .is_some_and(|name| is_uki(known, name))
        {
            ukis.push(format!("`{shown}`"));
        } else {
            return fault(format!(
                "there is a file `{shown}` ({} bytes), which no build of this image writes",
                bytes.len()
            ));
        }
    }
    if !loaders.iter().any(|path| contents.files.contains_key(path)) {
        return fault(format!(
            "`{}`, the boot loader, is missing",
            loaders.join("` or `")
        ));
    }
    match ukis.len() {
        0 => return fault(format!("there is no kernel in `{UKIS}`")),
        1 => {}
        // A node keeps the one before an update.
        _ if known.is_lone() => {}
        count => {
            return fault(format!(
                "there are {count} kernels, but a build writes one: {}",
                ukis.join(", ")
            ));
        }
    }
    if !contents.files.contains_key(LOADER) {
        return fault(format!("`{LOADER}` is missing"));
    }
    Ok(())
}

/// `NAME_VERSION-TIME.efi`, or `NAME_VERSION.efi` by an older nodeimg. How often it may fail to
/// boot, and how often it has, may follow: `+3`, `+2-1`.
fn is_uki(known: &Known, name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".efi") else {
        return false;
    };
    let Some(manifest) = &known.manifest else {
        return !name.contains('/');
    };
    let image = &manifest.image;
    let stem = match stem.rsplit_once('+') {
        Some((stem, tries)) if is_counter(tries) => stem,
        _ => stem,
    };
    stem == build_name(&image.name, &image.version, image.epoch)
        || stem == format!("{}_{}", image.name, image.version).replace('+', ".")
}

/// `LEFT` or `LEFT-DONE` of systemd-boot's counting.
fn is_counter(text: &str) -> bool {
    let (left, done) = text.split_once('-').unwrap_or((text, "0"));
    [left, done].iter().all(|number| {
        (1..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn loader(contents: &Contents, bytes: &[u8], place: &str) -> Result<(), Fault> {
    let enrolls = contents.files.keys().any(|path| path.starts_with(ENROLL));
    let mut wanted = builder::LOADER.to_vec();
    if enrolls {
        wanted.extend(ENROLL_LINE.as_bytes());
    }
    if bytes == wanted {
        return Ok(());
    }
    let said = String::from_utf8_lossy(bytes);
    let lines = String::from_utf8_lossy(&wanted).into_owned();
    let other = said
        .lines()
        .find(|line| !lines.lines().any(|own| own == *line));
    Err(Fault::new(match other {
        Some(line) => format!(
            "`{LOADER}` has a line that no build writes: `{}`",
            line.escape_debug()
        ),
        None => format!("`{LOADER}` is not what a build writes: a line is missing or twice there"),
    })
    .at(place))
}

fn enrolled(known: &Known, name: &str, bytes: &[u8], place: &str) -> Result<(), Fault> {
    if known.is_lone() {
        return Ok(());
    }
    let sums = known.sums.as_deref();
    let what = match sums.and_then(|sums| sums.get(name)) {
        None => "is not listed beside the disk",
        Some(listed) if *listed != Digest::sha256(bytes) => {
            "is another one than that beside the disk"
        }
        Some(_) => return Ok(()),
    };
    Err(Fault::new(format!(
        "`{ENROLL}{name}`, by which firmware would trust a key, {what}"
    ))
    .at(place))
}

/// Writes the file system again, to nowhere, and compares.
fn layout(
    disk: &Disk,
    entry: &Entry,
    contents: &Contents,
    epoch: Epoch,
    place: &str,
) -> Result<(), Fault> {
    let files: Vec<fat::File<'_>> = contents
        .files
        .iter()
        .map(|(path, content)| fat::File {
            path: path.clone(),
            content,
        })
        .collect();
    let options = fat::Options {
        size: entry.place.size,
        label: builder::LABEL,
        volume_id: builder::volume_id(entry.unique),
        epoch,
    };
    let mut same = Comparison::of(&disk.medium.file, entry.place);
    let written = fat::write(&files, &options, &mut same);
    // That it differs is the better reason for an error.
    let differs = match same.differs {
        Some(at) => Some(at),
        None => {
            written.map_err(|error| Fault::from(error).at(place))?;
            same.in_gaps(disk)
                .map_err(|error| Fault::from(error).at(place))?
        }
    };
    let Some(at) = differs else { return Ok(()) };
    let whose =
        fat::whereabouts(&files, &options, at).map_err(|error| Fault::from(error).at(place))?;
    Err(Fault::new(format!(
        "byte {at} of it is not what a build writes there: it belongs to {whose}"
    ))
    .at(place))
}

/// Takes what is written to it for what must be there.
struct Comparison<'a> {
    file: &'a File,
    place: Extent,
    position: u64,
    /// What was compared: from where to where.
    compared: BTreeMap<u64, u64>,
    differs: Option<u64>,
}

impl<'a> Comparison<'a> {
    fn of(file: &'a File, place: Extent) -> Comparison<'a> {
        Comparison {
            file,
            place,
            position: 0,
            compared: BTreeMap::new(),
            differs: None,
        }
    }

    /// Where nothing was written there are zeros.
    fn in_gaps(&self, disk: &Disk) -> Result<Option<u64>> {
        let mut at = 0;
        let end = std::iter::once((&self.place.size, &self.place.size));
        for (start, stop) in self.compared.iter().chain(end) {
            if *start > at {
                let gap = (self.place.start + at, self.place.start + start);
                if let Some(found) = not_zero(&disk.medium, gap.0, gap.1)? {
                    return Ok(Some(found - self.place.start));
                }
            }
            at = at.max(*stop);
        }
        Ok(None)
    }
}

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut there = vec![0; bytes.len()];
        self.file
            .read_exact_at(&mut there, self.place.start + self.position)?;
        let mut pairs = bytes.iter().zip(&there);
        if let Some(at) = pairs.position(|(one, other)| one != other) {
            let at = self.position + at as u64;
            self.differs = Some(self.differs.map_or(at, |old| old.min(at)));
            return Err(io::Error::other("it differs"));
        }
        let end = self.position + bytes.len() as u64;
        let known = self.compared.entry(self.position).or_insert(end);
        *known = end.max(*known);
        self.position = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Comparison<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.place.size.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
