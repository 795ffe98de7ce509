//! How an image boots: the EFI system partition, the UKI in it and its initrd.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, bail};
use nodeimg_formats::{fat, pe};
use nodeimg_seed::contract::initrd_plan::{self, InitrdPlan};

use crate::medium::Window;

/// A file on an ESP that is larger is refused.
const LARGEST: u64 = 1 << 30;
/// Of an initrd, unpacked.
const LARGEST_INITRD: u64 = 1 << 29;

/// Files of the EFI system partition by path (`/EFI/Linux/x.efi`), with their sizes.
pub struct Esp {
    window: Window,
    volume: fat::Listed,
    pub files: BTreeMap<String, u64>,
}

impl Esp {
    /// Reads the directories of the FAT32 file system in `window`.
    ///
    /// # Errors
    /// It is not FAT32, or is damaged.
    pub fn read(window: Window) -> Result<Esp> {
        let (file, start, size) = window.place();
        let volume = fat::Listed::open(file, start, size).context("the EFI system partition")?;
        let files = volume.files.iter();
        let files = files.map(|(path, place)| (format!("/{path}"), place.size));
        Ok(Esp {
            files: files.collect(),
            window,
            volume,
        })
    }

    /// The content of a file.
    pub fn content(&self, path: &str) -> Result<Vec<u8>> {
        let context = || {
            let path = path.escape_debug();
            format!("reading `{path}` of the EFI system partition")
        };
        let size = self.files.get(path).copied().unwrap_or_default();
        if size > LARGEST {
            bail!("{}: it has more than {LARGEST} bytes", context());
        }
        let (file, ..) = self.window.place();
        let content = self.volume.content(file, path.trim_start_matches('/'));
        content.with_context(context)
    }

    /// The UKIs, the one that boots by default last: systemd-boot takes the newest name.
    pub fn ukis(&self) -> Vec<&str> {
        let in_place = |path: &&String| {
            let folded = path.to_lowercase();
            folded.starts_with("/efi/linux/") && folded.ends_with(".efi")
        };
        self.files
            .keys()
            .filter(in_place)
            .map(String::as_str)
            .collect()
    }
}

/// A unified kernel image.
pub struct Uki {
    /// Names and sizes in bytes, in the file's order.
    pub sections: Vec<(String, u64)>,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Uki {
    /// Parses the sections of an EFI program.
    pub fn parse(bytes: &[u8]) -> Result<Uki> {
        let mut sections = Vec::new();
        let mut contents = BTreeMap::new();
        let mut left = bytes.len();
        for section in pe::sections(bytes)? {
            let start = section.offset as usize;
            let length = section.size.min(section.stored) as usize;
            let content = bytes
                .get(start..start.saturating_add(length))
                .with_context(|| {
                    let name = section.name.escape_debug();
                    format!("section `{name}` lies outside the file")
                })?;
            let Some(rest) = left.checked_sub(length) else {
                bail!("its sections lie on each other: together they are larger than the file");
            };
            left = rest;
            sections.push((section.name.clone(), u64::from(section.size)));
            contents.insert(section.name, content.to_owned());
        }
        Ok(Uki { sections, contents })
    }

    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.contents.get(name).map(Vec::as_slice)
    }

    /// A section as text, without the zeros and line ends behind it.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.section(name)?).into_owned();
        Some(text.trim_end_matches(['\0', '\n']).to_owned())
    }

    /// The files of the initrd, with the sizes of their contents in bytes, and its plan.
    pub fn initrd(&self) -> Result<Initrd> {
        let Some(packed) = self.section(".initrd") else {
            return Ok(Initrd::default());
        };
        let mut initrd = Initrd::default();
        let mut rest = packed;
        // Several archives, one after the other: microcode as it is, then what is compressed.
        while !rest.is_empty() {
            if rest.starts_with(b"070701") {
                rest = initrd.take_archive(rest)?;
            } else if rest[0] == 0 {
                rest = &rest[1..];
            } else {
                let mut bytes = Vec::new();
                zstd::Decoder::new(rest)
                    .context("the initrd is not compressed with zstd")?
                    .take(LARGEST_INITRD + 1)
                    .read_to_end(&mut bytes)
                    .context("unpacking the initrd")?;
                if bytes.len() as u64 > LARGEST_INITRD {
                    bail!("the initrd unpacks to more than {LARGEST_INITRD} bytes");
                }
                let mut inner = bytes.as_slice();
                while inner.starts_with(b"070701") {
                    inner = initrd.take_archive(inner)?;
                    inner = &inner[inner.iter().take_while(|byte| **byte == 0).count()..];
                }
                break;
            }
        }
        Ok(initrd)
    }
}

/// What is in an initrd.
#[derive(Default)]
pub struct Initrd {
    /// By path; sizes in bytes.
    pub files: BTreeMap<String, u64>,
    /// In an image's own initrd; systemd's has none.
    pub plan: Option<InitrdPlan>,
}

impl Initrd {
    /// One cpio archive ("newc"); says what is behind it.
    fn take_archive<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8]> {
        const HEADER: usize = 110;
        let cut = "the initrd is cut short";
        loop {
            let header = bytes.get(..HEADER).context(cut)?;
            if !header.starts_with(b"070701") {
                bail!("the initrd is damaged: it is not a cpio archive throughout");
            }
            let number = |index: usize| -> Result<usize> {
                let digits = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index])?;
                Ok(usize::from_str_radix(digits, 16)?)
            };
            let (mode, size, name_length) = (number(1)?, number(6)?, number(11)?);
            let content = (HEADER + name_length).next_multiple_of(4);
            let name = bytes.get(HEADER..HEADER + name_length).context(cut)?;
            let name = String::from_utf8_lossy(name);
            let name = name.trim_end_matches('\0');
            let next = (content + size).next_multiple_of(4).min(bytes.len());
            let stored = bytes.get(content..content + size).context(cut)?;
            bytes = &bytes[next..];
            if name == "TRAILER!!!" {
                return Ok(bytes);
            }
            if mode & 0o170_000 != 0o100_000 {
                continue;
            }
            let path = format!("/{}", name.trim_start_matches('/'));
            if path == initrd_plan::PATH {
                self.plan = serde_json::from_slice(stored).ok();
            }
            self.files.insert(path, size as u64);
        }
    }
}
