#![allow(clippy::unwrap_used)]

mod judged;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use nodeimg_values::digest::Digest;

use super::*;
use crate::region::Region;

const EPOCH: Epoch = Epoch(1_700_000_001);

fn options(size: u64) -> Options<'static> {
    Options {
        size,
        label: "CIDATA",
        volume_id: 0x1234_abcd,
        epoch: EPOCH,
    }
}

/// Paths and contents, kept together while a test runs.
struct Given(Vec<(String, Vec<u8>)>);

impl Given {
    fn of(files: &[(&str, Vec<u8>)]) -> Given {
        let content = |(path, bytes): &(&str, Vec<u8>)| (path.to_string(), bytes.clone());
        Given(files.iter().map(content).collect())
    }

    fn files(&self) -> Vec<File<'_>> {
        let file = |(path, content)| File {
            path: String::clone(path),
            content,
        };
        self.0
            .iter()
            .map(|(path, content)| file((path, content)))
            .collect()
    }
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Long and short names, empty ones, one that fills clusters exactly, a deep
/// one, a directory of many clusters.
fn sample() -> Given {
    let mut files = vec![
        ("EFI/BOOT/BOOTX64.EFI", noise(300_001)),
        ("EFI/Linux/nodeimg_1.2.3+a.efi", noise(4096)),
        ("loader/loader.conf", b"timeout 0\n".to_vec()),
        ("meta-data", b"instance-id: i\n".to_vec()),
        ("user-data", b"#cloud-config\n".to_vec()),
        ("empty", vec![]),
        ("a/b/c/d/e/f", vec![7]),
        ("thirteen-long", vec![1; 512]),
        ("a name, odd & \u{e4}.txt", vec![2; 513]),
        ("\u{1f980}", vec![3]),
    ];
    let many: Vec<_> = (0..300)
        .map(|n| format!("many/a-long-file-name-{n:03}.yaml"))
        .collect();
    files.extend(
        many.iter()
            .map(|path| (path.as_str(), path.clone().into_bytes())),
    );
    Given::of(&files)
}

fn image(dir: &Path, given: &Given, options: &Options<'_>) -> std::path::PathBuf {
    let path = dir.join("fat");
    let mut file = fs::File::create(&path).unwrap();
    write(&given.files(), options, &mut file).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), options.size);
    path
}

#[test]
fn the_bytes_are_pinned_and_know_no_order() {
    let mut given = sample();
    let written = |given: &Given| {
        let mut to = Cursor::new(Vec::new());
        write(&given.files(), &options(MIN_SIZE), &mut to).unwrap();
        to.into_inner()
    };
    let bytes = written(&given);
    assert_eq!(bytes.len() as u64, MIN_SIZE);
    let file = tempfile::tempfile().unwrap();
    file.set_len(MIN_SIZE + (2 << 20)).unwrap();
    write(
        &given.files(),
        &options(MIN_SIZE),
        &mut Region::new(&file, 1 << 20),
    )
    .unwrap();
    let mut region = vec![0; bytes.len()];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut region, 1 << 20).unwrap();
    assert!(region == bytes, "a region differs from a file");
    assert_eq!(
        Digest::sha256(&bytes).hex(),
        "ea7852b1dcfdd95b60290c3e20892e9fbbc210d6008c18f8130082872ef3c851"
    );
    given.0.reverse();
    assert!(
        written(&given) == bytes,
        "the order of the files is in the bytes"
    );
}

#[test]
fn the_size_asked_for_is_enough_and_so_is_any_larger_one() {
    let big = Given::of(&[("big", noise(40 << 20)), ("two", noise(700))]);
    let small = |n| (format!("{}/{n}", n / 1000), vec![1]);
    let small = Given((0..70_000).map(small).collect());
    for given in [big, small, sample()] {
        let files = given.files();
        let size = min_size(&files).unwrap();
        let directories = Directories::of(&files).unwrap();
        for more in [0, 512, 4096, 64 << 20, 250 << 20, 1 << 30] {
            fitting(size + more, &directories, &files).unwrap();
        }
        if size > MIN_SIZE {
            let less = size - 16 * volume::SECTOR;
            let error = write(&files, &options(less), &mut Cursor::new(Vec::new())).unwrap_err();
            let want = format!("make it {size} bytes or more");
            assert!(error.to_string().contains(&want), "{error}");
        }
    }
    assert_eq!(min_size(&[]).unwrap(), MIN_SIZE);
}

#[test]
fn a_larger_volume_has_hardly_ever_fewer_clusters() {
    let mut most = 0;
    for sector in 0..4096 {
        let volume = Volume::with_small_clusters(MIN_SIZE + sector * volume::SECTOR);
        assert!(volume.clusters() + SLACK >= most, "{volume:?}");
        most = most.max(volume.clusters());
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |paths: &[&str], options: &Options<'_>| {
        let given = Given(
            paths
                .iter()
                .map(|path| (path.to_string(), vec![1]))
                .collect(),
        );
        let mut to = Cursor::new(Vec::new());
        let error = write(&given.files(), options, &mut to).unwrap_err();
        assert!(to.into_inner().is_empty(), "something was written");
        format!("{error:#}")
    };
    let good = options(MIN_SIZE);
    let cases: [(&[&str], &str); 9] = [
        (&["a/Name", "a/nAME"], "`a/nAME`"),
        (&["a", "a/b"], "`a` already exists"),
        (&["a/b", "a"], "`a` already exists"),
        (&["EFI/x", "efi/y"], "as `EFI`"),
        (&["a", "a"], "`a` already exists"),
        (&["/a"], "empty"),
        (&["a//b"], "empty"),
        (&["a/../b"], "`..`"),
        (&["a/b?c"], "`?`"),
    ];
    for (paths, why) in cases {
        let error = refused(paths, &good);
        assert!(error.contains(why), "{paths:?}: {error}");
    }
    for (size, why) in [
        (MIN_SIZE + 1, "whole number"),
        (MIN_SIZE - 512, "make it 34603008 bytes"),
        (0, "make it 34603008 bytes"),
        (MAX_SIZE + 512, "too large"),
    ] {
        let error = refused(&["a"], &options(size));
        assert!(error.contains(why), "{size}: {error}");
    }
    let label = Options {
        label: "cidata",
        ..good
    };
    assert!(refused(&["a"], &label).contains("label"));
}

#[test]
fn what_is_written_is_read_again() {
    let given = sample();
    let file = tempfile::tempfile().unwrap();
    let place = 1 << 20;
    let options = options(64 << 20);
    write(&given.files(), &options, &mut Region::new(&file, place)).unwrap();
    let found = read(&file, place, options.size).unwrap();
    assert_eq!((&*found.label, found.volume_id), ("CIDATA", 0x1234_abcd));
    let expected: Vec<_> = given.0.iter().map(|(path, bytes)| (path, bytes)).collect();
    let mut expected = expected;
    expected.sort();
    assert!(found.files.iter().eq(expected));
}

/// Whatever a volume says, it is read to an end.
#[test]
fn damaged_volumes_are_refused_or_read_to_an_end() {
    use std::os::unix::fs::FileExt;
    let given = sample();
    let file = tempfile::tempfile().unwrap();
    let options = options(34 << 20);
    write(&given.files(), &options, &mut Region::new(&file, 0)).unwrap();
    file.set_len(options.size).unwrap();
    let end = 2 << 20;
    for seed in 0..150u64 {
        let at = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let at = if seed < 100 { seed } else { at % end };
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        for other in [0, 0xff, byte[0] ^ 1, byte[0].wrapping_add(0x10)] {
            file.write_all_at(&[other], at).unwrap();
            let _ = read(&file, 0, options.size);
        }
        file.write_all_at(&byte, at).unwrap();
    }
    assert!(read(&file, 0, options.size - 512).is_err());
    assert!(read(&file, 512, options.size - 512).is_err());
}
