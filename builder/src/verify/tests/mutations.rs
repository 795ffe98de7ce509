//! What else is changed, by whoever has the key of the checksums: each is found, with words that
//! say what and where.

mod alone;
mod disk;
mod lists;
mod programs;
mod root;

use nodeimg_signing::authenticode;

use super::steps::edit;
use super::*;
use fixture::{LOADER, UKI};

type Change = fn(&Fixture, &Path);

/// The step that finds it, what it says, and what was done.
struct Case(&'static str, Step, &'static [&'static str], Change);

fn run(cases: &[Case]) {
    let Some(fixture) = fixture() else { return };
    let mut wrong = Vec::new();
    for Case(name, step, words, change) in cases {
        let image = fixture.copy(&name.replace(' ', "-"));
        change(fixture, &image);
        let found = failed(&verdicts(&image, fixture.policy()));
        let is_good = found
            .iter()
            .any(|(failed, said)| failed == step && words.iter().all(|word| said.contains(word)));
        if !is_good {
            wrong.push(format!(
                "{name}: wanted {step} with {words:?}, found {found:#?}"
            ));
        }
        fs::remove_dir_all(image).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Changes the disk, and its other form with it.
fn on_disk(fixture: &Fixture, image: &Path, change: impl FnOnce(&Disk)) {
    let disk = Disk::open(image);
    change(&disk);
    disk.as_qcow2(image);
    fixture.tell(image, &[]);
}

/// Writes both partition tables again, with one entry another.
fn table(fixture: &Fixture, image: &Path, change: impl FnOnce(&mut gpt::Entry)) {
    on_disk(fixture, image, |disk| {
        let mut table = gpt::read(&disk.0).unwrap();
        change(table.partitions.last_mut().unwrap());
        let partitions: Vec<gpt::Partition<'_>> = table
            .partitions
            .iter()
            .map(|entry| gpt::Partition {
                kind: entry.kind,
                unique: entry.unique,
                name: &entry.name,
                flags: entry.flags,
                place: entry.place,
            })
            .collect();
        gpt::write(&disk.0, table.size, table.disk, &partitions).unwrap();
    });
}

/// Another file on the ESP, or a file that is another.
fn on_esp(fixture: &Fixture, image: &Path, path: &str, bytes: &[u8]) {
    on_disk(fixture, image, |disk| {
        let mut files = disk.esp();
        files.insert(path.to_owned(), bytes.to_vec());
        disk.write_esp(&files);
    });
}
