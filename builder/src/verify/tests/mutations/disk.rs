//! On the disk and its EFI system partition.

use super::*;

#[test]
fn on_the_disk() {
    run(&[
        Case(
            "boot code",
            Step::Disk,
            &["byte 7", "protective MBR"],
            |fixture, image| {
                on_disk(fixture, image, |disk| disk.flip(7));
            },
        ),
        Case(
            "first header",
            Step::Disk,
            &["sector 1", "disk.raw"],
            |fixture, image| {
                on_disk(fixture, image, |disk| disk.flip(512 + 60));
            },
        ),
        Case(
            "backup header",
            Step::Disk,
            &["second partition table", "checksum"],
            |fixture, image| {
                on_disk(fixture, image, |disk| disk.flip(disk.size() - 512 + 60));
            },
        ),
        Case(
            "backup entries",
            Step::Disk,
            &["second partition table", "entries"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.size() - 33 * 512 + 60)
                });
            },
        ),
        Case(
            "before the ESP",
            Step::Disk,
            &["in no partition", "first partition table"],
            |fixture, image| {
                on_disk(fixture, image, |disk| disk.flip(500_000));
            },
        ),
        Case(
            "behind the root",
            Step::Disk,
            &["in no partition", "`root-a`"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("root-a").end() + 3)
                });
            },
        ),
        Case(
            "behind the tables",
            Step::Disk,
            &["behind the second partition table"],
            |fixture, image| {
                let disk = Disk::open(image);
                disk.0.write_all_at(&[b'x'; 4096], disk.size()).unwrap();
                fs::remove_file(image.join("disk.qcow2")).unwrap();
                disk.as_qcow2(image);
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another type",
            Step::Disk,
            &["the type of partition 3", "manifest.json"],
            |fixture, image| {
                table(fixture, image, |entry| {
                    entry.kind = nodeimg_formats::guid::Guid::derived(&["x"])
                });
            },
        ),
        Case(
            "another GUID",
            Step::Disk,
            &["the GUID of partition 3"],
            |fixture, image| {
                table(fixture, image, |entry| {
                    entry.unique = nodeimg_formats::guid::Guid::derived(&["x"])
                });
            },
        ),
        Case(
            "an empty slot",
            Step::Disk,
            &["the label of partition 3", "_empty"],
            |fixture, image| {
                table(fixture, image, |entry| entry.name = "_empty".into());
            },
        ),
        Case(
            "other flags",
            Step::Disk,
            &["the flags of partition 3"],
            |fixture, image| {
                table(fixture, image, |entry| entry.flags = 0);
            },
        ),
        Case(
            "another form",
            Step::Disk,
            &["not the same disk as disk.raw", "disk.qcow2"],
            |fixture, image| {
                let disk = Disk::open(image);
                disk.flip(disk.place("root-a").start + 9000);
                disk.as_qcow2(image);
                disk.flip(disk.place("root-a").start + 9000);
                fixture.tell(image, &[]);
            },
        ),
    ]);
}

#[test]
fn on_the_esp() {
    run(&[
        Case(
            "a file more",
            Step::Disk,
            &["EFI/evil.efi", "no build"],
            |fixture, image| {
                on_esp(fixture, image, "EFI/evil.efi", b"evil");
            },
        ),
        Case(
            "a second kernel",
            Step::Disk,
            &["EFI/Linux/tiny_2.0.efi", "no build"],
            |fixture, image| {
                on_esp(fixture, image, "EFI/Linux/tiny_2.0.efi", b"evil");
            },
        ),
        Case(
            "a kernel that may fail",
            Step::Disk,
            &["tiny_1.0+3.efi", "there are 2 kernels"],
            |fixture, image| {
                on_esp(fixture, image, "EFI/Linux/tiny_1.0+3.efi", b"evil");
            },
        ),
        Case(
            "an entry",
            Step::Disk,
            &["loader/entries/evil.conf"],
            |fixture, image| {
                on_esp(fixture, image, "loader/entries/evil.conf", b"linux /evil\n");
            },
        ),
        Case(
            "an editor",
            Step::Disk,
            &["loader/loader.conf", "editor yes"],
            |fixture, image| {
                on_esp(
                    fixture,
                    image,
                    "loader/loader.conf",
                    b"timeout 0\neditor yes\nsecure-boot-enroll if-safe\n",
                );
            },
        ),
        Case(
            "another key",
            Step::Disk,
            &["loader/keys/auto/db.auth", "beside the disk"],
            |fixture, image| {
                on_esp(fixture, image, "loader/keys/auto/db.auth", b"another");
            },
        ),
        Case(
            "no loader",
            Step::Disk,
            &["EFI/BOOT/BOOTX64.EFI", "missing"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    let mut files = disk.esp();
                    files.remove(LOADER);
                    disk.write_esp(&files);
                });
            },
        ),
        Case(
            "boot sector",
            Step::Disk,
            &["its boot sector"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    disk.flip(disk.place("esp").start + 100)
                });
            },
        ),
        Case(
            "second FAT",
            Step::Disk,
            &["its second FAT"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    let place = disk.place("esp");
                    let mut boot = [0; 512];
                    disk.0.read_exact_at(&mut boot, place.start).unwrap();
                    let fat = u64::from(u32::from_le_bytes(boot[36..40].try_into().unwrap()));
                    disk.flip(place.start + (32 + fat) * 512 + 40);
                });
            },
        ),
        Case(
            "slack of a file",
            Step::Disk,
            &["last cluster of `loader/loader.conf`"],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    let place = disk.place("esp");
                    let mut bytes = vec![0; 4 << 20];
                    disk.0.read_exact_at(&mut bytes, place.start).unwrap();
                    let text = b"secure-boot-enroll if-safe\n";
                    let at = bytes
                        .windows(text.len())
                        .position(|part| part == text)
                        .unwrap();
                    disk.flip(place.start + (at + text.len() + 9) as u64);
                });
            },
        ),
    ]);
}
