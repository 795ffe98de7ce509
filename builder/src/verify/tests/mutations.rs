//! What else is changed, by whoever has the key of the checksums: each is found, with words that
//! say what and where.

use nodeimg_formats::verity;
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
                disk.0.write_all_at(b"hidden", disk.size()).unwrap();
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
            &["tiny_1.0+3.efi", "second kernel"],
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

#[test]
fn in_programs() {
    run(&[
        Case(
            "a byte of the kernel",
            Step::Boot,
            &["changed after", "CN=db", UKI],
            |fixture, image| {
                on_disk(fixture, image, |disk| {
                    let mut files = disk.esp();
                    let bytes = files.get_mut(UKI).unwrap();
                    let at = bytes.windows(6).position(|part| part == b"kernel").unwrap();
                    bytes[at] ^= 1;
                    disk.write_esp(&files);
                });
            },
        ),
        Case(
            "another signer",
            Step::Boot,
            &["CN=other", "CN=db", "should have signed"],
            |fixture, image| {
                fixture.programs(image, Some("other"), |path, bytes| {
                    let mut bytes = bytes.to_vec();
                    if path == UKI {
                        bytes[0x400] ^= 1;
                    }
                    bytes
                });
            },
        ),
        Case(
            "another command line",
            Step::Boot,
            &["sbom.spdx.json", "uki", "init=/bin/sh"],
            |fixture, image| {
                let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
                let line = format!("roothash={} init=/bin/sh", hash.trim());
                // With the right key, but nobody changed the SBOM.
                let old = fs::read(image.join("sbom.spdx.json")).unwrap();
                fixture.programs(image, Some("db"), |path, bytes| match path {
                    UKI => fixture::uki("", &[(".cmdline", line.as_bytes())]),
                    _ => bytes.to_vec(),
                });
                let digests = |text: &[u8]| -> Vec<String> {
                    let text: serde_json::Value = serde_json::from_slice(text).unwrap();
                    let packages = text["packages"].as_array().unwrap().clone();
                    let uki = packages.into_iter().filter(|one| one["name"] == "uki");
                    uki.map(|one| {
                        one["checksums"][0]["checksumValue"]
                            .as_str()
                            .unwrap()
                            .to_owned()
                    })
                    .collect()
                };
                let new = fs::read(image.join("sbom.spdx.json")).unwrap();
                let pair = (digests(&new)[0].clone(), digests(&old)[0].clone());
                for name in ["sbom.spdx.json", "sbom.cdx.json"] {
                    let text = fs::read_to_string(image.join(name)).unwrap();
                    // Its own entry, not that of the file beside the disk.
                    let (head, tail) = text.split_once("\"uki\"").unwrap();
                    fs::write(
                        image.join(name),
                        format!("{head}\"uki\"{}", tail.replacen(&pair.0, &pair.1, 1)),
                    )
                    .unwrap();
                }
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another root",
            Step::Boot,
            &[".cmdline", "but the root hash is"],
            |fixture, image| {
                fixture.programs(image, Some("db"), |path, bytes| match path {
                    UKI => fixture::uki(&"0".repeat(64), &[]),
                    _ => bytes.to_vec(),
                });
            },
        ),
        Case(
            "two roots",
            Step::Boot,
            &[".cmdline", "just one root hash"],
            |fixture, image| {
                fixture.programs(image, Some("db"), |path, bytes| match path {
                    UKI => fixture::uki("", &[(".cmdline", b"roothash=a roothash=b")]),
                    _ => bytes.to_vec(),
                });
            },
        ),
        Case(
            "another kernel",
            Step::Boot,
            &["section `.linux`", "sbom.spdx.json"],
            |fixture, image| {
                let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
                fixture.programs(image, Some("db"), |path, bytes| match path {
                    UKI => fixture::uki(hash.trim(), &[(".linux", b"another kernel")]),
                    _ => bytes.to_vec(),
                });
            },
        ),
        Case(
            "a section more",
            Step::Boot,
            &["section `.ucode`"],
            |fixture, image| {
                let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
                fixture.programs(image, Some("db"), |path, bytes| match path {
                    UKI => fixture::uki(hash.trim(), &[(".ucode", b"evil")]),
                    _ => bytes.to_vec(),
                });
            },
        ),
        Case(
            "another loader",
            Step::Boot,
            &["systemd-boot", LOADER],
            |fixture, image| {
                fixture.programs(image, Some("db"), |path, bytes| match path {
                    LOADER => fixture::efi_program(9),
                    _ => bytes.to_vec(),
                });
                // The SBOM still has Debian's.
                for name in ["sbom.spdx.json", "sbom.cdx.json"] {
                    let text = fs::read_to_string(image.join(name)).unwrap();
                    assert!(text.contains(&hex(&fixture::efi_program(2))));
                }
            },
        ),
        Case(
            "another kernel beside",
            Step::Boot,
            &["another kernel than uki.efi"],
            |fixture, image| {
                let bytes = fs::read(image.join("uki.efi")).unwrap();
                let mut plain = authenticode::without(&bytes).unwrap();
                plain[0x400] ^= 1;
                let signature = authenticode::sign(&fixture.signer("db"), "u", &plain)
                    .unwrap()
                    .unwrap();
                fs::write(
                    image.join("uki.efi"),
                    authenticode::with(&plain, &[signature]).unwrap(),
                )
                .unwrap();
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "root hash beside",
            Step::Boot,
            &["root.roothash", "but the root hash is"],
            |fixture, image| {
                fs::write(image.join("root.roothash"), "0".repeat(64) + "\n").unwrap();
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "its signature",
            Step::Boot,
            &["root.roothash.p7s", "CN=db"],
            |fixture, image| {
                let path = image.join("root.roothash.p7s");
                let mut bytes = fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(path, bytes).unwrap();
                fixture.tell(image, &[]);
            },
        ),
    ]);
}

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

/// Changes a file of the manifest.
fn listed(fixture: &Fixture, image: &Path, path: &str, change: impl Fn(&mut serde_json::Value)) {
    edit(image, "manifest.json", |value| {
        let files = value["files"].as_array_mut().unwrap();
        change(files.iter_mut().find(|file| file["path"] == path).unwrap());
    });
    fixture.tell(image, &[]);
}

/// Takes what `is` says out of both SBOMs.
fn unlisted(fixture: &Fixture, image: &Path, is: impl Fn(&str) -> bool) {
    edit(image, "sbom.spdx.json", |value| {
        let packages = value["packages"].as_array_mut().unwrap();
        packages.retain(|one| !is(one["name"].as_str().unwrap()));
    });
    edit(image, "sbom.cdx.json", |value| {
        let components = value["components"].as_array_mut().unwrap();
        components.retain(|one| !is(one["name"].as_str().unwrap()));
    });
    fixture.tell(image, &[]);
}

#[test]
fn in_manifest_and_sbom() {
    run(&[
        Case(
            "a mode",
            Step::Root,
            &["its mode is 0640", "0644", "`/etc/motd`"],
            |fixture, image| {
                listed(fixture, image, "/etc/motd", |file| {
                    file["mode"] = "0644".into()
                });
            },
        ),
        Case(
            "an owner",
            Step::Root,
            &["its owner is 0:0", "7:0", "`/etc/motd`"],
            |fixture, image| {
                listed(fixture, image, "/etc/motd", |file| file["uid"] = 7.into());
            },
        ),
        Case(
            "a target",
            Step::Root,
            &["its target is usr/bin", "`/bin`"],
            |fixture, image| {
                listed(fixture, image, "/bin", |file| {
                    file["target"] = "evil".into()
                });
            },
        ),
        Case(
            "a file less",
            Step::Root,
            &["does not list it", "`/etc/motd`"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    value["files"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|file| file["path"] != "/etc/motd");
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "a file that is not there",
            Step::Root,
            &["not there", "`/etc/other`"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    let files = value["files"].as_array_mut().unwrap();
                    let mut other = files[0].clone();
                    other["path"] = "/etc/other".into();
                    files.push(other);
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "a package less",
            Step::Root,
            &["libx1 2.0-1", "sbom.spdx.json does not"],
            |fixture, image| {
                unlisted(fixture, image, |name| name == "libx1");
            },
        ),
        Case(
            "a package less in one",
            Step::Root,
            &["libx1 2.0-1", "sbom.cdx.json"],
            |fixture, image| {
                edit(image, "sbom.spdx.json", |value| {
                    value["packages"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|one| one["name"] != "libx1");
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another Go module",
            Step::Root,
            &["example.org/a/b", "v9.9.9"],
            |fixture, image| {
                for name in ["sbom.spdx.json", "sbom.cdx.json"] {
                    let path = image.join(name);
                    let text = fs::read_to_string(&path).unwrap();
                    fs::write(path, text.replace("v1.2.3", "v9.9.9")).unwrap();
                }
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "another container image",
            Step::Root,
            &["container image", "which"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    value["container_images"][0]["manifest"] =
                        Digest::sha256(b"other").to_string().into();
                });
                fixture.tell(image, &[]);
            },
        ),
        Case(
            "an artifact more",
            Step::Root,
            &["artifact", "other 1"],
            |fixture, image| {
                edit(image, "manifest.json", |value| {
                    let mut other = value["artifacts"][0].clone();
                    other["name"] = "other".into();
                    other["sha256"] = Digest::sha256(b"other").to_string().into();
                    value["artifacts"].as_array_mut().unwrap().push(other);
                });
                fixture.tell(image, &[]);
            },
        ),
    ]);
}

#[test]
fn a_disk_by_itself_is_verified_by_certificate_or_root_hash() {
    let Some(fixture) = fixture() else { return };
    let disk = fixture.place.path().join("alone.raw");
    fs::copy(fixture.image.join("disk.raw"), &disk).unwrap();
    let policy = |secure_boot: &[&str], root_hash: Option<&str>| Policy {
        anchors: Vec::new(),
        pinned: None,
        secure_boot: secure_boot
            .iter()
            .map(|name| fixture.certificate(name))
            .collect(),
        root_hash: root_hash
            .map(|hash| crate::verify::vouched::Vouched::given(hash.parse().unwrap())),
        ..fixture.policy()
    };
    let hash = fs::read_to_string(fixture.image.join("root.roothash")).unwrap();
    for policy in [
        policy(&["db"], None),
        policy(&["other", "db"], None),
        policy(&[], Some(hash.trim())),
    ] {
        let all = of_disk(disk.clone(), policy);
        assert_eq!(failed(&all), []);
        let passed = |step| {
            all.iter()
                .any(|(one, verdict)| *one == step && matches!(verdict, Verdict::Passed { .. }))
        };
        assert!(
            [Step::Disk, Step::Boot, Step::Verity, Step::Root]
                .into_iter()
                .all(passed),
            "{all:?}"
        );
    }
    let found = failed(&of_disk(disk.clone(), policy(&["other"], None)));
    assert_eq!(found[0].0, Step::Boot, "{found:?}");
    let found = failed(&of_disk(disk.clone(), policy(&[], Some(&"0".repeat(64)))));
    assert_eq!(found[0].0, Step::Boot, "{found:?}");
    let changed = Disk(File::options().read(true).write(true).open(&disk).unwrap());
    changed.flip(changed.place("root-a").start + 8192);
    let found = failed(&of_disk(disk, policy(&["db"], None)));
    assert_eq!((found.len(), found[0].0), (1, Step::Verity), "{found:?}");
}

#[test]
fn others_verify_what_is_verified() {
    use nodeimg_test_support::run::{host_program, tool};
    let Some(fixture) = fixture() else { return };
    let image = &fixture.image;
    let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
    let mut veritysetup = host_program("veritysetup");
    veritysetup
        .arg("verify")
        .arg(image.join("root.squashfs"))
        .arg(image.join("root.verity"));
    if let Some(ran) = tool(veritysetup.arg(hash.trim())) {
        ran.good();
    }
    let mut sbverify = host_program("sbverify");
    sbverify
        .arg("--cert")
        .arg(fixture.keys.join("db.pem"))
        .arg(image.join("uki.efi"));
    if let Some(ran) = tool(&mut sbverify) {
        ran.good();
    }
    let mut unsquashfs = host_program("unsquashfs");
    unsquashfs
        .args(["-cat"])
        .arg(image.join("root.squashfs"))
        .arg("etc/motd");
    if let Some(ran) = tool(&mut unsquashfs) {
        assert_eq!(ran.good().out, "an image\n");
    }
    let size = fs::metadata(image.join("root.verity")).unwrap().len();
    assert_eq!(
        size,
        verity::size_for(fs::metadata(image.join("root.squashfs")).unwrap().len())
    );
}
