//! In EFI programs, and in root hashes beside them.

use super::*;

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
