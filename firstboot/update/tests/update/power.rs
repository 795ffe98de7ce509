//! A power cut at every write, and between every write and its flush.
//!
//! What was flushed is on the disk. Of what was written since, a cut leaves anything: nothing,
//! all, some of it, a part of a write.

use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::Mutex;

use nodeimg_formats::blocks::Blocks;
use nodeimg_test_support::judge;
use nodeimg_update::source::directory::Directory;

use crate::fixture::{Machine, Version, install};
use crate::model::boot;

pub enum Event {
    Write(u64, Vec<u8>),
    Flush,
}

/// A disk that remembers what happened to it.
struct Recorder<'a> {
    disk: &'a File,
    events: Mutex<Vec<Event>>,
}

impl Blocks for Recorder<'_> {
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.read(bytes, at)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.write(bytes, at)?;
        let event = Event::Write(at, bytes.to_vec());
        self.events.lock().unwrap().push(event);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.events.lock().unwrap().push(Event::Flush);
        Ok(())
    }
}

/// Writes and takes them back.
struct Disk<'a> {
    file: &'a File,
    undo: Vec<(u64, Vec<u8>)>,
}

impl Disk<'_> {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut old = vec![0; bytes.len()];
        self.file.read(&mut old, at).unwrap();
        self.file.write(bytes, at).unwrap();
        self.undo.push((at, old));
    }

    fn back(&mut self) {
        while let Some((at, bytes)) = self.undo.pop() {
            self.file.write(&bytes, at).unwrap();
        }
    }
}

/// What a cut may leave of writes that were not flushed: each a list of pieces.
fn remains<'a>(pending: &[(u64, &'a [u8])], mut dice: u64) -> Vec<Vec<(u64, &'a [u8])>> {
    let mut all = vec![Vec::new(), pending.to_vec()];
    let mut reversed = pending.to_vec();
    reversed.reverse();
    all.push(reversed);
    for index in 0..pending.len() {
        let mut without = pending.to_vec();
        let (at, bytes) = without.remove(index);
        all.push(without);
        all.push(vec![(at, bytes)]);
        // Torn at a sector: its beginning only, its end only, its end before the others.
        let sectors = bytes.len() / 512;
        let cuts = [1, 2, 7, 8, sectors / 2, sectors.saturating_sub(1)];
        for cut in cuts.into_iter().filter(|cut| (1..sectors).contains(cut)) {
            let mut head = pending[..index].to_vec();
            head.push((at, &bytes[..cut * 512]));
            all.push(head);
            let mut tail = pending[..index].to_vec();
            tail.push((at + cut as u64 * 512, &bytes[cut * 512..]));
            all.push(tail);
        }
    }
    for _ in 0..4 {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        let some = pending.iter().enumerate();
        let some = some.filter(|(index, _)| dice >> (index % 60) & 1 == 1);
        all.push(some.map(|(_, write)| *write).collect());
    }
    all
}

pub struct Cuts {
    pub cuts: usize,
    pub old: usize,
    pub new: usize,
}

/// Cuts an update everywhere; after each cut the machine boots the old or the new version, and
/// the old one is there as long as it is the one that boots.
pub fn cut_everywhere(start: &File, events: &[Event], size: u64, old: &str, new: &str) -> Cuts {
    let mut told = Cuts {
        cuts: 0,
        old: 0,
        new: 0,
    };
    let mut pending: Vec<(u64, &[u8])> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Write(at, bytes) => pending.push((*at, bytes)),
            Event::Flush => {
                for (at, bytes) in pending.drain(..) {
                    start.write(bytes, at).unwrap();
                }
            }
        }
        for remains in remains(&pending, index as u64) {
            let mut disk = Disk {
                file: start,
                undo: Vec::new(),
            };
            for (at, bytes) in &remains {
                disk.write(*at, bytes);
            }
            let booted = boot(start, size).unwrap_or_else(|why| {
                panic!(
                    "cut after event {index} with {} of {} writes: {why}",
                    remains.len(),
                    pending.len()
                )
            });
            let is_old = booted.entry == old;
            assert!(is_old || booted.entry == new, "{index}: {booted:?}");
            assert!(
                booted.bootable.iter().any(|entry| entry == old),
                "{index}: {booted:?}"
            );
            told.cuts += 1;
            told.old += usize::from(is_old);
            told.new += usize::from(!is_old);
            disk.back();
        }
    }
    told
}

pub fn copy(machine: &Machine) -> (tempfile::TempDir, File) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    std::fs::copy(machine.path(), &path).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    (dir, file)
}

fn versions() -> [Version; 3] {
    [
        Version::of("1.0-20261101", 100..140),
        Version::of("1.1-20261201", (110..140).chain(900..911)),
        Version::of("1.2-20261202", (111..140).chain(899..911)),
    ]
}

#[test]
fn a_cut_at_every_write_boots_the_old_or_the_new_version() {
    let [first, second, third] = versions();
    let dir = tempfile::tempdir().unwrap();
    let source = Directory::open(dir.path()).unwrap();
    let mut machine = Machine::running(&first);
    // Into an empty slot; then into one that holds a version and has an entry.
    for (new, old_entry, new_entry) in [
        (&second, "node_1.0-20261101.efi", "node_1.1-20261201+3.efi"),
        (&third, "node_1.1-20261201+3.efi", "node_1.2-20261202+3.efi"),
    ] {
        let manifest = new.publish(dir.path());
        let (_kept, start) = copy(&machine);
        let recorder = Recorder {
            disk: &machine.disk,
            events: Mutex::default(),
        };
        install(&recorder, machine.size, machine.running, &manifest, &source).unwrap();
        let events = recorder.events.into_inner().unwrap();
        assert!(matches!(events.last(), Some(Event::Flush)));
        let told = cut_everywhere(&start, &events, machine.size, old_entry, new_entry);
        assert!(
            told.cuts > 250 && told.old > 200 && told.new > 0,
            "{}",
            told.cuts
        );
        machine.boots(new);
    }
}

/// The model above must be able to fail: the same events without their flushes do.
#[test]
fn without_flushes_a_cut_is_fatal() {
    let [first, second, _] = versions();
    let dir = tempfile::tempdir().unwrap();
    let source = Directory::open(dir.path()).unwrap();
    let machine = Machine::running(&first);
    let manifest = second.publish(dir.path());
    let (_kept, start) = copy(&machine);
    let recorder = Recorder {
        disk: &machine.disk,
        events: Mutex::default(),
    };
    install(&recorder, machine.size, machine.running, &manifest, &source).unwrap();
    let mut events = recorder.events.into_inner().unwrap();
    events.retain(|event| matches!(event, Event::Write(..)));
    let size = machine.size;
    let cuts = std::panic::AssertUnwindSafe(|| {
        cut_everywhere(
            &start,
            &events,
            size,
            "node_1.0-20261101.efi",
            "node_1.1-20261201+3.efi",
        )
    });
    assert!(std::panic::catch_unwind(cuts).is_err());
}

#[test]
fn after_a_cut_the_next_run_finishes_with_what_is_in_place() {
    let [first, second, _] = versions();
    let dir = tempfile::tempdir().unwrap();
    let source = Directory::open(dir.path()).unwrap();
    let machine = Machine::running(&first);
    let manifest = second.publish(dir.path());
    let (_kept, start) = copy(&machine);
    let recorder = Recorder {
        disk: &machine.disk,
        events: Mutex::default(),
    };
    let whole = install(&recorder, machine.size, machine.running, &manifest, &source).unwrap();
    let events = recorder.events.into_inner().unwrap();
    for event in &events {
        if let Event::Write(at, bytes) = event {
            start.write(bytes, *at).unwrap();
        }
        // On a copy, since the next cut comes after it.
        let copy = tempfile::tempfile().unwrap();
        std::io::copy(&mut Rewound::new(&start), &mut &copy).unwrap();
        let moved = install(&copy, machine.size, machine.running, &manifest, &source).unwrap();
        assert!(moved.fetched <= whole.fetched);
        let booted = boot(&copy, machine.size).unwrap();
        assert_eq!(booted.entry, "node_1.1-20261201+3.efi");
        let files = nodeimg_formats::fat::read(&copy, 1 << 20, nodeimg_formats::fat::MIN_SIZE);
        assert_eq!(files.unwrap().files.len(), 4);
    }
}

/// A file from its start, without a position of its own.
struct Rewound<'a>(&'a File, u64);

impl<'a> Rewound<'a> {
    fn new(file: &'a File) -> Self {
        Rewound(file, 0)
    }
}

impl io::Read for Rewound<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = std::os::unix::fs::FileExt::read_at(self.0, buffer, self.1)?;
        self.1 += got as u64;
        Ok(got)
    }
}

/// Other people's programs find nothing wrong with the result either.
#[test]
fn the_disk_afterwards_is_sound_to_others() {
    let [first, second, _] = versions();
    let dir = tempfile::tempdir().unwrap();
    let source = Directory::open(dir.path()).unwrap();
    let machine = Machine::running(&first);
    let manifest = second.publish(dir.path());
    machine.install(&manifest, &source).unwrap();
    let run = |program: &str, args: &[&str]| {
        let told = judge::run(Command::new(program).args(args))?;
        let text = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
        assert!(told.status.success(), "{program}: {text}");
        Some(text)
    };
    let disk = machine.path().display().to_string();
    if let Some(text) = run("sgdisk", &["-v", &disk]) {
        assert!(
            text.contains("No problems found") && !text.contains("ERROR"),
            "{text}"
        );
    }
    if let Some(text) = run("sfdisk", &["--json", &disk]) {
        assert!(text.contains("node_1.1-20261201"), "{text}");
    }
    let slots = machine.slots();
    let extract = |name: &str, place: nodeimg_formats::gpt::Extent| {
        let mut bytes = vec![0; place.size as usize];
        machine.disk.read(&mut bytes, place.start).unwrap();
        let path = machine.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let esp = extract("esp", slots.esp);
    run("fsck.fat", &["-n", &esp]);
    if let Some(text) = run("mdir", &["-i", &esp, "-b", "::EFI/Linux"]) {
        assert!(text.contains("node_1.1-20261201+3.efi"), "{text}");
    }
    let root = extract("root", slots.target.root.place);
    let tree = extract("tree", slots.target.verity.place);
    run(
        "veritysetup",
        &["verify", &root, &tree, &second.hash.to_string()],
    );
}
