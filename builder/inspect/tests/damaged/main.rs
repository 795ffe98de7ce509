//! Thousands of damaged images: each is one error or a report, in bounded time and memory.
//!
//! The same seed makes the same images. `NODEIMG_FUZZ_RUNS=100000` makes more of them.
#![allow(clippy::unwrap_used)]

mod images;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nodeimg_inspect::image::Image;
use nodeimg_inspect::report::{self, Beside};
use nodeimg_inspect::root::Kind;
use nodeimg_inspect::{page, text};

use images::{Target, targets};

const RUNS: u64 = 4000;
const MIB: u64 = 1 << 20;
/// None of these images needs a tenth of it.
const MEMORY: u64 = 2 << 30;
const LONGEST: Duration = Duration::from_secs(60);

/// A generator whose numbers nobody need trust.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Bytes for a place: what a reader may trip over.
    fn bytes(&mut self) -> Vec<u8> {
        let number = match self.below(6) {
            0 => 0,
            1 => u64::MAX,
            2 => 0x7fff_ffff_7fff_ffff,
            3 => self.below(64),
            4 => 1 << self.below(64),
            _ => self.next(),
        };
        let length = [1, 2, 4, 8][self.below(4) as usize];
        number.to_le_bytes()[..length].to_vec()
    }
}

/// Reads all that there is to read of an image.
fn look(path: &Path) -> Result<(), String> {
    let told = |error: anyhow::Error| format!("{error:#}");
    let image = Image::open(path).map_err(told)?;
    let report = report::of(&image, &Beside::default()).map_err(told)?;
    let _ = (text::report(&report), page::page(&report));
    for (path, node) in image.root.nodes() {
        if let Kind::File(_) = node.kind {
            let mut content = Vec::new();
            let reader = image.root.content(path).map_err(told)?;
            // Some are said to be larger than memory.
            let read = reader.take(8 * MIB).read_to_end(&mut content);
            read.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// The CRC-32 of zip files.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    !crc
}

/// Copies the entries of the first table to the second one, and gives both their sums.
fn seal(file: &File) {
    let size = file.metadata().unwrap().len();
    let mut table = vec![0; 128 * 128];
    file.read_exact_at(&mut table, 1024).unwrap();
    file.write_all_at(&table, size - 33 * 512).unwrap();
    for at in [512, size - 512] {
        let mut header = [0; 92];
        file.read_exact_at(&mut header, at).unwrap();
        header[88..92].copy_from_slice(&crc(&table).to_le_bytes());
        header[16..20].fill(0);
        let sum = crc(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        file.write_all_at(&header, at).unwrap();
    }
}

/// Changes up to four places, looks, and puts everything back.
fn mutate(target: &Target, dice: &mut Dice) -> Result<(), String> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&target.path)
        .unwrap();
    let size = file.metadata().unwrap().len();
    let mut old: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut keep = |at: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at).unwrap();
        old.push((at, bytes));
    };
    if target.sealed {
        keep(0, 34 * 512);
        keep(size - 34 * 512, 34 * 512);
    }
    let mut cut = None;
    for _ in 0..=dice.below(3) {
        let range = &target.ranges[dice.below(target.ranges.len() as u64) as usize];
        let at = range.0 + dice.below(range.1 - range.0);
        if !target.sealed && dice.below(200) == 0 {
            cut = Some(at);
            continue;
        }
        let mut bytes = dice.bytes();
        bytes.truncate((size - at) as usize);
        keep(at, bytes.len());
        file.write_all_at(&bytes, at).unwrap();
    }
    if target.sealed {
        seal(&file);
    }
    let rest: Option<Vec<u8>> = cut.map(|at| {
        let mut rest = vec![0; (size - at) as usize];
        file.read_exact_at(&mut rest, at).unwrap();
        file.set_len(at).unwrap();
        rest
    });
    let told = catch_unwind(AssertUnwindSafe(|| look(&target.path)));
    if let (Some(at), Some(rest)) = (cut, rest) {
        file.write_all_at(&rest, at).unwrap();
    }
    for (at, bytes) in old.iter().rev() {
        file.write_all_at(bytes, *at).unwrap();
    }
    match told {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.is_empty() || error.chars().any(char::is_control) => {
            Err(format!("{error:?} is not one line"))
        }
        Ok(Err(_)) => Ok(()),
        Err(panic) => Err(match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => format!("{:?}", panic.downcast_ref::<&str>()),
        }),
    }
}

/// A directory of the ESP that is in itself, and one whose chain of clusters is a circle.
#[test]
fn circles_on_the_esp_end() {
    let place = tempfile::tempdir().unwrap();
    let Some(targets) = targets(place.path()) else {
        return;
    };
    let range = |name: &str| targets.iter().find(|one| one.name == name).unwrap();
    let (chains, data) = (range("FAT's chains"), range("directories of the ESP"));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&data.path)
        .unwrap();
    // The root's cluster is followed by itself, after it was made full of entries.
    let start = chains.ranges[0].0 + 4 * 2;
    let mut next = [0; 4];
    file.read_exact_at(&mut next, start).unwrap();
    file.write_all_at(&2_u32.to_le_bytes(), start).unwrap();
    let told = look(&data.path).unwrap_err();
    assert!(told.contains("circle"), "{told}");
    file.write_all_at(&next, start).unwrap();
    look(&data.path).unwrap();
    // Every directory of the root is the root.
    let root = data.ranges[0].0;
    let mut entries = vec![0; 512];
    file.read_exact_at(&mut entries, root).unwrap();
    let is_directory = |entry: &[u8]| entry[11] == 0x10;
    let found = entries.chunks_mut(32).filter(|entry| is_directory(entry));
    let mut count = 0;
    for entry in found {
        entry[20..22].fill(0);
        entry[26..28].copy_from_slice(&[2, 0]);
        count += 1;
    }
    assert!(count > 0);
    file.write_all_at(&entries, root).unwrap();
    let told = look(&data.path).unwrap_err();
    assert!(told.contains("circle"), "{told}");
}

#[test]
fn a_damaged_image_is_one_error_or_a_report() {
    let place = tempfile::tempdir().unwrap();
    let Some(targets) = targets(place.path()) else {
        assert!(std::env::var_os("CI").is_none(), "mksquashfs is missing");
        return;
    };
    for target in &targets {
        look(&target.path).unwrap();
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, MEMORY.min(hard), hard).unwrap();
    let runs = std::env::var("NODEIMG_FUZZ_RUNS").ok();
    let runs = runs.map_or(RUNS, |runs| runs.parse().unwrap());
    std::panic::set_hook(Box::new(|_| ()));
    let (say, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for run in 0..runs {
            let target = &targets[(run % targets.len() as u64) as usize];
            let done = mutate(target, &mut dice);
            if say.send((target.name, done)).is_err() {
                return;
            }
        }
    });
    let mut faults: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for run in 0..runs {
        match told.recv_timeout(LONGEST) {
            Ok((_, Ok(()))) => {}
            Ok((name, Err(fault))) => {
                faults.entry((name, fault)).or_insert(run);
            }
            Err(_) => {
                faults.insert(("a run", "did not end".to_owned()), run);
                break;
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(faults.is_empty(), "{faults:#?}");
}
