//! In the root and its hash tree.

use super::*;

#[test]
fn in_the_root_and_its_tree() {
    run(&[
        Case(
            "a block of the root",
            Step::Verity,
            &["block 2 of the data", "`root-a`"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("root-a").start + 2 * 4096)
                });
            },
        ),
        Case(
            "a leaf",
            Step::Verity,
            &["level 0", "`hashes-a`"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("hashes-a").start + 3 * 4096)
                });
            },
        ),
        Case(
            "an inner node",
            Step::Verity,
            &["top block of the hash tree"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("hashes-a").start + 4096 + 40)
                });
            },
        ),
        Case(
            "the superblock",
            Step::Verity,
            &["superblock", "`hashes-a`"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("hashes-a").start + 33)
                });
            },
        ),
        Case(
            "behind the tree",
            Step::Verity,
            &["is behind the", "`hashes-a`"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("hashes-a").end() - 5)
                });
            },
        ),
        Case(
            "root beside",
            Step::Verity,
            &["root.squashfs", "block 1 of the data"],
            |fixture, image| {
                let path = image.join("root.squashfs");
                let mut bytes = fs::read(&path).unwrap();
                bytes[5000] ^= 1;
                fs::write(path, bytes).unwrap();
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another root hash stated",
            Step::Boot,
            &[".cmdline", "but the root hash is"],
            |fixture, image| {
                edit(image, "provenance.json", |value| {
                    for subject in value["subject"].as_array_mut().unwrap() {
                        if subject["name"] == "dm-verity:root" {
                            subject["digest"]["sha256"] = "0".repeat(64).into();
                        }
                    }
                });
                fixture.tell(image, &[]);
            },
        ),
    ]);
}
